//! Walks a route stage by stage, retries what can heal, emits events, and ends with a report or a diagnosis.

mod failure;
mod hold;
mod legs;
mod persistence;
mod prove;
mod scan;
mod tunnel;
mod walk;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

pub use self::hold::hold;
pub use self::prove::Proof;
pub use self::scan::scan;
pub use self::tunnel::{Opened, TunnelError, open_tunnel};
use crate::key::PrivateKey;
use crate::path::admission::Admission;
use crate::path::diagnosis::Diagnosis;
use crate::path::event::Observer;
use crate::path::position::Position;
use crate::path::route::Route;
use crate::path::walked::Walked;
use crate::postgres::{Readiness, TlsSettings};
use crate::secret::Secret;
pub use crate::way::{Patience, Sessions};

/// What is to be proven. Holds secrets, so it has no `Debug`.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// The way, and what is at its end.
    pub route: Route,
    /// The keys for the hops' logins, one each in their order.
    pub keys: Vec<Arc<PrivateKey>>,
    /// For a Postgres at the end.
    pub postgres: Postgres,
    /// Bounds the whole walk, retries included.
    pub timeout: Duration,
    /// The last position to be proven; absent: all of them. Where one answer settles two stages (`handshake` and `host_key`, `forward` and
    /// `dial`, `login` and `open`), the first asks for both. A hop that is passed by needs its key, one at which the path ends only for
    /// `authenticate`.
    pub until: Option<Position>,
    /// How long what can heal may take to, where the patience's windows are not right.
    pub waits: Waits,
    /// Whether the bastion may still have to learn what is permitted: then a forward that it prohibits is asked again, like a refused key.
    pub settling: bool,
    /// A login to a hop counts only if it was made no earlier: sshd reads keys and permissions at the login, so an older session proves
    /// nothing of what was changed since. Absent: the walk's own beginning.
    pub since: Option<Instant>,
    /// Lets this machine in before it connects to what the route begins with; absent: nobody has to.
    pub admission: Option<Arc<dyn Admission>>,
}

impl Request {
    /// The whole of a route within ten minutes, without any secret.
    #[must_use]
    pub fn new(route: Route) -> Self {
        Self {
            route,
            keys: Vec::new(),
            postgres: Postgres::default(),
            timeout: TIMEOUT,
            until: None,
            waits: Waits::default(),
            settling: false,
            since: None,
            admission: None,
        }
    }
}

/// How long what comes into being by itself is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Anything, where the patience's own window is shorter.
    pub whole: Option<Duration>,
    /// A name, a port, a machine behind a hop.
    pub reach: Option<Duration>,
    /// A key on its way to a bastion, and what it permits.
    pub key: Option<Duration>,
}

impl Waits {
    /// For anything, as long as this.
    #[must_use]
    pub const fn until(timeout: Duration) -> Self {
        Self { whole: Some(timeout), reach: None, key: None }
    }

    fn extend(self, patience: &Patience) -> Patience {
        let longer = |window: Duration| self.whole.map_or(window, |whole| window.max(whole));
        Patience {
            reach_window: self.reach.unwrap_or_else(|| longer(patience.reach_window)),
            key_window: self.key.unwrap_or_else(|| longer(patience.key_window)),
            open_window: longer(patience.open_window),
            ..*patience
        }
    }
}

/// As long as a key may need to reach a bastion, and the rest of the path after it.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// What is given to a Postgres, and asked of it. Holds secrets, so it has no `Debug`.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Postgres {
    /// The role's password.
    pub password: Option<Secret<String>>,
    /// `sslmode`, authorities and client certificate.
    pub tls: TlsSettings,
    /// What it must be ready for.
    pub readiness: Readiness,
}

/// A proven path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What was found at its end; `None` if the walk was to end before.
    pub proof: Option<Proof>,
    /// Every stage, in order.
    pub path: Vec<Walked>,
    /// This machine's address as the first hop sees it, where an admission has told it.
    pub seen_as: Option<IpAddr>,
}

impl Report {
    /// The version of the Postgres at the end, such as `15.18`, if the walk came so far.
    #[must_use]
    pub fn server_version(&self) -> Option<&str> {
        match &self.proof {
            Some(Proof::Postgres { server_version }) => Some(server_version),
            _ => None,
        }
    }
}

/// How a walk ended, and how far it came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    walk::Walk::new(request, patience, sessions, observer).prove(cancelled).await
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
    let verdict = walk.prove(cancelled).await;
    let path = match &verdict {
        Ok(report) => report.path.clone(),
        Err(diagnosis) => walk.steps.walked_until(diagnosis),
    };
    Survey { path, verdict }
}
