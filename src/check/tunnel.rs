//! A port of this machine that leads through a proven way.

use std::io;

use tokio_util::sync::CancellationToken;

use super::{Report, Request, check};
use crate::path::diagnosis::Diagnosis;
use crate::path::event::Observer;
use crate::path::position::Position;
use crate::path::route::Target;
use crate::path::stage::Stage;
use crate::way::{Patience, Sessions, Tunnel, Way};

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunnelError {
    /// The way does not hold.
    #[error("{0}")]
    Path(Box<Diagnosis>),
    /// This machine has no port to give.
    #[error("could not listen on 127.0.0.1: {0}")]
    Listen(io::Error),
    /// The route ends at a hop.
    #[error("the route has no target")]
    NoTarget,
}

/// An open tunnel.
#[non_exhaustive]
pub struct Opened {
    /// The port.
    pub tunnel: Tunnel,
    /// What was proven before it was opened.
    pub report: Report,
}

/// Proves the way as far as a connection to the target, whatever `until` says, and opens a port that leads there. The tunnel has sessions of its own.
///
/// # Errors
///
/// [`TunnelError`].
pub async fn open_tunnel(
    request: Request,
    sessions: &Sessions,
    observer: &dyn Observer,
    cancelled: &CancellationToken,
) -> Result<Opened, TunnelError> {
    let to = request.route.target.as_ref().map(Target::at).ok_or(TunnelError::NoTarget)?.clone();
    let last = if request.route.is_direct() { Stage::Connect } else { Stage::Dial };
    let until = Some(Position::new(request.route.hops.len(), last));
    let request = Request { until, ..request };
    let report = check(&request, sessions, observer, cancelled).await.map_err(TunnelError::Path)?;
    let way = Way::through(request.admission, request.route.hops, request.keys, sessions, Patience::DEFAULT);
    let tunnel = way.tunnel(&to).await.map_err(TunnelError::Listen)?;
    Ok(Opened { tunnel, report })
}
