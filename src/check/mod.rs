//! Walks a route stage by stage, retries what can heal, emits events, and ends with a report or a diagnosis.

mod failure;
mod hold;
mod patience;
mod scan;
mod sessions;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use self::hold::hold;
pub use self::patience::Patience;
pub use self::scan::scan;
pub use self::sessions::Sessions;
pub use self::walk::tunnel::{Tunnel, TunnelError, open_tunnel};
use crate::key::PrivateKey;
use crate::path::diagnosis::Diagnosis;
use crate::path::event::Observer;
use crate::path::route::Route;
use crate::path::stage::Stage;
use crate::postgres::{Readiness, TlsSettings};
use crate::secret::Secret;

/// What is to be proven. Holds secrets, so it has no `Debug`.
#[derive(Clone)]
pub struct Request {
    /// The way.
    pub route: Route,
    /// The key for the bastion's login; unused without a bastion.
    pub key: Option<Arc<PrivateKey>>,
    /// The role's password.
    pub password: Option<Secret<String>>,
    /// `sslmode`, authorities and client certificate.
    pub tls: TlsSettings,
    /// What the database must be ready for.
    pub readiness: Readiness,
    /// Bounds the whole walk, retries included.
    pub timeout: Duration,
    /// The last stage to be proven; absent: all of them. Where one answer settles two stages (`handshake` and `host_key`, `forward` and
    /// `dial`, `login` and `open`), the first asks for both. Before `authenticate` no key is needed, before `tls` nothing of the database.
    pub until: Option<Stage>,
}

/// A stage that was walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Which.
    pub stage: Stage,
    /// How.
    pub status: Status,
    /// What is known of it. Never a time, so that equal paths compare equal.
    pub note: String,
}

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    Passed,
    /// It was not asked for.
    Skipped,
    /// It broke the path. Never in a proven one.
    Failed,
}

impl Status {
    /// `passed`, `skipped` or `failed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// A proven path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Such as `15.18`; empty if the walk was to end before `open`.
    pub server_version: String,
    /// Every stage, in order.
    pub path: Vec<Walked>,
}

/// How a walk ended, and how far it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The stages in order; the last one is the failed one, with what was heard as its note, if there is a failure.
    pub path: Vec<Walked>,
    /// The same as [`check`] gives.
    pub verdict: Result<Report, Box<Diagnosis>>,
}

/// Proves a path.
///
/// Sessions are shared with all other checks that use the same `sessions`. Cancelling ends the walk at once.
///
/// # Errors
///
/// The diagnosis of the first failure at the furthest stage reached; boxed because it carries the whole scene.
pub async fn check(
    request: &Request,
    sessions: &Sessions,
    observer: &dyn Observer,
    cancelled: &CancellationToken,
) -> Result<Report, Box<Diagnosis>> {
    check_with(request, &Patience::DEFAULT, sessions, observer, cancelled).await
}

/// As [`check`], with a patience of one's own.
///
/// # Errors
///
/// As [`check`].
pub async fn check_with(
    request: &Request,
    patience: &Patience,
    sessions: &Sessions,
    observer: &dyn Observer,
    cancelled: &CancellationToken,
) -> Result<Report, Box<Diagnosis>> {
    walk::Walk::new(request, patience, sessions, observer).prove(request.timeout, cancelled).await
}

/// As [`check`], for those to whom a failed path is a result too.
pub async fn survey(request: &Request, sessions: &Sessions, observer: &dyn Observer, cancelled: &CancellationToken) -> Survey {
    survey_with(request, &Patience::DEFAULT, sessions, observer, cancelled).await
}

/// As [`survey`], with a patience of one's own.
pub async fn survey_with(
    request: &Request,
    patience: &Patience,
    sessions: &Sessions,
    observer: &dyn Observer,
    cancelled: &CancellationToken,
) -> Survey {
    let walk = walk::Walk::new(request, patience, sessions, observer);
    let verdict = walk.prove(request.timeout, cancelled).await;
    let path = match &verdict {
        Ok(report) => report.path.clone(),
        Err(diagnosis) => walk.walked_to(diagnosis),
    };
    Survey { path, verdict }
}
