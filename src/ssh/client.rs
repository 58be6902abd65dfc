//! What russh tells its handler, kept where the room's verbs find it: russh itself drops most of what a diagnosis needs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel as RusshChannel, ChannelId, ChannelOpenFailure, Names, cipher};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::wire::Refused;
use crate::key::{HostKeys, PublicKey};
use crate::path::heard::Heard;

/// How long a session waits until the words of a refusal are taken. The verb that asked has been woken just before, so that is
/// microseconds; a second is for a machine that swaps.
const TAKING: Duration = Duration::from_secs(1);

/// What happened on one session.
pub(super) struct Events {
    seen: Mutex<Seen>,
    refusals: tokio::sync::Mutex<mpsc::Receiver<Heard>>,
    channels: Mutex<HashMap<ChannelId, Ending>>,
}

#[derive(Default)]
pub(super) struct Seen {
    pub(super) presented: Option<PublicKey>,
    pub(super) revoked: bool,
    /// How the host key is to sign, as agreed.
    pub(super) signature: Option<String>,
    pub(super) kex: Option<&'static str>,
    pub(super) cipher: Option<&'static str>,
    pub(super) not_strict: bool,
    /// Why the session ended.
    pub(super) ended: Option<Heard>,
}

/// An open channel: how its far side has ended, and what of it waits.
#[derive(Default)]
struct Ending {
    ended: Option<End>,
    waits: Option<Waker>,
    /// How many bytes have come and were not read yet; below zero while what was read has not been counted in.
    unread: i64,
}

/// How a channel ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The far side said that no more will come.
    InOrder,
    /// It is gone without a word.
    Broken,
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

    /// Nobody has taken the words of a refusal.
    fn forget_refusal(&self) {
        if let Ok(mut refusals) = self.refusals.try_lock() {
            let _words = refusals.try_recv();
        }
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<ChannelId, Ending>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How an open channel has ended, once it has. What was never open is broken.
    pub(super) fn poll_end(&self, channel: ChannelId, cx: &Context<'_>) -> Poll<End> {
        match self.channels().get_mut(&channel) {
            Some(Ending { ended: None, waits, .. }) => {
                *waits = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(Ending { ended: Some(end), .. }) => Poll::Ready(*end),
            None => Poll::Ready(End::Broken),
        }
    }

    /// So many bytes of a channel were read.
    pub(super) fn read(&self, channel: ChannelId, bytes: usize) {
        if let Some(ending) = self.channels().get_mut(&channel) {
            ending.unread = ending.unread.saturating_sub(count(bytes));
        }
    }

    /// How many bytes wait to be read.
    pub(super) fn backlog(&self) -> i64 {
        self.channels().values().map(|ending| ending.unread).sum()
    }

    /// A channel is let go of.
    pub(super) fn forget(&self, channel: ChannelId) {
        self.channels().remove(&channel);
    }

    /// Notes how an open channel ends; the first end counts. False if it is not open.
    fn note(&self, channel: ChannelId, end: End) -> bool {
        let mut channels = self.channels();
        let Some(ending) = channels.get_mut(&channel) else { return false };
        ending.ended.get_or_insert(end);
        if let Some(waits) = ending.waits.take() {
            waits.wake();
        }
        true
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
        let events = Arc::new(Events { seen: Mutex::default(), refusals: tokio::sync::Mutex::new(taken), channels: Mutex::default() });
        (Self { host_keys, events: Arc::clone(&events), refusals }, events)
    }
}

fn count(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// russh lends its names only for as long as a call.
fn name_of<T: AsRef<str>>(name: &str, known: &'static [T]) -> &'static str {
    known.iter().map(AsRef::as_ref).find(|known| *known == name).unwrap_or("unknown")
}

/// Nothing was asked for that a server could open a channel for, so each one is refused, as OpenSSH does: kept, they fill the memory.
macro_rules! refuse_each {
    ($($kind:ident($($detail:ty),*);)*) => {
        $(async fn $kind(
            &mut self,
            _: RusshChannel<Msg>,
            $(_: $detail,)*
            reply: ChannelOpenHandle,
            _: &mut Session,
        ) -> Result<(), Self::Error> {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            Ok(())
        })*
    };
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
        seen.signature.get_or_insert_with(|| names.key.as_str().to_owned());
        seen.kex = Some(name_of(names.kex.as_ref(), super::handshake::KEX));
        seen.cipher = Some(name_of(names.cipher.as_ref(), super::handshake::CIPHERS));
        if first && !names.strict_kex() && names.cipher == cipher::CHACHA20_POLY1305 {
            seen.not_strict = true;
            return Err(russh::Error::Kex);
        }
        Ok(())
    }

    async fn channel_open_confirmation(
        &mut self,
        id: ChannelId,
        _packet: u32,
        _window: u32,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.events.channels().insert(id, Ending::default());
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Self::Error> {
        if let Some(ending) = self.events.channels().get_mut(&channel) {
            ending.unread = ending.unread.saturating_add(count(data.len()));
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.events.note(channel, End::InOrder);
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.events.note(channel, End::InOrder);
        Ok(())
    }

    /// russh's error for a refused channel has neither the server's words nor the channel's number. It has woken the verb that asked for
    /// this channel, and wakes the next one after this call; so the words go to the right one if this call waits until they are taken.
    async fn channel_open_failure(
        &mut self,
        channel: ChannelId,
        _reason: ChannelOpenFailure,
        description: &str,
        _language: &str,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Of a channel that is open it is an attack: nobody takes these words, and they are not to wait for the next refusal.
        if self.events.note(channel, End::Broken) {
            return Ok(());
        }
        // Both fail only when nobody is left who could want the words.
        let _told = timeout(TAKING, self.refusals.send(Heard::from_text(description))).await;
        if timeout(TAKING, self.refusals.reserve()).await.is_err() {
            // Of a channel that was dropped just now: else they would be taken for the words of the next refusal.
            self.events.forget_refusal();
        }
        Ok(())
    }

    refuse_each! {
        server_channel_open_session();
        server_channel_open_direct_tcpip(&str, u32, &str, u32);
        server_channel_open_direct_streamlocal(&str);
        server_channel_open_forwarded_tcpip(&str, u32, &str, u32);
        server_channel_open_forwarded_streamlocal(&str);
        server_channel_open_agent_forward();
        server_channel_open_x11(&str, u32);
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

/// russh's errors in the words of people; empty where russh's own are all there is, for those are not the peer's.
pub(super) fn words(error: &russh::Error) -> Heard {
    match error {
        russh::Error::KeepaliveTimeout => Heard::from_text("no answer to keepalives"),
        russh::Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Heard::from_text("the connection was closed"),
        russh::Error::IO(error) => Refused::of(error).map_or_else(|| Heard::from_system(error), |Refused(why)| Heard::from_text(why)),
        _ => Heard::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::ssh::wire::Refused;

    /// What is told as heard is a peer's, the operating system's or ours: a library's words say how it is built.
    #[test]
    fn russhs_own_words_are_never_told() {
        let reset = || io::Error::from_raw_os_error(104);
        let of_libraries = [
            russh::Error::Kex,
            russh::Error::PacketAuth,
            russh::Error::Inconsistent,
            russh::Error::NoAuthMethod,
            russh::Error::SendError,
            russh::Error::DecryptionError,
            russh::Error::PacketSize(7),
            russh::Error::WrongServerSig,
            russh::Error::InvalidConfig("words".to_owned()),
            russh::Error::IO(io::Error::other(russh::Error::Kex)),
            russh::Error::IO(io::Error::new(io::ErrorKind::InvalidData, "words of a library")),
            russh::Error::StrictKeyExchangeViolation { message_type: 2, sequence_number: 1 },
        ];
        for error in of_libraries {
            assert_eq!(words(&error), Heard::default(), "{error}");
        }
        assert_eq!(words(&russh::Error::IO(reset())).as_str(), "Connection reset by peer");
        assert_eq!(words(&russh::Error::IO(io::Error::other(Refused("hung up")))).as_str(), "hung up");
    }
}
