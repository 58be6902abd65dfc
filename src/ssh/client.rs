//! What russh tells its handler, kept where the room's verbs find it: russh itself drops most of what a diagnosis needs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::Names;
use russh::client::{DisconnectReason, Handler, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{ChannelId, ChannelOpenFailure, cipher};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::key::{HostKeys, PublicKey};
use crate::path::heard::Heard;

/// How long a session waits until the words of a refusal are taken. The verb that asked has been woken just before, so that is
/// microseconds; a second is for a machine that swaps.
const TAKING: Duration = Duration::from_secs(1);

/// What happened on one session.
pub(super) struct Events {
    seen: Mutex<Seen>,
    refusals: tokio::sync::Mutex<mpsc::Receiver<Heard>>,
}

#[derive(Default)]
pub(super) struct Seen {
    pub(super) presented: Option<PublicKey>,
    pub(super) revoked: bool,
    pub(super) kex: Option<&'static str>,
    pub(super) cipher: Option<&'static str>,
    pub(super) not_strict: bool,
    /// Why the session ended.
    pub(super) ended: Option<Heard>,
}

impl Events {
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the session ended; empty if that was not said.
    pub(super) fn ended(&self) -> Heard {
        self.seen().ended.clone().unwrap_or_default()
    }

    /// The words of the refusal that woke the caller; empty if the session has ended meanwhile.
    pub(super) async fn refusal(&self) -> Heard {
        self.refusals.lock().await.recv().await.unwrap_or_default()
    }
}

/// The handler of one session.
pub(super) struct Client {
    host_keys: HostKeys,
    events: Arc<Events>,
    refusals: mpsc::Sender<Heard>,
}

impl Client {
    pub(super) fn new(host_keys: HostKeys) -> (Self, Arc<Events>) {
        // One place: a refusal is taken before the next one is told.
        let (refusals, taken) = mpsc::channel(1);
        let events = Arc::new(Events { seen: Mutex::default(), refusals: tokio::sync::Mutex::new(taken) });
        (Self { host_keys, events: Arc::clone(&events), refusals }, events)
    }
}

/// russh lends its names only for as long as a call.
fn name_of(name: &str, known: &[&'static str]) -> &'static str {
    known.iter().find(|known| **known == name).copied().unwrap_or("unknown")
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = presented else { return Ok(false) };
        let Ok(key) = PublicKey::from_russh(key) else { return Ok(false) };
        let (trusted, revoked) = match &self.host_keys {
            HostKeys::Any => (true, false),
            HostKeys::Pinned { accepted, revoked } => (accepted.contains(&key), revoked.contains(&key)),
        };
        let mut seen = self.events.seen();
        seen.presented = Some(key);
        seen.revoked = revoked;
        Ok(trusted && !revoked)
    }

    async fn kex_done(&mut self, _secret: Option<&[u8]>, names: &Names, _session: &mut Session) -> Result<(), Self::Error> {
        let mut seen = self.events.seen();
        let first = seen.kex.is_none();
        seen.kex = Some(name_of(names.kex.as_ref(), super::handshake::KEX_NAMES));
        seen.cipher = Some(name_of(names.cipher.as_ref(), super::handshake::CIPHER_NAMES));
        if first && !names.strict_kex() && names.cipher == cipher::CHACHA20_POLY1305 {
            seen.not_strict = true;
            return Err(russh::Error::Kex);
        }
        Ok(())
    }

    /// russh's error for a refused channel has neither the server's words nor the channel's number. It has woken the verb that asked for
    /// this channel, and wakes the next one after this call; so the words go to the right one if this call waits until they are taken.
    async fn channel_open_failure(
        &mut self,
        _channel: ChannelId,
        _reason: ChannelOpenFailure,
        description: &str,
        _language: &str,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Both fail only when nobody is left who could want the words.
        let _told = self.refusals.send(Heard::from_text(description)).await;
        let _taken = timeout(TAKING, self.refusals.reserve()).await;
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        let (heard, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => (Heard::from_text(&info.message), Ok(())),
            // The ordinary end, after our own goodbye.
            DisconnectReason::Error(russh::Error::Disconnect) => (Heard::default(), Err(russh::Error::Disconnect)),
            DisconnectReason::Error(error) => (words(&error), Err(error)),
        };
        self.events.seen().ended.get_or_insert(heard);
        result
    }
}

/// russh's errors in the words of people.
pub(super) fn words(error: &russh::Error) -> Heard {
    match error {
        russh::Error::KeepaliveTimeout => Heard::from_text("no answer to keepalives"),
        russh::Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Heard::from_text("the connection was closed"),
        russh::Error::IO(error) => {
            let text = error.to_string();
            Heard::from_text(text.split(" (os error").next().unwrap_or(&text))
        }
        other => Heard::from_text(&other.to_string()),
    }
}
