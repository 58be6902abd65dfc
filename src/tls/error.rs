//! Every way in which TLS, or what was given for it, can be at fault.

use crate::path::heard::Heard;

/// What is wrong with the root certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootCertError {
    /// No `BEGIN CERTIFICATE` in it.
    #[error("there is no PEM certificate in it")]
    Empty,
    /// A PEM section that does not end, or is not base64.
    #[error("PEM certificate {number} is damaged")]
    Damaged {
        /// Counted from 1.
        number: usize,
    },
    /// PEM, but no X.509 certificate inside.
    #[error("PEM section {number} is not an X.509 certificate")]
    NotACertificate {
        /// Counted from 1.
        number: usize,
    },
    /// This machine has no root certificates where they are looked for.
    #[error("\"system\": no root certificates were found on this machine")]
    SystemEmpty,
}

/// What is wrong with the client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCertError {
    /// No `BEGIN CERTIFICATE` in it.
    #[error("there is no PEM certificate in it")]
    Empty,
    /// A PEM section that does not end, or is not base64.
    #[error("a PEM certificate in it is damaged")]
    Damaged,
    /// PEM, but no X.509 certificate inside.
    #[error("it is not an X.509 certificate")]
    NotACertificate,
}

/// What is wrong with the client certificate's key. Nothing of the key is ever quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientKeyError {
    /// No private key in PEM.
    #[error("there is no PEM private key in it")]
    NotAKey,
    /// Encrypted with a passphrase.
    #[error("the key is encrypted; give it without a passphrase")]
    Encrypted,
    /// A kind of key, or a size, that TLS here cannot sign with.
    #[error("this kind of key is not supported; use RSA of 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519")]
    Unsupported,
    /// The first certificate holds another public key.
    #[error("the key does not belong to the certificate in sslcert")]
    Mismatch,
}

/// What is wrong with a client's certificate and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// In the certificate.
    #[error(transparent)]
    Certificate(#[from] ClientCertError),
    /// In the key.
    #[error(transparent)]
    Key(#[from] ClientKeyError),
}

/// Why there is no TLS on a stream whose peer agreed to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It began, and nothing more came within the time: large packets that are lost on the way, or a hung server.
    #[error("silence in the TLS handshake")]
    Silent,
    /// What answers does not speak TLS.
    #[error("what answered is not TLS: {heard}")]
    NotTls {
        /// Its first bytes.
        heard: Heard,
    },
    /// The server's certificate is not what is asked for.
    #[error("the server's certificate: {0}")]
    Certificate(CertificateProblem),
    /// The server does not take the client certificate. In TLS 1.3 this is heard only after the handshake.
    #[error("the server refused the client certificate: {heard}")]
    ClientCertificateRefused {
        /// The TLS alert's name.
        heard: Heard,
    },
    /// The server ended the handshake with another TLS alert.
    #[error("the server ended the TLS handshake: {heard}")]
    Alert {
        /// The alert's name.
        heard: Heard,
    },
    /// The two sides do not agree on TLS.
    #[error("the TLS handshake failed: {0}")]
    Failed(ProtocolFault),
    /// The stream ended inside the handshake, as with a middlebox that does not let TLS through.
    #[error("the connection was cut in the TLS handshake")]
    Cut,
    /// More bytes than any honest server sends.
    #[error("the peer sent more than a handshake can need")]
    Flood,
}

/// How TLS's own protocol broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolFault {
    /// No version, cipher suite or key exchange in common.
    #[error("nothing in common to agree on")]
    Incompatible,
    /// What came is no TLS, or not what belongs there.
    #[error("a message that does not belong there")]
    Malformed,
    /// A record was changed on the way.
    #[error("a record that cannot be decrypted")]
    Corrupt,
    /// The peer breaks a rule of the protocol.
    #[error("the peer breaks a rule of TLS")]
    Misbehaved,
    /// Anything else.
    #[error("a fault on this side")]
    Internal,
}

impl From<&rustls::Error> for ProtocolFault {
    fn from(error: &rustls::Error) -> Self {
        use rustls::Error as E;
        match error {
            E::PeerIncompatible(_) => Self::Incompatible,
            E::InvalidMessage(_) | E::InappropriateMessage { .. } | E::InappropriateHandshakeMessage { .. } => Self::Malformed,
            E::DecryptError => Self::Corrupt,
            E::PeerMisbehaved(_) | E::PeerSentOversizedRecord | E::NoCertificatesPresented => Self::Misbehaved,
            _ => Self::Internal,
        }
    }
}

/// What is wrong with the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// Past its last day.
    #[error("it has expired")]
    Expired,
    /// Before its first day; often this machine's clock is wrong.
    #[error("it is not valid yet")]
    NotYetValid,
    /// It leads to a given root, but that root is past its last day.
    #[error("the root certificate that it leads to has expired")]
    RootExpired,
    /// It leads to none of the roots.
    #[error("it was not issued by a given root certificate")]
    UnknownIssuer,
    /// It leads to a given certificate, but that one is signed by another, and libpq ends a chain at a root only.
    #[error("the given certificate that it leads to is not a root")]
    NoRoot,
    /// It is for other hosts.
    #[error("it is for another host: {}", if presented.is_empty() { "it names none".to_owned() } else { presented.join(", ") })]
    WrongName {
        /// The names and addresses that it is for, eight at the most.
        presented: Vec<String>,
    },
    /// A signature in the chain, or the server's proof of its key, is wrong.
    #[error("a signature is wrong")]
    BadSignature,
    /// It, or one of those that it leads to, is no X.509 certificate.
    #[error("it cannot be read")]
    Unreadable,
    /// It is for clients, or for something else, alone.
    #[error("it is not for use by a server")]
    NotForServers,
    /// Something critical stands in the chain that is not understood here.
    #[error("its chain has extension {oid}, which is not understood")]
    UnknownExtension {
        /// In numbers.
        oid: String,
    },
    /// Signed with an algorithm or a size that is not taken.
    #[error("it is signed in a way that is not supported")]
    UnsupportedSignature,
    /// Anything else.
    #[error("it was not accepted")]
    Refused,
}
