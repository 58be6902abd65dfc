//! A logged-in session, shared by any number of channels and closed when the last user lets go.

use std::sync::Arc;
use std::time::Duration;

use russh::Disconnect;
use russh::client::Handle;
use tokio::time::{Instant, timeout};

use super::client::{Client, Events};
use super::error::HoldError;
use super::wire::{Hold, Transcript};
use crate::path::heard::Heard;

/// How long a goodbye may take. It is one packet; a bastion that does not take it by then hears of the end from TCP.
const GOODBYE: Duration = Duration::from_secs(1);

/// A session on which the user is logged in. Its end ends its channels.
pub struct Session {
    /// Shared with channels that are being opened.
    pub(super) handle: Arc<Handle<Client>>,
    pub(super) events: Arc<Events>,
    pub(super) hold: Arc<Hold>,
    pub(super) transcript: Arc<Transcript>,
}

impl Session {
    pub(super) fn new(handle: Handle<Client>, events: Arc<Events>, hold: Hold, transcript: Arc<Transcript>) -> Self {
        Self { handle: Arc::new(handle), events, hold: Arc::new(hold), transcript }
    }

    /// Whether the session is still up, as far as is known here.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.handle.is_closed() && !self.hold.is_cut()
    }

    /// How many bytes have come on its channels and were not read yet.
    #[must_use]
    pub fn backlog(&self) -> i64 {
        self.events.backlog()
    }

    /// Why the session ended; empty if it was not said, or if it has not.
    #[must_use]
    pub fn ended(&self) -> Heard {
        self.events.ended()
    }

    /// Waits for the end of the session: its own, or silence. Asks every so often whether the server is there, and waits for the answer
    /// within so much. A session that brings anything meanwhile is not silent: its answer may stand behind data on a slow line.
    pub async fn watch(&self, every: Duration, within: Duration) -> HoldError {
        let unanswered = async {
            loop {
                tokio::time::sleep(every).await;
                let asked = Instant::now();
                match timeout(within, self.handle.send_ping()).await {
                    Ok(Ok(())) => {}
                    // The session is ending; why is known when its wire is gone.
                    Ok(Err(_)) => std::future::pending().await,
                    Err(_) if self.transcript.received_since(asked) => {}
                    Err(_) => break,
                }
            }
        };
        tokio::select! {
            () = self.hold.gone() => HoldError::Ended { heard: self.ended() },
            () = unanswered => HoldError::Silent,
        }
    }
}

impl Drop for Session {
    /// Says goodbye, so that sshd does not log a lost connection; where that is not possible, the connection is closed at once.
    fn drop(&mut self) {
        let (handle, hold) = (Arc::clone(&self.handle), Arc::clone(&self.hold));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let goodbye = async {
                    let _said = handle.disconnect(Disconnect::ByApplication, "", "").await;
                    hold.gone().await;
                };
                let _in_time = timeout(GOODBYE, goodbye).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::ssh::testing::{LONG, Server, to, wait_until};

    #[tokio::test]
    async fn a_dropped_session_is_closed_at_once_with_its_channels() {
        let server = Server::start().await;
        let session = server.session().await;
        let mut channel = to(&session, "echo", LONG).await.ok().unwrap();
        drop(session);
        server.notes.until("ended", 1).await;
        server.notes.until("closed echo", 1).await;
        assert_eq!(channel.read(&mut [0]).await.unwrap_or(0), 0);
    }

    /// The bastion takes no goodbye, because nothing reaches it any more.
    #[tokio::test]
    async fn a_dropped_session_is_closed_although_the_bastion_hangs() {
        let server = Server::start().await;
        let (relay, session) = server.relayed().await;
        let hold = std::sync::Arc::clone(&session.hold);
        relay.freeze();
        drop(session);
        tokio::time::timeout(LONG, hold.gone()).await.expect("the socket is still open");
    }

    #[tokio::test]
    async fn an_end_by_the_bastion_is_noticed() {
        let server = Server::start().await;
        let session = server.session().await;
        assert!(session.is_alive());
        drop(server);
        // The listener is gone, the session is not.
        assert!(session.is_alive());
        let server = Server::start().await;
        let (relay, session) = server.relayed().await;
        relay.cut();
        wait_until("the end of the session", || !session.is_alive()).await;
        tokio::time::timeout(LONG, session.hold.gone()).await.unwrap();
        assert!(!session.ended().is_empty());
    }

    #[test]
    fn what_is_dropped_outside_its_runtime_ends_without_a_panic() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (server, session, channel) = runtime.block_on(async {
            let server = Server::start().await;
            let session = server.session().await;
            let mut channel = to(&session, "echo", LONG).await.ok().unwrap();
            channel.write_all(b"x").await.unwrap();
            (server, session, channel)
        });
        drop(channel);
        runtime.block_on(server.notes.until("closed echo", 1));
        drop(session);
        runtime.block_on(server.notes.until("ended", 1));
        let left = runtime.block_on(server.session());
        runtime.shutdown_background();
        drop((left, server));
    }
}
