//! The handshake, over any stream: what it has proven, or why it failed.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{DnsName, IpAddr, ServerName};
use rustls::{AlertDescription, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::path::heard::Heard;
use crate::path::route::Host;

use super::bounded::{Bounded, is_flood};
use super::certificate::{Demand, Verifier};
use super::channel_binding::tls_server_end_point;
use super::error::HandshakeError;
use super::trust::Trust;

/// How much of a wrong answer is read in order to quote it: a greeting line of SSH, SMTP or HTTP.
pub const QUOTED: u64 = 64;

/// How long the rest of a wrong answer is waited for. It has begun to arrive, mostly in one packet; a quote is not worth more.
const REST_WITHIN: Duration = Duration::from_millis(300);

/// How far the server's certificate was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Not at all (`require` without a root certificate): whoever holds the wire can be the server.
    Nothing,
    /// It leads to a root certificate.
    Chain,
    /// It leads to a root certificate and is for this host.
    Host(String),
}

/// What is known of a TLS connection. Its text is a note for people: `TLS 1.3, verified orders.abc.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encrypted {
    /// `TLS 1.3` or `TLS 1.2`.
    pub version: &'static str,
    /// The cipher suite's name in its specification.
    pub cipher_suite: String,
    /// How far the certificate was verified.
    pub verified: Verified,
}

impl fmt::Display for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verified {
            Verified::Nothing => write!(f, "{}, certificate not verified", self.version),
            Verified::Chain => write!(f, "{}, verified certificate authority", self.version),
            Verified::Host(host) => write!(f, "{}, verified {host}", self.version),
        }
    }
}

/// A finished handshake.
#[non_exhaustive]
pub struct Secure<S> {
    /// What is said inside TLS.
    pub stream: TlsStream<Bounded<S>>,
    /// What is known of TLS.
    pub encrypted: Encrypted,
    /// `tls-server-end-point` (RFC 5929); `None` for certificates whose signature has no hash, as Ed25519.
    pub channel_binding: Option<Vec<u8>>,
}

/// Makes the handshake with a peer that agreed to it.
///
/// `host` is the server's name as the last hop names it; it is what the certificate is verified against, never an address of a tunnel.
///
/// # Errors
///
/// [`HandshakeError`], whose variants say who is at fault.
pub async fn connect<S>(stream: Bounded<S>, trust: &Trust, host: &Host, within: Duration) -> Result<Secure<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    timeout(within, shake_hands(stream, trust, host)).await.unwrap_or(Err(HandshakeError::Silent))
}

async fn shake_hands<S>(stream: Bounded<S>, trust: &Trust, host: &Host) -> Result<Secure<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let before = stream.opening().len();
    let (config, verifier) = trust.for_host(host).map_err(|error| HandshakeError::Failed((&error).into()))?;
    let connect = TlsConnector::from(Arc::new(config)).connect(server_name(host), stream);
    match connect.into_fallible().await {
        Ok(stream) => Ok(finished(stream, trust, host)),
        Err((error, mut stream)) => {
            if stream.opening().len() <= before {
                // The peer took no more, but may have spoken before it went: an SSH server does.
                rest(&mut stream, QUOTED).await;
            }
            Err(failure(&error, &verifier, stream.opening(), before))
        }
    }
}

/// Reads what comes within a moment, `most` bytes at the most.
pub async fn rest<S: AsyncRead + Unpin>(stream: &mut Bounded<S>, most: u64) -> Vec<u8> {
    let mut read = Vec::new();
    // Whatever ends it, the time, the peer or an error: what has come until then is the quote.
    let _ended = timeout(REST_WITHIN, stream.take(most).read_to_end(&mut read)).await;
    read
}

/// For the handshake's own use: a DNS name goes into SNI, an address does not. What is verified is the [`Verifier`]'s host.
fn server_name(host: &Host) -> ServerName<'static> {
    let bare = host.as_str().trim_end_matches('.');
    if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        return ServerName::IpAddress(address.into());
    }
    match DnsName::try_from(bare.to_owned()) {
        Ok(name) => ServerName::DnsName(name),
        // A resolver may know names that DNS does not allow, and SNI cannot carry those; an address keeps it silent.
        Err(_) => ServerName::IpAddress(IpAddr::from(std::net::IpAddr::from([0, 0, 0, 0]))),
    }
}

fn finished<S>(stream: TlsStream<Bounded<S>>, trust: &Trust, host: &Host) -> Secure<S> {
    let (_, session) = stream.get_ref();
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS 1.3",
    };
    let cipher_suite = session.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
    let channel_binding = session.peer_certificates().and_then(|chain| chain.first()).and_then(|leaf| tls_server_end_point(leaf));
    let verified = match trust.demand() {
        Demand::Nothing => Verified::Nothing,
        Demand::Chain => Verified::Chain,
        Demand::Host => Verified::Host(host.as_str().to_owned()),
    };
    Secure { stream, encrypted: Encrypted { version, cipher_suite, verified }, channel_binding }
}

fn failure(error: &io::Error, verifier: &Verifier, opening: &[u8], before: usize) -> HandshakeError {
    if let Some(problem) = verifier.take_problem() {
        return HandshakeError::Certificate(problem);
    }
    if is_flood(error) {
        return HandshakeError::Flood;
    }
    // An SSH server greets with "SSH-…": its first letter looks like Postgres' consent to TLS, and its second is no TLS record.
    if opening.get(before).is_some_and(|first| !is_tls_record(*first)) {
        return HandshakeError::NotTls { heard: Heard::from_bytes(opening) };
    }
    match tls_error(error) {
        Some(rustls::Error::AlertReceived(alert)) if concerns_client_certificate(*alert) => {
            HandshakeError::ClientCertificateRefused { heard: alert_name(*alert) }
        }
        Some(rustls::Error::AlertReceived(alert)) => HandshakeError::Alert { heard: alert_name(*alert) },
        Some(other) => HandshakeError::Failed(other.into()),
        None => HandshakeError::Cut,
    }
}

/// Content types 20 to 23 (RFC 8446, section 5.1).
const fn is_tls_record(byte: u8) -> bool {
    matches!(byte, 20..=23)
}

/// The TLS error inside an I/O error, if that is what it is.
#[must_use]
pub fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// The alert's name as the standard spells it, roughly: `UnknownCA`, `CertificateRequired`.
#[must_use]
pub fn alert_name(alert: AlertDescription) -> Heard {
    Heard::from_text(&format!("{alert:?}"))
}

/// Alerts that a server sends about the certificate of its client (RFC 8446, section 6.2).
#[must_use]
pub const fn concerns_client_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_says_how_far_was_verified() {
        let note = |verified| Encrypted { version: "TLS 1.3", cipher_suite: "TLS13_AES_256_GCM_SHA384".into(), verified }.to_string();
        assert_eq!(note(Verified::Host("db.internal".into())), "TLS 1.3, verified db.internal");
        assert_eq!(note(Verified::Chain), "TLS 1.3, verified certificate authority");
        assert_eq!(note(Verified::Nothing), "TLS 1.3, certificate not verified");
    }
}
