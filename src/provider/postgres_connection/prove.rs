//! The apply step: the check, told to the log as it goes, its verdict on the attribute to look at.

use tokio_util::sync::CancellationToken;

use super::Model;
use crate::check::{Report, check};
use crate::path::cause::Cause;
use crate::path::stage::Stage;
use crate::provider::{Shared, of_diagnosis, walk};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::Attr;

pub(super) async fn prove(shared: &Shared, cancelled: &CancellationToken, config: &Model) -> Result<Report, Diagnostics> {
    let request = config.arguments().request(&shared.keyring).await?;
    let name = config.name.known().cloned().unwrap_or_default();
    check(&request, &shared.sessions, &walk::log(&name), cancelled)
        .await
        .map_err(|diagnosis| of_diagnosis(&diagnosis, at(&diagnosis.cause, config)))
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
        (Stage::Configure | Stage::Resolve | Stage::Connect | Stage::Handshake | Stage::HostKey | Stage::Authenticate, _) => tunnel("host"),
        (Stage::Sync, _) => AttributePath::of("keys"),
        (Stage::Forward | Stage::Dial | Stage::Hold, _) => AttributePath::of("host"),
        (Stage::Tls, _) => AttributePath::of("sslmode"),
        (Stage::Login, Cause::PasswordRefused | Cause::PasswordMissing) => AttributePath::of("password_wo"),
        (Stage::Login, _) => AttributePath::of("user"),
        (Stage::Open, _) => AttributePath::of("database"),
        (Stage::Ready, _) => AttributePath::of("verify"),
    }
}
