//! A logged-in session, shared by any number of channels and closed when the last user lets go.

use std::sync::Arc;

use russh::Disconnect;
use russh::client::Handle;

use super::client::{Client, Events};
use crate::path::heard::Heard;

/// A session on which the user is logged in.
pub struct Session {
    /// Shared with channels that are being opened. Taken out when the session is dropped.
    pub(super) handle: Arc<Handle<Client>>,
    pub(super) events: Arc<Events>,
}

impl Session {
    pub(super) fn new(handle: Handle<Client>, events: Arc<Events>) -> Self {
        Self { handle: Arc::new(handle), events }
    }

    /// Whether the session is still up, as far as is known here.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.handle.is_closed()
    }

    /// Why the session ended; empty if it was not said, or if it has not.
    #[must_use]
    pub fn ended(&self) -> Heard {
        self.events.ended()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let handle = Arc::clone(&self.handle);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { part(&handle).await });
        }
    }
}

/// Ends a session that never came to be one.
pub(super) fn goodbye(handle: Handle<Client>) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move { part(&handle).await });
    }
}

/// Says goodbye, so that sshd does not log a lost connection. It is late or lost all the same when this fails.
async fn part(handle: &Handle<Client>) {
    let _said = handle.disconnect(Disconnect::ByApplication, "", "").await;
}
