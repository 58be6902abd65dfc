//! Where the provider waits for Terraform: a socket in a folder of its own, admitted connections, and nothing left behind.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;

use super::handshake::Address;

/// The length of `sun_path` on Linux, less the byte that ends it; longer paths cannot be bound.
const MAX_SOCKET_PATH: usize = 107;

/// A client on the same machine is through in a millisecond; whoever needs longer is not Terraform.
const TLS_DEADLINE: Duration = Duration::from_secs(10);

/// Admitted connections that the server has not taken yet. Terraform opens one.
const WAITING: usize = 16;

/// How long to leave the kernel alone when it cannot accept, for example because no descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The folder to be removed at every way out, shared by all of them. The first to get there removes it.
#[derive(Clone, Default)]
pub struct Leftovers(Arc<Mutex<Option<TempDir>>>);

impl Leftovers {
    /// Removes the folder. A folder that cannot be removed is nobody's concern any more.
    pub fn remove(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// A socket that is bound already.
pub enum Listener {
    /// The usual.
    Unix(UnixListener),
    /// Where the temporary folder's path is too long.
    Tcp(TcpListener),
}

/// Binds a socket inside a new folder that only this user may enter, in `dir` or else in the system's temporary folder; a port on
/// loopback where the path is too long for a socket.
///
/// # Errors
/// When the folder cannot be made or the socket not bound.
pub async fn bind(dir: Option<&Path>) -> io::Result<(Listener, Address, Leftovers)> {
    let only_me = std::fs::Permissions::from_mode(0o700);
    let mut builder = tempfile::Builder::new();
    builder.prefix("bastion-").permissions(only_me);
    let folder = dir.map_or_else(|| builder.tempdir(), |dir| builder.tempdir_in(dir))?;
    let path = folder.path().join("s");
    if path.as_os_str().as_bytes().len() > MAX_SOCKET_PATH {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        return Ok((Listener::Tcp(listener), Address::Tcp(address), Leftovers::default()));
    }
    let listener = UnixListener::bind(&path)?;
    Ok((Listener::Unix(listener), Address::Unix(path), Leftovers(Arc::new(Mutex::new(Some(folder))))))
}

/// A stream of bytes, whatever carries it.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Wire>> {
        Ok(match self {
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }
}

/// One admitted client.
pub struct Connection {
    wire: Box<dyn Wire>,
    open: watch::Sender<Clients>,
}

/// How many clients there are, and whether there ever was one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    /// Connected now.
    pub now: usize,
    /// Ever admitted.
    pub ever: usize,
}

impl Connection {
    fn new(wire: Box<dyn Wire>, open: watch::Sender<Clients>) -> Self {
        open.send_modify(|clients| *clients = Clients { now: clients.now + 1, ever: clients.ever + 1 });
        Self { wire, open }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.send_modify(|clients| clients.now = clients.now.saturating_sub(1));
    }
}

/// Admits clients until the other end of the channel is dropped; each TLS handshake has its own deadline and holds up nobody.
#[must_use]
pub fn admit(listener: Listener, tls: Option<TlsAcceptor>, open: watch::Sender<Clients>) -> mpsc::Receiver<io::Result<Connection>> {
    let (admitted, connections) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        loop {
            let wire = tokio::select! {
                accepted = listener.accept() => accepted,
                () = admitted.closed() => return,
            };
            match wire {
                Ok(wire) => drop(tokio::spawn(greet(wire, tls.clone(), open.clone(), admitted.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    connections
}

async fn greet(
    wire: Box<dyn Wire>,
    tls: Option<TlsAcceptor>,
    open: watch::Sender<Clients>,
    admitted: mpsc::Sender<io::Result<Connection>>,
) {
    let wire: Box<dyn Wire> = match tls {
        None => wire,
        Some(tls) => match tokio::time::timeout(TLS_DEADLINE, tls.accept(wire)).await {
            Ok(Ok(stream)) => Box::new(stream),
            Ok(Err(error)) => return tracing::warn!(%error, "refused a client that is not the Terraform that started this provider"),
            Err(_) => return tracing::warn!("refused a client that did not finish its TLS handshake"),
        },
    };
    // Fails only when the server has ended meanwhile.
    drop(admitted.send(Ok(Connection::new(wire, open))).await);
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_folder_is_private_and_goes_away() {
        let (_listener, address, leftovers) = bind(None).await.unwrap();
        let Address::Unix(path) = address else { panic!("a socket path") };
        let folder = path.parent().unwrap();
        assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        leftovers.clone().remove();
        assert!(!folder.exists());
    }

    #[tokio::test]
    async fn a_path_too_long_for_a_socket_becomes_a_port() {
        let base = tempfile::tempdir().unwrap();
        let long = base.path().join("x".repeat(100));
        std::fs::create_dir(&long).unwrap();
        let (_listener, address, _leftovers) = bind(Some(&long)).await.unwrap();
        assert!(matches!(address, Address::Tcp(address) if address.ip().is_loopback() && address.port() != 0));
        assert_eq!(std::fs::read_dir(&long).unwrap().count(), 0, "no folder is left where no socket is");
    }
}
