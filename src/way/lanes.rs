//! The sessions of one way: which of them the next stream runs through.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::sessions::{Lane, Lease, Sessions};

/// How many sessions a way has before its streams share some. Each is an sshd process of a few MB on the bastion; a provider's pool
/// rarely has more connections than as many.
const SESSIONS: usize = 8;

/// How much may wait to be read on a session before it counts as one whose reader does not read. russh stops a whole session when 100
/// packets of one channel wait, some 3 MiB; an honest reader is behind by a window's half at the most.
const CLOGGED: i64 = 1024 * 1024;

/// The lanes of one way. Each session stays up as long as they do.
#[derive(Default)]
pub(super) struct Lanes(Mutex<Vec<Held>>);

struct Held {
    lane: Lane,
    /// One more than there are streams.
    users: Arc<()>,
    session: Option<Lease>,
}

impl Held {
    fn streams(&self) -> usize {
        Arc::strong_count(&self.users).saturating_sub(1)
    }

    fn is_clogged(&self) -> bool {
        self.session.as_ref().is_some_and(|lease| lease.session.backlog() > CLOGGED)
    }
}

/// A stream's place on a lane, given back when dropped.
pub(super) struct Place {
    pub(super) lane: Lane,
    _user: Arc<()>,
}

impl Lanes {
    fn held(&self) -> MutexGuard<'_, Vec<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The emptiest lane: one of its own for each stream, as long as there are not too many; never one behind a reader that does not read.
    pub(super) fn place(&self, sessions: &Sessions) -> Place {
        let mut held = self.held();
        let emptiest = held.iter().filter(|held| !held.is_clogged()).min_by_key(|held| held.streams());
        let full = held.len() >= SESSIONS;
        if let Some(Held { lane, users, .. }) = emptiest.filter(|held| full || held.streams() == 0) {
            return Place { lane: *lane, _user: Arc::clone(users) };
        }
        let (lane, users) = (sessions.lane(), Arc::new(()));
        held.push(Held { lane, users: Arc::clone(&users), session: None });
        Place { lane, _user: users }
    }

    /// Keeps a lane's session up.
    pub(super) fn keep(&self, lane: Lane, session: Lease) {
        let mut lanes = self.held();
        if let Some(held) = lanes.iter_mut().find(|held| held.lane == lane) {
            held.session = Some(session);
        }
    }
}
