//! A stream that fails once its peer has sent too much, and that remembers how the conversation began.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that is read from a server during one check. A whole check of a real server takes some ten KiB, TLS included; the
/// readiness of thousands of tables some hundred. Four MiB leaves room for all of it. The driver keeps what it cannot make sense of
/// yet in a buffer that grows by doubling: a flood of sixteen MiB took fifty (measured).
const MOST_READ: u64 = 4 * 1024 * 1024;

/// How much of the beginning is kept, to be quoted when it turns out to be another protocol: a greeting line.
const OPENING: usize = 64;

/// The peer sent more than [`MOST_READ`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the peer sent more than a check can need")]
struct TooMuch;

/// Whether an I/O error is [`Bounded`]'s own.
#[must_use]
pub fn is_flood(error: &io::Error) -> bool {
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
    pub(crate) fn opening(&self) -> &[u8] {
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
}
