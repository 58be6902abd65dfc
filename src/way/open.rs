//! A way that its owner opens streams through.

use std::sync::Arc;

use tokio::io;

use super::admission::Door;
use super::dialer::Dialer;
use super::failure::Failure;
use super::lanes::Lanes;
use super::patience::Patience;
use super::sessions::Sessions;
use super::steps::Steps;
use super::stream::Stream;
use super::tunnel::Tunnel;
use crate::key::PrivateKey;
use crate::path::admission::Admission;
use crate::path::cause::Cause;
use crate::path::diagnosis::Diagnosis;
use crate::path::event::Silent;
use crate::path::route::{Address, Hop, Route, Target};

/// Hops, a key for each, and the sessions through them. Cheap to clone; clones share. Holds secrets, so it has no `Debug`.
#[derive(Clone)]
pub struct Way(Arc<Inner>);

struct Inner {
    hops: Vec<Hop>,
    keys: Vec<Arc<PrivateKey>>,
    sessions: Sessions,
    patience: Patience,
    lanes: Lanes,
    admission: Option<Arc<dyn Admission>>,
}

impl Way {
    /// A way through `hops`, the first one first, with a key for each; without hops it is plain TCP.
    #[must_use]
    pub fn new(hops: Vec<Hop>, keys: Vec<Arc<PrivateKey>>, sessions: &Sessions, patience: Patience) -> Self {
        Self::through(None, hops, keys, sessions, patience)
    }

    /// The same where this machine has to be let in before it connects.
    #[must_use]
    pub fn through(
        admission: Option<Arc<dyn Admission>>,
        hops: Vec<Hop>,
        keys: Vec<Arc<PrivateKey>>,
        sessions: &Sessions,
        patience: Patience,
    ) -> Self {
        Self(Arc::new(Inner { hops, keys, sessions: sessions.clone(), patience, lanes: Lanes::default(), admission }))
    }

    /// Opens a stream to an address as the last hop sees it. A session that broke unnoticed is made again, once.
    ///
    /// # Errors
    ///
    /// The diagnosis of where it broke; nothing is waited for that may heal.
    pub async fn open(&self, to: &Address) -> Result<Stream, Box<Diagnosis>> {
        let Inner { hops, keys, sessions, patience, lanes, admission } = &*self.0;
        let door = Door::new(admission.clone());
        let route = Route::new(hops.clone(), Target::Tcp(to.clone()));
        let steps = Steps::new(&route, &Silent);
        let place = lanes.place(sessions);
        let dialer = Dialer { lane: place.lane, ..Dialer::new(&route, keys, sessions, patience, &steps, &door) };
        let opened = match dialer.dial(hops.len(), to).await {
            Err(Failure { cause: Cause::SessionLost, .. }) => dialer.dial(hops.len(), to).await,
            opened => opened,
        };
        match opened {
            Ok(stream) => {
                let lane = place.lane;
                let stream = stream.on(place);
                if let Some(lease) = stream.lease() {
                    lanes.keep(lane, lease);
                }
                Ok(stream)
            }
            Err(failure) => Err(steps.failed(failure, |leg| keys.get(leg).map(|key| key.public()))),
        }
    }

    /// Opens a port of this machine that leads to an address.
    ///
    /// # Errors
    ///
    /// The operating system's, if it has no port to give.
    pub async fn tunnel(&self, to: &Address) -> io::Result<Tunnel> {
        let (way, to) = (self.clone(), to.clone());
        let open = move || {
            let (way, to) = (way.clone(), to.clone());
            async move { way.open(&to).await }
        };
        Tunnel::listen(open).await
    }
}
