//! Every way in which the SSH peer can be at fault, one closed set a verb.

use crate::key::PublicKey;
use crate::path::heard::Heard;

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The resolver knows no such name.
    #[error("the name is not known: {heard}")]
    NotFound {
        /// The resolver's words.
        heard: Heard,
    },
    /// The resolver could not find out.
    #[error("the resolver failed: {heard}")]
    Failed {
        /// The resolver's words.
        heard: Heard,
    },
    /// The resolver did not answer in time.
    #[error("the resolver did not answer")]
    Silent,
    /// The name has IPv6 addresses alone, and this machine has no route to them.
    #[error("only IPv6 addresses, and no route: {heard}")]
    OnlyIpv6 {
        /// The operating system's words.
        heard: Heard,
    },
}

/// Why there is no TCP connection. Of several addresses, the first one's error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nothing listens.
    #[error("connection refused")]
    Refused,
    /// No answer in time.
    #[error("no answer")]
    Silent,
    /// Reset while connecting.
    #[error("connection reset")]
    Reset,
    /// No route.
    #[error("no route: {heard}")]
    Unreachable {
        /// The operating system's words.
        heard: Heard,
    },
    /// Something else.
    #[error("{heard}")]
    Other {
        /// The operating system's words.
        heard: Heard,
    },
}

/// Why there is no trusted server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Closed or reset before any SSH version; what was said before that is in `heard`.
    #[error("closed before a version: {heard}")]
    Closed {
        /// Such as `Exceeded MaxStartups`.
        heard: Heard,
    },
    /// Closed or reset after the version.
    #[error("closed in the key exchange of {version}")]
    ClosedAfterVersion {
        /// The server's version line.
        version: Heard,
    },
    /// Nothing, or not enough, came in time.
    #[error("silence in the handshake")]
    Silent {
        /// What had come.
        heard: Heard,
    },
    /// Another protocol answers, or a flood.
    #[error("not SSH: {heard}")]
    NotSsh {
        /// What it said.
        heard: Heard,
    },
    /// SSH 1.
    #[error("SSH 1: {version}")]
    OldVersion {
        /// The server's version line.
        version: Heard,
    },
    /// The two lists of algorithms have nothing in common.
    #[error("no common {what}: theirs are {theirs:?}")]
    NoCommon {
        /// `key exchange`, `cipher`, `MAC`.
        what: &'static str,
        /// What is offered here.
        ours: Vec<String>,
        /// What the server offers.
        theirs: Vec<String>,
    },
    /// A signature, a MAC or the protocol is broken.
    #[error("broken handshake: {heard}")]
    Corrupt {
        /// The SSH library's words.
        heard: Heard,
    },
    /// chacha20-poly1305 without strict key exchange (CVE-2023-48795).
    #[error("no strict key exchange with {cipher}")]
    NotStrict {
        /// The negotiated cipher.
        cipher: String,
    },
    /// The server's signature does not fit what was exchanged, and no strict key exchange was offered: as when somebody in between takes
    /// the offer out (CVE-2023-48795).
    #[error("no strict key exchange, and a signature that does not fit")]
    Stripped,
    /// The host key's signature is of another kind than was agreed on; SHA-1 never is.
    #[error("the host key signs with {signature}")]
    WeakSignature {
        /// Its name.
        signature: String,
    },
    /// Not one of the pinned keys.
    #[error("host key {} is not pinned", presented.fingerprint())]
    HostKeyChanged {
        /// What was presented, proven by its signature.
        presented: PublicKey,
    },
    /// No host key of a pinned kind.
    #[error("no host key of a pinned kind, but {theirs:?}")]
    HostKeyOtherType {
        /// What the server offers.
        theirs: Vec<String>,
    },
    /// Marked as revoked.
    #[error("host key {} is revoked", presented.fingerprint())]
    HostKeyRevoked {
        /// What was presented, proven by its signature.
        presented: PublicKey,
    },
}

/// Why the login failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticateError {
    /// The key was refused.
    #[error("permission denied ({})", methods.join(","))]
    Denied {
        /// What the server would take instead.
        methods: Vec<String>,
    },
    /// The key was accepted, and more is asked for.
    #[error("accepted, and {} asked for too", methods.join(","))]
    Partial {
        /// What more.
        methods: Vec<String>,
    },
    /// MaxAuthTries is 1 or 2: nothing but this one key was offered, so its refusal is what ended the session.
    #[error("too many tries: {heard}")]
    TooManyTries {
        /// sshd's words.
        heard: Heard,
    },
    /// The session ended.
    #[error("closed while authenticating: {heard}")]
    Closed {
        /// Why, if it was said.
        heard: Heard,
    },
    /// No answer in time.
    #[error("no answer while authenticating")]
    Silent,
}

/// Why there is no channel to the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// sshd forbids it; it says the same for five settings.
    #[error("administratively prohibited: {heard}")]
    Prohibited {
        /// sshd's words.
        heard: Heard,
    },
    /// sshd tried and failed.
    #[error("connect failed: {heard}")]
    DialFailed {
        /// The bastion's operating system's words.
        heard: Heard,
    },
    /// No room for another channel.
    #[error("resource shortage: {heard}")]
    Shortage {
        /// sshd's words.
        heard: Heard,
    },
    /// The server knows no direct-tcpip channels.
    #[error("unknown channel type: {heard}")]
    UnknownType {
        /// The server's words.
        heard: Heard,
    },
    /// No answer in time, from a server that is there: it waits for the target.
    #[error("no answer to the channel request")]
    Silent,
    /// No answer in time to anything: the server is gone, or does nothing else while it looks the target's name up, as sshd.
    #[error("no answer to the channel request, nor to a keepalive")]
    Unresponsive,
    /// The session ended.
    #[error("the session ended: {heard}")]
    SessionLost {
        /// Why, if it is known.
        heard: Heard,
    },
}

/// Why a session that was kept up is none any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// It ended.
    #[error("the session ended: {heard}")]
    Ended {
        /// Why, if it is known.
        heard: Heard,
    },
    /// It does not answer.
    #[error("no answer to a keepalive")]
    Silent,
}
