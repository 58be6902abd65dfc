//! The startup message with `replication=database`, which the driver cannot send: it is put in on the way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

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

/// Changes the first message where it has to be.
pub(super) struct Startup {
    purpose: Purpose,
    /// What of the changed message is still to be sent.
    left: Option<Vec<u8>>,
}

impl Startup {
    pub(super) const fn new(purpose: Purpose) -> Self {
        Self { purpose, left: None }
    }

    /// Writes to a stream what its owner has to say.
    pub(super) fn poll_write(
        &mut self,
        mut stream: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.purpose == Purpose::Queries {
            return stream.poll_write(cx, buf);
        }
        // The driver writes its first message in one piece: before an answer it has nothing else to say.
        let message = self.left.take().or_else(|| changed(buf)).ok_or(io::ErrorKind::InvalidInput)?;
        let left = self.left.insert(message);
        while !left.is_empty() {
            match ready!(stream.as_mut().poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => drop(left.drain(..sent)),
            }
        }
        *self = Self::new(Purpose::Queries);
        Poll::Ready(Ok(buf.len()))
    }
}

/// The message with the parameter before its last byte, which ends the list.
fn changed(message: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = message.split_first_chunk::<4>()?;
    let (end, parameters) = rest.split_last()?;
    let length = u32::from_be_bytes(*length).checked_add(u32::try_from(REPLICATION.len()).ok()?)?;
    Some([&length.to_be_bytes()[..], parameters, REPLICATION, &[*end]].concat())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::postgres::secured::Secured;
    use crate::postgres::watched::Watched;
    use crate::tls::Bounded;

    #[tokio::test]
    async fn the_first_message_alone_gets_the_parameter() {
        // So narrow that the message goes in pieces.
        let (ours, mut theirs) = tokio::io::duplex(7);
        let message = b"\0\0\0\x10\0\x03\0\0user\0me\0\0";
        let writing = tokio::spawn(async move {
            let (mut startup, _) = Watched::new(Secured::plain(Bounded::new(ours)), Purpose::Replication);
            startup.write_all(message).await.unwrap();
            startup.write_all(b"next").await.unwrap();
        });
        let mut said = Vec::new();
        theirs.read_to_end(&mut said).await.unwrap();
        writing.await.unwrap();
        assert_eq!(said, b"\0\0\0\x25\0\x03\0\0user\0me\0replication\0database\0\0next");
    }
}
