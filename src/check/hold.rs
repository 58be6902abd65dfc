//! A proven path that is kept up: who uses a tunnel for long wants to know when and why it ended.

use tokio_util::sync::CancellationToken;

use super::Request;
use super::walk::Walk;
use crate::path::diagnosis::Diagnosis;
use crate::path::event::Observer;
use crate::path::stage::Stage;
use crate::way::{Failure, Patience, Sessions, of_hold};

/// Proves a path, then keeps the session to its last hop up and asks it regularly whether it is there, until it is told to stop.
///
/// The observer hears [`Stage::Hold`] begin when the path is proven. [`Request::timeout`] bounds the proof, not the holding. A direct path
/// has no session to keep: after the proof it only waits to be told to stop.
///
/// # Errors
///
/// The diagnosis of what kept the path from being proven, or of what ended it: `hold/lost` as soon as the session ends, `hold/silent`
/// after [`Patience::keepalive`] and [`Patience::keepalive_answer`] without a word.
pub async fn hold(
    request: &Request,
    patience: &Patience,
    sessions: &Sessions,
    observer: &dyn Observer,
    cancelled: &CancellationToken,
) -> Result<(), Box<Diagnosis>> {
    let walk = Walk::new(request, patience, sessions, observer);
    walk.prove(cancelled).await?;
    let Some(last) = request.route.hops.len().checked_sub(1) else {
        cancelled.cancelled().await;
        return Ok(());
    };
    // The session of the proof lingers for a moment; if it is gone already, another try finds out why.
    let dialer = walk.dialer();
    let lease = walk.within(cancelled, || dialer.session(last, dialer.since)).await?;
    let leg = request.route.position(Stage::Hold).map_or(last, |position| position.leg);
    walk.steps.begin(leg, Stage::Hold);
    tokio::select! {
        biased;
        () = cancelled.cancelled() => Ok(()),
        error = lease.session.watch(patience.keepalive, patience.keepalive_answer) => Err(walk.failed(Failure::new(leg, of_hold(error)))),
    }
}
