//! The startup message with `replication=database`, which the driver cannot send: it is put in on the way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What makes a walsender of the session, with queries and for one database (the protocol's documentation, 53.4).
const REPLICATION: &[u8] = b"replication\0database\0";

/// What a login is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Queries.
    Queries,
    /// Logical replication. A pooler refuses what it would let through else.
    Replication,
}

/// A stream whose first message gets one parameter more.
pub(super) struct Startup<S> {
    inner: S,
    purpose: Purpose,
    /// The changed message, and how much of it is sent.
    changed: Option<(Vec<u8>, usize)>,
}

impl<S> Startup<S> {
    pub(super) const fn new(inner: S, purpose: Purpose) -> Self {
        Self { inner, purpose, changed: None }
    }

    pub(super) const fn get_ref(&self) -> &S {
        &self.inner
    }
}

/// The message with the parameter before its last byte, which ends the list.
fn changed(message: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = message.split_first_chunk::<4>()?;
    let (end, parameters) = rest.split_last()?;
    let length = u32::from_be_bytes(*length).checked_add(u32::try_from(REPLICATION.len()).ok()?)?;
    Some([&length.to_be_bytes()[..], parameters, REPLICATION, &[*end]].concat())
}

impl<S: AsyncRead + Unpin> AsyncRead for Startup<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Startup<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.purpose == Purpose::Replication {
            if this.changed.is_none() {
                // The driver writes its first message in one piece: before an answer it has nothing else to say.
                let message = changed(buf).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
                this.changed = Some((message, 0));
            }
            if let Some((message, sent)) = &mut this.changed {
                while let Some(rest) = message.get(*sent..).filter(|rest| !rest.is_empty()) {
                    *sent = sent.saturating_add(ready!(Pin::new(&mut this.inner).poll_write(cx, rest))?);
                }
            }
            (this.purpose, this.changed) = (Purpose::Queries, None);
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut this.inner).poll_write(cx, buf)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn the_first_message_alone_gets_the_parameter() {
        // So narrow that the message goes in pieces.
        let (ours, mut theirs) = tokio::io::duplex(7);
        let message = b"\0\0\0\x10\0\x03\0\0user\0me\0\0";
        let writing = tokio::spawn(async move {
            let mut startup = Startup::new(ours, Purpose::Replication);
            startup.write_all(message).await.unwrap();
            startup.write_all(b"next").await.unwrap();
        });
        let mut said = Vec::new();
        theirs.read_to_end(&mut said).await.unwrap();
        writing.await.unwrap();
        assert_eq!(said, b"\0\0\0\x25\0\x03\0\0user\0me\0replication\0database\0\0next");
    }
}
