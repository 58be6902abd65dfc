//! One SSH session per login, shared by all concurrent walks of the process and closed when the last is done.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::failure::Failure;
use crate::key::PublicKey;
use crate::path::route::{Address, Hop};
use crate::path::stage::Stage;
use crate::path::walked::Walked;
use crate::ssh::session::Session;

/// How many handshakes run at a time to one bastion. sshd's default `MaxStartups 10:30:100` drops none of 8 and a third of 20 (measured);
/// 4 leaves room for others.
const HANDSHAKES: usize = 4;

/// How many of those may be of logins that the bastion may refuse: such a one can have to wait for seconds, and the last place is for
/// those that do not.
const STRANGERS: usize = HANDSHAKES - 1;

/// The least time between a refused key and the next try at the same bastion, whoever's it is. OpenSSH 9.8 and later fine an address
/// five seconds for each refusal and lock it out when fines pile up; at this pace they never do.
pub(crate) const REFUSAL_PAUSE: Duration = Duration::from_secs(6);

/// How long a session outlives its last user. Terraform starts the next resource some milliseconds after the last one ended;
/// one second bridges that, and is short enough to count as done.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// How many logins, and how many bastions, are remembered without need: more than a large apply has. Some hundred bytes each.
const REMEMBERED: usize = 256;

/// Who logs in where, by way of which other logins.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Login {
    pub(crate) via: Option<Arc<Login>>,
    pub(crate) hop: Hop,
    pub(crate) key: PublicKey,
}

impl Login {
    /// The server, as the vantage gets to it.
    fn server(&self) -> Vec<Address> {
        let mut path = self.via.as_ref().map_or_else(Vec::new, |via| via.server());
        path.push(self.hop.at.clone());
        path
    }
}

/// Which of several sessions of one login. What is carried on one lane delays nobody on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lane(u64);

impl Lane {
    /// That of all checks.
    pub(crate) const CHECKS: Self = Self(0);
}

/// The sessions of one process. Cheap to clone; clones share.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Inner>);

#[derive(Default)]
struct Inner {
    slots: StdMutex<HashMap<(Login, Lane), Slot>>,
    gates: StdMutex<HashMap<Vec<Address>, Arc<Gate>>>,
    /// The logins that their bastion has accepted, and not refused since.
    known: StdMutex<HashSet<Login>>,
    lanes: AtomicU64,
}

/// One login's session on one lane, and how the last try for it ended.
#[derive(Clone, Default)]
struct Slot {
    session: Arc<Mutex<Weak<SharedSession>>>,
    last_failure: Arc<StdMutex<Option<(Instant, Failure)>>>,
}

/// What all logins of one bastion share: its patience.
struct Gate {
    handshakes: Arc<Semaphore>,
    strangers: Semaphore,
    /// Held by the one login that is about to be refused, if it is. First come, first served.
    offer: Mutex<()>,
    last_refusal: StdMutex<Option<Instant>>,
}

impl Gate {
    fn new() -> Self {
        Self {
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            strangers: Semaphore::new(STRANGERS),
            offer: Mutex::default(),
            last_refusal: StdMutex::default(),
        }
    }

    /// When the next key may be offered; none if at once.
    fn closed_until(&self) -> Option<Instant> {
        let opens = (*lock(&self.last_refusal))? + REFUSAL_PAUSE;
        (opens > Instant::now()).then_some(opens)
    }

    async fn opened(&self) {
        while let Some(opens) = self.closed_until() {
            tokio::time::sleep_until(opens).await;
        }
    }
}

impl Sessions {
    /// No session yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A lane that nobody else has.
    pub(crate) fn lane(&self) -> Lane {
        Lane(self.0.lanes.fetch_add(1, Ordering::Relaxed).saturating_add(1))
    }

    /// Stands in line for the session of a login.
    pub(crate) fn queue(&self, login: &Login, lane: Lane) -> Queue {
        let (slot, gate) = (self.slot(login, lane), self.gate(login.server()));
        Queue { sessions: self.clone(), login: login.clone(), asked: Instant::now(), slot, gate }
    }

    fn slot(&self, login: &Login, lane: Lane) -> Slot {
        let mut slots = lock(&self.0.slots);
        if slots.len() >= REMEMBERED {
            let has_session = |slot: &Slot| slot.session.try_lock().is_ok_and(|session| session.strong_count() > 0);
            slots.retain(|_, slot| Arc::strong_count(&slot.session) > 1 || has_session(slot));
        }
        slots.entry((login.clone(), lane)).or_default().clone()
    }

    /// Waits for a place at a server for one connection and handshake of somebody who does not log in.
    pub(crate) async fn place(&self, server: Vec<Address>) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed, so there is always a place.
        Arc::clone(&self.gate(server).handshakes).acquire_owned().await.ok()
    }

    fn gate(&self, server: Vec<Address>) -> Arc<Gate> {
        let mut gates = lock(&self.0.gates);
        if gates.len() >= REMEMBERED {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1 || gate.closed_until().is_some());
        }
        Arc::clone(gates.entry(server).or_insert_with(|| Arc::new(Gate::new())))
    }

    fn knows(&self, login: &Login) -> bool {
        lock(&self.0.known).contains(login)
    }

    fn learn(&self, login: &Login, accepted: bool) {
        let mut known = lock(&self.0.known);
        if known.len() >= REMEMBERED {
            // Who is forgotten stands in line once more.
            known.clear();
        }
        if accepted {
            known.insert(login.clone())
        } else {
            known.remove(login)
        };
    }
}

/// A place in the line for one login's session.
pub(crate) struct Queue {
    sessions: Sessions,
    login: Login,
    asked: Instant,
    slot: Slot,
    gate: Arc<Gate>,
}

impl Queue {
    /// How a try ended since this place was taken: many walks that wait for one login share each try.
    pub(crate) fn shared_failure(&self) -> Option<Failure> {
        lock(&self.slot.last_failure).as_ref().filter(|(at, _)| *at >= self.asked).map(|(_, failure)| failure.clone())
    }

    /// Waits for the exclusive right to look at, or make, the session. First come, first served.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        let session = Arc::clone(&self.slot.session).lock_owned().await;
        Turn { queue: self, session }
    }
}

/// The exclusive right to make the session of one login.
pub(crate) struct Turn<'a> {
    queue: &'a Queue,
    session: OwnedMutexGuard<Weak<SharedSession>>,
}

impl Turn<'_> {
    /// The session, if one is up that logged in no earlier than `since`; absent: any.
    pub(crate) fn session(&self, since: Option<Instant>) -> Option<Lease> {
        let fresh = |shared: &Arc<SharedSession>| since.is_none_or(|since| shared.since >= since);
        self.session.upgrade().filter(|shared| shared.is_open() && fresh(shared)).map(Lease)
    }

    /// Whether the bastion may refuse the login.
    fn is_stranger(&self) -> bool {
        !self.queue.sessions.knows(&self.queue.login)
    }

    /// How long [`Turn::permit`] will wait because another key was refused at the bastion; none if not at all.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let opens = self.queue.gate.closed_until().filter(|_| self.is_stranger())?;
        Some(opens.saturating_duration_since(Instant::now()))
    }

    /// Waits for a place at the bastion, for one connection and handshake.
    pub(crate) async fn permit(&self) -> Permit<'_> {
        let gate = &*self.queue.gate;
        // The semaphores are never closed, so there is always a place.
        let stranger = if self.is_stranger() {
            // No connection is held open through a pause that is known to come.
            gate.opened().await;
            gate.strangers.acquire().await.ok()
        } else {
            None
        };
        let is_stranger = stranger.is_some();
        let place = gate.handshakes.acquire().await.ok();
        Permit { gate, is_stranger, offered: false, _places: (place, stranger), _offer: None }
    }

    /// Hands a new session to everyone who waits for it. Who has an older one keeps it; nobody else will get it.
    pub(crate) fn opened(mut self, session: Session, since: Instant, walked: Vec<Walked>) -> Lease {
        let shared = Arc::new(SharedSession { session, walked, since, retired: AtomicBool::new(false) });
        if let Some(older) = std::mem::replace(&mut *self.session, Arc::downgrade(&shared)).upgrade() {
            older.retire();
        }
        *lock(&self.queue.slot.last_failure) = None;
        self.queue.sessions.learn(&self.queue.login, true);
        Lease(shared)
    }

    /// Tells everyone who waits that this try failed.
    pub(crate) fn failed(self, failure: Failure) {
        if failure.at.stage == Stage::Authenticate {
            self.queue.sessions.learn(&self.queue.login, false);
        }
        *lock(&self.queue.slot.last_failure) = Some((Instant::now(), failure));
    }
}

/// A place at the bastion, for one try. A key that was offered and not accepted counts as refused, also when the try is given up before
/// the answer: sshd counts it.
pub(crate) struct Permit<'a> {
    gate: &'a Gate,
    is_stranger: bool,
    offered: bool,
    _places: (Option<SemaphorePermit<'a>>, Option<SemaphorePermit<'a>>),
    _offer: Option<MutexGuard<'a, ()>>,
}

impl Permit<'_> {
    /// The key is about to be offered. Of those that the bastion may refuse one goes at a time, and waits until its refusal would not
    /// look like an attack together with the last one.
    pub(crate) async fn offer(&mut self) {
        if self.is_stranger {
            self._offer = Some(self.gate.offer.lock().await);
            self.gate.opened().await;
        }
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

/// A session and the stages that led to it. One that runs over another keeps that one up.
pub(crate) struct SharedSession {
    pub(crate) session: Session,
    pub(crate) walked: Vec<Walked>,
    /// When the key was offered: sshd reads authorized_keys then, and knows nothing of what is changed in it later.
    pub(crate) since: Instant,
    retired: AtomicBool,
}

impl SharedSession {
    fn is_open(&self) -> bool {
        !self.retired.load(Ordering::Relaxed) && self.session.is_alive()
    }

    /// Gives it to nobody new. Those who have it are not concerned: it ends when the last has left.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }
}

/// A user's hold on a session.
#[derive(Clone)]
pub(crate) struct Lease(Arc<SharedSession>);

impl Deref for Lease {
    type Target = SharedSession;

    fn deref(&self) -> &SharedSession {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.0.is_open() {
            // Nobody will be given it.
            return;
        }
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
    use crate::path::route::Port;
    use crate::path::route::tests::at;

    fn login(user: &str) -> Login {
        let key = PrivateKey::generate_ed25519().unwrap().public();
        Login { via: None, hop: Hop::new(at("b", Port::SSH), user, HostKeys::Any), key }
    }

    fn queue(sessions: &Sessions, login: &Login) -> Queue {
        sessions.queue(login, Lane::CHECKS)
    }

    fn refused() -> Failure {
        Failure::silent(0, Cause::KeyRefused)
    }

    /// One try whose key is refused; tells when it was.
    async fn refuse(sessions: &Sessions, login: &Login) -> Instant {
        let queue = queue(sessions, login);
        let turn = queue.turn().await;
        let mut permit = turn.permit().await;
        permit.offer().await;
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
        elsewhere.hop.at.port = Port::POSTGRES;
        refuse(&sessions, &login("a")).await;
        refuse(&sessions, &elsewhere).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        // The same address, as another hop sees it, is another machine.
        let behind = Login { via: Some(Arc::new(elsewhere)), ..login("a") };
        refuse(&sessions, &behind).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_was_offered_and_given_up_counts_as_refused() {
        let (sessions, began) = (Sessions::new(), Instant::now());
        let queue = queue(&sessions, &login("a"));
        let turn = queue.turn().await;
        drop(turn.permit().await);
        let mut permit = turn.permit().await;
        permit.offer().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "nothing was offered");
        drop(permit);
        turn.permit().await.accepted();
        assert_eq!(began.elapsed(), REFUSAL_PAUSE);
    }

    /// Connecting and handshaking wait for nobody's verdict: only the offer does.
    #[tokio::test(start_paused = true)]
    async fn strangers_connect_at_the_same_time_and_one_offers_at_a_time() {
        let (sessions, began) = (Sessions::new(), Instant::now());
        let mut tries = tokio::task::JoinSet::new();
        for user in ["a", "b", "c"] {
            let (sessions, login) = (sessions.clone(), login(user));
            tries.spawn(async move {
                let queue = queue(&sessions, &login);
                let turn = queue.turn().await;
                let mut permit = turn.permit().await;
                tokio::time::sleep(Duration::from_secs(10)).await;
                permit.offer().await;
                permit.accepted();
            });
        }
        tries.join_all().await;
        assert_eq!(began.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn known_logins_take_one_place_each_and_wait_for_no_pause() {
        let (sessions, mut queues) = (Sessions::new(), Vec::new());
        refuse(&sessions, &login("a")).await;
        for _ in 0..=HANDSHAKES {
            let login = login("a");
            sessions.learn(&login, true);
            queues.push(queue(&sessions, &login));
        }
        let mut turns = Vec::new();
        for queue in &queues {
            turns.push(queue.turn().await);
        }
        let mut permits = Vec::new();
        for turn in &turns {
            permits.extend(tokio::time::timeout(Duration::from_millis(1), turn.permit()).await);
        }
        assert_eq!(permits.len(), HANDSHAKES);
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_leave_a_place_for_those_that_are_known() {
        let (sessions, strangers) = (Sessions::new(), [login("a"), login("b"), login("c"), login("d")]);
        let queues = strangers.each_ref().map(|login| queue(&sessions, login));
        let (mut turns, mut permits) = (Vec::new(), Vec::new());
        for queue in &queues {
            turns.push(queue.turn().await);
        }
        for turn in &turns {
            permits.extend(tokio::time::timeout(Duration::from_millis(1), turn.permit()).await);
        }
        assert_eq!(permits.len(), STRANGERS);
        let known = login("known");
        sessions.learn(&known, true);
        let queue = queue(&sessions, &known);
        let turn = queue.turn().await;
        assert!(tokio::time::timeout(Duration::from_millis(1), turn.permit()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_shares_the_failure_and_who_comes_later_does_not() {
        let (sessions, login) = (Sessions::new(), login("a"));
        let first = queue(&sessions, &login);
        let turn = first.turn().await;
        let waiting = tokio::spawn({
            let queue = queue(&sessions, &login);
            async move {
                drop(queue.turn().await);
                queue.shared_failure().is_some()
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        turn.failed(refused());
        assert!(waiting.await.unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let later = queue(&sessions, &login);
        drop(later.turn().await);
        assert!(later.shared_failure().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_given_up_goes_to_the_next_and_lanes_wait_for_no_other() {
        let (sessions, login) = (Sessions::new(), login("a"));
        let (first, second) = (queue(&sessions, &login), queue(&sessions, &login));
        let turn = first.turn().await;
        assert!(tokio::time::timeout(Duration::from_secs(1), second.turn()).await.is_err());
        let other = sessions.queue(&login, sessions.lane());
        assert!(tokio::time::timeout(Duration::from_secs(1), other.turn()).await.is_ok());
        drop(turn);
        drop(second.turn().await);
        assert!(second.shared_failure().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let sessions = Sessions::new();
        let kept = queue(&sessions, &login("kept"));
        let turn = kept.turn().await;
        for number in 0..2 * REMEMBERED {
            let mut login = login("a");
            login.hop.at.host = format!("b{number}").parse().unwrap();
            drop(queue(&sessions, &login).turn().await);
            sessions.learn(&login, true);
        }
        let slots = lock(&sessions.0.slots);
        assert!(slots.len() <= REMEMBERED && lock(&sessions.0.gates).len() <= REMEMBERED && lock(&sessions.0.known).len() <= REMEMBERED);
        assert!(slots.values().any(|slot| Arc::ptr_eq(&slot.session, &kept.slot.session)));
        drop(turn);
    }
}
