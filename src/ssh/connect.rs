//! From a name to an open TCP connection.

use std::io::{self, IoSlice};
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

use super::error::{ConnectError, ResolveError};
use crate::path::heard::Heard;
use crate::path::route::Address;

/// How long the system's resolver waits for one answer before it asks again (resolv.conf(5), `timeout`). A failure that took so long is
/// a server's silence, one that came sooner is an answer.
pub(crate) const RESOLVER_TRY: Duration = Duration::from_secs(5);

/// How long an address is waited for before the next one begins beside it (RFC 8305, 5: the recommended delay).
const STAGGER: Duration = Duration::from_millis(250);

/// An open TCP connection, which acknowledges at once what it reads.
pub struct Tcp(TcpStream);

/// Acknowledges what was read without the usual delay of 40 ms: sshd does not send the next packet before the last is acknowledged
/// (measured: opening a channel takes 3 ms instead of 44). Linux forgets the setting, so it is set after each read.
#[cfg(target_os = "linux")]
fn acknowledge(stream: &TcpStream) {
    // Only slower without it.
    let _set = socket2::SockRef::from(stream).set_tcp_quickack(true);
}

#[cfg(not(target_os = "linux"))]
const fn acknowledge(_stream: &TcpStream) {}

impl AsyncRead for Tcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        acknowledge(&self.0);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Looks a name up. An address is its own answer.
///
/// # Errors
///
/// [`ResolveError`], by what the operating system says.
pub async fn resolve(to: &Address, within: Duration) -> Result<Vec<SocketAddr>, ResolveError> {
    let Address { host, port } = to;
    let asked = tokio::time::Instant::now();
    let found = timeout(within, lookup_host((host.as_str(), port.get()))).await.map_err(|_| ResolveError::Silent)?;
    let addresses: Vec<_> = match found.map_err(|error| of_lookup(&error)) {
        Err(ResolveError::Failed { .. }) if asked.elapsed() >= RESOLVER_TRY => return Err(ResolveError::Silent),
        found => found?.collect(),
    };
    if addresses.is_empty() {
        return Err(ResolveError::NotFound { heard: Heard::from_text("no address") });
    }
    if host.is_name() && addresses.iter().all(SocketAddr::is_ipv6) {
        has_route(&addresses).await?;
    }
    Ok(addresses)
}

/// Whether this machine has a route to one of these addresses. Connecting UDP asks the routing table and sends nothing.
async fn has_route(addresses: &[SocketAddr]) -> Result<(), ResolveError> {
    let mut heard = Heard::default();
    for address in addresses {
        let asked = async { UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await?.connect(address).await };
        match asked.await {
            Ok(()) => return Ok(()),
            Err(error) => heard = Heard::from_system(&error),
        }
    }
    Err(ResolveError::OnlyIpv6 { heard })
}

/// The standard library keeps the resolver's verdict as text only: `failed to lookup address information: Name or service not known`.
fn of_lookup(error: &io::Error) -> ResolveError {
    let text = error.to_string();
    // Without it, it is no resolver's verdict.
    let Some(verdict) = text.strip_prefix("failed to lookup address information: ") else {
        return ResolveError::Failed { heard: Heard::from_system(error) };
    };
    let heard = Heard::from_text(verdict);
    if is_unknown_name(verdict) { ResolveError::NotFound { heard } } else { ResolveError::Failed { heard } }
}

/// Whether a resolver says that a name has no address, in the words of glibc, musl, the BSDs, Go or Windows.
pub(crate) fn is_unknown_name(verdict: &str) -> bool {
    let words = ["not known", "No address associated", "does not resolve", "no usable address", "such host"];
    words.iter().any(|words| verdict.contains(words))
}

/// Connects to the first address that answers. They race as RFC 8305 says: the next one begins when the last has failed, or after a moment.
///
/// # Errors
///
/// The first address's error, when none answers; "no route" only if that is so of all of them: a machine without IPv6 meets it at every
/// name that has both kinds of address, and it says nothing about the other kind.
pub async fn connect(addresses: &[SocketAddr], within: Duration) -> Result<Tcp, ConnectError> {
    let mut errors = vec![ConnectError::Silent; addresses.len()];
    let race = async {
        let mut waiting = alternating(addresses).into_iter();
        let mut racing = FuturesUnordered::new();
        loop {
            if let Some((place, address)) = waiting.next() {
                racing.push(async move { (place, TcpStream::connect(address).await) });
            }
            // Without one that waits there is nothing to wait for but the answers.
            let stagger = if waiting.len() == 0 { within } else { STAGGER };
            match timeout(stagger, racing.next()).await {
                Ok(Some((_, Ok(stream)))) => return Some(stream),
                Ok(Some((place, Err(error)))) => {
                    if let Some(told) = errors.get_mut(place) {
                        *told = of_connect(&error);
                    }
                }
                Ok(None) => return None,
                Err(_) => {}
            }
        }
    };
    match timeout(within, race).await.ok().flatten() {
        Some(stream) => {
            // Without it, each of our small messages waits for the acknowledgement of the last: 45 ms at the login alone (measured).
            let _set = stream.set_nodelay(true);
            Ok(Tcp(stream))
        }
        None => Err(errors.into_iter().reduce(more_telling).unwrap_or(ConnectError::Silent)),
    }
}

/// The addresses with their places, the two families by turns, that of the first one first.
fn alternating(addresses: &[SocketAddr]) -> Vec<(usize, SocketAddr)> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (like, unlike): (Vec<_>, Vec<_>) =
        addresses.iter().copied().enumerate().partition(|(_, address)| address.is_ipv6() == first_is_ipv6);
    let mut unlike = unlike.into_iter();
    let mut order: Vec<_> = like.into_iter().flat_map(|one| std::iter::once(one).chain(unlike.next())).collect();
    order.extend(unlike);
    order
}

fn more_telling(first: ConnectError, next: ConnectError) -> ConnectError {
    if matches!(first, ConnectError::Unreachable { .. }) { next } else { first }
}

fn of_connect(error: &io::Error) -> ConnectError {
    let heard = Heard::from_system(error);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => ConnectError::Reset,
        io::ErrorKind::TimedOut => ConnectError::Silent,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => ConnectError::Unreachable { heard },
        _ => ConnectError::Other { heard },
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::ssh::testing::{LONG, SHORT};

    fn at(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    #[tokio::test]
    async fn the_first_address_that_answers_is_taken() {
        let listener = TcpListener::bind(at(0)).unwrap();
        let open = listener.local_addr().unwrap();
        let closed = at(lab::free_port().unwrap());
        let connected = connect(&[closed, open], LONG).await.ok().unwrap();
        assert_eq!(connected.0.peer_addr().unwrap(), open);
        assert!(connected.0.nodelay().unwrap());
    }

    #[tokio::test]
    async fn refusal_and_silence_are_told_apart_and_the_first_is_told() {
        let closed = at(lab::free_port().unwrap());
        let blackhole = lab::Blackhole::start().unwrap();
        let dropped = at(blackhole.port());
        let error = |addresses: Vec<SocketAddr>| async move { connect(&addresses, SHORT).await.err().unwrap() };
        assert_eq!(error(vec![closed]).await, ConnectError::Refused);
        let began = tokio::time::Instant::now();
        assert_eq!(error(vec![dropped, closed]).await, ConnectError::Silent);
        assert_eq!(error(vec![closed, dropped]).await, ConnectError::Refused);
        assert!(began.elapsed() < SHORT * 3, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_silent_address_does_not_hold_up_the_next() {
        let blackhole = lab::Blackhole::start().unwrap();
        let listener = TcpListener::bind(at(0)).unwrap();
        // Half of the time for both, or a third of it for each, would not be enough.
        assert!(connect(&[at(blackhole.port()), at(blackhole.port()), listener.local_addr().unwrap()], STAGGER * 3).await.is_ok());
    }

    #[test]
    fn the_families_go_by_turns() {
        let [a, b, c]: [SocketAddr; 3] = ["[::1]:1", "[::2]:2", "[::3]:3"].map(|address| address.parse().unwrap());
        let d = at(4);
        assert_eq!(alternating(&[a, b, c, d]), [(0, a), (3, d), (1, b), (2, c)]);
        assert_eq!(alternating(&[d, a]), [(0, d), (1, a)]);
        assert_eq!(alternating(&[]), []);
    }

    #[test]
    fn a_machine_without_ipv6_is_not_the_story_of_a_name_with_both() {
        let unreachable = || ConnectError::Unreachable { heard: Heard::from_text("Network is unreachable") };
        assert_eq!(more_telling(unreachable(), ConnectError::Silent), ConnectError::Silent);
        assert_eq!(more_telling(ConnectError::Refused, unreachable()), ConnectError::Refused);
        assert_eq!(more_telling(ConnectError::Refused, ConnectError::Silent), ConnectError::Refused);
        assert_eq!(more_telling(unreachable(), unreachable()), unreachable());
    }

    #[test]
    fn the_resolvers_verdict_is_found_in_its_words() {
        let of = |words: &str| of_lookup(&io::Error::other(format!("failed to lookup address information: {words}")));
        let not_found = ResolveError::NotFound { heard: Heard::from_text("Name or service not known") };
        assert_eq!(of("Name or service not known"), not_found);
        assert!(matches!(of("Name does not resolve"), ResolveError::NotFound { .. }));
        let failed = ResolveError::Failed { heard: Heard::from_text("Temporary failure in name resolution") };
        assert_eq!(of("Temporary failure in name resolution"), failed);
        assert_eq!(of_lookup(&io::Error::other("words of a library")), ResolveError::Failed { heard: Heard::default() });
    }
}
