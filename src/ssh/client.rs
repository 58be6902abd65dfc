//! What russh tells its handler, kept where the room's verbs find it: russh itself drops most of what a diagnosis needs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::Names;
use russh::client::{DisconnectReason, Handler, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{ChannelId, ChannelOpenFailure, cipher};

use crate::key::{HostKeys, PublicKey};
use crate::path::heard::Heard;

/// How many refused channels are remembered. Each is taken out by the verb that asked; only an abandoned one stays.
const REFUSALS: usize = 256;

/// What happened on one session.
#[derive(Default)]
pub(super) struct Events(Mutex<Seen>);

#[derive(Default)]
pub(super) struct Seen {
    pub(super) presented: Option<PublicKey>,
    pub(super) revoked: bool,
    pub(super) kex: Option<&'static str>,
    pub(super) cipher: Option<&'static str>,
    pub(super) not_strict: bool,
    pub(super) refusals: HashMap<u64, Heard>,
    pub(super) last_refusal: Heard,
    /// Why the session ended.
    pub(super) ended: Option<Heard>,
}

impl Events {
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the session ended; empty if that was not said.
    pub(super) fn ended(&self) -> Heard {
        self.seen().ended.clone().unwrap_or_default()
    }
}

/// The handler of one session.
pub(super) struct Client {
    pub(super) host_keys: HostKeys,
    pub(super) events: Arc<Events>,
}

/// Leaked once per process and name: russh owns its names only for as long as a borrow.
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

    async fn channel_open_failure(
        &mut self,
        channel: ChannelId,
        _reason: ChannelOpenFailure,
        description: &str,
        _language: &str,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let heard = Heard::from_text(description);
        let mut seen = self.events.seen();
        if seen.refusals.len() < REFUSALS {
            seen.refusals.insert(u64::from(u32::from(channel)), heard.clone());
        }
        seen.last_refusal = heard;
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
