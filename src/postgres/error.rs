//! Every way in which the Postgres peer, or what was asked of it, can be at fault. Long, because it is a catalogue.

use crate::path::heard::Heard;
use crate::path::stage::Stage;
use crate::tls::{ClientCertError, ClientKeyError, HandshakeError, IdentityError, RootCertError};

use super::sslmode::Encryption;

/// What a walk to Postgres can fail with, one variant for each verb.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From [`negotiate`](super::negotiate).
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// From [`login`](super::login).
    #[error(transparent)]
    Login(#[from] LoginError),
    /// From [`Connection::ready`](super::Connection::ready).
    #[error(transparent)]
    Ready(#[from] ReadyError),
}

/// Which of the TLS arguments is at fault. Found without any network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSettingsError {
    /// `verify-ca` and `verify-full` need roots to verify against.
    #[error("this sslmode needs sslrootcert")]
    RootCertMissing,
    /// The roots of this system vouch for any host on the internet, so libpq 16 takes them with `verify-full` only.
    #[error("sslrootcert: \"system\" needs sslmode verify-full")]
    SystemNeedsVerifyFull,
    /// In `sslrootcert`.
    #[error("sslrootcert: {0}")]
    RootCert(#[from] RootCertError),
    /// In `sslcert`.
    #[error("sslcert: {0}")]
    ClientCert(#[from] ClientCertError),
    /// In `sslkey`.
    #[error("sslkey: {0}")]
    ClientKey(#[from] ClientKeyError),
}

impl From<IdentityError> for TlsSettingsError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Certificate(error) => Self::ClientCert(error),
            IdentityError::Key(error) => Self::ClientKey(error),
        }
    }
}

/// Why there is no stream to log in on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Nothing came within the time: a hung server, or a proxy that holds back.
    #[error("no answer to the request for TLS")]
    Silent,
    /// The peer closed or reset before it answered.
    #[error("the connection was closed before the request for TLS was answered")]
    Closed,
    /// The server answered `N`: it speaks Postgres, and has TLS turned off.
    #[error("the server does not offer TLS")]
    NotOffered,
    /// What answered is not a Postgres server.
    #[error("what answered is not Postgres: {heard}")]
    NotPostgres {
        /// Its first bytes.
        heard: Heard,
    },
    /// The server answered with an error instead, as when it cannot start another process.
    #[error("the server answered the request for TLS with an error: {heard}")]
    ServerError {
        /// Its message.
        heard: Heard,
    },
    /// It agreed to TLS, and the handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// More bytes than any honest server sends in a check.
    #[error("the peer sent more than a check can need")]
    Flood,
}

/// Why the role did not get in, or the database did not open. Shapes as measured with Postgres 15 and pgbouncer 1.18.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// 28P01, or a directory (LDAP, PAM, RADIUS) that refuses: a wrong or expired password, or a role that does not exist.
    #[error("the password was refused: {heard}")]
    PasswordRefused {
        /// The server's message.
        heard: Heard,
    },
    /// The server asks for a password and none was given.
    #[error("the server asks for a password and none is given")]
    PasswordMissing {
        /// The method that the server named.
        asked: Heard,
    },
    /// The role does not exist, where no password hides that.
    #[error("the role does not exist: {heard}")]
    RoleMissing {
        /// The server's message.
        heard: Heard,
    },
    /// No line of `pg_hba.conf` matches. With [`Encryption::Plain`] a `hostssl` line may match with TLS: only trying tells.
    #[error("no pg_hba.conf line matches: {heard}")]
    HbaNoEntry {
        /// What this connection used.
        tried: Encryption,
        /// The server's message; it names the address that the server saw.
        heard: Heard,
    },
    /// A `reject` line of `pg_hba.conf` matches.
    #[error("a pg_hba.conf line rejects the connection: {heard}")]
    HbaRejected {
        /// What this connection used.
        tried: Encryption,
        /// The server's message.
        heard: Heard,
    },
    /// The server, or a pooler before it, says that it takes TLS only.
    #[error("the server wants TLS: {heard}")]
    EncryptionRequired {
        /// The server's message.
        heard: Heard,
    },
    /// The server wants a client certificate.
    #[error("the server wants a client certificate: {heard}")]
    ClientCertificateMissing {
        /// The server's message.
        heard: Heard,
    },
    /// The server does not take the client certificate for this role, or at all (a TLS 1.3 alert arrives only here).
    #[error("the server refused the client certificate: {heard}")]
    ClientCertificateRefused {
        /// The server's message, or the alert's name.
        heard: Heard,
    },
    /// The role has no `LOGIN` attribute.
    #[error("the role may not log in: {heard}")]
    NotPermittedToLogin {
        /// The server's message.
        heard: Heard,
    },
    /// 3D000.
    #[error("the database does not exist: {heard}")]
    DatabaseMissing {
        /// The server's message.
        heard: Heard,
    },
    /// 42501.
    #[error("the role has no CONNECT privilege: {heard}")]
    NoConnectPrivilege {
        /// The server's message.
        heard: Heard,
    },
    /// 55000: `ALLOW_CONNECTIONS false`, as with `template0`.
    #[error("the database takes no connections: {heard}")]
    DatabaseClosed {
        /// The server's message.
        heard: Heard,
    },
    /// 53300.
    #[error("too many connections: {heard}")]
    TooManyConnections {
        /// The server's message.
        heard: Heard,
    },
    /// 57P03, or 57P01 and 57P02 from a server that stops in the middle of a login.
    #[error("the server takes nobody just now: {heard}")]
    Unavailable {
        /// The server's message.
        heard: Heard,
    },
    /// The server wants Kerberos, OAuth, or another method that is not spoken here.
    #[error("the server wants a way of authentication that is not supported: {heard}")]
    AuthenticationUnsupported {
        /// The server's message, or the method.
        heard: Heard,
    },
    /// The server saw another TLS connection than this side did: something in between ends TLS.
    #[error("the channel binding does not match: {heard}")]
    ChannelBinding {
        /// The server's message.
        heard: Heard,
    },
    /// What answers does not know the password's verifier: it is not the server it claims to be.
    #[error("the server could not prove that it knows this role")]
    ServerUnproven,
    /// What answers does not speak Postgres' protocol.
    #[error("what answered does not speak Postgres' protocol: {heard}")]
    Protocol {
        /// How far it had come.
        stage: Stage,
        /// Its first bytes.
        heard: Heard,
    },
    /// A protocol error in a pooler's words (08P01 without the routine that Postgres itself always names).
    #[error("a connection pooler answered: {heard}")]
    Pooler {
        /// The pooler's message.
        heard: Heard,
    },
    /// More bytes than any honest server sends in a check.
    #[error("the server sent more than a check can need")]
    Flood,
    /// The connection ended. Through a tunnel, the tunnel may be what ended.
    #[error("the connection was closed in the login")]
    Closed {
        /// How far it had come.
        stage: Stage,
    },
    /// No answer within the time.
    #[error("no answer to the login")]
    Silent {
        /// How far it had come.
        stage: Stage,
    },
    /// A NUL byte in the role, the password or the database's name: the protocol cannot carry it.
    #[error("the user, password or database contains a NUL byte")]
    Unsendable,
    /// Any other error of the server.
    #[error("the server refused: {heard} (SQLSTATE {sqlstate})")]
    Other {
        /// Five characters.
        sqlstate: String,
        /// The server's message.
        heard: Heard,
    },
}

/// Why readiness could not be found out. What is found is data, not an error: see [`Finding`](crate::path::finding::Finding).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadyError {
    /// No answer within the time.
    #[error("no answer to a catalog query")]
    Silent,
    /// The connection ended.
    #[error("the connection was closed during a catalog query")]
    Closed,
    /// The server did not run the query.
    #[error("the server refused a catalog query: {heard} (SQLSTATE {sqlstate})")]
    Refused {
        /// Five characters.
        sqlstate: String,
        /// The server's message.
        heard: Heard,
    },
    /// An answer that is not what was asked for.
    #[error("the answer to a catalog query could not be read")]
    Protocol,
    /// More bytes than any honest server sends in a check.
    #[error("the server sent more than a check can need")]
    Flood,
}
