//! The closed catalogue of what can be wrong with a path. Long, because it is a catalogue. Its words are next door, in `words`.

use super::finding::Finding;
use super::refusal::{AccountReason, Reason, Refusal, RulesReason};
use super::stage::Stage;
use crate::key::PublicKey;

/// What a connection was that no line of `pg_hba.conf` fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tried {
    /// Encrypted.
    Tls,
    /// In the clear; whether the server has TLS was not asked.
    Plain,
    /// In the clear, and the server has no TLS.
    PlainOnly,
}

/// What is wrong. Each cause belongs to one stage; where the wire cannot tell candidates apart they share one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// No host key is pinned, and ignoring it was not asked for.
    NothingPinned,
    /// The route leads through a bastion and no key is given.
    NoKey,
    /// This machine's own address is not to be had.
    AddressUnknown,
    /// The first hop's security group was not to be opened for this machine.
    NotAdmitted {
        /// What AWS refused.
        refusal: Box<Refusal>,
    },
    /// The name has no address.
    NameNotFound,
    /// The resolver failed for now.
    ResolverFailed,
    /// The resolver did not answer.
    ResolverSilent,
    /// The name has IPv6 addresses alone, and there is no route to them.
    OnlyIpv6,
    /// TCP: refused.
    ConnectRefused,
    /// TCP: silence.
    ConnectSilent,
    /// TCP: reset, or closed before a word of SSH.
    ConnectReset,
    /// TCP: no route.
    ConnectUnreachable,
    /// TCP: another operating-system error.
    ConnectFailed,
    /// Connected, then silence.
    HandshakeSilent,
    /// Connected, and the peer speaks something else.
    NotSsh,
    /// The peer speaks SSH 1.
    OldSsh,
    /// No common algorithm.
    NoCommonAlgorithm {
        /// `kex`, `cipher`, …
        what: String,
        /// What is offered here.
        ours: String,
        /// What the bastion offers.
        theirs: String,
    },
    /// sshd's MaxStartups.
    TooManyStartups,
    /// sshd's PerSourcePenalties.
    Penalised,
    /// Closed in the key exchange.
    HandshakeClosed,
    /// The handshake broke: a flipped bit, a protocol violation.
    HandshakeCorrupt,
    /// The server lacks strict key exchange and the cipher needs it.
    NotStrict,
    /// The signature of the key exchange is wrong, and the offer of strict key exchange is missing.
    StrictStripped,
    /// None of the pinned keys is of the presented key's kind.
    HostKeyOtherType {
        /// What the bastion has.
        presented: String,
    },
    /// The host key signs in a way that is not safe, or was not agreed on.
    HostKeyWeak {
        /// How.
        signature: String,
    },
    /// The presented key is not a pinned one.
    HostKeyChanged {
        /// What was presented.
        presented: PublicKey,
    },
    /// The presented key is a revoked one.
    HostKeyRevoked {
        /// What was presented.
        presented: PublicKey,
    },
    /// `Permission denied (publickey)`: six candidates, one wire.
    KeyRefused,
    /// sshd does not take public keys from this login.
    PublicKeyNotOffered,
    /// sshd wants a second factor.
    SecondFactor,
    /// The session ended while authenticating.
    AuthenticateClosed,
    /// Silence while authenticating.
    AuthenticateSilent,
    /// The login works, with an earlier version of its keys.
    NotSynced,
    /// `administratively prohibited`: five candidates, one wire.
    ForwardProhibited,
    /// The bastion has no resources for another channel.
    ForwardShortage,
    /// The SSH session ended under the check.
    SessionLost,
    /// The bastion cannot resolve the database's name.
    DialNameUnknown,
    /// The bastion's resolver does not answer.
    DialResolverSilent,
    /// The database's port refuses the bastion.
    DialRefused,
    /// The bastion has no route to the database.
    DialUnreachable,
    /// The bastion gets no answer from the database.
    DialSilent,
    /// The bastion could not connect, for another reason.
    DialFailed,
    /// Opened and closed without a word.
    DialClosed,
    /// Connected directly, and closed without a word.
    PostgresClosed,
    /// No answer to the first message of Postgres.
    PostgresSilent,
    /// Something else answers.
    NotPostgres,
    /// The server has no TLS.
    TlsNotOffered,
    /// The server reports an error where TLS should begin.
    TlsServerError,
    /// The certificate is for other names.
    CertificateWrongName {
        /// Those names.
        presented: String,
    },
    /// The certificate has expired, or is not valid yet.
    CertificateExpired,
    /// The certificate's authority is not the given one.
    CertificateUnknownIssuer,
    /// What is given as the authority is signed by another.
    CertificateNoRoot,
    /// The certificate is bad in another way.
    CertificateBad,
    /// The server refused the client certificate, or misses one.
    ClientCertificateRefused,
    /// Agreed to TLS, and fell silent in the handshake.
    TlsSilent,
    /// TLS was cut or failed.
    TlsFailed,
    /// Wrong password or missing role: one wire.
    PasswordRefused,
    /// A password is needed and none is given.
    PasswordMissing,
    /// The role does not exist, where no password hides that.
    RoleMissing,
    /// The server takes TLS only.
    EncryptionRequired,
    /// TLS ends before the server, or what answers is not it.
    ServerUnproven,
    /// No line in `pg_hba.conf`, or one that demands TLS: one wire in plain text.
    NoHbaEntry {
        /// What no line fits.
        tried: Tried,
    },
    /// A reject line.
    HbaRejects,
    /// An authentication method or a binding that cannot be met.
    AuthenticationUnsupported,
    /// A connection pooler's refusal.
    Pooler,
    /// Closed, or nonsense, during login.
    LoginBroken,
    /// Silence during login.
    LoginSilent,
    /// The role may not log in.
    LoginForbidden,
    /// The database does not exist.
    DatabaseMissing,
    /// The role has no CONNECT.
    NoConnectPrivilege,
    /// The database takes no connections.
    DatabaseClosed,
    /// No connection slot.
    TooManyConnections,
    /// Starting up, shutting down, or recovering.
    NotAccepting,
    /// Another refusal by Postgres.
    LoginRefused,
    /// Replication, publication or privileges are missing: all findings, each with its remedy.
    NotReady {
        /// What is missing.
        findings: Vec<Finding>,
        /// The publication that was asked for.
        publication: Option<String>,
    },
    /// The readiness queries failed.
    ReadyFailed,
    /// A held session ended.
    HoldLost,
    /// A held session does not answer any more.
    HoldSilent,
    /// Terraform was told to stop.
    Interrupted {
        /// Where the walk was.
        stage: Stage,
    },
    /// The time given for the whole check is used up.
    OutOfTime {
        /// Where the walk was.
        stage: Stage,
    },
}

impl Cause {
    /// The stage at which it is found.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::NothingPinned | Self::NoKey => Stage::Configure,
            Self::AddressUnknown | Self::NotAdmitted { .. } => Stage::Admit,
            Self::NameNotFound | Self::ResolverFailed | Self::ResolverSilent | Self::OnlyIpv6 => Stage::Resolve,
            Self::ConnectRefused | Self::ConnectSilent | Self::ConnectReset | Self::ConnectUnreachable | Self::ConnectFailed => {
                Stage::Connect
            }
            Self::HandshakeSilent
            | Self::NotSsh
            | Self::OldSsh
            | Self::NoCommonAlgorithm { .. }
            | Self::TooManyStartups
            | Self::Penalised
            | Self::HandshakeClosed
            | Self::HandshakeCorrupt
            | Self::NotStrict => Stage::Handshake,
            Self::StrictStripped
            | Self::HostKeyOtherType { .. }
            | Self::HostKeyWeak { .. }
            | Self::HostKeyChanged { .. }
            | Self::HostKeyRevoked { .. } => Stage::HostKey,
            Self::KeyRefused | Self::PublicKeyNotOffered | Self::SecondFactor | Self::AuthenticateClosed | Self::AuthenticateSilent => {
                Stage::Authenticate
            }
            Self::NotSynced => Stage::Sync,
            Self::ForwardProhibited | Self::ForwardShortage | Self::SessionLost => Stage::Forward,
            Self::DialNameUnknown
            | Self::DialResolverSilent
            | Self::DialRefused
            | Self::DialUnreachable
            | Self::DialSilent
            | Self::DialFailed
            | Self::DialClosed => Stage::Dial,
            Self::PostgresClosed
            | Self::PostgresSilent
            | Self::NotPostgres
            | Self::TlsNotOffered
            | Self::TlsServerError
            | Self::CertificateWrongName { .. }
            | Self::CertificateExpired
            | Self::CertificateUnknownIssuer
            | Self::CertificateNoRoot
            | Self::CertificateBad
            | Self::ClientCertificateRefused
            | Self::TlsSilent
            | Self::TlsFailed => Stage::Tls,
            Self::PasswordRefused
            | Self::PasswordMissing
            | Self::RoleMissing
            | Self::EncryptionRequired
            | Self::ServerUnproven
            | Self::NoHbaEntry { .. }
            | Self::HbaRejects
            | Self::AuthenticationUnsupported
            | Self::Pooler
            | Self::LoginBroken
            | Self::LoginSilent
            | Self::LoginRefused => Stage::Login,
            Self::LoginForbidden
            | Self::DatabaseMissing
            | Self::NoConnectPrivilege
            | Self::DatabaseClosed
            | Self::TooManyConnections
            | Self::NotAccepting => Stage::Open,
            Self::NotReady { .. } | Self::ReadyFailed => Stage::Ready,
            Self::HoldLost | Self::HoldSilent => Stage::Hold,
            Self::Interrupted { stage } | Self::OutOfTime { stage } => *stage,
        }
    }

    /// Whether a peer's words, or its silence, are behind it; what was read or decided here is not heard.
    #[must_use]
    pub const fn is_heard(&self) -> bool {
        !matches!(
            self,
            Self::NothingPinned
                | Self::NoKey
                | Self::NoCommonAlgorithm { .. }
                | Self::StrictStripped
                | Self::HostKeyWeak { .. }
                | Self::CertificateWrongName { .. }
                | Self::CertificateExpired
                | Self::CertificateUnknownIssuer
                | Self::CertificateNoRoot
                | Self::NotReady { .. }
                | Self::Interrupted { .. }
                | Self::OutOfTime { .. }
        )
    }

    /// Where the catalogue's page explains it: the heading as GitHub makes an anchor of it.
    #[must_use]
    pub fn anchor(&self) -> String {
        match self {
            // These can end any stage.
            Self::Interrupted { .. } | Self::OutOfTime { .. } => self.slug().to_owned(),
            _ => format!("{}{}", self.stage(), self.slug()),
        }
    }

    /// Whether the same try may succeed later without anybody changing an argument: then it is made again, for a while.
    #[must_use]
    pub const fn heals(&self) -> bool {
        matches!(
            self,
            Self::AddressUnknown
                | Self::NameNotFound
                | Self::ResolverFailed
                | Self::ResolverSilent
                | Self::ConnectRefused
                | Self::ConnectSilent
                | Self::ConnectReset
                | Self::TooManyStartups
                | Self::Penalised
                | Self::HandshakeClosed
                | Self::KeyRefused
                | Self::NotSynced
                | Self::SessionLost
                | Self::DialNameUnknown
                | Self::DialRefused
                | Self::TooManyConnections
                | Self::NotAccepting
        )
    }

    /// The second half of the code, `forward/prohibited`. Never changes once published: people search for it.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::NothingPinned => "nothing-pinned",
            Self::NoKey => "no-key",
            Self::AddressUnknown => "address-unknown",
            Self::NotAdmitted { refusal } => not_admitted(&refusal.reason),
            Self::NameNotFound => "name-not-found",
            Self::ResolverFailed => "resolver-failed",
            Self::ResolverSilent | Self::ConnectSilent | Self::HandshakeSilent | Self::AuthenticateSilent | Self::DialSilent => "silent",
            Self::OnlyIpv6 => "only-ipv6",
            Self::ConnectRefused | Self::DialRefused | Self::LoginRefused => "refused",
            Self::ConnectReset => "reset",
            Self::ConnectUnreachable | Self::DialUnreachable => "unreachable",
            Self::ConnectFailed | Self::DialFailed | Self::TlsFailed | Self::ReadyFailed => "failed",
            Self::NotSsh => "not-ssh",
            Self::OldSsh => "old-ssh",
            Self::NoCommonAlgorithm { .. } => "no-common-algorithm",
            Self::TooManyStartups => "too-many-startups",
            Self::Penalised => "penalised",
            Self::HandshakeCorrupt => "corrupt",
            Self::NotStrict => "not-strict",
            Self::StrictStripped => "strict-stripped",
            Self::HostKeyOtherType { .. } => "other-type",
            Self::HostKeyWeak { .. } => "weak-signature",
            Self::HostKeyChanged { .. } => "changed",
            Self::HostKeyRevoked { .. } => "revoked",
            Self::KeyRefused => "key-refused",
            Self::PublicKeyNotOffered => "public-key-not-offered",
            Self::SecondFactor => "second-factor",
            Self::HandshakeClosed | Self::AuthenticateClosed | Self::DialClosed | Self::PostgresClosed => "closed",
            Self::NotSynced => "not-synced",
            Self::ForwardProhibited => "prohibited",
            Self::ForwardShortage => "shortage",
            Self::SessionLost => "session-lost",
            Self::DialNameUnknown => "name-unknown",
            Self::DialResolverSilent => "resolver-silent",
            Self::PostgresSilent | Self::LoginSilent | Self::HoldSilent => "silent",
            Self::NotPostgres => "not-postgres",
            Self::TlsNotOffered => "not-offered",
            Self::TlsServerError => "server-error",
            Self::CertificateWrongName { .. } => "wrong-name",
            Self::CertificateExpired => "expired",
            Self::CertificateUnknownIssuer => "unknown-issuer",
            Self::CertificateNoRoot => "no-root",
            Self::CertificateBad => "bad-certificate",
            Self::ClientCertificateRefused => "client-certificate",
            Self::TlsSilent => "handshake-silent",
            Self::PasswordRefused => "password-refused",
            Self::PasswordMissing => "password-missing",
            Self::RoleMissing => "role-missing",
            Self::EncryptionRequired => "encryption-required",
            Self::ServerUnproven => "server-unproven",
            Self::NoHbaEntry { .. } => "no-hba-entry",
            Self::HbaRejects => "hba-rejects",
            Self::AuthenticationUnsupported => "unsupported",
            Self::Pooler => "pooler",
            Self::LoginBroken => "broken",
            Self::LoginForbidden => "login-forbidden",
            Self::DatabaseMissing => "database-missing",
            Self::NoConnectPrivilege => "no-connect-privilege",
            Self::DatabaseClosed => "database-closed",
            Self::TooManyConnections => "too-many-connections",
            Self::NotAccepting => "not-accepting",
            Self::NotReady { .. } => "not-ready",
            Self::HoldLost => "lost",
            Self::Interrupted { .. } => "interrupted",
            Self::OutOfTime { .. } => "out-of-time",
        }
    }
}

/// Why AWS does not let a door be opened, as far as it decides whom to ask.
const fn not_admitted(reason: &Reason) -> &'static str {
    match reason {
        Reason::Rules(RulesReason::Denied { .. }) | Reason::Account(AccountReason::Denied(_)) => "denied",
        Reason::Rules(RulesReason::GroupMissing { .. } | RulesReason::GroupLost { .. }) => "group-missing",
        Reason::Rules(RulesReason::Quota { .. }) => "group-full",
        Reason::Account(
            AccountReason::NotConfigured
            | AccountReason::NoRegion
            | AccountReason::NoCredentials { .. }
            | AccountReason::CredentialsFailed
            | AccountReason::CredentialsExpired
            | AccountReason::SignatureRefused
            | AccountReason::ClockOff
            | AccountReason::OtherAccount { .. },
        ) => "no-credentials",
        _ => "failed",
    }
}
