//! One SSH session per (bastion, user, key), shared by all concurrent checks of the process and closed when the last is done.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::Walked;
use super::failure::Failure;
use crate::key::PublicKey;
use crate::path::route::{Bastion, Host, Port};
use crate::ssh::session::Session;

/// How many handshakes run at a time to one bastion. sshd's default `MaxStartups 10:30:100` drops none of 8 and a third of 20 (measured);
/// 4 leaves room for others.
const HANDSHAKES: usize = 4;

/// The least time between a refused key and the next try at the same bastion. OpenSSH 9.8 and later fine an address five seconds
/// for each refusal and lock it out when fines pile up; at this pace they never do.
pub(crate) const REFUSAL_PAUSE: Duration = Duration::from_secs(6);

/// How long a session outlives its last user. Terraform starts the next resource some milliseconds after the last one ended;
/// one second bridges that, and is short enough to count as done.
const LINGER: Duration = Duration::from_secs(1);

/// Whose session it is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Login {
    pub(crate) bastion: Bastion,
    pub(crate) key: PublicKey,
}

/// The sessions of one process. Cheap to clone; clones share.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Inner>);

#[derive(Default)]
struct Inner {
    logins: StdMutex<HashMap<Login, Arc<Mutex<Slot>>>>,
    gates: StdMutex<HashMap<(Host, Port), Arc<Gate>>>,
}

/// One login's session, or how the last try for it ended.
#[derive(Default)]
pub(crate) struct Slot {
    shared: Weak<SharedSession>,
    last_failure: Option<(Instant, Failure)>,
}

/// What all logins of one bastion share: its patience.
pub(crate) struct Gate {
    handshakes: Semaphore,
    last_refusal: StdMutex<Option<Instant>>,
}

impl Sessions {
    /// No session yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for the turn to look at, or make, the session of a login. Turns are first come, first served.
    pub(crate) async fn turn(&self, login: &Login) -> Turn {
        let slot = Arc::clone(lock(&self.0.logins).entry(login.clone()).or_default());
        Turn { asked: Instant::now(), slot: slot.lock_owned().await, gate: self.gate(&login.bastion) }
    }

    fn gate(&self, bastion: &Bastion) -> Arc<Gate> {
        Arc::clone(
            lock(&self.0.gates)
                .entry((bastion.host.clone(), bastion.port))
                .or_insert_with(|| Arc::new(Gate { handshakes: Semaphore::new(HANDSHAKES), last_refusal: StdMutex::new(None) })),
        )
    }
}

/// The exclusive right to make the session of one login.
pub(crate) struct Turn {
    asked: Instant,
    slot: OwnedMutexGuard<Slot>,
    gate: Arc<Gate>,
}

impl Turn {
    /// The session, if one is up.
    pub(crate) fn session(&self) -> Option<Lease> {
        let shared = self.slot.shared.upgrade().filter(|shared| shared.session.is_alive())?;
        Some(Lease(shared))
    }

    /// How a try ended that began after this turn was asked for: many checks that wait for one key share each try.
    pub(crate) fn shared_failure(&self) -> Option<Failure> {
        self.slot.last_failure.as_ref().filter(|(at, _)| *at >= self.asked).map(|(_, failure)| failure.clone())
    }

    /// Waits until a further try cannot look like an attack, and then for one of the bastion's handshake places.
    pub(crate) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        let refused_before = self.slot.last_failure.as_ref().is_some_and(|(_, failure)| failure.is_refusal());
        let last_refusal = *lock(&self.gate.last_refusal);
        if let Some(at) = last_refusal.filter(|_| refused_before) {
            tokio::time::sleep_until(at + REFUSAL_PAUSE).await;
        }
        // The semaphore is never closed, so this is always a permit.
        self.gate.handshakes.acquire().await.ok()
    }

    /// Hands a new session to everyone who waits for it.
    pub(crate) fn opened(mut self, session: Session, walked: Vec<Walked>) -> Lease {
        let shared = Arc::new(SharedSession { session, walked });
        self.slot.shared = Arc::downgrade(&shared);
        self.slot.last_failure = None;
        Lease(shared)
    }

    /// Tells everyone who waits that this try failed.
    pub(crate) fn failed(mut self, failure: Failure) {
        let now = Instant::now();
        if failure.is_refusal() {
            *lock(&self.gate.last_refusal) = Some(now);
        }
        self.slot.last_failure = Some((now, failure));
    }
}

/// A session and the stages that led to it.
pub(crate) struct SharedSession {
    pub(crate) session: Session,
    pub(crate) walked: Vec<Walked>,
}

/// A user's hold on a session.
pub(crate) struct Lease(Arc<SharedSession>);

impl Deref for Lease {
    type Target = SharedSession;

    fn deref(&self) -> &SharedSession {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let shared = Arc::clone(&self.0);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(LINGER).await;
                drop(shared);
            });
        }
    }
}

fn lock<T>(mutex: &StdMutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
