//! The apply step: the check, told to the log as it goes, its verdict on the attribute to look at.

use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{Hop, Model, request};
use crate::check::{Report, Walked, check};
use crate::path::cause::Cause;
use crate::path::diagnosis::Diagnosis;
use crate::path::event::Event;
use crate::path::stage::Stage;
use crate::provider::Shared;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::Attr;

pub(super) async fn prove(shared: &Shared, cancelled: &CancellationToken, config: &Model) -> Result<Report, Diagnostics> {
    let request = request::build(&shared.keyring, config).await?;
    let name = config.name.known().cloned().unwrap_or_default();
    let log = |event: &Event| match event {
        Event::Started { stage } => debug!(connection = name, stage = stage.name(), "stage begins"),
        Event::Passed { stage, note, took } => {
            debug!(connection = name, stage = stage.name(), note, milliseconds = took.as_millis(), "stage passed");
        }
        Event::Waiting { stage, tries, next_try_in, heard } => info!(
            connection = name,
            stage = stage.name(),
            tries,
            next_try_in_seconds = next_try_in.as_secs_f64(),
            heard = heard.as_str(),
            "not yet, trying again"
        ),
        Event::Failed { stage } => info!(connection = name, stage = stage.name(), "stage failed"),
    };
    check(&request, &shared.sessions, &log, cancelled).await.map_err(|diagnosis| tell(&diagnosis, config))
}

/// One diagnostic with the whole story.
fn tell(diagnosis: &Diagnosis, config: &Model) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    diagnostics.error(at(&diagnosis.cause, config), diagnosis.summary(), diagnosis.to_string());
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
        (Stage::Configure | Stage::Resolve | Stage::Connect | Stage::Handshake | Stage::HostKey | Stage::Authenticate, _) => tunnel("host"),
        (Stage::Forward | Stage::Dial | Stage::Hold, _) => AttributePath::of("host"),
        (Stage::Tls, _) => AttributePath::of("sslmode"),
        (Stage::Login, Cause::PasswordRefused | Cause::PasswordMissing) => AttributePath::of("password_wo"),
        (Stage::Login, _) => AttributePath::of("user"),
        (Stage::Open, _) => AttributePath::of("database"),
        (Stage::Ready, _) => AttributePath::of("verify"),
    }
}

/// A walked stage as state keeps it.
pub(super) fn hop(walked: Walked) -> Hop {
    Hop {
        stage: Attr::Known(walked.stage.name().to_owned()),
        status: Attr::Known(walked.status.name().to_owned()),
        note: Attr::Known(walked.note),
    }
}
