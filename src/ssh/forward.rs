//! From a session to a stream that ends at the database: a direct-tcpip channel.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{ChannelOpenFailure, ChannelStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::client::{Client, Events};
use super::error::ForwardError;
use super::session::{Session, UNANSWERED};
use crate::path::heard::Heard;
use crate::path::route::{Host, Port};

/// A stream through the bastion. Closes its channel when dropped; the session stays up for others.
pub struct Channel {
    /// There until the drop.
    stream: Option<ChannelStream<Msg>>,
    runtime: tokio::runtime::Handle,
}

impl Session {
    /// Opens a channel to a host as the bastion sees it.
    ///
    /// # Errors
    ///
    /// [`ForwardError`], by what sshd says. Silence is the database's only if the bastion itself still answers; if it does not, the session
    /// is given up.
    pub async fn open(&self, host: &Host, port: Port, within: Duration) -> Result<Channel, ForwardError> {
        // In a task of its own: russh leaks a channel whose opening is cancelled. The task ends with the answer or the session, and a
        // channel that nobody takes any more is closed.
        let mut opening = tokio::spawn(open(Arc::clone(&self.handle), Arc::clone(&self.events), host.as_str().to_owned(), port));
        let half = within / 2;
        let opened = match timeout(half, &mut opening).await {
            Ok(opened) => opened,
            Err(_) => {
                let handle = Arc::clone(&self.handle);
                let ping = tokio::spawn(async move { handle.send_ping().await });
                match timeout(half, &mut opening).await {
                    Ok(opened) => opened,
                    Err(_) if ping.is_finished() && self.is_alive() => return Err(ForwardError::Silent),
                    Err(_) => {
                        self.give_up(UNANSWERED);
                        return Err(ForwardError::SessionLost { heard: self.ended() });
                    }
                }
            }
        };
        match opened {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(Some(refusal))) => Err(refusal),
            // The session is ending; why is known when its wire is gone.
            Ok(Err(None)) | Err(_) => {
                let _in_time = timeout(half, self.hold.gone()).await;
                Err(ForwardError::SessionLost { heard: self.ended() })
            }
        }
    }
}

/// No error: the session ended.
async fn open(handle: Arc<Handle<Client>>, events: Arc<Events>, host: String, port: Port) -> Result<Channel, Option<ForwardError>> {
    // The originator is only logged by sshd; the client's own address would say something about this machine's network.
    match handle.channel_open_direct_tcpip(host, u32::from(port.get()), "127.0.0.1", 0).await {
        Ok(channel) => Ok(Channel { stream: Some(channel.into_stream()), runtime: tokio::runtime::Handle::current() }),
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
}

impl Drop for Channel {
    fn drop(&mut self) {
        // russh's own drop spawns a task, and panics where there is no runtime.
        let _runtime = self.runtime.enter();
        self.stream = None;
    }
}

impl AsyncRead for Channel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buf)
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
    use crate::ssh::handshake::handshake;
    use crate::ssh::testing::{LONG, SHORT, Server, log_in, pinned};

    async fn to(session: &Session, host: &str, within: Duration) -> Result<Channel, ForwardError> {
        session.open(&host.parse().unwrap(), Port::POSTGRES, within).await
    }

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
        let channel = hop.open(&"127.0.0.1".parse().unwrap(), port, LONG).await.ok().unwrap();
        let trusted = handshake(channel, &pinned(&inner.host_key), LONG).await.ok().unwrap();
        let session = trusted.authenticate("tf", &PrivateKey::generate_ed25519().unwrap(), LONG).await.ok().unwrap();
        let mut echo = to(&session, "echo", LONG).await.ok().unwrap();
        echo.write_all(b"through two").await.unwrap();
        let mut heard = [0; 11];
        echo.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"through two");
        drop(hop);
        assert_eq!(echo.read(&mut [0]).await.unwrap_or(0), 0, "what runs over a session ends with it");
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
        let relay = lab::Relay::start(([127, 0, 0, 1], server.port())).unwrap();
        let key = PrivateKey::generate_ed25519().unwrap();
        let session = log_in(relay.port(), &server.host_key, "tf", &key).await.ok().unwrap();
        assert_eq!(to(&session, "silent", SHORT).await.err(), Some(ForwardError::Silent));
        assert!(session.is_alive());
        relay.freeze();
        let began = std::time::Instant::now();
        let lost = to(&session, "echo", SHORT).await.err();
        assert_eq!(lost, Some(ForwardError::SessionLost { heard: Heard::from_text("no answer to a keepalive") }));
        assert!(!session.is_alive() && began.elapsed() < SHORT * 2, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_session_that_ends_meanwhile_is_told_with_its_reason() {
        let server = Server::start().await;
        let relay = lab::Relay::start(([127, 0, 0, 1], server.port())).unwrap();
        let key = PrivateKey::generate_ed25519().unwrap();
        let session = log_in(relay.port(), &server.host_key, "tf", &key).await.ok().unwrap();
        let (lost, ()) = tokio::join!(to(&session, "silent", LONG), async {
            server.notes.until("asked silent", 1).await;
            relay.cut();
        });
        assert!(matches!(lost.err(), Some(ForwardError::SessionLost { heard }) if !heard.is_empty()));
        assert!(matches!(to(&session, "echo", LONG).await.err(), Some(ForwardError::SessionLost { heard }) if !heard.is_empty()));
    }
}
