//! The stream below an SSH session, whatever it is: remembers how the conversation began, bounds it, and can be cut.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How much may come before the version line. RFC 4253 allows other lines; an honest banner is far below this.
const LONGEST_PREAMBLE: usize = 16 * 1024;

/// How much may come before the login is over. A key exchange takes 10 KiB at the most and a banner a screen or two; a server that
/// sends more keeps this machine busy, or fills its memory.
const LONGEST_LOGIN: usize = 256 * 1024;

/// How much of the beginning is kept: enough to quote, and to recognise a protocol.
const KEPT: usize = 1024;

/// How much is searched for the offer of strict key exchange and for the host key's signature: all that may stand before the version, and
/// a key exchange, of which the longest that is known has 10 KiB.
const SEARCHED: usize = LONGEST_PREAMBLE + 12 * 1024;

/// How a server offers strict key exchange (OpenSSH's PROTOCOL, 1.10).
const STRICT: &[u8] = b"kex-strict-s-v00@openssh.com";

/// The first bytes that a server sent, up to and including its version line.
#[derive(Default)]
pub(super) struct Transcript(Mutex<State>);

#[derive(Default)]
struct State {
    /// The beginning, whatever it is, until the login is over.
    opening: Vec<u8>,
    /// Where in it the next line begins; behind the version, the packets.
    next: usize,
    received: usize,
    version: Option<String>,
    logged_in: bool,
    /// When the last byte came.
    last: Option<Instant>,
}

impl Transcript {
    /// What came before the version, for a quote.
    pub(super) fn preamble(&self) -> Vec<u8> {
        let state = self.lock();
        let end = if state.version.is_some() { state.next.min(KEPT) } else { KEPT };
        state.opening.iter().take(end).copied().collect()
    }

    /// The version line, once it is complete.
    pub(super) fn version(&self) -> Option<String> {
        self.lock().version.clone()
    }

    /// Whether more came than any honest server sends.
    pub(super) fn flooded(&self) -> bool {
        let state = self.lock();
        state.version.is_none() && state.received > LONGEST_PREAMBLE
    }

    /// Whether strict key exchange was offered.
    pub(super) fn offers_strict(&self) -> bool {
        self.lock().opening.windows(STRICT.len()).any(|window| window == STRICT)
    }

    /// The name in the signature by which the host key proved itself in the first key exchange, which is in the clear.
    pub(super) fn signature(&self) -> Option<String> {
        let state = self.lock();
        signature(state.opening.get(state.next..)?)
    }

    /// From now on as much may come as the session's own flow control admits.
    pub(super) fn logged_in(&self) {
        let mut state = self.lock();
        state.logged_in = true;
        state.opening = Vec::new();
    }

    /// Whether anything came since.
    pub(super) fn received_since(&self, since: Instant) -> bool {
        self.lock().last.is_some_and(|last| last >= since)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was read; an error once it is too much, or once it says that no SSH 2 will follow.
    fn take(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.last = Some(Instant::now());
        if state.logged_in {
            return Ok(());
        }
        let room = SEARCHED.saturating_sub(state.opening.len());
        state.opening.extend(bytes.iter().take(room));
        if state.version.is_none() {
            state.look_for_version()?;
        }
        state.received = state.received.saturating_add(bytes.len());
        let limit = if state.version.is_some() { LONGEST_LOGIN } else { LONGEST_PREAMBLE };
        if state.received > limit { Err(refuse("more than any SSH server sends before the login")) } else { Ok(()) }
    }
}

/// Finds the reply of a key exchange (RFC 4253, 6 and 8; RFC 4419, 3).
fn signature(mut rest: &[u8]) -> Option<String> {
    loop {
        let (packet, behind) = string(rest)?;
        rest = behind;
        let (padding, payload) = packet.split_first()?;
        let payload = payload.get(..payload.len().checked_sub(usize::from(*padding))?)?;
        let (kind, fields) = payload.split_first()?;
        // SSH_MSG_KEXDH_REPLY, which a group exchange uses for the group; SSH_MSG_KEX_DH_GEX_REPLY.
        if matches!(kind, 31 | 33) {
            let name = string(fields)
                .and_then(|(_, behind)| string(behind))
                .and_then(|(_, behind)| string(behind))
                .and_then(|(signed, _)| string(signed));
            if let Some((name, _)) = name {
                return Some(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
}

/// What stands behind a length of four bytes, and the rest.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

impl State {
    fn look_for_version(&mut self) -> io::Result<()> {
        while let Some(rest) = self.opening.get(self.next..)
            && let Some(length) = rest.iter().position(|byte| *byte == b'\n')
        {
            let line = rest.get(..length).unwrap_or_default();
            if line.starts_with(b"SSH-") {
                let version = String::from_utf8_lossy(line.get(..KEPT).unwrap_or(line)).trim_end().to_owned();
                let old = is_old(&version);
                self.version = Some(version);
                self.next += length + 1;
                return if old { Err(refuse("SSH 1")) } else { Ok(()) };
            }
            if line.starts_with(b"HTTP/") {
                return Err(refuse("HTTP"));
            }
            self.next += length + 1;
        }
        Ok(())
    }
}

/// 1.99 means "2 as well" (RFC 4253, 5.1).
pub(super) fn is_old(version: &str) -> bool {
    version.starts_with("SSH-1.") && !version.starts_with("SSH-1.99-")
}

/// Why the wire reads no further, in our own words.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub(super) &'static str);

impl Refused {
    /// What the wire itself has made of an I/O error.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref()).copied()
    }
}

fn refuse(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Refused(why))
}

/// A stream with a transcript, which ends when its [`Hold`] is dropped.
pub(super) struct Wire<S> {
    stream: S,
    transcript: Arc<Transcript>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    gone: CancellationToken,
}

/// What keeps a wire up. russh's own task outlives a handshake that is given up, for ever if the server falls silent in it; without its
/// wire it ends at once.
pub(super) struct Hold {
    cut: CancellationToken,
    gone: CancellationToken,
}

impl Hold {
    /// Cuts the wire.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    /// Whether the wire was cut from here.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// Waits until nobody uses the wire any more.
    pub(super) fn gone(&self) -> WaitForCancellationFutureOwned {
        self.gone.clone().cancelled_owned()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.cut();
    }
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S) -> (Self, Arc<Transcript>, Hold) {
        let transcript = Arc::new(Transcript::default());
        let hold = Hold { cut: CancellationToken::new(), gone: CancellationToken::new() };
        let cut = Box::pin(hold.cut.clone().cancelled_owned());
        (Self { stream, transcript: Arc::clone(&transcript), cut, gone: hold.gone.clone() }, transcript, hold)
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, Refused("hung up"))),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S> Drop for Wire<S> {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        Poll::Ready(self.transcript.take(buf.filled().get(before..).unwrap_or_default()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_behind_other_lines_however_it_arrives() {
        let transcript = Transcript::default();
        for byte in b"hello\r\nSSH-2.0-Test_1 comment\r\n\0\0binary" {
            transcript.take(&[*byte]).unwrap();
        }
        assert_eq!(transcript.version().as_deref(), Some("SSH-2.0-Test_1 comment"));
        assert!(transcript.preamble().starts_with(b"hello\r\nSSH-2.0"));
    }

    #[test]
    fn a_flood_ends_the_reading() {
        let transcript = Transcript::default();
        assert!((0..10_000).any(|_| transcript.take(b"welcome to the jungle\r\n").is_err()));
        assert!(transcript.flooded() && transcript.preamble().len() == KEPT);
    }

    #[test]
    fn the_login_is_bounded_and_what_follows_it_is_not() {
        let transcript = Transcript::default();
        transcript.take(b"SSH-2.0-Test_1\r\n").unwrap();
        let piece = [0; 1024];
        let taken = (0..10_000).take_while(|_| transcript.take(&piece).is_ok()).count();
        assert_eq!(taken, LONGEST_LOGIN / piece.len() - 1);
        transcript.logged_in();
        assert!((0..10_000).all(|_| transcript.take(&piece).is_ok()));
    }

    #[test]
    fn what_cannot_become_ssh_2_is_refused_at_its_first_line() {
        assert!(Transcript::default().take(b"SSH-1.5-old\n").is_err());
        assert!(Transcript::default().take(b"HTTP/1.1 400 Bad Request\r\n").is_err());
        for good in [&b"SSH-1.99-both\n"[..], b"SSH-2.0-new\n", b"Welcome\nSSH-2.0-new\n"] {
            let transcript = Transcript::default();
            transcript.take(good).unwrap();
            assert!(transcript.version().is_some());
        }
    }

    #[test]
    fn the_name_in_the_host_keys_signature_is_found() {
        let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        let packet = |payload: &[u8]| string(&[&[4][..], payload, &[0; 4]].concat());
        let signed = |name: &[u8]| string(&[string(name), string(b"signature")].concat());
        let reply = |kind: u8, name: &[u8]| packet(&[vec![kind], string(b"host key"), string(b"f"), signed(name)].concat());
        let hello = b"Welcome\r\nSSH-2.0-Test_1\r\n".to_vec();
        let exchange = |replies: &[Vec<u8>]| [hello.clone(), packet(&[20, 1, 2, 3]), replies.concat()].concat();
        let signature = |said: &[u8]| {
            let transcript = Transcript::default();
            transcript.take(said).unwrap();
            transcript.signature()
        };
        assert_eq!(signature(&exchange(&[reply(31, b"ssh-ed25519")])).as_deref(), Some("ssh-ed25519"));
        // A group exchange has its group under the same number first.
        let group = packet(&[vec![31], string(b"p"), string(b"g")].concat());
        assert_eq!(signature(&exchange(&[group, reply(33, b"ssh-rsa")])).as_deref(), Some("ssh-rsa"));
        for broken in [&b""[..], b"SSH-2.0-Test_1\r\n", b"SSH-2.0-Test_1\r\n\xff\xff\xff\xff\x04", b"SSH-2.0-Test_1\r\n\0\0\0\x01\xff"] {
            assert_eq!(signature(broken), None, "{broken:?}");
        }
    }
}
