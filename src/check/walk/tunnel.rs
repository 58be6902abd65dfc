//! A proven way through a bastion that stays open: a port of this machine, and behind it a shared session that is made again when it breaks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Walk;
use crate::check::failure::{Failure, of_forward};
use crate::check::patience::Patience;
use crate::check::sessions::{Lease, Sessions};
use crate::check::{Report, Request, check};
use crate::path::cause::Cause;
use crate::path::diagnosis::Diagnosis;
use crate::path::event::{Observer, Silent};
use crate::path::stage::Stage;
use crate::ssh::forward::Channel;
use crate::ssh::tunnel::{carry, listen};

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The way does not hold.
    #[error("{0}")]
    Path(Box<Diagnosis>),
    /// This machine has no port to give.
    #[error("could not listen on 127.0.0.1: {0}")]
    Listen(io::Error),
}

/// A port of 127.0.0.1 that leads through the bastion. Closed when dropped, and what goes through it with it.
pub struct Tunnel {
    address: SocketAddr,
    report: Report,
    carrying: JoinHandle<()>,
}

impl Tunnel {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was proven before it was opened.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

/// Proves the way as far as `dial`, whatever `until` says, and opens a port that leads there. The session is shared with checks, and stays
/// up as long as the tunnel.
///
/// # Errors
///
/// [`TunnelError`].
pub async fn open_tunnel(
    request: Request,
    sessions: &Sessions,
    observer: &dyn Observer,
    cancelled: &CancellationToken,
) -> Result<Tunnel, TunnelError> {
    let request = Request { until: Some(Stage::Dial), ..request };
    let report = check(&request, sessions, observer, cancelled).await.map_err(TunnelError::Path)?;
    let way = Arc::new(Way { request, sessions: sessions.clone(), lease: Mutex::new(None) });
    // The check's session lingers: this takes hold of it before it goes. What fails here will be tried again by the first client.
    let _held = way.lease().await;
    let (listener, address) = listen().await.map_err(TunnelError::Listen)?;
    let carrying = tokio::spawn(carry(listener, move || Arc::clone(&way).open()));
    Ok(Tunnel { address, report, carrying })
}

/// The way behind the port.
struct Way {
    request: Request,
    sessions: Sessions,
    /// The hold on the session.
    lease: Mutex<Option<Arc<Lease>>>,
}

impl Way {
    /// A stream to the database for one client. A session that broke is made again, once a client.
    async fn open(self: Arc<Self>) -> Option<Channel> {
        match self.try_open().await {
            Ok(channel) => {
                debug!(target = %self.request.route.database.host, "a client is let through the tunnel");
                Some(channel)
            }
            Err(failure) => {
                let walk = Walk::new(&self.request, &Patience::DEFAULT, &self.sessions, &Silent);
                let diagnosis = walk.failed(failure);
                warn!(
                    code = diagnosis.code(),
                    heard = diagnosis.heard.as_str(),
                    "{}: a client of the tunnel is hung up on",
                    diagnosis.summary()
                );
                None
            }
        }
    }

    async fn try_open(&self) -> Result<Channel, Failure> {
        let database = &self.request.route.database;
        let lease = self.lease().await?;
        let opened = lease.session.open(&database.host, database.port, Patience::DEFAULT.dial).await.map_err(of_forward);
        match opened {
            // The session had broken unnoticed: a new one is tried, once.
            Err(failure) if matches!(failure.cause, Cause::SessionLost) || !lease.session.is_alive() => {
                let lease = self.renewed(&lease).await?;
                lease.session.open(&database.host, database.port, Patience::DEFAULT.dial).await.map_err(of_forward)
            }
            opened => opened,
        }
    }

    /// Another session than this one, which broke.
    async fn renewed(&self, broken: &Arc<Lease>) -> Result<Arc<Lease>, Failure> {
        let mut held = self.lease.lock().await;
        held.take_if(|lease| Arc::ptr_eq(lease, broken));
        drop(held);
        self.lease().await
    }

    /// The session, made if there is none. Clients that come meanwhile wait for the same one.
    async fn lease(&self) -> Result<Arc<Lease>, Failure> {
        let mut held = self.lease.lock().await;
        if let Some(lease) = held.as_ref().filter(|lease| lease.session.is_alive()) {
            return Ok(Arc::clone(lease));
        }
        // Without a bastion there is nothing to be tunnelled through; whoever builds the request sees to that.
        let Some(bastion) = &self.request.route.bastion else { return Err(Failure::new(Cause::NoKey, None)) };
        let walk = Walk::new(&self.request, &Patience::DEFAULT, &self.sessions, &Silent);
        let lease = Arc::new(walk.session(bastion).await?);
        *held = Some(Arc::clone(&lease));
        Ok(lease)
    }
}
