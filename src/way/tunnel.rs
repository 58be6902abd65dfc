//! A port of this machine that leads elsewhere as long as it is held.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tracing::warn;

use super::carry::{carry, listen};
use crate::path::diagnosis::Diagnosis;

/// A port of 127.0.0.1 that leads elsewhere. Closed when dropped, and what goes through it with it.
pub struct Tunnel {
    address: SocketAddr,
    carrying: JoinHandle<()>,
}

impl Tunnel {
    /// Each client gets a stream that `open` makes, or is hung up on.
    pub(super) async fn listen<O, F, S>(open: O) -> io::Result<Self>
    where
        O: Fn() -> F + Send + 'static,
        F: Future<Output = Result<S, Box<Diagnosis>>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (listener, address) = listen().await?;
        let told = move || {
            let opening = open();
            async move { opening.await.inspect_err(|diagnosis| tell(diagnosis)).ok() }
        };
        Ok(Self { address, carrying: tokio::spawn(carry(listener, told)) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn tell(diagnosis: &Diagnosis) {
    let (code, heard) = (diagnosis.code(), diagnosis.heard.as_str());
    warn!(code, heard, "{}: a client of the tunnel is hung up on", diagnosis.summary());
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}
