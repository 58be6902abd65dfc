//! From a session to a stream that ends at the database: a direct-tcpip channel.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{ChannelId, ChannelOpenFailure, ChannelStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::client::{Client, End, Events};
use super::error::ForwardError;
use super::session::Session;
use crate::path::heard::Heard;
use crate::path::route::Address;

/// A stream through the bastion. Closes its channel when dropped; the session stays up for others.
pub struct Channel {
    /// There until the drop.
    stream: Option<ChannelStream<Msg>>,
    id: ChannelId,
    events: Arc<Events>,
    /// The session's own end.
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whether all that came has been read.
    drained: bool,
    runtime: tokio::runtime::Handle,
}

/// A channel that was asked for.
pub struct Opening<'a> {
    session: &'a Session,
    answer: JoinHandle<Result<Channel, Option<ForwardError>>>,
}

impl Session {
    /// Asks for a channel to an address as the server sees it.
    #[must_use]
    pub fn open(&self, to: &Address) -> Opening<'_> {
        let (handle, events, gone) = (Arc::clone(&self.handle), Arc::clone(&self.events), self.hold.gone());
        // In a task of its own: russh leaks a channel whose opening is cancelled. The task ends with the answer or the session, and a
        // channel that nobody takes any more is closed.
        Opening { session: self, answer: tokio::spawn(open(handle, events, gone, to.clone())) }
    }
}

impl Opening<'_> {
    /// Waits for the answer; after silence it can be waited for again.
    ///
    /// # Errors
    ///
    /// [`ForwardError`], by what sshd says. Silence is the target's only if the server itself still answers.
    pub async fn within(&mut self, within: Duration) -> Result<Channel, ForwardError> {
        let half = within / 2;
        let opened = match timeout(half, &mut self.answer).await {
            Ok(opened) => opened,
            Err(_) => {
                let (handle, asked) = (Arc::clone(&self.session.handle), Instant::now());
                let ping = tokio::spawn(async move { handle.send_ping().await });
                match timeout(half, &mut self.answer).await {
                    Ok(opened) => opened,
                    Err(_) if ping.is_finished() && self.session.is_alive() => return Err(ForwardError::Silent),
                    // The answers may stand behind data on a slow line.
                    Err(_) if self.session.transcript.received_since(asked) => return Err(ForwardError::Silent),
                    Err(_) if self.session.is_alive() => return Err(ForwardError::Unresponsive),
                    Err(_) => return Err(ForwardError::SessionLost { heard: self.session.ended() }),
                }
            }
        };
        match opened {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(Some(refusal))) => Err(refusal),
            // The session is ending; why is known when its wire is gone.
            Ok(Err(None)) | Err(_) => {
                let _in_time = timeout(half, self.session.hold.gone()).await;
                Err(ForwardError::SessionLost { heard: self.session.ended() })
            }
        }
    }
}

/// No error: the session ended.
async fn open(
    handle: Arc<Handle<Client>>,
    events: Arc<Events>,
    gone: WaitForCancellationFutureOwned,
    to: Address,
) -> Result<Channel, Option<ForwardError>> {
    // The originator is only logged by sshd; the client's own address would say something about this machine's network.
    match handle.channel_open_direct_tcpip(to.host.as_str(), u32::from(to.port.get()), "127.0.0.1", 0).await {
        Ok(channel) => {
            let (id, runtime) = (channel.id(), tokio::runtime::Handle::current());
            Ok(Channel { stream: Some(channel.into_stream()), id, events, gone: Box::pin(gone), drained: false, runtime })
        }
        Err(russh::Error::ChannelOpenFailure(reason)) => Err(Some(of_refusal(&reason, events.refusal().await))),
        Err(_) => Err(None),
    }
}

fn of_refusal(reason: &ChannelOpenFailure, heard: Heard) -> ForwardError {
    match reason {
        ChannelOpenFailure::AdministrativelyProhibited => ForwardError::Prohibited { heard },
        ChannelOpenFailure::ConnectFailed => ForwardError::DialFailed { heard },
        ChannelOpenFailure::ResourceShortage => ForwardError::Shortage { heard },
        ChannelOpenFailure::UnknownChannelType => ForwardError::UnknownType { heard },
        _ => ForwardError::UnknownType { heard: if heard.is_empty() { Heard::from_text("unknown reason") } else { heard } },
    }
}

impl Channel {
    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut ChannelStream<Msg>>> {
        self.get_mut().stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// The end of what came. russh takes every end for an orderly one, and what is cut off would look complete.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gone = self.gone.as_mut().poll(cx);
        match self.events.poll_end(self.id, cx) {
            Poll::Ready(End::InOrder) => Poll::Ready(Ok(())),
            Poll::Pending if gone.is_pending() => Poll::Pending,
            Poll::Ready(End::Broken) | Poll::Pending => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // russh's own drop spawns a task, and panics where there is no runtime.
        let _runtime = self.runtime.enter();
        self.stream = None;
        self.events.forget(self.id);
    }
}

impl AsyncRead for Channel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if !self.drained {
            ready!(self.as_mut().stream()?.poll_read(cx, buf))?;
            let read = buf.filled().len() - before;
            if read > 0 || buf.remaining() == 0 {
                self.events.read(self.id, read);
                return Poll::Ready(Ok(()));
            }
            self.drained = true;
        }
        self.poll_end(cx)
    }
}

impl AsyncWrite for Channel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::key::PrivateKey;
    use crate::path::route::Port;
    use crate::ssh::handshake::handshake;
    use crate::ssh::testing::{LONG, SHORT, Server, pinned, to};

    #[tokio::test]
    async fn a_channel_carries_more_than_its_window_and_closes_when_dropped() {
        let server = Server::start().await;
        let session = server.session().await;
        let channel = to(&session, "echo", LONG).await.ok().unwrap();
        let (mut from, mut into) = tokio::io::split(channel);
        let sent: Vec<u8> = (0..5_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move {
            into.write_all(&sent).await.unwrap();
            into.shutdown().await.unwrap();
            into
        });
        let mut received = Vec::new();
        from.read_to_end(&mut received).await.unwrap();
        assert!(received == expected, "{} of {} bytes", received.len(), expected.len());
        drop((from, writing.await.unwrap()));
        server.notes.until("closed echo", 1).await;

        let dropped = to(&session, "echo", LONG).await.ok().unwrap();
        drop(dropped);
        server.notes.until("closed echo", 2).await;
        assert!(session.is_alive());
    }

    #[tokio::test]
    async fn a_session_runs_over_a_channel_of_another() {
        let (outer, inner) = (Server::start().await, Server::start().await);
        let hop = outer.session().await;
        let port = Port::try_from(i64::from(inner.port())).unwrap();
        let channel = hop.open(&Address::new("127.0.0.1".parse().unwrap(), port)).within(LONG).await.ok().unwrap();
        let trusted = handshake(channel, &pinned(&inner.host_key), LONG).await.ok().unwrap();
        let session = trusted.authenticate("tf", &PrivateKey::generate_ed25519().unwrap(), LONG).await.ok().unwrap();
        let mut echo = to(&session, "echo", LONG).await.ok().unwrap();
        echo.write_all(b"through two").await.unwrap();
        let mut heard = [0; 11];
        echo.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"through two");
        drop(hop);
        assert!(echo.read(&mut [0]).await.is_err(), "what runs over a session ends with it, and not in order");
    }

    #[tokio::test]
    async fn refusals_are_told_apart() {
        let server = Server::start().await;
        let session = server.session().await;
        let prohibited = Heard::from_text("Administratively prohibited");
        assert_eq!(to(&session, "prohibited", LONG).await.err(), Some(ForwardError::Prohibited { heard: prohibited }));
        let refused = Heard::from_text("db.internal: Connection refused");
        assert_eq!(to(&session, "db.internal", LONG).await.err(), Some(ForwardError::DialFailed { heard: refused }));
        assert!(to(&session, "echo", LONG).await.is_ok());
    }

    async fn each_refusal_has_its_own_words() {
        let server = Server::start().await;
        let session = Arc::new(server.session().await);
        let openings: Vec<_> = (0..200)
            .map(|number| {
                let session = Arc::clone(&session);
                tokio::spawn(async move { (number, to(&session, &format!("db{number}"), LONG).await.err()) })
            })
            .collect();
        for opening in openings {
            let (number, error) = opening.await.unwrap();
            let heard = Heard::from_text(&format!("db{number}: Connection refused"));
            assert_eq!(error, Some(ForwardError::DialFailed { heard }));
        }
    }

    #[tokio::test]
    async fn each_of_many_refusals_has_its_own_words() {
        each_refusal_has_its_own_words().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_of_many_refusals_has_its_own_words_on_several_threads() {
        each_refusal_has_its_own_words().await;
    }

    #[tokio::test]
    async fn an_opening_that_is_given_up_leaves_no_channel() {
        let server = Server::start().await;
        let session = server.session().await;
        assert!(timeout(SHORT, to(&session, "late", LONG)).await.is_err());
        server.notes.until("asked late", 1).await;
        server.notes.open_late.notify_one();
        server.notes.until("opened late", 1).await;
        server.notes.until("closed late", 1).await;
        assert!(to(&session, "echo", LONG).await.is_ok());
    }

    #[tokio::test]
    async fn a_silent_database_is_not_a_silent_bastion() {
        let server = Server::start().await;
        let (relay, session) = server.relayed().await;
        assert_eq!(to(&session, "silent", SHORT).await.err(), Some(ForwardError::Silent));
        assert!(session.is_alive());
        relay.freeze();
        let began = std::time::Instant::now();
        let lost = to(&session, "echo", SHORT).await.err();
        assert_eq!(lost, Some(ForwardError::Unresponsive));
        assert!(session.is_alive() && began.elapsed() < SHORT * 2, "others may still have use for it: {:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_session_that_ends_meanwhile_is_told_with_its_reason() {
        let server = Server::start().await;
        let (relay, session) = server.relayed().await;
        let (lost, ()) = tokio::join!(to(&session, "silent", LONG), async {
            server.notes.until("asked silent", 1).await;
            relay.cut();
        });
        assert!(matches!(lost.err(), Some(ForwardError::SessionLost { heard }) if !heard.is_empty()));
        assert!(matches!(to(&session, "echo", LONG).await.err(), Some(ForwardError::SessionLost { heard }) if !heard.is_empty()));
    }

    /// Kept, each would cost 9 kB for a packet of 60 bytes.
    #[tokio::test]
    async fn what_the_server_opens_towards_us_is_refused() {
        let server = Server::start().await;
        let session = server.session().await;
        let mut channel = to(&session, "opens", LONG).await.ok().unwrap();
        channel.write_all(b"go").await.unwrap();
        server.notes.until("refused", 3).await;
        assert_eq!(server.notes.count("taken"), 0);
        assert!(to(&session, "echo", LONG).await.is_ok());
    }

    /// Kept, the words would be told as those of the next refusal, and waiting for somebody to take them would stall the session.
    #[tokio::test]
    async fn a_refusal_of_an_open_channel_is_nobodys() {
        let server = Server::start().await;
        let session = server.session().await;
        for _ in 0..3 {
            let mut channel = to(&session, "echo", LONG).await.ok().unwrap();
            channel.write_all(b"refuse").await.unwrap();
            let mut rest = Vec::new();
            let ended = timeout(LONG, channel.read_to_end(&mut rest)).await.expect("it hangs");
            assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
            // Dropped before the refusal comes.
            let mut dropped = to(&session, "echo", LONG).await.ok().unwrap();
            dropped.write_all(b"refuse").await.unwrap();
        }
        let refused = Heard::from_text("db: Connection refused");
        assert_eq!(to(&session, "db", LONG).await.err(), Some(ForwardError::DialFailed { heard: refused }));
        assert!(to(&session, "echo", LONG).await.is_ok());
    }

    #[tokio::test]
    async fn what_a_lost_session_cuts_off_does_not_look_complete() {
        let server = Server::start().await;
        let (relay, session) = server.relayed().await;
        let mut ordered = to(&session, "echo", LONG).await.ok().unwrap();
        ordered.write_all(b"whole").await.unwrap();
        ordered.shutdown().await.unwrap();
        let mut whole = Vec::new();
        ordered.read_to_end(&mut whole).await.unwrap();
        assert_eq!(whole, b"whole");
        let mut cut = to(&session, "echo", LONG).await.ok().unwrap();
        cut.write_all(b"half").await.unwrap();
        cut.read_exact(&mut [0; 4]).await.unwrap();
        relay.cut();
        assert!(timeout(LONG, cut.read(&mut [0])).await.expect("it hangs").is_err());
    }

    #[tokio::test]
    async fn how_much_waits_to_be_read_is_known() {
        let server = Server::start().await;
        let session = server.session().await;
        let mut channel = to(&session, "echo", LONG).await.ok().unwrap();
        channel.write_all(&[7; 100_000]).await.unwrap();
        crate::ssh::testing::wait_until("the echo", || session.backlog() == 100_000).await;
        channel.read_exact(&mut [0; 100_000]).await.unwrap();
        crate::ssh::testing::wait_until("the count", || session.backlog() == 0).await;
    }
}
