//! The apply step: the check, told to the log as it goes, its verdict on the attribute to look at.

use tokio_util::sync::CancellationToken;

use super::Model;
use crate::check::{Report, check};
use crate::path::cause::Cause;
use crate::path::diagnosis::Diagnosis;
use crate::path::stage::Stage;
use crate::provider::{Shared, of_diagnosis, walk};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::Attr;

/// Proves the path. What the bastion is to know may have changed with `triggers`.
pub(super) async fn prove(
    shared: &Shared,
    cancelled: &CancellationToken,
    config: &Model,
    prior: Option<&Model>,
) -> Result<Report, Diagnostics> {
    let mut request = config.arguments().request(shared).await?;
    let triggered = prior.is_some_and(|prior| prior.triggers != config.triggers);
    request.settling = shared.recent.settles(&request.route.hops) || triggered && request.route.hops.iter().any(|hop| hop.canary.is_none());
    let name = config.name.known().cloned().unwrap_or_default();
    let proven = check(&request, &shared.sessions, &walk::log(&name), cancelled).await;
    proven.map_err(|diagnosis| {
        let at = at(&diagnosis.cause, config);
        match shared.recent.told(&name, &diagnosis) {
            Some(before) => as_before(&diagnosis, at, &before),
            None => of_diagnosis(&diagnosis, at),
        }
    })
}

/// Another connection's failure was the same.
fn as_before(diagnosis: &Diagnosis, at: AttributePath, before: &str) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let bastion = diagnosis.route.address(diagnosis.at.leg).map_or_else(String::new, ToString::to_string);
    let detail = format!("As for the connection \"{before}\": {} at {bastion}. Its error says what to do.", diagnosis.code());
    diagnostics.error(at, diagnosis.summary(), detail);
    diagnostics
}

/// The argument to look at first.
fn at(cause: &Cause, config: &Model) -> AttributePath {
    let tunnel = |attribute: &str| match config.ssh_tunnel {
        Attr::Known(_) => AttributePath::of("ssh_tunnel"),
        _ => AttributePath::of(attribute),
    };
    match (cause.stage(), cause) {
        (_, Cause::OutOfTime { .. }) => AttributePath::of("verify"),
        (_, Cause::Interrupted { .. }) => AttributePath::root(),
        (_, Cause::CertificateUnknownIssuer) => AttributePath::of("sslrootcert"),
        (_, Cause::ClientCertificateRefused) => AttributePath::of("sslcert"),
        (_, Cause::NotPostgres | Cause::PostgresSilent | Cause::CertificateWrongName { .. }) => AttributePath::of("host"),
        (Stage::Sync, _) => AttributePath::of("keys"),
        (
            Stage::Configure | Stage::Admit | Stage::Resolve | Stage::Connect | Stage::Handshake | Stage::HostKey | Stage::Authenticate,
            _,
        ) => tunnel("host"),
        (Stage::Forward | Stage::Dial | Stage::Hold, _) => AttributePath::of("host"),
        (Stage::Tls, _) => AttributePath::of("sslmode"),
        (Stage::Login, Cause::PasswordRefused | Cause::PasswordMissing) => AttributePath::of("password_wo"),
        (Stage::Login, _) => AttributePath::of("user"),
        (Stage::Open, _) => AttributePath::of("database"),
        (Stage::Ready, _) => AttributePath::of("verify"),
    }
}
