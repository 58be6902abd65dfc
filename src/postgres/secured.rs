//! The stream that a login runs on: encrypted or not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::{Bounded, Encrypted, Secure};

use super::sslmode::Encryption;

/// The stream after [`negotiate`](super::negotiate): nothing of Postgres' own protocol has been spoken on it yet.
pub struct Secured<S> {
    layer: Layer<S>,
}

enum Layer<S> {
    Plain(Bounded<S>),
    Tls(Box<Secure<S>>),
}

impl<S> Secured<S> {
    pub(super) const fn plain(stream: Bounded<S>) -> Self {
        Self { layer: Layer::Plain(stream) }
    }

    pub(super) fn tls(stream: Secure<S>) -> Self {
        Self { layer: Layer::Tls(Box::new(stream)) }
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
    pub fn encrypted(&self) -> Option<&Encrypted> {
        match &self.layer {
            Layer::Plain(_) => None,
            Layer::Tls(stream) => Some(stream.encrypted()),
        }
    }

    /// `tls-server-end-point` (RFC 5929); `None` in the clear, and for certificates whose signature has no hash, as Ed25519.
    #[must_use]
    pub fn channel_binding(&self) -> Option<&[u8]> {
        match &self.layer {
            Layer::Plain(_) => None,
            Layer::Tls(stream) => stream.channel_binding(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Layer::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.layer {
            Layer::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Layer::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Layer::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Layer::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
