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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Waits;
    use crate::path::event::Silent;
    use crate::path::route::Route;

    const MINUTE: Duration = Duration::from_secs(60);

    /// What becomes of a walk whose one obstacle goes away at some time, and when.
    async fn walk(cause: Cause, gone: Duration, timeout: Duration, waits: Waits) -> (Option<Cause>, Duration) {
        let route = Route::new(Vec::new(), None);
        let (steps, patience) = (Steps::new(&route, &Silent), waits.extend(&Patience::DEFAULT));
        let began = steps.began;
        let persistence = Persistence { patience: &patience, steps: &steps, deadline: began.checked_add(timeout), settling: false };
        let token = CancellationToken::new();
        let walked = persistence.run(timeout, &token, || {
            let failure = Failure::silent(0, cause.clone());
            async move { if began.elapsed() < gone { Err(failure) } else { Ok(()) } }
        });
        (walked.await.err().map(|failure| failure.cause), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_sync_of_eight_minutes_is_waited_for_by_who_gives_it_the_time() {
        let eight = 8 * MINUTE;
        for waits in [Waits::until(15 * MINUTE), Waits { key: Some(10 * MINUTE), ..Waits::default() }] {
            let (failed, took) = walk(Cause::NotSynced, eight, 15 * MINUTE, waits).await;
            assert_eq!(failed, None);
            assert!(took >= eight && took < eight + MINUTE / 2, "it is noticed soon: {took:?}");
        }
        let (failed, took) = walk(Cause::NotSynced, eight, 15 * MINUTE, Waits::default()).await;
        assert_eq!(failed, Some(Cause::NotSynced));
        assert!(took > 5 * MINUTE && took <= 6 * MINUTE, "a period of five minutes, and not much more: {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_up_late_is_waited_for_by_who_gives_it_the_time() {
        let late = Duration::from_secs(90);
        for cause in [Cause::NameNotFound, Cause::ConnectRefused, Cause::ConnectSilent, Cause::DialNameUnknown, Cause::DialRefused] {
            let (failed, took) = walk(cause.clone(), late, 5 * MINUTE, Waits::until(5 * MINUTE)).await;
            assert!(failed.is_none() && took < late + Duration::from_secs(10), "{cause:?} after {took:?}");
            let (failed, took) = walk(cause.clone(), late, 5 * MINUTE, Waits::default()).await;
            assert!(failed == Some(cause.clone()) && took <= MINUTE, "{cause:?} after {took:?}");
            // A window of its own is kept, however long the whole may take.
            let waits = Waits { reach: Some(2 * MINUTE), ..Waits::until(5 * MINUTE) };
            assert_eq!(walk(cause, late, 5 * MINUTE, waits).await.0, None);
        }
    }
}
