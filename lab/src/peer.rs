//! Peers that are neither sshd nor Postgres: what a client meets behind a wrong port, a firewall or a balancer without a target.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use socket2::{Domain, SockRef, Socket, Type};

/// How many connections fill a listener that has a backlog of zero: Linux admits one more than that, and one to be sure.
const FILLING: usize = 2;

/// How long a connection that fills the backlog may take; the last one never comes about.
const FILL: Duration = Duration::from_millis(100);

/// What a [`Peer`] does with a client that it accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manners {
    /// Says nothing and keeps the connection open.
    Silent,
    /// Closes at once, in an orderly way: a balancer without a target.
    Close,
    /// Resets at once.
    Reset,
    /// Says this, then nothing more.
    Say(Vec<u8>),
    /// Says this byte by byte, with a pause after each.
    Drip(Vec<u8>, Duration),
    /// Says this again and again, as long as the client listens.
    Repeat(Vec<u8>),
    /// Reads what the client sends, answers this, then nothing more: `N` to a request for TLS, for one.
    Answer(Vec<u8>),
}

/// A listener on a port of 127.0.0.1 that treats every client alike, until it is dropped.
pub struct Peer {
    port: u16,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// Starts to listen, on a port of the kernel's choice.
    pub fn start(manners: Manners) -> Result<Peer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not listen on loopback")?;
        let port = listener.local_addr()?.port();
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            let mut open = Vec::new();
            for client in listener.incoming().flatten() {
                if until.load(Ordering::SeqCst) {
                    break;
                }
                // A copy keeps the connection open when the client has been treated; a reset comes from the last close.
                if manners != Manners::Reset {
                    open.extend(client.try_clone());
                }
                let manners = manners.clone();
                // A client that goes away is the end of it.
                thread::spawn(move || drop(treat(client, &manners)));
            }
            open.iter().for_each(|client| drop(client.shutdown(Shutdown::Both)));
        });
        Ok(Peer { port, ended, thread: Some(thread) })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // The listener waits for a client, so it gets one.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn treat(mut client: TcpStream, manners: &Manners) -> std::io::Result<()> {
    match manners {
        Manners::Silent => {}
        Manners::Close => client.shutdown(Shutdown::Both)?,
        Manners::Reset => SockRef::from(&client).set_linger(Some(Duration::ZERO))?,
        Manners::Say(text) => client.write_all(text)?,
        Manners::Drip(text, pause) => {
            for byte in text {
                client.write_all(&[*byte])?;
                thread::sleep(*pause);
            }
        }
        Manners::Repeat(text) => loop {
            client.write_all(text)?;
        },
        Manners::Answer(text) => {
            let _ = client.read(&mut [0; 4096])?;
            client.write_all(text)?;
        }
    }
    Ok(())
}

/// A port of 127.0.0.1 that drops whoever tries to connect, as a firewall does: its queue is full and nobody empties it.
pub struct Blackhole {
    port: u16,
    _listener: Socket,
    _queued: Vec<Socket>,
}

impl Blackhole {
    /// Makes a full listener.
    pub fn start() -> Result<Blackhole> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        listener.listen(0)?;
        let address = listener.local_addr()?;
        let mut queued = Vec::new();
        for _ in 0..FILLING {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            // The last one runs into the limit: that is what a full queue looks like.
            let _ = socket.connect_timeout(&address, FILL);
            queued.push(socket);
        }
        let port = address.as_socket().context("no port")?.port();
        Ok(Blackhole { port, _listener: listener, _queued: queued })
    }

    /// The port that drops.
    pub fn port(&self) -> u16 {
        self.port
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::ErrorKind, time::Instant};

    /// Long enough on a loaded machine.
    const LIMIT: Duration = Duration::from_secs(10);
    /// Long enough to see that nothing comes.
    const MOMENT: Duration = Duration::from_millis(150);

    fn client(port: u16, limit: Duration) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(limit)).unwrap();
        stream
    }

    #[test]
    fn a_blackhole_never_answers() {
        let blackhole = Blackhole::start().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, blackhole.port()));
        for _ in 0..2 {
            assert_eq!(TcpStream::connect_timeout(&address, MOMENT).unwrap_err().kind(), ErrorKind::TimedOut);
        }
    }

    #[test]
    fn silence_closing_and_resetting_are_three_things() {
        let hear = |manners, limit| {
            let peer = Peer::start(manners).unwrap();
            client(peer.port(), limit).read(&mut [0; 9]).map_err(|error| error.kind())
        };
        assert_eq!(hear(Manners::Silent, MOMENT), Err(ErrorKind::WouldBlock));
        assert_eq!(hear(Manners::Close, LIMIT), Ok(0));
        assert_eq!(hear(Manners::Reset, LIMIT), Err(ErrorKind::ConnectionReset));
    }

    #[test]
    fn a_peer_says_drips_repeats_and_answers() {
        let mut said = [0; 8];
        let peer = Peer::start(Manners::Say(b"SSH-1.5-".to_vec())).unwrap();
        client(peer.port(), LIMIT).read_exact(&mut said).unwrap();
        assert_eq!(&said, b"SSH-1.5-");
        let peer = Peer::start(Manners::Drip(b"SSH-2.0-".to_vec(), Duration::from_millis(10))).unwrap();
        let begin = Instant::now();
        client(peer.port(), LIMIT).read_exact(&mut said).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(60));
        let peer = Peer::start(Manners::Repeat(b"line\n".to_vec())).unwrap();
        let mut much = vec![0; 100_000];
        client(peer.port(), LIMIT).read_exact(&mut much).unwrap();
        assert!(much.starts_with(b"line\nline\n"));
        let peer = Peer::start(Manners::Answer(b"N".to_vec())).unwrap();
        let mut stream = client(peer.port(), LIMIT);
        stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
        stream.read_exact(&mut said[..1]).unwrap();
        assert_eq!(said[0], b'N');
    }

    #[test]
    fn a_dropped_peer_is_gone() {
        let peer = Peer::start(Manners::Silent).unwrap();
        let port = peer.port();
        let mut stream = client(port, LIMIT);
        drop(peer);
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    }
}
