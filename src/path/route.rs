//! The route: which bastion, which database, as whom. Parsed once at the edge, never validated again.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::key::HostKeys;

/// A DNS name or an IP address. No scheme, no port, no brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host(String);

/// Why a text is not a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing, or only blanks.
    #[error("a host name or an address is needed here")]
    Empty,
    /// `postgres://…`, `ssh://…`.
    #[error("give the bare host name, without a scheme")]
    Scheme,
    /// `host:22`, `[::1]:22`.
    #[error("give the bare host name; the port has an argument of its own")]
    Port,
    /// `user@host`.
    #[error("give the bare host name; the user has an argument of its own")]
    User,
    /// A blank, a slash, a control character, something outside the DNS's letters.
    #[error("a host name has letters, digits, hyphens, underscores and dots only")]
    Character,
    /// More than DNS allows (253 characters, RFC 1035).
    #[error("a host name has at most 253 characters")]
    TooLong,
}

impl Host {
    /// The name as it was given: what is resolved, forwarded to and matched against a certificate.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Err(HostError::Empty);
        }
        if text.contains("://") {
            return Err(HostError::Scheme);
        }
        if text.contains('@') {
            return Err(HostError::User);
        }
        if text.parse::<IpAddr>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        if text.contains(':') || text.contains('[') {
            return Err(HostError::Port);
        }
        if text.len() > 253 {
            return Err(HostError::TooLong);
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !text.chars().all(fits) || text.split('.').rev().skip(1).any(str::is_empty) {
            return Err(HostError::Character);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A TCP port, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port(NonZeroU16);

/// A number outside 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a port is a whole number from 1 to 65535")]
pub struct PortError;

impl Port {
    /// Where sshd listens unless told otherwise.
    pub const SSH: Self = Self::of(22);
    /// Where Postgres listens unless told otherwise.
    pub const POSTGRES: Self = Self::of(5432);

    const fn of(number: u16) -> Self {
        match NonZeroU16::new(number) {
            Some(port) => Self(port),
            None => Self(NonZeroU16::MIN),
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl TryFrom<i64> for Port {
    type Error = PortError;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        u16::try_from(number).ok().and_then(NonZeroU16::new).map(Self).ok_or(PortError)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Writes `host:port`, with brackets around an IPv6 address.
pub(crate) struct Endpoint<'a>(pub &'a Host, pub Port);

impl fmt::Display for Endpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.as_str().contains(':') { write!(f, "[{}]:{}", self.0, self.1) } else { write!(f, "{}:{}", self.0, self.1) }
    }
}

/// The SSH bastion and the login on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bastion {
    /// As this machine sees it.
    pub host: Host,
    /// sshd's port.
    pub port: Port,
    /// The login; empty where nobody logs in.
    pub user: String,
    /// Which host keys are taken for the bastion's.
    pub host_keys: HostKeys,
}

/// The Postgres database and the role in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Database {
    /// As the last hop sees it: the bastion, or this machine if there is none.
    pub host: Host,
    /// The server's port.
    pub port: Port,
    /// The role; empty where nobody logs in.
    pub user: String,
    /// The database's name; empty where nobody logs in.
    pub name: String,
}

impl Database {
    /// The end of a route on which nothing is asked of a database, such as that of a walk until `authenticate`. It is not drawn.
    #[must_use]
    pub fn unasked() -> Self {
        // No text that a user gives becomes an empty host.
        Self { host: Host(String::new()), port: Port::POSTGRES, user: String::new(), name: String::new() }
    }

    /// Whether nothing is asked of it.
    #[must_use]
    pub fn is_unasked(&self) -> bool {
        self.host.0.is_empty()
    }
}

/// *here → bastion → database*, or *here → database*.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Absent: connect directly.
    pub bastion: Option<Bastion>,
    /// Where the path ends.
    pub database: Database,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A route through `bastion.example.com` as `tf`, to the database `orders` on a host, as the role `app`.
    pub(crate) fn route(database: &str) -> Route {
        Route {
            bastion: Some(Bastion {
                host: "bastion.example.com".parse().unwrap(),
                port: Port::SSH,
                user: "tf".to_owned(),
                host_keys: HostKeys::Pinned { accepted: Vec::new(), revoked: Vec::new() },
            }),
            database: Database { host: database.parse().unwrap(), port: Port::POSTGRES, user: "app".to_owned(), name: "orders".to_owned() },
        }
    }

    #[test]
    fn hosts_are_bare_names_or_addresses() {
        for good in ["db.internal", "localhost", "10.0.0.1", "::1", "a_b.example", "db.internal.", "xn--bcher-kva.example"] {
            assert!(good.parse::<Host>().is_ok(), "{good}");
        }
        let bad = [
            ("", HostError::Empty),
            ("postgres://db", HostError::Scheme),
            ("db:5432", HostError::Port),
            ("[::1]:22", HostError::Port),
            ("me@db", HostError::User),
            ("a b", HostError::Character),
            ("a..b", HostError::Character),
            ("bücher.example", HostError::Character),
        ];
        for (text, error) in bad {
            assert_eq!(text.parse::<Host>(), Err(error), "{text}");
        }
        assert_eq!("a".repeat(254).parse::<Host>(), Err(HostError::TooLong));
    }

    #[test]
    fn ports_have_bounds() {
        assert_eq!(Port::try_from(22), Ok(Port::SSH));
        for out in [0, -1, 65_536, i64::MAX] {
            assert_eq!(Port::try_from(out), Err(PortError));
        }
    }
}
