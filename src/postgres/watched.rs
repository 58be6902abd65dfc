//! The stream under a login, with an eye on what the server says: what the driver's errors leave out decides who is at fault.

use std::future::{Ready, ready as at_once};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use crate::path::stage::Stage;

use super::secured::Secured;
use super::startup::{Purpose, Startup};

/// How much of the beginning is kept for a quote; four bytes to a character and one quote's length fit several times.
const OPENING: usize = 1024;

/// The longest first message of a real server: libpq takes no longer error than this (`MAX_ERRLEN`), and nothing else that comes first
/// is as long.
const LONGEST_FIRST: u32 = 30_000;

/// A message's tag and length, and the code that follows in those about authentication.
const HEAD: usize = 5;
const HEAD_WITH_CODE: usize = 9;

/// The first message is none that Postgres sends.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this is not Postgres' protocol")]
pub(super) struct Foreign;

/// What the server has said so far.
#[derive(Default)]
pub(super) struct Seen {
    /// The first bytes.
    pub(super) opening: Vec<u8>,
    /// How many messages have begun.
    pub(super) messages: u64,
    /// Whether the peer has ended the stream.
    pub(super) ended: bool,
    /// Whether SCRAM came to its end: the server has confirmed the password, whatever it says afterwards.
    pub(super) password_confirmed: bool,
    /// Whether the role is in.
    pub(super) authenticated: bool,
    head: Vec<u8>,
    skip: u64,
    done: bool,
}

impl Seen {
    /// How far the login has come.
    pub(super) const fn stage(&self) -> Stage {
        if self.authenticated { Stage::Open } else { Stage::Login }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Foreign> {
        let wanted = OPENING.saturating_sub(self.opening.len()).min(bytes.len());
        self.opening.extend_from_slice(bytes.get(..wanted).unwrap_or_default());
        while !self.done && !bytes.is_empty() {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip = self.skip.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
            bytes = bytes.get(skipped..).unwrap_or_default();
            if let Some((&first, rest)) = bytes.split_first() {
                bytes = rest;
                self.head.push(first);
                self.message()?;
            }
        }
        Ok(())
    }

    /// Looks at the head of a message once it is complete.
    fn message(&mut self) -> Result<(), Foreign> {
        let Some((&[tag, a, b, c, d], code)) = self.head.split_first_chunk::<HEAD>() else { return Ok(()) };
        let length = u32::from_be_bytes([a, b, c, d]);
        if self.messages == 0 && !(matches!(tag, b'R' | b'E' | b'N' | b'v') && (4..=LONGEST_FIRST).contains(&length)) {
            self.done = true;
            return Err(Foreign);
        }
        if tag == b'R' && length >= 8 {
            let Ok(code) = <[u8; HEAD_WITH_CODE - HEAD]>::try_from(code) else { return Ok(()) };
            match u32::from_be_bytes(code) {
                0 => self.authenticated = true,
                12 => self.password_confirmed = true,
                _ => {}
            }
        }
        // The length counts itself, and of a message about authentication the code has been read too.
        let read = u64::try_from(self.head.len().saturating_sub(1)).unwrap_or(u64::MAX);
        self.skip = u64::from(length).saturating_sub(read);
        self.messages = self.messages.saturating_add(1);
        self.done = tag == b'Z' || length < 4;
        self.head.clear();
        Ok(())
    }
}

/// A finished stream that tells what passes through it.
pub(super) struct Watched<S> {
    inner: Secured<S>,
    startup: Startup,
    seen: Arc<Mutex<Seen>>,
}

impl<S> Watched<S> {
    pub(super) fn new(inner: Secured<S>, purpose: Purpose) -> (Self, Watch) {
        let seen = Arc::new(Mutex::new(Seen::default()));
        (Self { inner, startup: Startup::new(purpose), seen: Arc::clone(&seen) }, Watch(seen))
    }
}

/// The eye on a [`Watched`] that somebody else owns.
pub(super) struct Watch(Arc<Mutex<Seen>>);

impl Watch {
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let answer = ready!(Pin::new(&mut self.inner.stream).poll_read(cx, buf));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = buf.filled().get(before..).unwrap_or_default();
        seen.ended |= answer.is_err() || fresh.is_empty();
        answer?;
        let verdict = seen.take(fresh);
        if verdict.is_err() {
            // A read that fails must not have filled anything.
            buf.set_filled(before);
        }
        Poll::Ready(verdict.map_err(io::Error::other))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.startup.poll_write(Pin::new(&mut this.inner.stream), cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Watched<S> {
    fn channel_binding(&self) -> ChannelBinding {
        match self.inner.channel_binding() {
            Some(hash) => ChannelBinding::tls_server_end_point(hash.to_vec()),
            None => ChannelBinding::none(),
        }
    }
}

/// What the driver takes for a maker of TLS: the stream is finished, so it is handed over as it is.
pub(super) struct Finished;

impl<S: AsyncRead + AsyncWrite + Unpin> TlsConnect<Watched<S>> for Finished {
    type Stream = Watched<S>;
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Watched<S>, Self::Error>>;

    fn connect(self, stream: Watched<S>) -> Self::Future {
        at_once(Ok(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::testing::message;

    #[test]
    fn progress_is_seen_however_the_bytes_arrive() {
        let login = [
            message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"),
            message(b'R', b"\0\0\0\x0bserver-first"),
            message(b'R', b"\0\0\0\x0cserver-final"),
            message(b'R', &[0; 4]),
            message(b'S', b"server_version\x0015.18\0"),
            message(b'Z', b"I"),
            b"anything".to_vec(),
        ]
        .concat();
        for size in [1, 3, 7, login.len()] {
            let mut seen = Seen::default();
            for chunk in login.chunks(size) {
                seen.take(chunk).unwrap();
            }
            assert!(seen.authenticated && seen.password_confirmed && seen.messages == 6, "{size}");
            assert_eq!(seen.stage(), Stage::Open);
        }
    }

    #[test]
    fn what_is_not_postgres_is_told_by_its_first_five_bytes() {
        for foreign in [&b"SSH-2.0-OpenSSH"[..], b"HTTP/1.1 400", b"220 mail", b"\x4a\0\0\0\x0a8.0", b"R\0\0\0\x03", b"Esorry"] {
            assert!(Seen::default().take(foreign).is_err(), "{foreign:?}");
        }
        assert!(Seen::default().take(b"SSH-").is_ok());
    }

    #[test]
    fn lying_lengths_end_the_watch_without_harm() {
        let mut seen = Seen::default();
        seen.take(&message(b'R', &[0; 4])).unwrap();
        seen.take(b"S\xff\xff\xff\xff").unwrap();
        seen.take(&[0; 100]).unwrap();
        assert_eq!(seen.messages, 2);
        let mut seen = Seen::default();
        seen.take(&message(b'R', &[0; 4])).unwrap();
        seen.take(b"S\0\0\0\0more").unwrap();
        assert_eq!(seen.messages, 2);
    }
}
