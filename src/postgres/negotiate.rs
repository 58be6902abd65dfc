//! The `tls` stage: asks the server for TLS, tells what answered, and makes the handshake.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::path::heard::Heard;
use crate::path::route::Host;
use crate::tls::{Bounded, QUOTED, connect, is_flood, rest};

use super::error::TlsError;
use super::secured::Secured;
use super::sslmode::Encryption;
use super::tls::TlsSettings;

/// SSLRequest: its length (8) and its code (80877103), as the protocol's message formats give them.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// How much of an error is read instead of TLS. libpq takes at most 30,000 bytes (`MAX_ERRLEN`); the message comes first and is short.
const ERROR_READ: u64 = 1024;

/// Readies the stream for [`login`](super::login): as it is for [`Encryption::Plain`], else by Postgres' own request for TLS and a handshake.
///
/// `host` is the database's host as the last hop names it; it is what the certificate is verified against, never an address of a tunnel.
/// For [`Encryption::Plain`] nothing is sent and nothing can fail. Whatever is awaited from the peer ends after `within`.
///
/// # Errors
///
/// [`TlsError`], whose variants say what answered.
pub async fn negotiate<S>(
    stream: S,
    settings: &TlsSettings,
    encryption: Encryption,
    host: &Host,
    within: Duration,
) -> Result<Secured<S>, TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = Bounded::new(stream);
    match encryption {
        Encryption::Plain => Ok(Secured::plain(stream)),
        Encryption::Tls => encrypt(stream, settings, host, within).await,
    }
}

/// Whether a Postgres answers, without TLS: it is asked whether it has TLS, and either answer will do. The stream is of no use afterwards.
///
/// # Errors
///
/// [`TlsError`], whose variants say what answered.
pub async fn answers<S: AsyncRead + AsyncWrite + Unpin>(stream: S, within: Duration) -> Result<(), TlsError> {
    match timeout(within, ask(&mut Bounded::new(stream))).await {
        Ok(Ok(()) | Err(TlsError::NotOffered)) => Ok(()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(TlsError::Silent),
    }
}

async fn encrypt<S>(mut stream: Bounded<S>, settings: &TlsSettings, host: &Host, within: Duration) -> Result<Secured<S>, TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let asked = Instant::now();
    timeout(within, ask(&mut stream)).await.unwrap_or(Err(TlsError::Silent))?;
    let left = within.saturating_sub(asked.elapsed());
    Ok(Secured::tls(connect(stream, settings.trust(), host, left).await?))
}

/// Asks for TLS. After `Ok`, exactly one byte has been read: anything that came in the clear behind the answer is left to the handshake,
/// which will refuse it, and is never taken for something said inside TLS (CVE-2021-23222).
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut Bounded<S>) -> Result<(), TlsError> {
    let asked = async {
        stream.write_all(&SSL_REQUEST).await?;
        stream.flush().await
    };
    // A peer that has closed already may have said why before it did.
    let sent = asked.await;
    let answer = match stream.read_u8().await {
        Ok(answer) => answer,
        Err(error) if is_flood(&error) => return Err(TlsError::Flood),
        Err(_) => return Err(TlsError::Closed),
    };
    match answer {
        b'S' if sent.is_ok() => Ok(()),
        b'S' => Err(TlsError::Closed),
        b'N' => Err(TlsError::NotOffered),
        b'E' => Err(TlsError::ServerError { heard: error_message(&rest(stream, ERROR_READ).await) }),
        first => {
            let mut heard = vec![first];
            heard.extend(rest(stream, QUOTED).await);
            Err(TlsError::NotPostgres { heard: Heard::from_bytes(&heard) })
        }
    }
}

/// The message field of an ErrorResponse whose tag is read already; the text itself where a server from before protocol 3, or one that
/// could not even fork, sends a bare string.
fn error_message(body: &[u8]) -> Heard {
    if let Some((length, mut fields)) = body.split_first_chunk::<4>()
        && u32::from_be_bytes(*length) <= 30_000
    {
        while let Some((&kind, rest)) = fields.split_first() {
            let mut parts = rest.splitn(2, |byte| *byte == 0);
            let value = parts.next().unwrap_or_default();
            if kind == b'M' {
                return Heard::from_bytes(value);
            }
            fields = parts.next().unwrap_or_default();
        }
    }
    Heard::from_bytes(body.split(|byte| *byte == 0).find(|text| text.len() > 4).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rustls::HandshakeKind;
    use rustls::version::TLS13;
    use tokio::io::DuplexStream;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::postgres::sslmode::SslMode;
    use crate::postgres::testing::error_response;
    use crate::tls::HandshakeError;
    use crate::tls::testing::{Authority, Identity};

    const WITHIN: Duration = Duration::from_secs(5);

    async fn client(stream: DuplexStream) -> Result<Secured<DuplexStream>, TlsError> {
        client_within(stream, WITHIN).await
    }

    async fn client_within(stream: DuplexStream, within: Duration) -> Result<Secured<DuplexStream>, TlsError> {
        let settings = TlsSettings::new(SslMode::Require, None, None).unwrap();
        negotiate(stream, &settings, Encryption::Tls, &"db.internal".parse().unwrap(), within).await
    }

    async fn asked(server: &mut DuplexStream) {
        let mut request = [0; 8];
        server.read_exact(&mut request).await.unwrap();
        assert_eq!(request, SSL_REQUEST);
    }

    /// Answers the request with these bytes, then closes.
    async fn answered(answer: &[u8]) -> TlsError {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let server = async {
            asked(&mut theirs).await;
            // The client may hang up before the last byte, which is its right.
            let _sent = theirs.write_all(answer).await;
            drop(theirs);
        };
        tokio::join!(client(ours), server).0.err().unwrap()
    }

    #[tokio::test]
    async fn every_answer_that_is_no_consent_is_told_apart() {
        assert_eq!(answered(b"N").await, TlsError::NotOffered);
        assert_eq!(answered(b"").await, TlsError::Closed);
        assert_eq!(answered(b"S").await, HandshakeError::Cut.into());
        let heard = Heard::from_text("HTTP/1.1 400 Bad Request");
        assert_eq!(answered(b"HTTP/1.1 400 Bad Request\r\n").await, TlsError::NotPostgres { heard });
        let heard = Heard::from_text("SSH-2.0-OpenSSH_9.2p1");
        assert_eq!(answered(b"SSH-2.0-OpenSSH_9.2p1\r\n").await, HandshakeError::NotTls { heard }.into());
        let heard = Heard::from_text("sorry, too many clients already");
        assert_eq!(
            answered(&error_response("53300", "", "sorry, too many clients already")).await,
            TlsError::ServerError { heard: heard.clone() }
        );
        assert_eq!(answered(b"Esorry, too many clients already\n\0").await, TlsError::ServerError { heard });
        assert!(matches!(answered(b"E\xff\xff\xff\xff").await, TlsError::ServerError { .. }), "a lying length");
        assert!(matches!(answered(b"S\x16\x03\x03\xff\xff").await, TlsError::Handshake(HandshakeError::Cut | HandshakeError::Failed(_))));
    }

    #[tokio::test]
    async fn a_wrong_answer_is_quoted_in_part_and_soon() {
        let TlsError::NotPostgres { heard } = answered(&[b'x'; 4000]).await else { panic!("not told") };
        assert_eq!(heard.as_str().len(), 65);

        let (ours, mut theirs) = tokio::io::duplex(4096);
        let before = std::time::Instant::now();
        let server = async {
            asked(&mut theirs).await;
            theirs.write_all(b"220 mail.example ESMTP").await.unwrap();
            let mut rest = Vec::new();
            theirs.read_to_end(&mut rest).await.unwrap();
            rest
        };
        let (refused, rest) = tokio::join!(client(ours), server);
        assert_eq!(refused.err(), Some(TlsError::NotPostgres { heard: Heard::from_text("220 mail.example ESMTP") }));
        assert!(rest.is_empty() && before.elapsed() < WITHIN, "{:?}", before.elapsed());
    }

    #[tokio::test]
    async fn silence_ends_with_the_deadline() {
        let in_tls = || HandshakeError::Silent.into();
        for (answer, error) in [(&b""[..], TlsError::Silent), (b"S", in_tls()), (b"S\x16\x03\x03\x00\x7a", in_tls())] {
            let (ours, mut theirs) = tokio::io::duplex(4096);
            theirs.write_all(answer).await.unwrap();
            let silent = client_within(ours, Duration::from_millis(50)).await;
            assert_eq!(silent.err(), Some(error), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn what_is_stuffed_behind_the_consent_never_counts_as_said_in_tls() {
        let refused = answered(b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await;
        assert!(matches!(refused, TlsError::Handshake(HandshakeError::NotTls { .. })), "{refused}");
    }

    #[tokio::test]
    async fn a_flood_in_the_handshake_is_cut_off() {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let server = async {
            asked(&mut theirs).await;
            theirs.write_all(b"S").await.unwrap();
            let record = [&[0x17, 3, 3, 0x40, 0][..], &[0; 0x4000]].concat();
            while theirs.write_all(&record).await.is_ok() {}
        };
        let refused = tokio::join!(client(ours), server).0.err().unwrap();
        assert!(matches!(refused, TlsError::Handshake(HandshakeError::Flood | HandshakeError::Failed(_))), "{refused}");
    }

    #[tokio::test]
    async fn plain_says_nothing() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let settings = TlsSettings::new(SslMode::Disable, None, None).unwrap();
        let secured = negotiate(ours, &settings, Encryption::Plain, &"db".parse().unwrap(), WITHIN).await.unwrap();
        assert!(secured.encrypted().is_none() && secured.channel_binding().is_none());
        drop(secured);
        let mut said = Vec::new();
        theirs.read_to_end(&mut said).await.unwrap();
        assert!(said.is_empty());
    }

    /// What SNI the server hears from a client that connects to `host`, in one round trip.
    async fn server_name_heard(identity: &Identity, host: &str) -> Option<String> {
        let (ours, mut theirs) = tokio::io::duplex(16 * 1024);
        let server = async {
            asked(&mut theirs).await;
            theirs.write_all(b"S").await.unwrap();
            let stream = TlsAcceptor::from(identity.server(&TLS13, None)).accept(theirs).await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full), "no HelloRetryRequest");
            stream.get_ref().1.server_name().map(str::to_owned)
        };
        let settings = TlsSettings::new(SslMode::Require, None, None).unwrap();
        let host = host.parse().unwrap();
        let (secured, name) = tokio::join!(negotiate(ours, &settings, Encryption::Tls, &host, WITHIN), server);
        secured.unwrap();
        name
    }

    #[tokio::test]
    async fn only_dns_names_are_sent_as_sni() {
        let identity = Authority::new("root").server(&["db.internal"]);
        assert_eq!(server_name_heard(&identity, "db.internal").await.as_deref(), Some("db.internal"));
        assert_eq!(server_name_heard(&identity, "db.internal.").await.as_deref(), Some("db.internal"));
        for silent in ["10.0.0.5", "::1", "-odd-.internal"] {
            assert_eq!(server_name_heard(&identity, silent).await, None, "{silent}");
        }
    }
}
