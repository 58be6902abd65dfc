//! A relay between a client and a server that can cut, freeze, delay and damage what passes.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};

/// How much is passed on at a time: a packet of SSH.
const PIECE: usize = 32 * 1024;

/// How often a frozen relay looks whether it is thawed.
const PAUSE: Duration = Duration::from_millis(5);

/// A relay on a port of 127.0.0.1; it ends, with all connections, when it is dropped.
pub struct Relay {
    port: u16,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    doing: Doing,
    delay: Duration,
    /// Which byte from the server is damaged, counted from 0 in each connection.
    damaged: Option<u64>,
    open: Vec<TcpStream>,
    connections: usize,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Doing {
    #[default]
    Forwarding,
    Refusing,
    Frozen,
    Ended,
}

#[derive(Clone, Copy, PartialEq)]
enum From {
    Client,
    Server,
}

impl Relay {
    /// Starts to relay to `target`, usually a port of 127.0.0.1.
    pub fn start(target: impl Into<SocketAddr>) -> Result<Relay> {
        let target = target.into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not listen on loopback")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            for client in listener.incoming().flatten() {
                match lock(&shared).doing {
                    Doing::Ended => break,
                    Doing::Refusing => continue,
                    Doing::Forwarding | Doing::Frozen => {}
                }
                // A target that refuses is a client that is closed.
                let _ = connect(client, target, &shared);
            }
        });
        Ok(Relay { port, state, thread: Some(thread) })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections it has relayed.
    pub fn connections(&self) -> usize {
        lock(&self.state).connections
    }

    /// Closes all connections; new ones are relayed.
    pub fn cut(&self) {
        lock(&self.state).open.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    /// Closes every new connection at once; open ones go on.
    pub fn refuse(&self) {
        lock(&self.state).doing = Doing::Refusing;
    }

    /// Passes nothing on, in open connections and new ones, and closes nothing: as a firewall that forgot them.
    pub fn freeze(&self) {
        lock(&self.state).doing = Doing::Frozen;
    }

    /// Undoes [`Relay::refuse`] and [`Relay::freeze`].
    pub fn forward(&self) {
        lock(&self.state).doing = Doing::Forwarding;
    }

    /// Waits that long before it passes a piece on, in either direction.
    pub fn delay(&self, delay: Duration) {
        lock(&self.state).delay = delay;
    }

    /// Flips a bit of that byte, counted from 0, of what the server says in each new connection.
    pub fn damage(&self, byte: u64) {
        lock(&self.state).damaged = Some(byte);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        lock(&self.state).doing = Doing::Ended;
        // The listener waits for a client, so it gets one.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.cut();
    }
}

fn connect(client: TcpStream, target: SocketAddr, state: &Arc<Mutex<State>>) -> std::io::Result<()> {
    let server = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut shared = lock(state);
    shared.open.extend([client.try_clone()?, server.try_clone()?]);
    shared.connections += 1;
    drop(shared);
    for (source, sink, from) in [(client.try_clone()?, server.try_clone()?, From::Client), (server, client, From::Server)] {
        let state = Arc::clone(state);
        thread::spawn(move || drop(pass(source, sink, from, &state)));
    }
    Ok(())
}

/// Passes on what comes from one side until its end, and then the end: the other half may still have much to say.
fn pass(mut source: TcpStream, mut sink: TcpStream, from: From, state: &Mutex<State>) -> std::io::Result<()> {
    let damaged = lock(state).damaged.filter(|_| from == From::Server);
    let mut piece = vec![0; PIECE];
    let mut passed: u64 = 0;
    loop {
        let length = source.read(&mut piece)?;
        while lock(state).doing == Doing::Frozen {
            thread::sleep(PAUSE);
        }
        thread::sleep(lock(state).delay);
        if length == 0 {
            return sink.shutdown(Shutdown::Write);
        }
        let mut bytes = piece.iter_mut().take(length);
        if let Some(byte) =
            damaged.and_then(|at| at.checked_sub(passed)).and_then(|at| bytes.nth(usize::try_from(at).unwrap_or(usize::MAX)))
        {
            *byte ^= 1;
        }
        sink.write_all(&piece[..length])?;
        passed += u64::try_from(length).unwrap_or(u64::MAX);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Manners, Peer};
    use std::{io::ErrorKind, time::Instant};

    const LIMIT: Duration = Duration::from_secs(10);

    fn relay(answer: &[u8]) -> (Peer, Relay) {
        let peer = Peer::start(Manners::Answer(answer.to_vec())).unwrap();
        let relay = Relay::start((Ipv4Addr::LOCALHOST, peer.port())).unwrap();
        (peer, relay)
    }

    fn client(relay: &Relay) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port())).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    fn ask(stream: &mut TcpStream) -> std::io::Result<[u8; 5]> {
        stream.write_all(b"question")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn forwards_delays_and_damages() {
        let (_peer, relay) = relay(b"hello");
        assert_eq!(&ask(&mut client(&relay)).unwrap(), b"hello");
        relay.delay(Duration::from_millis(50));
        let begin = Instant::now();
        ask(&mut client(&relay)).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(100));
        relay.damage(1);
        assert_eq!(&ask(&mut client(&relay)).unwrap(), b"hdllo");
        assert_eq!(relay.connections(), 3);
    }

    #[test]
    fn cuts_and_refuses() {
        let (_peer, relay) = relay(b"hello");
        let mut open = client(&relay);
        ask(&mut open).unwrap();
        relay.cut();
        assert!(matches!(open.read(&mut [0]), Ok(0) | Err(_)));
        relay.refuse();
        assert!(ask(&mut client(&relay)).is_err());
        relay.forward();
        assert_eq!(&ask(&mut client(&relay)).unwrap(), b"hello");
    }

    #[test]
    fn a_frozen_relay_keeps_what_it_holds() {
        let (_peer, relay) = relay(b"hello");
        let mut stream = client(&relay);
        relay.freeze();
        stream.write_all(b"question").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        relay.forward();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
    }
}
