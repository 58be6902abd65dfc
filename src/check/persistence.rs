//! Tries something until it succeeds, cannot heal, or its time is over.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::path::cause::Cause;
use crate::path::position::Position;
use crate::path::stage::Stage;
use crate::way::{Failing, Failure, Patience, Steps, dice};

/// How long something is done, and what becomes of it: told to stop, out of time, or at its own end, which is tried again if it can heal.
pub(super) struct Persistence<'a> {
    pub(super) patience: &'a Patience,
    pub(super) steps: &'a Steps<'a>,
    pub(super) deadline: Option<Instant>,
    /// Whether what is permitted may be on its way to the bastion.
    pub(super) settling: bool,
}

impl Persistence<'_> {
    /// Tries until it succeeds, cannot heal, or its window or its time is over.
    pub(super) async fn run<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        timeout: Duration,
        cancelled: &CancellationToken,
        attempt: impl Fn() -> F,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = cancelled.cancelled() => Err(self.steps.interrupted()),
            () = tokio::time::sleep(timeout) => Err(self.steps.out_of_time()),
            ended = self.tries(attempt) => ended,
        }
    }

    async fn tries<T, F: Future<Output = Result<T, Failure>>>(&self, attempt: impl Fn() -> F) -> Result<T, Failure> {
        let mut pauses: Option<(Position, Backoff)> = None;
        loop {
            let failure = match attempt().await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let at = failure.at;
            let Failing { tries, since, .. } = self.steps.tell(&failure);
            let settles = self.settling && failure.cause == Cause::ForwardProhibited;
            if !failure.cause.heals() && !settles {
                return Err(failure);
            }
            // What is permitted arrives with the key.
            let (window, fresh) = self.patience.healing(if settles { Stage::Authenticate } else { at.stage });
            let (_, backoff) = match pauses.take() {
                Some((last, backoff)) if last == at => pauses.insert((at, backoff)),
                _ => pauses.insert((at, fresh)),
            };
            let pause = backoff.next_pause(dice());
            let next_try = Instant::now() + pause;
            if self.deadline.is_some_and(|deadline| next_try >= deadline) || next_try.duration_since(since) > window {
                return Err(failure);
            }
            self.steps.wait(at, tries, pause, failure.heard);
            tokio::time::sleep_until(next_try).await;
        }
    }
}
