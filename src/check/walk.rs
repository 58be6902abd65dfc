//! One walk: what is asked for, how far it goes, and what its legs need.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Request;
use super::persistence::Persistence;
use crate::key::PublicKey;
use crate::path::diagnosis::Diagnosis;
use crate::path::event::Observer;
use crate::path::position::Position;
use crate::path::stage::Stage;
use crate::way::{Dialer, Door, Failure, Patience, Sessions, Steps};

/// One walk over one route.
pub(super) struct Walk<'a> {
    pub(super) request: &'a Request,
    pub(super) patience: Patience,
    sessions: &'a Sessions,
    pub(super) steps: Steps<'a>,
    door: Door,
    deadline: Option<Instant>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(request: &'a Request, patience: &Patience, sessions: &'a Sessions, observer: &'a dyn Observer) -> Self {
        let steps = Steps::new(&request.route, observer);
        let deadline = steps.began.checked_add(request.timeout);
        let door = Door::new(request.admission.clone());
        let patience = request.waits.extend(patience);
        Self { request, patience, sessions, steps, door, deadline }
    }

    /// Does something within that time.
    pub(super) async fn within<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        cancelled: &CancellationToken,
        attempt: impl Fn() -> F,
    ) -> Result<T, Box<Diagnosis>> {
        let persistence =
            Persistence { patience: &self.patience, steps: &self.steps, deadline: self.deadline, settling: self.request.settling };
        persistence.run(self.request.timeout, cancelled, attempt).await.map_err(|failure| self.failed(failure))
    }

    pub(super) fn failed(&self, failure: Failure) -> Box<Diagnosis> {
        self.steps.failed(failure, |leg| self.key(leg))
    }

    fn key(&self, leg: usize) -> Option<PublicKey> {
        self.request.keys.get(leg).map(|key| key.public())
    }

    pub(super) fn dialer(&self) -> Dialer<'_> {
        let Self { request, patience, sessions, steps, door, deadline } = self;
        Dialer {
            since: Some(request.since.map_or(steps.began, Instant::from_std)),
            deadline: *deadline,
            settling: request.settling,
            ..Dialer::new(&request.route, &request.keys, sessions, patience, steps, door)
        }
    }

    /// How long something may take that comes after the last stage, so that it cannot undo the proof.
    pub(super) fn left(&self, limit: Duration) -> Duration {
        self.dialer().before_the_end(limit)
    }

    /// Whether the walk goes as far as this.
    pub(super) fn reaches(&self, at: Position) -> bool {
        let last = match self.request.until {
            None => return true,
            Some(Position { leg, stage: Stage::Handshake }) => Position { leg, stage: Stage::HostKey },
            Some(Position { leg, stage: Stage::Forward }) => Position { leg, stage: Stage::Dial },
            Some(Position { leg, stage: Stage::Login }) => Position { leg, stage: Stage::Open },
            Some(last) => last,
        };
        at <= last
    }

    /// Whether the walk opens a stream to what a leg leads to.
    pub(super) fn dials(&self, leg: usize) -> bool {
        self.reaches(Position::new(leg, if leg == 0 { Stage::Connect } else { Stage::Forward }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::event::Silent;
    use crate::path::route::Route;

    /// Else a goodbye that stalls would make of a proven path one that ran out of time.
    #[tokio::test(start_paused = true)]
    async fn what_comes_after_the_proof_ends_before_the_walk_does() {
        let mut request = Request::new(Route::new(Vec::new(), None));
        request.timeout = Duration::from_secs(3);
        let sessions = Sessions::new();
        let walk = Walk::new(&request, &Patience::DEFAULT, &sessions, &Silent);
        let goodbye = Duration::from_secs(2);
        assert_eq!(walk.left(goodbye), goodbye);
        tokio::time::advance(goodbye).await;
        assert!(walk.left(goodbye) < Duration::from_secs(1), "{:?}", walk.left(goodbye));
        tokio::time::advance(goodbye).await;
        assert_eq!(walk.left(goodbye), Duration::ZERO);
    }
}
