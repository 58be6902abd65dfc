//! The kinds of stages that a path has.

use std::fmt;
use std::str::FromStr;

/// A kind of stage. Stages are not ordered, [positions](super::position::Position) are: a path has a `HostKey` for each of its hops.
///
/// A leg that is reached from the vantage has `Resolve` and `Connect`, one that is reached through a hop `Forward` and `Dial`. An SSH
/// server goes on with `Handshake` to `Sync`, a database with `Tls` to `Ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The arguments are right, without any network.
    Configure,
    /// The first hop's security group lets this machine in.
    Admit,
    /// The name of what is reached first has an address.
    Resolve,
    /// TCP to it is open.
    Connect,
    /// SSH version and key exchange agree.
    Handshake,
    /// The presented host key is a pinned one.
    HostKey,
    /// sshd accepts the user's key.
    Authenticate,
    /// sshd works with the wanted version of the login's keys.
    Sync,
    /// The hop before permits a direct-tcpip channel to it.
    Forward,
    /// The hop before reaches it.
    Dial,
    /// Postgres answers and TLS is up, as `sslmode` asks.
    Tls,
    /// Postgres accepts the role's credentials.
    Login,
    /// The database is opened.
    Open,
    /// Replication, publication and privileges suffice.
    Ready,
    /// The connection stays up.
    Hold,
}

impl Stage {
    /// All stages, in the order of a walk through one hop.
    pub const ALL: [Self; 15] = [
        Self::Configure,
        Self::Admit,
        Self::Resolve,
        Self::Connect,
        Self::Handshake,
        Self::HostKey,
        Self::Authenticate,
        Self::Sync,
        Self::Forward,
        Self::Dial,
        Self::Tls,
        Self::Login,
        Self::Open,
        Self::Ready,
        Self::Hold,
    ];

    /// The name users see, in `path[*].stage`, logs and diagnoses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Admit => "admit",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Handshake => "handshake",
            Self::HostKey => "host_key",
            Self::Authenticate => "authenticate",
            Self::Sync => "sync",
            Self::Forward => "forward",
            Self::Dial => "dial",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Open => "open",
            Self::Ready => "ready",
            Self::Hold => "hold",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a stage")]
pub struct UnknownStage;

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|stage| stage.name() == name).ok_or(UnknownStage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for stage in Stage::ALL {
            assert_eq!(stage.name().parse(), Ok(stage));
        }
        assert_eq!("frobnicate".parse::<Stage>(), Err(UnknownStage));
    }
}
