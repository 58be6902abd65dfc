//! One SSH session per (bastion, user, key), shared by all concurrent checks of the process and closed when the last is done.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::Walked;
use super::failure::Failure;
use crate::key::PublicKey;
use crate::path::route::{Bastion, Host, Port};
use crate::ssh::session::Session;

/// How many handshakes run at a time to one bastion. sshd's default `MaxStartups 10:30:100` drops none of 8 and a third of 20 (measured);
/// 4 leaves room for others.
const HANDSHAKES: usize = 4;

/// The least time between a refused key and the next try at the same bastion, whoever's it is. OpenSSH 9.8 and later fine an address
/// five seconds for each refusal and lock it out when fines pile up; at this pace they never do.
pub(crate) const REFUSAL_PAUSE: Duration = Duration::from_secs(6);

/// How long a session outlives its last user. Terraform starts the next resource some milliseconds after the last one ended;
/// one second bridges that, and is short enough to count as done.
const LINGER: Duration = Duration::from_secs(1);

/// How many logins, and how many bastions, are remembered without need: more than a large apply has. Some hundred bytes each.
const REMEMBERED: usize = 256;

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
    /// Whether the bastion has accepted this key, and not refused it since.
    known: bool,
}

/// What all logins of one bastion share: its patience.
pub(crate) struct Gate {
    handshakes: Semaphore,
    /// Held by the one login that the bastion may refuse. First come, first served.
    unknown: Mutex<()>,
    last_refusal: StdMutex<Option<Instant>>,
}

impl Gate {
    fn new() -> Self {
        Self { handshakes: Semaphore::new(HANDSHAKES), unknown: Mutex::default(), last_refusal: StdMutex::default() }
    }

    /// When the next try may begin; none if at once.
    fn closed_until(&self) -> Option<Instant> {
        let opens = (*lock(&self.last_refusal))? + REFUSAL_PAUSE;
        (opens > Instant::now()).then_some(opens)
    }
}

impl Sessions {
    /// No session yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for the turn to look at, or make, the session of a login. Turns are first come, first served.
    pub(crate) async fn turn(&self, login: &Login) -> Turn {
        let asked = Instant::now();
        let (slot, gate) = (self.slot(login), self.gate(&login.bastion));
        Turn { asked, slot: slot.lock_owned().await, gate }
    }

    fn slot(&self, login: &Login) -> Arc<Mutex<Slot>> {
        let mut logins = lock(&self.0.logins);
        if logins.len() >= REMEMBERED {
            let has_session = |slot: &Mutex<Slot>| slot.try_lock().is_ok_and(|slot| slot.shared.strong_count() > 0);
            logins.retain(|_, slot| Arc::strong_count(slot) > 1 || has_session(slot));
        }
        Arc::clone(logins.entry(login.clone()).or_default())
    }

    fn gate(&self, bastion: &Bastion) -> Arc<Gate> {
        let mut gates = lock(&self.0.gates);
        if gates.len() >= REMEMBERED {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1 || gate.closed_until().is_some());
        }
        Arc::clone(gates.entry((bastion.host.clone(), bastion.port)).or_insert_with(|| Arc::new(Gate::new())))
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

    /// How a try ended while this turn was waited for: many checks that wait for one key share each try.
    pub(crate) fn shared_failure(&self) -> Option<Failure> {
        self.slot.last_failure.as_ref().filter(|(at, _)| *at >= self.asked).map(|(_, failure)| failure.clone())
    }

    /// How long [`Turn::permit`] will wait because another key was refused at the bastion; none if not at all.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let opens = self.gate.closed_until().filter(|_| !self.slot.known)?;
        Some(opens.saturating_duration_since(Instant::now()))
    }

    /// Waits for a place at the bastion. Of the logins that it may refuse one goes at a time, and waits until its refusal would not look
    /// like an attack together with the last one; those that it knows do not wait for that.
    pub(crate) async fn permit(&self) -> Permit<'_> {
        let gate = &*self.gate;
        let unknown = if self.slot.known { None } else { Some(gate.unknown.lock().await) };
        // The semaphore is never closed, so this is always a place.
        let place = gate.handshakes.acquire().await.ok();
        while let Some(opens) = gate.closed_until().filter(|_| unknown.is_some()) {
            tokio::time::sleep_until(opens).await;
        }
        Permit { gate, offered: false, _place: place, _unknown: unknown }
    }

    /// Hands a new session to everyone who waits for it.
    pub(crate) fn opened(mut self, session: Session, walked: Vec<Walked>) -> Lease {
        let shared = Arc::new(SharedSession { session, walked });
        self.slot.shared = Arc::downgrade(&shared);
        self.slot.last_failure = None;
        self.slot.known = true;
        Lease(shared)
    }

    /// Tells everyone who waits that this try failed.
    pub(crate) fn failed(mut self, failure: Failure) {
        self.slot.known &= !failure.is_refusal();
        self.slot.last_failure = Some((Instant::now(), failure));
    }
}

/// A place at the bastion, for one try. A key that was offered and not accepted counts as refused, also when the try is given up before
/// the answer: sshd counts it.
pub(crate) struct Permit<'a> {
    gate: &'a Gate,
    offered: bool,
    _place: Option<SemaphorePermit<'a>>,
    _unknown: Option<MutexGuard<'a, ()>>,
}

impl Permit<'_> {
    /// The key is about to be offered.
    pub(crate) const fn offer(&mut self) {
        self.offered = true;
    }

    /// The key was accepted.
    pub(crate) fn accepted(mut self) {
        self.offered = false;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.offered {
            *lock(&self.gate.last_refusal) = Some(Instant::now());
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{HostKeys, PrivateKey};
    use crate::path::cause::Cause;

    fn login(user: &str) -> Login {
        let bastion = Bastion { host: "b".parse().unwrap(), port: Port::SSH, user: user.to_owned(), host_keys: HostKeys::Any };
        Login { bastion, key: PrivateKey::generate_ed25519().unwrap().public() }
    }

    fn refused() -> Failure {
        Failure::new(Cause::KeyRefused, None)
    }

    /// One try whose key is refused; tells when it was.
    async fn refuse(sessions: &Sessions, login: &Login) -> Instant {
        let turn = sessions.turn(login).await;
        let mut permit = turn.permit().await;
        permit.offer();
        let at = Instant::now();
        drop(permit);
        turn.failed(refused());
        at
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_at_one_bastion_keep_their_distance_whoever_is_refused() {
        let sessions = Sessions::new();
        let mut tries = tokio::task::JoinSet::new();
        for user in ["a", "b", "a", "b", "c"] {
            let (sessions, login) = (sessions.clone(), login(user));
            tries.spawn(async move { [refuse(&sessions, &login).await, refuse(&sessions, &login).await] });
        }
        let mut times: Vec<_> = tries.join_all().await.into_iter().flatten().collect();
        times.sort();
        assert_eq!(times.len(), 10);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= REFUSAL_PAUSE), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_overtaken_by_a_login_that_comes_again() {
        let (sessions, began) = (Sessions::new(), Instant::now());
        let again = tokio::spawn({
            let (sessions, login) = (sessions.clone(), login("again"));
            async move {
                for _ in 0..20 {
                    refuse(&sessions, &login).await;
                }
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        refuse(&sessions, &login("patient")).await;
        assert!(began.elapsed() <= 2 * REFUSAL_PAUSE, "{:?}", began.elapsed());
        again.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_elsewhere_holds_nobody_up() {
        let (sessions, mut elsewhere, began) = (Sessions::new(), login("a"), Instant::now());
        elsewhere.bastion.port = Port::POSTGRES;
        refuse(&sessions, &login("a")).await;
        refuse(&sessions, &elsewhere).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_was_offered_and_given_up_counts_as_refused() {
        let (sessions, began) = (Sessions::new(), Instant::now());
        let turn = sessions.turn(&login("a")).await;
        drop(turn.permit().await);
        let mut permit = turn.permit().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "nothing was offered");
        permit.offer();
        drop(permit);
        turn.permit().await.accepted();
        assert_eq!(began.elapsed(), REFUSAL_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn known_logins_take_one_place_each_and_wait_for_no_pause() {
        let (sessions, mut turns) = (Sessions::new(), Vec::new());
        refuse(&sessions, &login("a")).await;
        for _ in 0..=HANDSHAKES {
            let mut turn = sessions.turn(&login("a")).await;
            turn.slot.known = true;
            turns.push(turn);
        }
        let mut permits = Vec::new();
        for turn in &turns {
            permits.extend(tokio::time::timeout(Duration::from_millis(1), turn.permit()).await);
        }
        assert_eq!(permits.len(), HANDSHAKES);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_shares_the_failure_and_who_comes_later_does_not() {
        let (sessions, login) = (Sessions::new(), login("a"));
        let turn = sessions.turn(&login).await;
        let waiting = tokio::spawn({
            let (sessions, login) = (sessions.clone(), login.clone());
            async move { sessions.turn(&login).await.shared_failure().is_some() }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        turn.failed(refused());
        assert!(waiting.await.unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(sessions.turn(&login).await.shared_failure().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_given_up_goes_to_the_next() {
        let (sessions, login) = (Sessions::new(), login("a"));
        let turn = sessions.turn(&login).await;
        let waited = tokio::time::timeout(Duration::from_secs(1), sessions.turn(&login)).await;
        assert!(waited.is_err());
        drop(turn);
        assert!(sessions.turn(&login).await.shared_failure().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let sessions = Sessions::new();
        let kept = sessions.turn(&login("kept")).await;
        for number in 0..2 * REMEMBERED {
            let mut login = login("a");
            login.bastion.host = format!("b{number}").parse().unwrap();
            drop(sessions.turn(&login).await);
        }
        assert!(lock(&sessions.0.logins).len() <= REMEMBERED && lock(&sessions.0.gates).len() <= REMEMBERED);
        assert!(lock(&sessions.0.logins).values().any(|slot| Arc::ptr_eq(slot, tokio::sync::OwnedMutexGuard::mutex(&kept.slot))));
    }
}
