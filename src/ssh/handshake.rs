//! From an open stream to a server that is the bastion: version, key exchange, host key.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use russh::Preferred;
use russh::client::{Config, GexParams, Handle, connect_stream};
use russh::keys::ssh_key::{Algorithm, EcdsaCurve, HashAlg};
use russh::{AlgorithmKind, SshId, cipher, kex, mac};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::client::{Client, Events, words};
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

pub(super) const KEX: &[kex::Name] = &[
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

/// AES-GCM first: with AES instructions it takes half the time of chacha20-poly1305 (measured). No CBC.
pub(super) const CIPHERS: &[cipher::Name] =
    &[cipher::AES_256_GCM, cipher::AES_128_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR, cipher::AES_192_CTR, cipher::AES_128_CTR];

const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM, mac::HMAC_SHA512, mac::HMAC_SHA256];

/// What a handshake has shown.
#[derive(Clone, Debug)]
#[non_exhaustive]
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

/// Shakes hands over a stream that is open to an SSH server, and refuses one whose host key is not one of `host_keys`: before anything
/// about the user is said.
///
/// # Errors
///
/// [`HandshakeError`].
pub async fn handshake<S>(stream: S, host_keys: &HostKeys, within: Duration) -> Result<Trusted, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    shake_hands(stream, host_keys, host_key_algorithms(host_keys), within).await
}

/// As [`handshake`], with host keys of these kinds only.
pub(super) async fn shake_hands<S>(
    stream: S,
    host_keys: &HostKeys,
    algorithms: Vec<Algorithm>,
    within: Duration,
) -> Result<Trusted, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (wire, transcript, hold) = Wire::new(stream);
    let (client, events) = Client::new(host_keys.clone());
    match timeout(within, connect_stream(Arc::new(config(algorithms)), wire, client)).await {
        Ok(Ok(handle)) => {
            let seen = events.seen();
            // russh takes whatever name stands in the signature, SHA-1 included.
            let signature = transcript.signature().unwrap_or_else(|| "unknown".to_owned());
            if seen.signature.as_ref() != Some(&signature) {
                return Err(HandshakeError::WeakSignature { signature });
            }
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

fn config(host_key_algorithms: Vec<Algorithm>) -> Config {
    Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-terraform-provider-bastion_", env!("CARGO_PKG_VERSION")))),
        window_size: WINDOW,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES,
        // russh asks for 8192 bits by default, which costs 0.9 s a handshake (measured).
        gex: GexParams::new(2048, 3072, 8192).unwrap_or_default(),
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: Cow::Owned(host_key_algorithms),
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
    match host_keys {
        HostKeys::Any => all.into(),
        HostKeys::Pinned { accepted, .. } => {
            all.into_iter().filter(|algorithm| accepted.iter().any(|key| key.algorithm() == kind_of(algorithm))).collect()
        }
    }
}

/// The kind of key that signs with an algorithm.
fn kind_of(algorithm: &Algorithm) -> &str {
    match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa",
        other => other.as_str(),
    }
}

/// Whether a handshake ever asks for a key of this kind.
pub(super) fn is_asked_for(key: &PublicKey) -> bool {
    host_key_algorithms(&HostKeys::Any).iter().any(|algorithm| key.algorithm() == kind_of(algorithm))
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
    if let russh::Error::NoCommonAlgo { kind, ours, theirs } = error {
        let theirs = theirs.clone();
        // What stands among the key exchanges as an extension is none.
        let ours = ours.iter().filter(|name| !name.starts_with("ext-info") && !name.starts_with("kex-strict")).cloned().collect();
        return match kind {
            AlgorithmKind::Key => HandshakeError::HostKeyOtherType { theirs },
            AlgorithmKind::Kex => HandshakeError::NoCommon { what: "key exchange", ours, theirs },
            AlgorithmKind::Cipher => HandshakeError::NoCommon { what: "cipher", ours, theirs },
            AlgorithmKind::Mac => HandshakeError::NoCommon { what: "MAC", ours, theirs },
            AlgorithmKind::Compression => HandshakeError::NoCommon { what: "compression", ours, theirs },
        };
    }
    if matches!(error, russh::Error::WrongServerSig) && !transcript.offers_strict() {
        return HandshakeError::Stripped;
    }
    let heard = Heard::from_bytes(&transcript.preamble());
    match transcript.version() {
        Some(version) if is_old(&version) => HandshakeError::OldVersion { version: Heard::from_text(&version) },
        Some(version) if is_end(error) => HandshakeError::ClosedAfterVersion { version: Heard::from_text(&version) },
        Some(_) => HandshakeError::Corrupt { heard: seen.ended.clone().filter(|heard| !heard.is_empty()).unwrap_or_else(|| words(error)) },
        None if transcript.flooded() || !is_end(error) || speaks_otherwise(&transcript.preamble()) => HandshakeError::NotSsh { heard },
        // What the operating system says of a reset is all there is.
        None if heard.is_empty() && is_reset(error) => HandshakeError::Closed { heard: words(error) },
        None => HandshakeError::Closed { heard },
    }
}

/// Whether what came before the end belongs to another protocol, not to an sshd that turns somebody away in plain words.
fn speaks_otherwise(preamble: &[u8]) -> bool {
    let text = String::from_utf8_lossy(preamble);
    let greeting = ["HTTP/", "220 ", "+OK", "* OK", "<"];
    !preamble.is_ascii() || preamble.contains(&0) || greeting.iter().any(|start| text.starts_with(start))
}

fn is_reset(error: &russh::Error) -> bool {
    matches!(error, russh::Error::IO(error) if error.kind() == io::ErrorKind::ConnectionReset)
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use russh::server::Auth;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::mpsc;

    use super::*;
    use crate::key::PrivateKey;
    use crate::ssh::testing::{LONG, Peer, SHORT, Server, connected, only, peer, pinned, rsa_key, says_and_closes, signs_with};

    async fn fails(peer: &Peer, within: Duration) -> HandshakeError {
        handshake(connected(peer.port).await, &HostKeys::Any, within).await.err().unwrap()
    }

    fn heard(text: &str) -> Heard {
        Heard::from_text(text)
    }

    /// Says this and keeps the connection.
    async fn says(words: &'static [u8]) -> Peer {
        peer(move |mut client| async move {
            let _ = client.write_all(words).await;
            let _ = client.read_to_end(&mut Vec::new()).await;
        })
        .await
    }

    #[tokio::test]
    async fn silence_is_bounded() {
        let began = Instant::now();
        assert_eq!(fails(&says(b"").await, SHORT).await, HandshakeError::Silent { heard: heard("") });
        let version = says(b"SSH-2.0-half\r\n").await;
        assert_eq!(fails(&version, SHORT).await, HandshakeError::Silent { heard: heard("SSH-2.0-half") });
        assert!(began.elapsed() < SHORT * 3, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_dripped_version_is_bounded() {
        let drip = peer(|mut client| async move {
            for byte in b"SSH-2.0-OpenSSH_9.2p1 and so on for a long time".iter().cycle() {
                if client.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert!(matches!(fails(&drip, SHORT).await, HandshakeError::Silent { heard } if heard.as_str().starts_with("SSH-")));
    }

    #[tokio::test]
    async fn a_close_before_the_version_keeps_the_words_before_it() {
        for words in ["", "Exceeded MaxStartups", "Not allowed at this time"] {
            let line = match words {
                "" => "",
                "Exceeded MaxStartups" => "Exceeded MaxStartups\r\n",
                _ => "Not allowed at this time\r\n",
            };
            assert_eq!(fails(&says_and_closes(line).await, LONG).await, HandshakeError::Closed { heard: heard(words) });
        }
    }

    #[tokio::test]
    async fn a_close_after_the_version_is_another_thing() {
        let closes = says_and_closes("SSH-2.0-short\r\n").await;
        assert_eq!(fails(&closes, LONG).await, HandshakeError::ClosedAfterVersion { version: heard("SSH-2.0-short") });
    }

    #[tokio::test]
    async fn other_protocols_are_known_at_once() {
        let began = Instant::now();
        let http = says(b"HTTP/1.1 400 Bad Request\r\nConnection: keep-alive\r\n\r\n").await;
        assert!(matches!(fails(&http, LONG).await, HandshakeError::NotSsh { heard } if heard.as_str().starts_with("HTTP/1.1 400")));
        let old = says(b"SSH-1.5-Cisco\r\n").await;
        assert_eq!(fails(&old, LONG).await, HandshakeError::OldVersion { version: heard("SSH-1.5-Cisco") });
        let mail = says_and_closes("220 mail.example.com ESMTP\r\n").await;
        assert!(matches!(fails(&mail, LONG).await, HandshakeError::NotSsh { .. }));
        assert!(began.elapsed() < LONG / 4, "{:?}", began.elapsed());
        let waiting = says(b"220 mail.example.com ESMTP\r\n").await;
        assert!(matches!(fails(&waiting, SHORT).await, HandshakeError::NotSsh { .. }));
    }

    /// Says a version, if any, and then this again and again; tells how much it got rid of.
    async fn floods(version: &'static [u8], piece: Vec<u8>) -> (Peer, mpsc::UnboundedReceiver<usize>) {
        let (tell, told) = mpsc::unbounded_channel();
        let peer = peer(move |mut client| {
            let (piece, tell) = (piece.clone(), tell.clone());
            async move {
                let _ = client.write_all(version).await;
                let mut sent = 0;
                while sent < 16 * 1024 * 1024 && client.write_all(&piece).await.is_ok() {
                    sent += piece.len();
                }
                let _ = tell.send(sent);
            }
        })
        .await;
        (peer, told)
    }

    #[tokio::test]
    async fn a_flood_is_cut_off_before_and_after_the_version() {
        let began = Instant::now();
        let (lines, _) = floods(b"", b"welcome to the jungle\r\n".to_vec()).await;
        assert!(matches!(fails(&lines, LONG).await, HandshakeError::NotSsh { .. }));
        // SSH_MSG_IGNORE: length, padding length, type, string, padding.
        let packet = [&[0, 0, 0x7f, 0xfc, 4, 2, 0, 0, 0x7f, 0xf2][..], &[0; 0x7ff6]].concat();
        let (ignored, mut sent) = floods(b"SSH-2.0-flood\r\n", packet).await;
        let words = heard("more than any SSH server sends before the login");
        assert_eq!(fails(&ignored, LONG).await, HandshakeError::Corrupt { heard: words });
        // What it got rid of filled the buffers of two sockets, no more.
        assert!(sent.recv().await.unwrap() < 16 * 1024 * 1024);
        assert!(began.elapsed() < LONG / 4, "{:?}", began.elapsed());
    }

    /// russh's own task goes on when a handshake is given up in the middle, as long as it has a socket.
    #[tokio::test]
    async fn a_handshake_that_is_given_up_leaves_no_connection() {
        let (tell, mut told) = mpsc::unbounded_channel();
        let stalls = peer(move |mut client| {
            let tell = tell.clone();
            async move {
                let _ = client.write_all(b"SSH-2.0-stalls\r\n").await;
                let _ = client.read_to_end(&mut Vec::new()).await;
                let _ = tell.send(());
            }
        })
        .await;
        assert!(matches!(fails(&stalls, SHORT).await, HandshakeError::Silent { .. }));
        timeout(LONG, told.recv()).await.expect("the connection stays after a timeout").unwrap();
        let dropped = timeout(SHORT, handshake(connected(stalls.port).await, &HostKeys::Any, LONG)).await;
        assert!(dropped.is_err());
        timeout(LONG, told.recv()).await.expect("the connection stays after a cancellation").unwrap();
    }

    #[tokio::test]
    async fn a_pinned_key_is_trusted_and_told() {
        let server = Server::start().await;
        for host_keys in [pinned(&server.host_key), HostKeys::Any] {
            let trusted = server.handshake(&host_keys).await.ok().unwrap();
            assert_eq!(trusted.facts().host_key, server.host_key);
            assert_eq!((trusted.facts().kex, trusted.facts().cipher), ("mlkem768x25519-sha256", "aes256-gcm@openssh.com"));
            assert!(trusted.facts().server_version.starts_with("russh"), "{:?}", trusted.facts());
        }
        // Nobody logged in, and the connections end with their values.
        server.notes.until("ended", 2).await;
    }

    #[tokio::test]
    async fn another_host_key_ends_it_before_the_user_is_named() {
        let server = Server::start().await;
        let other = PrivateKey::generate_ed25519().unwrap().public();
        let changed = server.handshake(&pinned(&other)).await.err().unwrap();
        assert_eq!(changed, HandshakeError::HostKeyChanged { presented: server.host_key.clone() });
        let accepted = vec![server.host_key.clone()];
        let both = HostKeys::Pinned { accepted: accepted.clone(), revoked: accepted };
        let revoked = server.handshake(&both).await.err().unwrap();
        assert_eq!(revoked, HandshakeError::HostKeyRevoked { presented: server.host_key.clone() });
        let curve = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };
        let curve = russh::keys::PrivateKey::random(&mut russh::keys::key::safe_rng(), curve).unwrap();
        let kind = server.handshake(&pinned(&PublicKey::from_russh(curve.public_key()).unwrap())).await.err().unwrap();
        assert_eq!(kind, HandshakeError::HostKeyOtherType { theirs: vec!["ssh-ed25519".to_owned()] });
        server.notes.until("ended", 3).await;
        assert_eq!(server.notes.count("offered tf"), 0);
    }

    /// russh takes any of them, whatever was agreed.
    #[tokio::test]
    async fn a_host_key_signs_as_it_was_agreed_and_never_with_sha_1() {
        let key = rsa_key();
        for (hash, signature) in [(None, "ssh-rsa"), (Some(HashAlg::Sha256), "rsa-sha2-256")] {
            let server = signs_with(key.clone(), hash).await;
            let refused = handshake(connected(server.port).await, &pinned(&key.public()), LONG).await.err();
            assert_eq!(refused, Some(HandshakeError::WeakSignature { signature: signature.to_owned() }));
        }
        let honest = signs_with(key.clone(), Some(HashAlg::Sha512)).await;
        assert!(handshake(connected(honest.port).await, &pinned(&key.public()), LONG).await.is_ok());
    }

    #[tokio::test]
    async fn without_a_common_algorithm_both_lists_are_known() {
        let server = Server::with(|_, _| Auth::Accept, |config| config.preferred.kex = only(&[kex::DH_G1_SHA1])).await;
        let theirs = vec!["diffie-hellman-group1-sha1".to_owned()];
        let names = |text: &str| text.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
        let exchanges = names(
            "mlkem768x25519-sha256 curve25519-sha256 curve25519-sha256@libssh.org ecdh-sha2-nistp256 ecdh-sha2-nistp384 \
             ecdh-sha2-nistp521 diffie-hellman-group16-sha512 diffie-hellman-group14-sha256 diffie-hellman-group-exchange-sha256",
        );
        let ciphers = names("aes256-gcm@openssh.com aes128-gcm@openssh.com chacha20-poly1305@openssh.com aes256-ctr aes192-ctr aes128-ctr");
        assert_eq!(
            server.handshake(&HostKeys::Any).await.err().unwrap(),
            HandshakeError::NoCommon { what: "key exchange", ours: exchanges, theirs }
        );
        let server = Server::with(|_, _| Auth::Accept, |config| config.preferred.cipher = only(&[cipher::AES_256_CBC])).await;
        let theirs = vec!["aes256-cbc".to_owned()];
        assert_eq!(
            server.handshake(&HostKeys::Any).await.err().unwrap(),
            HandshakeError::NoCommon { what: "cipher", ours: ciphers, theirs }
        );
    }

    #[tokio::test]
    async fn chacha20_needs_strict_key_exchange() {
        let chacha = |config: &mut russh::server::Config| config.preferred.cipher = only(&[cipher::CHACHA20_POLY1305]);
        let strict = Server::with(|_, _| Auth::Accept, chacha).await;
        assert_eq!(strict.handshake(&HostKeys::Any).await.ok().unwrap().facts().cipher, "chacha20-poly1305@openssh.com");
        let stripped = |config: &mut russh::server::Config| {
            chacha(config);
            config.preferred.kex = only(&[kex::CURVE25519]);
        };
        let lax = Server::with(|_, _| Auth::Accept, stripped).await;
        let refused = lax.handshake(&HostKeys::Any).await.err().unwrap();
        assert_eq!(refused, HandshakeError::NotStrict { cipher: "chacha20-poly1305@openssh.com".to_owned() });
        lax.notes.until("ended", 1).await;
    }

    #[test]
    fn a_session_asks_a_silent_peer_whether_it_is_there_and_takes_no_sha1() {
        let config = config(host_key_algorithms(&HostKeys::Any));
        assert!(config.keepalive_interval.unwrap() < Duration::from_secs(60) && config.keepalive_max > 0);
        assert_eq!(config.preferred.key.len(), 6);
        assert!(!config.preferred.key.contains(&Algorithm::Rsa { hash: None }));
    }
}
