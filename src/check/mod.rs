//! Walks a route stage by stage, retries what can heal, emits events, and ends with a report or a diagnosis.

mod failure;
mod hold;
mod patience;
mod sessions;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use self::hold::hold;
pub use self::patience::Patience;
pub use self::sessions::Sessions;
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

/// How a stage ended in a proven path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    Passed,
    /// It was not asked for.
    Skipped,
}

impl Status {
    /// `passed` or `skipped`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
        }
    }
}

/// A proven path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Such as `15.18`.
    pub server_version: String,
    /// Every stage, in order.
    pub path: Vec<Walked>,
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
