//! The stream that a login runs on: bounded, and encrypted or not.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::sslmode::Encryption;

/// The most that is read from a server during one check. A whole check of a real server takes some ten KiB, TLS included; the
/// readiness of thousands of tables some hundred. Four MiB leaves room for all of it. The driver keeps what it cannot make sense of
/// yet in a buffer that grows by doubling: a flood of sixteen MiB took fifty (measured).
const MOST_READ: u64 = 4 * 1024 * 1024;

/// How much of the beginning is kept, to be quoted when it turns out not to be Postgres: a greeting line.
const OPENING: usize = 64;

/// The peer sent more than [`MOST_READ`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the peer sent more than a check can need")]
struct TooMuch;

/// Whether an I/O error is [`Bounded`]'s own.
pub(super) fn is_flood(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TooMuch>())
}

/// A stream that fails once its peer has sent 4 MiB, so that a hostile server cannot fill the memory.
pub struct Bounded<S> {
    inner: S,
    left: u64,
    opening: Vec<u8>,
}

impl<S> Bounded<S> {
    /// Counts from here on.
    pub const fn new(inner: S) -> Self {
        Self { inner, left: MOST_READ, opening: Vec::new() }
    }

    /// The first bytes that were read, a greeting's worth.
    pub(super) fn opening(&self) -> &[u8] {
        &self.opening
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        let wanted = OPENING.saturating_sub(this.opening.len()).min(fresh.len());
        this.opening.extend_from_slice(fresh.get(..wanted).unwrap_or_default());
        match this.left.checked_sub(u64::try_from(fresh.len()).unwrap_or(u64::MAX)) {
            Some(left) => this.left = left,
            None => {
                // A read that fails must not have filled anything.
                buf.set_filled(before);
                return Poll::Ready(Err(io::Error::other(TooMuch)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    // TLS writes several records at a time: its last words to a server that it refuses, for one.
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// How far the server's certificate was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Not at all (`require` without a root certificate): whoever holds the wire can be the server.
    Nothing,
    /// It leads to a root certificate.
    Chain,
    /// It leads to a root certificate and is for this host.
    Host(String),
}

/// What is known of a TLS connection. Its text is a note for people: `TLS 1.3, verified orders.abc.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encrypted {
    /// `TLS 1.3` or `TLS 1.2`.
    pub version: &'static str,
    /// The cipher suite's name in its specification.
    pub cipher_suite: String,
    /// How far the certificate was verified.
    pub verified: Verified,
}

impl fmt::Display for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verified {
            Verified::Nothing => write!(f, "{}, certificate not verified", self.version),
            Verified::Chain => write!(f, "{}, verified certificate authority", self.version),
            Verified::Host(host) => write!(f, "{}, verified {host}", self.version),
        }
    }
}

/// The stream after [`negotiate`](super::negotiate): nothing of Postgres' own protocol has been spoken on it yet.
pub struct Secured<S> {
    layer: Layer<S>,
}

enum Layer<S> {
    Plain(Bounded<S>),
    Tls(Box<Inside<S>>),
}

struct Inside<S> {
    stream: TlsStream<Bounded<S>>,
    encrypted: Encrypted,
    channel_binding: Option<Vec<u8>>,
}

impl<S> Secured<S> {
    pub(super) const fn plain(stream: Bounded<S>) -> Self {
        Self { layer: Layer::Plain(stream) }
    }

    pub(super) fn tls(stream: TlsStream<Bounded<S>>, encrypted: Encrypted, channel_binding: Option<Vec<u8>>) -> Self {
        Self { layer: Layer::Tls(Box::new(Inside { stream, encrypted, channel_binding })) }
    }

    /// Whether TLS is up.
    #[must_use]
    pub const fn encryption(&self) -> Encryption {
        match self.layer {
            Layer::Plain(_) => Encryption::Plain,
            Layer::Tls(_) => Encryption::Tls,
        }
    }

    /// What is known of TLS; `None` in the clear.
    #[must_use]
    pub const fn encrypted(&self) -> Option<&Encrypted> {
        match &self.layer {
            Layer::Plain(_) => None,
            Layer::Tls(inside) => Some(&inside.encrypted),
        }
    }

    /// `tls-server-end-point` (RFC 5929); `None` in the clear, and for certificates whose signature has no hash, as Ed25519.
    #[must_use]
    pub fn channel_binding(&self) -> Option<&[u8]> {
        match &self.layer {
            Layer::Plain(_) => None,
            Layer::Tls(inside) => inside.channel_binding.as_deref(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Layer::Tls(inside) => Pin::new(&mut inside.stream).poll_read(cx, buf),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.layer {
            Layer::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Layer::Tls(inside) => Pin::new(&mut inside.stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Layer::Tls(inside) => Pin::new(&mut inside.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Layer::Tls(inside) => Pin::new(&mut inside.stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, repeat};

    use super::*;

    struct Endless(tokio::io::Repeat);

    impl AsyncRead for Endless {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    #[tokio::test]
    async fn an_endless_peer_is_cut_off() {
        let mut bounded = Bounded::new(Endless(repeat(7)));
        let mut sink = Vec::new();
        let error = bounded.read_to_end(&mut sink).await.unwrap_err();
        assert!(is_flood(&error), "{error}");
        assert!(sink.len() <= usize::try_from(MOST_READ).unwrap() + 1024 * 1024, "{}", sink.len());
        assert_eq!(bounded.opening(), [7; OPENING]);
    }

    #[test]
    fn the_note_says_how_far_was_verified() {
        let note = |verified| Encrypted { version: "TLS 1.3", cipher_suite: "TLS13_AES_256_GCM_SHA384".into(), verified }.to_string();
        assert_eq!(note(Verified::Host("db.internal".into())), "TLS 1.3, verified db.internal");
        assert_eq!(note(Verified::Chain), "TLS 1.3, verified certificate authority");
        assert_eq!(note(Verified::Nothing), "TLS 1.3, certificate not verified");
    }
}
