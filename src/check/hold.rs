//! A proven path that is kept up: who uses a tunnel for long wants to know when and why it ended.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::failure::{Failure, of_hold};
use super::patience::Patience;
use super::sessions::{Lease, Sessions};
use super::walk::Walk;
use super::{Report, Request};
use crate::path::diagnosis::Diagnosis;
use crate::path::event::Observer;
use crate::path::stage::Stage;

/// Proves a path, then keeps its SSH session up and asks it regularly whether it is there, until it is told to stop.
///
/// The observer hears [`Stage::Hold`] begin when the path is proven. [`Request::timeout`] bounds the proof, not the holding. Without a
/// bastion there is no session to keep: after the proof it only waits to be told to stop.
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
    walk.prove(request.timeout, cancelled).await?;
    let lease = match &request.route.bastion {
        // The session of the proof lingers for a moment; if it is gone already, another try finds out why.
        Some(bastion) => Some(walk.session(bastion).await.map_err(|failure| walk.failed(failure))?),
        None => None,
    };
    walk.begin(Stage::Hold);
    tokio::select! {
        biased;
        () = cancelled.cancelled() => Ok(()),
        failure = ended(lease.as_ref(), patience.keepalive, patience.keepalive_answer) => Err(walk.failed(failure)),
    }
}

async fn ended(lease: Option<&Lease>, every: Duration, within: Duration) -> Failure {
    match lease {
        Some(lease) => of_hold(lease.session.watch(every, within).await),
        None => std::future::pending().await,
    }
}

impl Walk<'_> {
    /// Walks within the time for the whole, or until it is told to stop.
    pub(super) async fn prove(&self, timeout: Duration, cancelled: &CancellationToken) -> Result<Report, Box<Diagnosis>> {
        let verdict = tokio::select! {
            biased;
            () = cancelled.cancelled() => Err(self.interrupted()),
            () = tokio::time::sleep(timeout) => Err(self.out_of_time()),
            verdict = self.run() => verdict,
        };
        verdict.map_err(|failure| self.failed(failure))
    }
}
