//! A security group in front of a port, by packets: what no rule lets in at that moment is dropped by the kernel before it is a connection.
//!
//! The kernel filters what comes to the listening socket; a dropped packet is answered by nothing. A connection keeps the filter under which
//! it came in, so it persists when its rule goes, as Amazon tracks it.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use socket2::{SockFilter, SockRef};

use super::{Aws, Direction, Rule};

/// Loads four bytes of the IPv4 header: the sender's address [Linux, socket filters: `BPF_LD | BPF_W | BPF_ABS`, `SKF_NET_OFF`; RFC 791].
const LOAD_SENDER: (u16, u32) = (0x20, 0xfff0_0000 + 12);

/// `BPF_ALU | BPF_AND | BPF_K`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K`.
const AND: u16 = 0x54;
const IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// How much of a packet goes on: all of it, or nothing.
const ALL: u32 = u32::MAX;
const NOTHING: u32 = 0;

/// A port of 127.0.0.1 in a security group, behind which something else listens. It ends when it is dropped; what is open goes on.
pub struct Gate {
    filter: Arc<Filter>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the listening socket lets in.
pub(crate) struct Filter {
    pub(crate) group: String,
    listener: TcpListener,
    port: u16,
}

impl Filter {
    /// Lets in whom the group's rules let in, and nobody else.
    pub(crate) fn set<'a>(&self, rules: impl Iterator<Item = &'a Rule>) -> io::Result<()> {
        let port = i32::from(self.port);
        let passes = |rule: &&Rule| {
            let covers = rule.protocol == "-1" || (rule.protocol == "tcp" && (rule.from_port..=rule.to_port).contains(&port));
            rule.direction == Direction::Ingress && rule.group == self.group && covers
        };
        let mut program = Vec::new();
        for (network, mask) in rules.filter(passes).filter_map(|rule| network(&rule.peer)) {
            program.extend([
                SockFilter::new(LOAD_SENDER.0, 0, 0, LOAD_SENDER.1),
                SockFilter::new(AND, 0, 0, mask),
                SockFilter::new(IF_EQUAL, 0, 1, network),
                SockFilter::new(RETURN, 0, 0, ALL),
            ]);
        }
        program.push(SockFilter::new(RETURN, 0, 0, NOTHING));
        SockRef::from(&self.listener).attach_filter(&program)
    }
}

/// An IPv4 network and its mask; other peers stand for nobody on this machine.
fn network(peer: &str) -> Option<(u32, u32)> {
    let (address, prefix) = peer.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let mask = u32::MAX.checked_shl(32 - prefix.parse::<u32>().ok()?).unwrap_or(0);
    Some((address.to_bits() & mask, mask))
}

impl Gate {
    /// The port that it listens on, which the group's rules have to let in.
    pub fn port(&self) -> u16 {
        self.filter.port
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes it.
        let _ = SockRef::from(&self.filter.listener).detach_filter();
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.filter.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Aws {
    /// Puts a security group in front of a port of this machine.
    ///
    /// # Errors
    /// The operating system's.
    pub fn guard(&self, group: &str, target: u16) -> Result<Gate> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not listen on loopback")?;
        let port = listener.local_addr()?.port();
        let filter = Arc::new(Filter { group: group.to_owned(), listener: listener.try_clone()?, port });
        self.with_state(async |state, _| state.ec2.guard(&filter)).context("could not filter what comes to a socket")?;
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            for client in listener.incoming().flatten().take_while(|_| !told.load(Ordering::Acquire)) {
                // A target that refuses is a client that is closed.
                let _ = join(client, SocketAddr::from((Ipv4Addr::LOCALHOST, target)));
            }
        });
        Ok(Gate { filter, ended, thread: Some(thread) })
    }
}

/// Passes on what either side says, until both have ended.
fn join(client: TcpStream, target: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        from.set_nodelay(true)?;
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
