//! A relay between a client and a server that can cut, freeze, delay, drip and damage what passes.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use socket2::SockRef;

use crate::mischief::{Act, End, Mischief, Plan, Side, Spot};

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
    jitter: Duration,
    drip: Option<(Side, Duration)>,
    mischief: Vec<Mischief>,
    open: Vec<Weak<Connection>>,
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

/// Both ends of a relayed connection. The last of the two directions to end closes them.
struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// No orderly end is to be passed on any more.
    reset: AtomicBool,
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
        let open: Vec<_> = lock(&self.state).open.drain(..).filter_map(|connection| connection.upgrade()).collect();
        open.iter().for_each(|connection| connection.shutdown(Shutdown::Both));
    }

    /// Resets all connections; new ones are relayed.
    pub fn reset(&self) {
        let open: Vec<_> = lock(&self.state).open.drain(..).filter_map(|connection| connection.upgrade()).collect();
        open.iter().for_each(|connection| connection.reset());
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
        self.delay_unevenly(delay, Duration::ZERO);
    }

    /// As [`Relay::delay`], each time longer or shorter by as much as `jitter`.
    pub fn delay_unevenly(&self, delay: Duration, jitter: Duration) {
        let mut state = lock(&self.state);
        (state.delay, state.jitter) = (delay, jitter);
    }

    /// Passes on what one side says byte by byte, with a pause after each.
    pub fn drip(&self, side: Side, pause: Duration) {
        lock(&self.state).drip = Some((side, pause));
    }

    /// Does this to each new connection, besides what was said before.
    pub fn plan(&self, side: Side, spot: Spot, act: Act) {
        lock(&self.state).mischief.push(Mischief { side, spot, act });
    }

    /// Flips a bit of that byte, counted from 0, of what the server says in each new connection.
    pub fn damage(&self, byte: u64) {
        self.plan(Side::Server, Spot::Byte(byte), Act::Flip);
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

impl State {
    /// How long the next piece waits.
    fn pause(&self) -> Duration {
        let dice = f64::from(u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        (self.delay + self.jitter.mul_f64(2.0 * dice)).saturating_sub(self.jitter)
    }
}

impl Connection {
    fn end(&self, side: Side) -> &TcpStream {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    fn shutdown(&self, how: Shutdown) {
        [&self.client, &self.server].iter().for_each(|stream| drop(stream.shutdown(how)));
    }

    /// The reset itself is sent when the last direction has ended and the sockets are closed.
    fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
        for stream in [&self.client, &self.server] {
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
        // Nothing is sent by that; it wakes the other direction.
        self.shutdown(Shutdown::Read);
    }
}

fn connect(client: TcpStream, target: SocketAddr, state: &Arc<Mutex<State>>) -> std::io::Result<()> {
    let server = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let connection = Arc::new(Connection { client, server, reset: AtomicBool::new(false) });
    let mut shared = lock(state);
    shared.open.retain(|connection| connection.strong_count() > 0);
    shared.open.push(Arc::downgrade(&connection));
    shared.connections += 1;
    drop(shared);
    for side in [Side::Client, Side::Server] {
        let (state, connection) = (Arc::clone(state), Arc::clone(&connection));
        thread::spawn(move || {
            // A side that was reset, or takes no more, ends the other likewise.
            if pass(&connection, side, &state).is_err() {
                connection.reset();
            }
        });
    }
    Ok(())
}

/// Passes on what one side says until its end, and then the end: the other half may still have much to say.
fn pass(connection: &Connection, side: Side, state: &Mutex<State>) -> std::io::Result<()> {
    let (mut source, sink) = match side {
        Side::Client => (connection.end(Side::Client), connection.end(Side::Server)),
        Side::Server => (connection.end(Side::Server), connection.end(Side::Client)),
    };
    let mut plan = Plan::new(&lock(state).mischief, side);
    let mut buffer = vec![0; PIECE];
    let mut swallowing = false;
    loop {
        let length = source.read(&mut buffer)?;
        while lock(state).doing == Doing::Frozen {
            thread::sleep(PAUSE);
        }
        let pause = lock(state).pause();
        thread::sleep(pause);
        if connection.reset.load(Ordering::SeqCst) {
            return Ok(());
        }
        if swallowing && length > 0 {
            continue;
        }
        if length == 0 {
            return if swallowing { Ok(()) } else { sink.shutdown(Shutdown::Write) };
        }
        let mut piece = buffer[..length].to_vec();
        let end = plan.apply(&mut piece);
        say(sink, &piece, lock(state).drip.filter(|(dripping, _)| *dripping == side))?;
        match end {
            None => {}
            Some(End::Swallow) => swallowing = true,
            Some(End::Cut) => {
                connection.shutdown(Shutdown::Both);
                return Ok(());
            }
            Some(End::Reset) => {
                connection.reset();
                return Ok(());
            }
        }
    }
}

fn say(mut sink: &TcpStream, piece: &[u8], drip: Option<(Side, Duration)>) -> std::io::Result<()> {
    let Some((_, pause)) = drip else { return sink.write_all(piece) };
    for byte in piece {
        sink.write_all(&[*byte])?;
        thread::sleep(pause);
    }
    Ok(())
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
    fn resets_at_a_byte_and_altogether() {
        let (_peer, relay) = relay(b"hello");
        let mut open = client(&relay);
        ask(&mut open).unwrap();
        relay.reset();
        assert_eq!(open.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        relay.plan(Side::Server, Spot::Byte(2), Act::Reset);
        assert_eq!(ask(&mut client(&relay)).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn cuts_and_swallows_behind_a_byte() {
        let (_peer, relay) = relay(b"hello");
        relay.plan(Side::Server, Spot::Byte(3), Act::Cut);
        let mut said = Vec::new();
        let mut stream = client(&relay);
        stream.write_all(b"question").unwrap();
        stream.read_to_end(&mut said).unwrap();
        assert_eq!(said, b"hel");
        let (_peer, relay) = self::relay(b"hello");
        relay.plan(Side::Client, Spot::Byte(0), Act::Swallow);
        let mut stream = client(&relay);
        stream.write_all(b"question").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn drips_and_delays_unevenly() {
        let (_peer, relay) = relay(b"hello");
        relay.drip(Side::Server, Duration::from_millis(20));
        let begin = Instant::now();
        ask(&mut client(&relay)).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(80), "{:?}", begin.elapsed());
        let pauses: Vec<_> = {
            relay.delay_unevenly(Duration::from_millis(200), Duration::from_millis(100));
            let state = lock(&relay.state);
            (0..100).map(|_| state.pause().as_millis()).collect()
        };
        assert!(pauses.iter().all(|pause| (100..=300).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().max().unwrap() - pauses.iter().min().unwrap() > 50, "{pauses:?}");
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
