//! A port of this machine that leads elsewhere: accepts, opens the way for each client, carries bytes until both sides have ended.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tracing::warn;

use crate::path::diagnosis::Diagnosis;

/// How many clients are carried at a time; those beyond wait in the kernel's queue. Terraform runs 10 operations at once by default, and a
/// provider's own pool rarely has more than as many connections for each.
const CLIENTS: usize = 128;

/// How much is carried at once in each direction: an SSH packet's payload in OpenSSH.
const PIECE: usize = 32 * 1024;

/// How long to wait after an accept that failed: it does for want of files or memory, which others may give back.
const SHORTAGE: Duration = Duration::from_millis(100);

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

/// Listens on a free port of 127.0.0.1, for this machine alone.
async fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Joins every client of `listener` with a stream that `open` makes, or hangs up where it makes none. Never returns; dropping it ends all.
///
/// Either side may end its half: the other half goes on until it ends too.
async fn carry<O, F, S>(listener: TcpListener, open: O)
where
    O: Fn() -> F,
    F: Future<Output = Option<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let places = Arc::new(Semaphore::new(CLIENTS));
    let mut clients = JoinSet::new();
    loop {
        // The semaphore is never closed, so this is always a place.
        let place = Arc::clone(&places).acquire_owned().await.ok();
        match listener.accept().await {
            Ok((client, _)) => {
                let opening = open();
                clients.spawn(async move {
                    join(client, opening).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(SHORTAGE).await,
        }
        while clients.try_join_next().is_some() {}
    }
}

async fn join<S: AsyncRead + AsyncWrite + Unpin>(mut client: TcpStream, opening: impl Future<Output = Option<S>>) {
    let _set = client.set_nodelay(true);
    if let Some(mut stream) = opening.await
        && copy_bidirectional_with_sizes(&mut client, &mut stream, PIECE, PIECE).await.is_err()
    {
        // What was cut off is not to look complete: the client's end is a reset, too.
        let _set = socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Far more than anything here takes, on the slowest machine.
    const LONG: Duration = Duration::from_secs(20);

    /// A tunnel to a peer on loopback.
    async fn tunnel(to: SocketAddr) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let (listener, address) = listen().await.unwrap();
        assert!(address.ip().is_loopback() && address.port() > 0);
        let open = move || async move { TcpStream::connect(to).await.ok() };
        (address, tokio::spawn(carry(listener, open)))
    }

    async fn peer() -> (TcpListener, SocketAddr) {
        listen().await.unwrap()
    }

    #[tokio::test]
    async fn either_side_may_end_its_half_first() {
        let (peer, at) = peer().await;
        let (tunnel, _carrying) = tunnel(at).await;
        for client_first in [true, false] {
            let mut client = TcpStream::connect(tunnel).await.unwrap();
            let (mut server, _) = peer.accept().await.unwrap();
            let (first, second) = if client_first { (&mut client, &mut server) } else { (&mut server, &mut client) };
            first.write_all(b"question").await.unwrap();
            first.shutdown().await.unwrap();
            let mut heard = String::new();
            tokio::time::timeout(LONG, second.read_to_string(&mut heard)).await.expect("the end is not passed on").unwrap();
            assert_eq!(heard, "question");
            second.write_all(b"a late answer").await.unwrap();
            second.shutdown().await.unwrap();
            let mut heard = String::new();
            tokio::time::timeout(LONG, first.read_to_string(&mut heard)).await.expect("the end is not passed on").unwrap();
            assert_eq!(heard, "a late answer");
        }
    }

    #[tokio::test]
    async fn where_the_way_cannot_be_opened_the_client_is_hung_up_on() {
        let (listener, address) = listen().await.unwrap();
        let _carrying = tokio::spawn(carry(listener, || async { None::<TcpStream> }));
        let mut client = TcpStream::connect(address).await.unwrap();
        let read = tokio::time::timeout(LONG, client.read(&mut [0])).await.expect("nobody hangs up");
        assert_eq!(read.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn clients_beyond_the_limit_wait_for_a_place() {
        let (peer, at) = peer().await;
        let (tunnel, _carrying) = tunnel(at).await;
        let mut clients = Vec::new();
        for _ in 0..=CLIENTS {
            clients.push(TcpStream::connect(tunnel).await.unwrap());
        }
        let mut served = Vec::new();
        for _ in 0..CLIENTS {
            served.push(tokio::time::timeout(LONG, peer.accept()).await.expect("a client is not served").unwrap());
        }
        assert!(tokio::time::timeout(SHORTAGE, peer.accept()).await.is_err(), "more than the limit");
        drop((clients.remove(0), served.remove(0)));
        tokio::time::timeout(LONG, peer.accept()).await.expect("the place is not given on").unwrap();
    }

    #[tokio::test]
    async fn the_end_of_the_tunnel_ends_its_clients_and_its_port() {
        let (peer, at) = peer().await;
        let (tunnel, carrying) = tunnel(at).await;
        let mut client = TcpStream::connect(tunnel).await.unwrap();
        let _server = peer.accept().await.unwrap();
        carrying.abort();
        assert_eq!(tokio::time::timeout(LONG, client.read(&mut [0])).await.expect("still open").unwrap_or(0), 0);
        assert!(TcpStream::connect(tunnel).await.is_err());
    }
}
