//! From an open connection to a server that is the bastion: version, key exchange, host key.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use russh::Preferred;
use russh::client::{Config, GexParams, Handle, connect_stream};
use russh::keys::ssh_key::{Algorithm, EcdsaCurve, HashAlg};
use russh::{AlgorithmKind, SshId, cipher, kex, mac};
use tokio::time::timeout;

use super::client::{Client, Events, words};
use super::connect::Connected;
use super::error::HandshakeError;
use super::wire::{Hold, Transcript, Wire, is_old};
use crate::key::{HostKeys, PublicKey};
use crate::path::heard::Heard;

/// How often a silent peer is asked whether it is there: below the shortest idle limit met in practice (60 s).
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How many such questions may stay without an answer.
const KEEPALIVES: usize = 3;
/// The flow-control window of a channel: OpenSSH's own, and the best below 5 ms of round trip (measured).
const WINDOW: u32 = 2 * 1024 * 1024;

const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
    kex::DH_GEX_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// The same, as text for notes.
pub(super) const KEX_NAMES: &[&str] = &[
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group-exchange-sha256",
];

/// AES-GCM first: with AES instructions it takes half the time of chacha20-poly1305 (measured). No CBC.
const CIPHERS: &[cipher::Name] =
    &[cipher::AES_256_GCM, cipher::AES_128_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR, cipher::AES_192_CTR, cipher::AES_128_CTR];

/// The same, as text for notes.
pub(super) const CIPHER_NAMES: &[&str] =
    &["aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr"];

const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM, mac::HMAC_SHA512, mac::HMAC_SHA256];

/// What a handshake has shown.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Such as `OpenSSH_9.2p1`.
    pub server_version: String,
    /// The key exchange's name.
    pub kex: &'static str,
    /// The cipher's name.
    pub cipher: &'static str,
    /// The server's key, proven by its signature.
    pub host_key: PublicKey,
}

/// A server that proved to hold a pinned host key. Nobody is logged in.
pub struct Trusted {
    pub(super) handle: Handle<Client>,
    pub(super) events: Arc<Events>,
    pub(super) transcript: Arc<Transcript>,
    pub(super) hold: Hold,
    facts: Facts,
}

impl Trusted {
    /// What the handshake has shown.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Connected {
    /// Shakes hands, and refuses a server whose host key is not one of `host_keys`: before anything about the user is said.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]; its [`stage`](HandshakeError::stage) tells a bad host key from a bad handshake.
    pub async fn handshake(self, host_keys: &HostKeys, within: Duration) -> Result<Trusted, HandshakeError> {
        let (wire, transcript, hold) = Wire::new(self.stream);
        let (client, events) = Client::new(host_keys.clone());
        match timeout(within, connect_stream(Arc::new(config(host_keys)), wire, client)).await {
            Ok(Ok(handle)) => {
                let seen = events.seen();
                let facts = Facts {
                    server_version: software(&transcript.version().unwrap_or_default()),
                    kex: seen.kex.unwrap_or("unknown"),
                    cipher: seen.cipher.unwrap_or("unknown"),
                    host_key: seen.presented.clone().ok_or_else(|| HandshakeError::Corrupt { heard: Heard::from_text("no host key") })?,
                };
                drop(seen);
                Ok(Trusted { handle, events, transcript, hold, facts })
            }
            Ok(Err(error)) => Err(of_handshake(&error, &events, &transcript)),
            Err(_) => Err(of_silence(&transcript)),
        }
    }
}

fn config(host_keys: &HostKeys) -> Config {
    Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-terraform-provider-bastion_", env!("CARGO_PKG_VERSION")))),
        window_size: WINDOW,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES,
        // russh asks for 8192 bits by default, which costs 0.9 s a handshake (measured).
        gex: GexParams::new(2048, 3072, 8192).unwrap_or_default(),
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: Cow::Owned(host_key_algorithms(host_keys)),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            compression: Preferred::DEFAULT.compression,
        },
        ..Config::default()
    }
}

/// The kinds that are pinned, so that a server with several host keys presents one that can match. Never SHA-1.
fn host_key_algorithms(host_keys: &HostKeys) -> Vec<Algorithm> {
    let all = [
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ];
    let kind = |algorithm: &Algorithm| match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
        other => other.as_str().to_owned(),
    };
    match host_keys {
        HostKeys::Any => all.into(),
        HostKeys::Pinned { accepted, .. } => {
            all.into_iter().filter(|algorithm| accepted.iter().any(|key| key.algorithm() == kind(algorithm))).collect()
        }
    }
}

/// `OpenSSH_9.2p1` of `SSH-2.0-OpenSSH_9.2p1 Debian-2`.
fn software(version: &str) -> String {
    let software = version.splitn(3, '-').nth(2).unwrap_or(version);
    Heard::from_text(software.split_whitespace().next().unwrap_or("unknown")).to_string()
}

fn of_silence(transcript: &Transcript) -> HandshakeError {
    match transcript.version() {
        None if speaks_otherwise(&transcript.preamble()) => HandshakeError::NotSsh { heard: Heard::from_bytes(&transcript.preamble()) },
        _ => HandshakeError::Silent { heard: Heard::from_bytes(&transcript.preamble()) },
    }
}

fn of_handshake(error: &russh::Error, events: &Events, transcript: &Transcript) -> HandshakeError {
    let seen = events.seen();
    if seen.not_strict {
        return HandshakeError::NotStrict { cipher: seen.cipher.unwrap_or("unknown").to_owned() };
    }
    if let (russh::Error::UnknownKey, Some(presented)) = (error, seen.presented.clone()) {
        return if seen.revoked { HandshakeError::HostKeyRevoked { presented } } else { HandshakeError::HostKeyChanged { presented } };
    }
    if let russh::Error::NoCommonAlgo { kind, theirs, .. } = error {
        let theirs = theirs.clone();
        return match kind {
            AlgorithmKind::Key => HandshakeError::HostKeyOtherType { theirs },
            AlgorithmKind::Kex => HandshakeError::NoCommon { what: "key exchange", theirs },
            AlgorithmKind::Cipher => HandshakeError::NoCommon { what: "cipher", theirs },
            AlgorithmKind::Mac => HandshakeError::NoCommon { what: "MAC", theirs },
            AlgorithmKind::Compression => HandshakeError::NoCommon { what: "compression", theirs },
        };
    }
    let heard = Heard::from_bytes(&transcript.preamble());
    match transcript.version() {
        Some(version) if is_old(&version) => HandshakeError::OldVersion { version: Heard::from_text(&version) },
        Some(version) if is_end(error) => HandshakeError::ClosedAfterVersion { version: Heard::from_text(&version) },
        Some(_) => HandshakeError::Corrupt { heard: seen.ended.clone().filter(|heard| !heard.is_empty()).unwrap_or_else(|| words(error)) },
        None if transcript.flooded() || !is_end(error) || speaks_otherwise(&transcript.preamble()) => HandshakeError::NotSsh { heard },
        None => HandshakeError::Closed { heard },
    }
}

/// Whether what came before the end belongs to another protocol, not to an sshd that turns somebody away in plain words.
fn speaks_otherwise(preamble: &[u8]) -> bool {
    let text = String::from_utf8_lossy(preamble);
    let greeting = ["HTTP/", "220 ", "+OK", "* OK", "<"];
    !preamble.is_ascii() || preamble.contains(&0) || greeting.iter().any(|start| text.starts_with(start))
}

/// Whether the connection ended, rather than the protocol.
fn is_end(error: &russh::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    match error {
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::SendError => true,
        russh::Error::IO(error) => matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof),
        _ => false,
    }
}
