//! Which host keys a server presents: one handshake a kind of key, as `ssh-keyscan` does it. Nobody logs in.

use std::net::SocketAddr;
use std::time::Duration;

use russh::keys::ssh_key::{Algorithm, EcdsaCurve, HashAlg};

use super::connect::connect;
use super::error::{ConnectError, HandshakeError};
use super::handshake::shake_hands;
use crate::key::{HostKeys, PublicKey};

/// Why the keys are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// There is no TCP connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// There is no SSH on it.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

/// The kinds of host keys that are asked for, for messages.
pub const KINDS: [&str; 3] = ["ssh-ed25519", "ecdsa-sha2-nistp256, -384, -521", "ssh-rsa"];

/// The kinds of host keys, the best first: a server has one key of each at most.
fn kinds() -> [Vec<Algorithm>; 3] {
    let curves = [EcdsaCurve::NistP256, EcdsaCurve::NistP384, EcdsaCurve::NistP521];
    let hashes = [HashAlg::Sha512, HashAlg::Sha256];
    [
        vec![Algorithm::Ed25519],
        curves.map(|curve| Algorithm::Ecdsa { curve }).into(),
        hashes.map(|hash| Algorithm::Rsa { hash: Some(hash) }).into(),
    ]
}

/// Every host key of a server, ed25519 first. Each is proven by its signature; whose the server is, is not.
///
/// `connecting` and `handshake` bound one connection each. They are made one after the other: until its handshake is done, each counts towards
/// the server's MaxStartups.
///
/// # Errors
///
/// [`ScanError`], if a connection fails or the server has none of these kinds of keys. A server that breaks on one kind alone is taken for
/// one that lacks it.
pub async fn scan(addresses: &[SocketAddr], connecting: Duration, handshake: Duration) -> Result<Vec<PublicKey>, ScanError> {
    let mut keys = Vec::new();
    let mut missing = None;
    for kind in kinds() {
        match present(addresses, kind, connecting, handshake).await {
            Ok(key) => keys.push(key),
            Err(error) if is_of_one_kind(&error) => missing = missing.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if keys.is_empty() => Err(error),
        _ => Ok(keys),
    }
}

async fn present(
    addresses: &[SocketAddr],
    kind: Vec<Algorithm>,
    connecting: Duration,
    handshake: Duration,
) -> Result<PublicKey, ScanError> {
    let stream = connect(addresses, connecting).await?;
    let trusted = shake_hands(stream, &HostKeys::Any, kind, handshake).await?;
    Ok(trusted.facts().host_key.clone())
}

/// Whether the error may be that of one kind of key, rather than of the server or the way to it.
const fn is_of_one_kind(error: &ScanError) -> bool {
    use HandshakeError::{ClosedAfterVersion, Corrupt, HostKeyOtherType};
    // Dropbear fails an assertion, and hangs up, where a kind is asked for that it lacks.
    matches!(error, ScanError::Handshake(HostKeyOtherType { .. } | Corrupt { .. } | ClosedAfterVersion { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use crate::ssh::testing::{LONG, SHORT, Server, peer, says_and_closes};

    fn at(port: u16) -> SocketAddr {
        (std::net::Ipv4Addr::LOCALHOST, port).into()
    }

    #[tokio::test]
    async fn the_kinds_that_a_server_has_are_found_and_the_others_are_no_error() {
        let server = Server::start().await;
        assert_eq!(scan(&[at(server.port())], LONG, LONG).await, Ok(vec![server.host_key.clone()]));
    }

    fn has(said: &[u8], name: &str) -> bool {
        said.windows(name.len()).any(|part| part == name.as_bytes())
    }

    /// As dropbear does: it has one host key, and does not survive the question for another.
    #[tokio::test]
    async fn who_hangs_up_on_the_kinds_that_it_lacks_has_the_others() {
        let server = Server::start().await;
        let port = server.port();
        let dropbear = peer(move |mut client| async move {
            let mut server = TcpStream::connect(at(port)).await.unwrap();
            // The version line; then the client says what it asks for before it hears what there is.
            while let Ok(byte) = server.read_u8().await {
                client.write_u8(byte).await.unwrap();
                if byte == b'\n' {
                    break;
                }
            }
            let mut said = Vec::new();
            while !has(&said, "hmac-sha2") && client.read_buf(&mut said).await.is_ok_and(|length| length > 0) {}
            if has(&said, "ssh-ed25519") {
                server.write_all(&said).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        })
        .await;
        assert_eq!(scan(&[at(dropbear.port)], LONG, LONG).await, Ok(vec![server.host_key.clone()]));
        let hangs_up = says_and_closes("SSH-2.0-dropbear\r\n").await;
        let found = scan(&[at(hangs_up.port)], LONG, LONG).await;
        assert!(matches!(found, Err(ScanError::Handshake(HandshakeError::ClosedAfterVersion { .. }))), "{found:?}");
    }

    #[tokio::test]
    async fn what_answers_otherwise_has_no_keys() {
        let mail = says_and_closes("220 mail.example.com ESMTP\r\n").await;
        let found = scan(&[at(mail.port)], LONG, LONG).await;
        assert!(matches!(found, Err(ScanError::Handshake(HandshakeError::NotSsh { .. }))), "{found:?}");
        let closed = at(lab::free_port().unwrap());
        assert_eq!(scan(&[closed], LONG, LONG).await, Err(ScanError::Connect(ConnectError::Refused)));
    }

    #[tokio::test]
    async fn silence_is_bounded() {
        let began = std::time::Instant::now();
        let silent = lab::Peer::start(lab::Manners::Silent).unwrap();
        let found = scan(&[at(silent.port())], LONG, SHORT).await;
        assert!(matches!(found, Err(ScanError::Handshake(HandshakeError::Silent { .. }))), "{found:?}");
        assert!(began.elapsed() < SHORT * 3, "{:?}", began.elapsed());
    }
}
