//! The closed catalogue of what can be wrong with a path, and all words about it. Long, because it is a catalogue: one place for all words.

use super::finding::Finding;
use super::route::{Endpoint, Route};
use super::stage::Stage;
use crate::key::PublicKey;

/// What is wrong. Each cause belongs to one stage; where the wire cannot tell candidates apart they share one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No host key is pinned, and ignoring it was not asked for.
    NothingPinned,
    /// The route leads through a bastion and no key is given.
    NoKey,
    /// The name has no address.
    NameNotFound,
    /// The resolver failed for now.
    ResolverFailed,
    /// The resolver did not answer.
    ResolverSilent,
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
        /// What the bastion offers.
        theirs: String,
    },
    /// sshd's MaxStartups.
    TooManyStartups,
    /// sshd's PerSourcePenalties.
    Penalised,
    /// The handshake broke: a flipped bit, a cut, a protocol violation.
    HandshakeCorrupt,
    /// The server lacks strict key exchange and the cipher needs it.
    NotStrict,
    /// None of the pinned keys is of the presented key's kind.
    HostKeyOtherType {
        /// What the bastion has.
        presented: String,
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
    /// sshd's MaxAuthTries.
    TooManyTries,
    /// The session ended while authenticating.
    AuthenticateClosed,
    /// Silence while authenticating.
    AuthenticateSilent,
    /// `administratively prohibited`: five candidates, one wire.
    ForwardProhibited,
    /// The bastion has no resources for another channel.
    ForwardShortage,
    /// The SSH session ended under the check.
    SessionLost,
    /// The bastion cannot resolve the database's name.
    DialNameUnknown,
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
    /// The certificate is bad in another way.
    CertificateBad,
    /// The server refused the client certificate, or misses one.
    ClientCertificateRefused,
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
        /// Whether the connection was encrypted.
        encrypted: bool,
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

/// What a cause's words may speak of.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The walked route.
    pub route: &'a Route,
    /// The key that was offered to the bastion.
    pub public_key: Option<&'a PublicKey>,
}

/// The words of one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// One general line, without values.
    pub summary: &'static str,
    /// What it means; empty if the summary says all.
    pub means: String,
    /// What to do, the likeliest first.
    pub remedies: Vec<String>,
}

impl Words {
    fn new<const N: usize>(summary: &'static str, means: impl Into<String>, remedies: [String; N]) -> Self {
        Self { summary, means: means.into(), remedies: remedies.into() }
    }
}

impl Cause {
    /// The stage at which it is found.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::NothingPinned | Self::NoKey => Stage::Configure,
            Self::NameNotFound | Self::ResolverFailed | Self::ResolverSilent => Stage::Resolve,
            Self::ConnectRefused | Self::ConnectSilent | Self::ConnectReset | Self::ConnectUnreachable | Self::ConnectFailed => {
                Stage::Connect
            }
            Self::HandshakeSilent
            | Self::NotSsh
            | Self::OldSsh
            | Self::NoCommonAlgorithm { .. }
            | Self::TooManyStartups
            | Self::Penalised
            | Self::HandshakeCorrupt
            | Self::NotStrict => Stage::Handshake,
            Self::HostKeyOtherType { .. } | Self::HostKeyChanged { .. } | Self::HostKeyRevoked { .. } => Stage::HostKey,
            Self::KeyRefused
            | Self::PublicKeyNotOffered
            | Self::SecondFactor
            | Self::TooManyTries
            | Self::AuthenticateClosed
            | Self::AuthenticateSilent => Stage::Authenticate,
            Self::ForwardProhibited | Self::ForwardShortage | Self::SessionLost => Stage::Forward,
            Self::DialNameUnknown | Self::DialRefused | Self::DialUnreachable | Self::DialSilent | Self::DialFailed | Self::DialClosed => {
                Stage::Dial
            }
            Self::PostgresSilent
            | Self::NotPostgres
            | Self::TlsNotOffered
            | Self::TlsServerError
            | Self::CertificateWrongName { .. }
            | Self::CertificateExpired
            | Self::CertificateUnknownIssuer
            | Self::CertificateBad
            | Self::ClientCertificateRefused
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
            Self::Interrupted { stage } | Self::OutOfTime { stage } => *stage,
        }
    }

    /// The second half of the code, `forward/prohibited`. Never changes once published: people search for it.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::NothingPinned => "nothing-pinned",
            Self::NoKey => "no-key",
            Self::NameNotFound => "name-not-found",
            Self::ResolverFailed => "resolver-failed",
            Self::ResolverSilent | Self::ConnectSilent | Self::HandshakeSilent | Self::AuthenticateSilent | Self::DialSilent => "silent",
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
            Self::HostKeyOtherType { .. } => "other-type",
            Self::HostKeyChanged { .. } => "changed",
            Self::HostKeyRevoked { .. } => "revoked",
            Self::KeyRefused => "key-refused",
            Self::PublicKeyNotOffered => "public-key-not-offered",
            Self::SecondFactor => "second-factor",
            Self::TooManyTries => "too-many-tries",
            Self::AuthenticateClosed | Self::DialClosed => "closed",
            Self::ForwardProhibited => "prohibited",
            Self::ForwardShortage => "shortage",
            Self::SessionLost => "session-lost",
            Self::DialNameUnknown => "name-unknown",
            Self::PostgresSilent | Self::LoginSilent => "silent",
            Self::NotPostgres => "not-postgres",
            Self::TlsNotOffered => "not-offered",
            Self::TlsServerError => "server-error",
            Self::CertificateWrongName { .. } => "wrong-name",
            Self::CertificateExpired => "expired",
            Self::CertificateUnknownIssuer => "unknown-issuer",
            Self::CertificateBad => "bad-certificate",
            Self::ClientCertificateRefused => "client-certificate",
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
            Self::Interrupted { .. } => "interrupted",
            Self::OutOfTime { .. } => "out-of-time",
        }
    }

    /// Its words.
    #[must_use]
    pub fn words(&self, scene: Scene<'_>) -> Words {
        match self.stage() {
            _ if matches!(self, Self::Interrupted { .. } | Self::OutOfTime { .. }) => self.ended_words(),
            Stage::Configure | Stage::Resolve | Stage::Connect => self.reach_words(scene),
            Stage::Handshake | Stage::HostKey => self.handshake_words(scene),
            Stage::Authenticate => self.authenticate_words(scene),
            Stage::Forward | Stage::Dial => self.forward_words(scene),
            Stage::Tls => self.tls_words(scene),
            Stage::Login => self.login_words(scene),
            Stage::Open | Stage::Ready | Stage::Hold => self.open_words(scene),
        }
    }

    fn ended_words(&self) -> Words {
        match self {
            Self::Interrupted { .. } => Words::new(
                "The check was interrupted",
                "Terraform was told to stop. Nothing was found wrong so far, and nothing was proven.",
                ["apply again".to_owned()],
            ),
            _ => Words::new(
                "The check ran out of time",
                "The time given by `verify.timeout` ended before this stage gave an answer.",
                ["raise `verify.timeout`".to_owned()],
            ),
        }
    }

    fn reach_words(&self, scene: Scene<'_>) -> Words {
        let peer = Peer::of(scene.route);
        let Peer { name, host, port, server, .. } = &peer;
        match self {
            Self::NothingPinned => Words::new(
                "No host key is pinned for the bastion",
                "Without a pinned host key nobody can tell the bastion from somebody in between.",
                ["set `host_keys` to the bastion's public host key, read on the bastion itself: /etc/ssh/ssh_host_ed25519_key.pub"
                    .to_owned()],
            ),
            Self::NoKey => Words::new(
                "No key is given for the bastion",
                "The path leads through a bastion, and sshd wants a key.",
                ["give the private key of the bastion's login".to_owned()],
            ),
            Self::NameNotFound => Words::new(
                peer.pick("The bastion's name has no address", "The database's name has no address"),
                format!("The resolver of this machine knows no `{host}`."),
                [
                    "correct `host`".to_owned(),
                    "create its DNS record".to_owned(),
                    "a name in a private zone resolves inside its VPC or VPN only".to_owned(),
                ],
            ),
            Self::ResolverFailed | Self::ResolverSilent => Words::new(
                peer.pick("The bastion's name cannot be resolved now", "The database's name cannot be resolved now"),
                format!("This machine's resolver gave no answer about `{host}`; that says nothing about the name itself."),
                ["check the DNS of the machine that runs Terraform".to_owned(), "apply again when it answers".to_owned()],
            ),
            Self::ConnectRefused => Words::new(
                peer.pick("The bastion refuses the connection", "The database refuses the connection"),
                format!("`{host}` is there, and nothing listens on port {port} (or a firewall answers in its place)."),
                [format!("start {server} on {name}"), "correct `port`".to_owned()],
            ),
            Self::ConnectSilent => Words::new(
                peer.pick("The bastion does not answer", "The database does not answer"),
                format!("Nothing came back from port {port} of `{host}`: a firewall drops the packets, or no machine has that address."),
                [
                    format!("admit this machine's address to port {port} in the security group of {name}"),
                    format!("check that {name} runs and that `host` is its address"),
                ],
            ),
            Self::ConnectReset => Words::new(
                peer.pick("The bastion hangs up before a word of SSH", "The database's connection is reset"),
                "From outside, a balancer without a healthy target and something that resets in between look the same.",
                [
                    format!("a balancer in front: make its target healthy (is {server} up on the instance)"),
                    "a firewall or an intrusion filter in between resets the connection: see its log".to_owned(),
                    format!("{server} itself refuses this address: see its log"),
                ],
            ),
            Self::ConnectUnreachable | Self::ConnectFailed => Words::new(
                peer.pick("There is no way to the bastion", "There is no way to the database"),
                format!("This machine has no route to `{host}`."),
                [
                    "bring up the VPN, or fix this machine's routing".to_owned(),
                    format!("correct `host`: it may be a private address of {name}"),
                ],
            ),
            _ => self.ended_words(),
        }
    }

    fn handshake_words(&self, scene: Scene<'_>) -> Words {
        let Peer { port, .. } = Peer::of(scene.route);
        match self {
            Self::HandshakeSilent => Words::new(
                "The bastion accepts the connection and says nothing",
                format!("An SSH server speaks first. What listens on port {port} did not finish its greeting in time."),
                [
                    "check that `port` is sshd's".to_owned(),
                    "a balancer without a target that it can reach".to_owned(),
                    "an overloaded or stopped sshd".to_owned(),
                    "a middlebox that stalls the connection".to_owned(),
                ],
            ),
            Self::NotSsh => Words::new(
                "The bastion's port does not speak SSH",
                format!("Something else answers on port {port}."),
                ["point `port` at sshd".to_owned()],
            ),
            Self::OldSsh => {
                Words::new("The bastion speaks SSH 1 only", "SSH 1 is broken and is not spoken here.", ["upgrade sshd".to_owned()])
            }
            Self::NoCommonAlgorithm { what, theirs } => Words::new(
                "The bastion offers no common algorithm",
                format!("No common {what}. The bastion offers: {theirs}."),
                [
                    "enable a modern one on the bastion: curve25519-sha256, aes256-gcm@openssh.com, rsa-sha2-512".to_owned(),
                    "upgrade sshd".to_owned(),
                ],
            ),
            Self::TooManyStartups => Words::new(
                "The bastion turns away new logins",
                "sshd has reached `MaxStartups`: too many connections that have not logged in yet.",
                ["find who opens so many connections to it".to_owned(), "raise `MaxStartups` in sshd_config".to_owned()],
            ),
            Self::Penalised => Words::new(
                "The bastion has locked this address out",
                "sshd's `PerSourcePenalties`: too many failed logins came from this address lately.",
                ["wait a minute and apply again".to_owned(), "add this address to `PerSourcePenaltyExemptList` in sshd_config".to_owned()],
            ),
            Self::HandshakeCorrupt => Words::new(
                "The SSH handshake broke",
                "What arrived does not fit what was agreed: the bytes were changed, cut or reordered on the way, or the server is faulty.",
                ["distrust the path: try from another network".to_owned(), "see sshd's log on the bastion".to_owned()],
            ),
            Self::NotStrict => Words::new(
                "The bastion lacks strict key exchange",
                "Without it, chacha20-poly1305 is open to the Terrapin attack (CVE-2023-48795).",
                ["upgrade sshd to 9.6 or later, or enable aes256-gcm@openssh.com on it".to_owned()],
            ),
            Self::HostKeyOtherType { presented } => Words::new(
                "The bastion has no host key of a pinned kind",
                format!("It offers {presented}; none of the pinned keys is of that kind. That counts as a changed key."),
                ["read the bastion's host keys on the bastion itself and pin one of them".to_owned(), "restore the pinned key".to_owned()],
            ),
            Self::HostKeyChanged { presented } => Words::new(
                "The bastion's host key is not the pinned one",
                format!(
                    "It presents {} {}. Either the bastion was rebuilt, or somebody sits in between.",
                    presented.algorithm(),
                    presented.fingerprint()
                ),
                [
                    "compare that fingerprint with the one shown on the bastion itself: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
                        .to_owned(),
                    format!("if they agree, pin it: \"{presented}\""),
                    "if not, do not connect".to_owned(),
                ],
            ),
            Self::HostKeyRevoked { presented } => Words::new(
                "The bastion presents a revoked host key",
                format!("{} is marked `@revoked` in `host_keys`.", presented.fingerprint()),
                ["replace the key on the bastion and pin the new one".to_owned()],
            ),
            _ => self.ended_words(),
        }
    }

    fn authenticate_words(&self, scene: Scene<'_>) -> Words {
        let user = scene.route.bastion.as_ref().map_or("", |bastion| bastion.user.as_str());
        let line = scene.public_key.map_or_else(|| "the public key's line".to_owned(), ToString::to_string);
        match self {
            Self::KeyRefused => Words::new(
                "The bastion refuses the key",
                "sshd says the same for six reasons.",
                [
                    format!("the key is not in authorized_keys of `{user}` (or not yet, where keys are synced): {line}"),
                    format!("the user `{user}` does not exist on the bastion"),
                    format!("`AllowUsers` or `AllowGroups` in sshd_config leaves `{user}` out"),
                    "authorized_keys or a folder above it is writable by others: chmod 600 the file, 700 its folder".to_owned(),
                    "`from=` before the key does not include this machine's address".to_owned(),
                    "`PubkeyAcceptedAlgorithms` in sshd_config leaves out this kind of key".to_owned(),
                ],
            ),
            Self::PublicKeyNotOffered => Words::new(
                "The bastion takes no public keys",
                format!("sshd offers other methods for `{user}` only."),
                ["set `PubkeyAuthentication yes` in sshd_config".to_owned()],
            ),
            Self::SecondFactor => Words::new(
                "The bastion wants a second factor",
                "The key was accepted, and sshd asks for more (`AuthenticationMethods`). A program has no second factor.",
                [format!("exempt `{user}` in a `Match User` block: AuthenticationMethods publickey")],
            ),
            Self::TooManyTries => Words::new(
                "The bastion counts too many tries",
                "sshd's `MaxAuthTries` ended the session.",
                ["raise `MaxAuthTries` in sshd_config: one key needs at most two tries".to_owned()],
            ),
            Self::AuthenticateClosed => Words::new(
                "The bastion hangs up during authentication",
                "The session ended without a verdict on the key.",
                ["see sshd's log on the bastion".to_owned(), "an intrusion filter (fail2ban) may block this address".to_owned()],
            ),
            Self::AuthenticateSilent => Words::new(
                "The bastion is silent during authentication",
                "sshd took the key and did not answer in time.",
                ["a slow PAM module, DNS or directory on the bastion: see sshd's log".to_owned(), "an overloaded bastion".to_owned()],
            ),
            _ => self.ended_words(),
        }
    }

    fn forward_words(&self, scene: Scene<'_>) -> Words {
        let database = &scene.route.database;
        let target = Endpoint(&database.host, database.port);
        let user = scene.route.bastion.as_ref().map_or("", |bastion| bastion.user.as_str());
        match self {
            Self::ForwardProhibited => Words::new(
                "The bastion refuses to forward to the database",
                "sshd says this for five settings. PermitTunnel plays no part.",
                [
                    format!("authorized_keys of `{user}`: remove no-port-forwarding; after restrict add port-forwarding"),
                    format!("the same line: permitopen=\"{target}\", spelled exactly so"),
                    format!("sshd `PermitOpen`: add {target}"),
                    "sshd `AllowTcpForwarding`: yes or local".to_owned(),
                    "sshd `DisableForwarding`: no".to_owned(),
                ],
            ),
            Self::ForwardShortage => Words::new(
                "The bastion has no room for another channel",
                "sshd reports a resource shortage.",
                ["look at memory and open files on the bastion".to_owned()],
            ),
            Self::SessionLost => Words::new(
                "The SSH session ended under the check",
                "It had been authenticated; then the bastion or the network dropped it.",
                ["see sshd's log on the bastion".to_owned(), "apply again".to_owned()],
            ),
            Self::DialNameUnknown => Words::new(
                "The bastion cannot resolve the database's name",
                format!("`{}` is looked up on the bastion, not here.", database.host),
                [
                    "use a name that the bastion's VPC resolves, or the address".to_owned(),
                    "associate the private zone with the bastion's VPC".to_owned(),
                ],
            ),
            Self::DialRefused => Words::new(
                "The database refuses the bastion's connection",
                format!("The bastion reached the machine, and nothing listens on {target}."),
                ["correct the database's `port`".to_owned(), "start Postgres, and set its `listen_addresses`".to_owned()],
            ),
            Self::DialUnreachable => Words::new(
                "The bastion has no route to the database",
                format!("From the bastion, {target} cannot be reached at all."),
                ["route the bastion's subnet to the database's".to_owned(), "correct the database's `host`".to_owned()],
            ),
            Self::DialSilent => Words::new(
                "The database does not answer the bastion",
                "A firewall on the way drops the packets; which one cannot be told from outside.",
                [
                    format!("admit the bastion's security group to port {} in the database's", database.port),
                    format!("allow port {} in the egress rules of the bastion's security group", database.port),
                    "correct the database's `host`: no machine may have that address".to_owned(),
                ],
            ),
            Self::DialFailed => Words::new(
                "The bastion cannot connect to the database",
                format!("sshd tried {target} and failed."),
                ["route the bastion's subnet to the database's".to_owned(), "see sshd's log on the bastion".to_owned()],
            ),
            Self::DialClosed => Words::new(
                "The database's connection is closed without a word",
                format!("{target} accepted the connection and ended it before Postgres said anything."),
                ["look for a proxy, a balancer or a connection limit in front of Postgres".to_owned(), "see Postgres's log".to_owned()],
            ),
            _ => self.ended_words(),
        }
    }

    fn tls_words(&self, scene: Scene<'_>) -> Words {
        let host = &scene.route.database.host;
        match self {
            Self::PostgresSilent => Words::new(
                "The database accepts the connection and says nothing",
                "The first message of Postgres got no answer in time.",
                ["check the database's `host` and `port`".to_owned(), "look for a proxy in front, or a hung server".to_owned()],
            ),
            Self::NotPostgres => Words::new(
                "The database's port does not speak Postgres",
                "Something else answers there.",
                ["correct the database's `host` and `port`".to_owned()],
            ),
            Self::TlsNotOffered => Words::new(
                "The database has no TLS",
                "Postgres answered that it does not speak TLS, and `sslmode` demands it.",
                [
                    "turn TLS on: ssl = on, with a certificate and a key".to_owned(),
                    "choose `sslmode = \"disable\"` knowingly: behind the bastion the password crosses in the clear".to_owned(),
                ],
            ),
            Self::TlsServerError => Words::new(
                "The database answers with an error where TLS should begin",
                "Postgres could not start this connection.",
                ["see Postgres's log".to_owned()],
            ),
            Self::CertificateWrongName { presented } => Words::new(
                "The database's certificate is for another name",
                format!("It is for {presented}, and the name asked for is `{host}`."),
                [
                    "set `host` to a name in the certificate".to_owned(),
                    "issue a certificate for that name".to_owned(),
                    "`sslmode = \"verify-ca\"` checks the authority only".to_owned(),
                ],
            ),
            Self::CertificateExpired => Words::new(
                "The database's certificate is out of its time",
                "It has expired, or is not valid yet, by this machine's clock.",
                ["renew the certificate".to_owned(), "check this machine's clock".to_owned()],
            ),
            Self::CertificateUnknownIssuer => Words::new(
                "The database's certificate is from an unknown authority",
                "None of the authorities in `sslrootcert` has signed it.",
                ["give the right authority as `sslrootcert` (for RDS, the bundle of its region)".to_owned()],
            ),
            Self::CertificateBad => Words::new(
                "The database's certificate cannot be used",
                "It does not pass verification.",
                ["issue a new certificate: X.509 v3, with the host name as a subject alternative name".to_owned()],
            ),
            Self::ClientCertificateRefused => Words::new(
                "The database refuses the client certificate",
                "Postgres asks for a client certificate that its authority has signed.",
                ["give `sslcert` and `sslkey_wo`".to_owned(), "have it signed by the authority in the server's ssl_ca_file".to_owned()],
            ),
            Self::TlsFailed => Words::new(
                "TLS with the database failed",
                "Postgres agreed to TLS, and the handshake broke.",
                ["look for a proxy or a middlebox that cuts TLS".to_owned(), "see Postgres's log".to_owned()],
            ),
            _ => self.ended_words(),
        }
    }

    fn login_words(&self, scene: Scene<'_>) -> Words {
        let database = &scene.route.database;
        let from = if scene.route.bastion.is_some() { "the bastion's private address" } else { "this machine's address" };
        let line = |kind: &str| format!("{kind} {} {} <{from}>/32 scram-sha-256", database.name, database.user);
        match self {
            Self::PasswordRefused => Words::new(
                "The database refuses the password",
                "Postgres says the same for a wrong password and for a missing role.",
                [
                    format!("give the right `password_wo` for `{}`, and raise `password_wo_version`", database.user),
                    format!("create the role: CREATE ROLE \"{}\" LOGIN PASSWORD '…'", database.user),
                ],
            ),
            Self::PasswordMissing => Words::new(
                "The database asks for a password",
                "None was given.",
                ["set `password_wo` and `password_wo_version`".to_owned()],
            ),
            Self::RoleMissing => Words::new(
                "The role does not exist",
                format!("The server has no role `{}`.", database.user),
                ["correct `user`".to_owned(), format!("CREATE ROLE \"{}\" LOGIN;", database.user)],
            ),
            Self::EncryptionRequired => Words::new("The database takes TLS only", "", ["set `sslmode` to require or stricter".to_owned()]),
            Self::ServerUnproven => Words::new(
                "What answers cannot prove that it is the database",
                "SCRAM binds the login to the server and its TLS: something in between ends TLS, or it is another server.",
                [
                    "connect to Postgres itself, past any proxy that ends TLS".to_owned(),
                    "correct the database's `host` and `port`".to_owned(),
                ],
            ),
            Self::NoHbaEntry { encrypted: true } => Words::new(
                "The database admits no such connection",
                format!("No line of pg_hba.conf fits this role, database and {from}."),
                [format!("add to pg_hba.conf: {}", line("hostssl"))],
            ),
            Self::NoHbaEntry { encrypted: false } => Words::new(
                "The database admits no such connection",
                format!(
                    "No line of pg_hba.conf fits this role, database and {from} without TLS. Whether one fits with TLS cannot be told."
                ),
                ["set `sslmode` to require or stricter".to_owned(), format!("add to pg_hba.conf: {}", line("host"))],
            ),
            Self::HbaRejects => Words::new(
                "The database rejects such connections",
                "A reject line of pg_hba.conf fits.",
                ["remove the reject line, or move it below the line that should fit".to_owned()],
            ),
            Self::AuthenticationUnsupported => Words::new(
                "The database asks for an authentication that cannot be given",
                "",
                ["let pg_hba.conf ask this role for scram-sha-256".to_owned()],
            ),
            Self::Pooler => Words::new(
                "A connection pooler refuses the login",
                "The answer comes from a pooler in front of Postgres.",
                ["add the role and the database to the pooler".to_owned(), "connect to Postgres itself: replication needs that".to_owned()],
            ),
            Self::LoginBroken => Words::new(
                "The login broke",
                "The connection ended, or what answered does not make sense, before Postgres had decided.",
                ["look for a proxy in front of Postgres".to_owned(), "see Postgres's log".to_owned()],
            ),
            Self::LoginSilent => Words::new(
                "The database is silent during login",
                "Postgres took the credentials and did not answer in time.",
                ["a slow authentication method (LDAP, RADIUS) or an overloaded server: see Postgres's log".to_owned()],
            ),
            Self::LoginRefused => Words::new("The database refuses the login", "", ["see Postgres's log".to_owned()]),
            _ => self.ended_words(),
        }
    }

    fn open_words(&self, scene: Scene<'_>) -> Words {
        let database = &scene.route.database;
        let (user, name) = (&database.user, &database.name);
        match self {
            Self::LoginForbidden => Words::new(
                "The role may not log in",
                format!("`{user}` exists and lacks LOGIN."),
                [format!("ALTER ROLE \"{user}\" LOGIN;")],
            ),
            Self::DatabaseMissing => Words::new(
                "The database does not exist",
                format!("The server has no database `{name}`."),
                ["correct `database`".to_owned(), format!("CREATE DATABASE \"{name}\";")],
            ),
            Self::NoConnectPrivilege => Words::new(
                "The role may not connect to the database",
                format!("`{user}` lacks CONNECT on `{name}`."),
                [format!("GRANT CONNECT ON DATABASE \"{name}\" TO \"{user}\";")],
            ),
            Self::DatabaseClosed => Words::new(
                "The database takes no connections",
                format!("`{name}` has ALLOW_CONNECTIONS false."),
                [format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS true;")],
            ),
            Self::TooManyConnections => Words::new(
                "The database has no connection slot left",
                "A limit of the server, the role or the database is reached; it was waited for.",
                [
                    "end idle connections (pg_stat_activity)".to_owned(),
                    "raise max_connections, or the role's or database's CONNECTION LIMIT".to_owned(),
                ],
            ),
            Self::NotAccepting => Words::new(
                "The database is not accepting connections now",
                "It is starting up, shutting down or recovering; it was waited for.",
                [
                    "apply again when it is up".to_owned(),
                    "a standby with hot_standby = off never accepts any: point `host` at the primary".to_owned(),
                ],
            ),
            Self::NotReady { findings, publication } => Words {
                summary: "The database is not ready for its use",
                means: findings.iter().map(Finding::means).collect::<Vec<_>>().join(" "),
                remedies: findings.iter().map(|finding| finding.remedy(database, publication.as_deref())).collect(),
            },
            Self::ReadyFailed => Words::new(
                "The database could not be examined",
                "The connection works; a query about its readiness failed.",
                ["see Postgres's log".to_owned()],
            ),
            _ => self.ended_words(),
        }
    }
}

/// The first hop, in words.
struct Peer {
    direct: bool,
    name: &'static str,
    server: &'static str,
    host: String,
    port: u16,
}

impl Peer {
    fn of(route: &Route) -> Self {
        match &route.bastion {
            Some(bastion) => {
                Self { direct: false, name: "the bastion", server: "sshd", host: bastion.host.to_string(), port: bastion.port.get() }
            }
            None => Self {
                direct: true,
                name: "the database server",
                server: "Postgres",
                host: route.database.host.to_string(),
                port: route.database.port.get(),
            },
        }
    }

    const fn pick(&self, bastion: &'static str, database: &'static str) -> &'static str {
        if self.direct { database } else { bastion }
    }
}
