//! A logged-in session, shared by any number of channels and closed when the last user lets go.

use std::sync::Arc;
use std::time::Duration;

use russh::Disconnect;
use russh::client::Handle;
use tokio::time::timeout;

use super::client::{Client, Events};
use super::wire::Hold;
use crate::path::heard::Heard;

/// How long a goodbye may take. It is one packet; a bastion that does not take it by then hears of the end from TCP.
const GOODBYE: Duration = Duration::from_secs(1);

/// A session on which the user is logged in. Its end ends its channels.
pub struct Session {
    /// Shared with channels that are being opened.
    pub(super) handle: Arc<Handle<Client>>,
    pub(super) events: Arc<Events>,
    pub(super) hold: Arc<Hold>,
}

impl Session {
    pub(super) fn new(handle: Handle<Client>, events: Arc<Events>, hold: Hold) -> Self {
        Self { handle: Arc::new(handle), events, hold: Arc::new(hold) }
    }

    /// Whether the session is still up, as far as is known here.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.handle.is_closed() && !self.hold.is_cut()
    }

    /// Why the session ended; empty if it was not said, or if it has not.
    #[must_use]
    pub fn ended(&self) -> Heard {
        self.events.ended()
    }

    /// Ends the session without a goodbye: nobody listens.
    pub(super) fn give_up(&self, why: &str) {
        self.events.seen().ended.get_or_insert_with(|| Heard::from_text(why));
        self.hold.cut();
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
