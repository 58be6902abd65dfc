//! The route: through which hops, to which target, as whom. Parsed once at the edge, never validated again.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU16;
use std::str::FromStr;

use super::position::Position;
use super::stage::Stage;
use crate::key::{HostKeys, PublicKey};

/// A DNS name or an IP address. No scheme, no port, no brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host(String);

/// Why a text is not a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
    /// `fe80::1%eth0`.
    #[error("an address of one link only (fe80::1%eth0) cannot be used; give the host's name or another address")]
    Zone,
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

    /// Whether a resolver is asked for it: an address is its own answer.
    #[must_use]
    pub fn is_name(&self) -> bool {
        self.0.parse::<IpAddr>().is_err()
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.parse::<IpAddr>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        let has_zone = text.split_once('%').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_dns = text.chars().all(fits) && !text.split('.').rev().skip(1).any(str::is_empty);
        let broken = [
            (text.trim().is_empty(), HostError::Empty),
            (text.contains("://"), HostError::Scheme),
            (text.contains('@'), HostError::User),
            (has_zone, HostError::Zone),
            (text.contains([':', '[']), HostError::Port),
            (text.len() > 253, HostError::TooLong),
            (!is_dns, HostError::Character),
        ];
        match broken.into_iter().find(|(is_broken, _)| *is_broken) {
            Some((_, error)) => Err(error),
            None => Ok(Self(text.to_owned())),
        }
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

/// A host and a port, as whoever connects to it sees them. Its text is `host:port`, with brackets around an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The name, or an address.
    pub host: Host,
    /// The TCP port.
    pub port: Port,
}

impl Address {
    /// The two together.
    #[must_use]
    pub const fn new(host: Host, port: Port) -> Self {
        Self { host, port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.as_str().contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Where a path begins: who walks it, and says what was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Vantage {
    /// This machine.
    #[default]
    Here,
}

impl Vantage {
    /// As a picture names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
        }
    }

    /// As a sentence names it: "seen from …".
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Here => "this machine",
        }
    }
}

/// An SSH server on the way, and the login on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Hop {
    /// As the hop before it sees it; the first one, as the vantage does.
    pub at: Address,
    /// The login; `None` where nobody logs in.
    pub user: Option<String>,
    /// Which host keys are taken for this server's.
    pub host_keys: HostKeys,
    /// The canary of the version of the login's keys that the server is to work with; `None` where that is not asked.
    pub canary: Option<PublicKey>,
}

impl Hop {
    /// A server on which somebody logs in.
    #[must_use]
    pub fn new(at: Address, user: impl Into<String>, host_keys: HostKeys) -> Self {
        Self { at, user: Some(user.into()), host_keys, canary: None }
    }

    /// A server on which nobody logs in: its host keys are all that is looked at.
    #[must_use]
    pub const fn without_login(at: Address, host_keys: HostKeys) -> Self {
        Self { at, user: None, host_keys, canary: None }
    }
}

/// A login to a Postgres server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Login {
    /// The role.
    pub user: String,
    /// The database that it opens.
    pub database: String,
}

/// Where a path ends. Addresses are as the last hop sees them; the vantage, if there is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A TCP port that accepts.
    Tcp(Address),
    /// A Postgres server.
    Postgres {
        /// Where it listens.
        at: Address,
        /// Who logs in to which database; `None` where nobody does.
        login: Option<Login>,
    },
}

impl Target {
    /// Where it listens.
    #[must_use]
    pub const fn at(&self) -> &Address {
        match self {
            Self::Tcp(at) | Self::Postgres { at, .. } => at,
        }
    }

    /// The same, to be changed.
    pub const fn at_mut(&mut self) -> &mut Address {
        match self {
            Self::Tcp(at) | Self::Postgres { at, .. } => at,
        }
    }

    /// The login to a Postgres server, if there is one.
    #[must_use]
    pub const fn login(&self) -> Option<&Login> {
        match self {
            Self::Tcp(_) => None,
            Self::Postgres { login, .. } => login.as_ref(),
        }
    }
}

/// *vantage → hops → target*. Each hop is a leg, from 0; the target is the last leg.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Route {
    /// Where it begins.
    pub vantage: Vantage,
    /// The SSH servers on the way, the first one first; empty for a direct path.
    pub hops: Vec<Hop>,
    /// Where it ends; `None` where the path ends at its last hop.
    pub target: Option<Target>,
    /// The vantage's own address as the first hop sees it, where that is known.
    pub seen_as: Option<IpAddr>,
}

impl Route {
    /// From this machine through `hops`.
    #[must_use]
    pub fn new(hops: Vec<Hop>, target: impl Into<Option<Target>>) -> Self {
        Self { vantage: Vantage::Here, hops, target: target.into(), seen_as: None }
    }

    /// Where it begins, as a sentence names it: with the vantage's own address where that is known.
    #[must_use]
    pub fn from(&self) -> String {
        let phrase = self.vantage.phrase();
        self.seen_as.map_or_else(|| phrase.to_owned(), |address| format!("{phrase}, {address}"))
    }

    /// Whether it leads through no hop.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        self.hops.is_empty()
    }

    /// The hop of a leg; `None` for the target's.
    #[must_use]
    pub fn hop(&self, leg: usize) -> Option<&Hop> {
        self.hops.get(leg)
    }

    /// Where a leg leads.
    #[must_use]
    pub fn address(&self, leg: usize) -> Option<&Address> {
        self.hop(leg).map(|hop| &hop.at).or_else(|| self.target.as_ref().map(Target::at))
    }

    /// The login to a Postgres server at its end, if there is one.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        self.target.as_ref().and_then(Target::login)
    }

    /// The last position at which this route has a stage; `None` if it has none.
    #[must_use]
    pub fn position(&self, stage: Stage) -> Option<Position> {
        let target = self.target.as_ref().map(|_| self.hops.len());
        let last_hop = self.hops.len().checked_sub(1);
        let postgres = target.filter(|_| matches!(self.target, Some(Target::Postgres { .. })));
        let leg = match stage {
            Stage::Configure | Stage::Admit | Stage::Resolve | Stage::Connect => Some(0),
            Stage::Forward | Stage::Dial => target.or(last_hop).filter(|leg| *leg > 0),
            Stage::Handshake | Stage::HostKey | Stage::Authenticate | Stage::Sync => last_hop,
            Stage::Tls | Stage::Login | Stage::Open | Stage::Ready => postgres,
            Stage::Hold => target.or(last_hop),
        };
        leg.map(|leg| Position { leg, stage })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `host` at its kind's own port.
    pub(crate) fn at(host: &str, port: Port) -> Address {
        Address::new(host.parse().unwrap(), port)
    }

    /// A route through `bastion.example.com` as `tf`, to the database `orders` on a host, as the role `app`.
    pub(crate) fn route(database: &str) -> Route {
        let pinned = HostKeys::Pinned { accepted: Vec::new(), revoked: Vec::new() };
        let login = Login { user: "app".to_owned(), database: "orders".to_owned() };
        let target = Target::Postgres { at: at(database, Port::POSTGRES), login: Some(login) };
        Route::new(vec![Hop::new(at("bastion.example.com", Port::SSH), "tf", pinned)], target)
    }

    /// The same with `inner.example.com` as a second hop.
    pub(crate) fn two_hops(database: &str) -> Route {
        let mut route = route(database);
        let mut inner = route.hops[0].clone();
        (inner.at, inner.user) = (at("inner.example.com", Port::SSH), Some("jump".to_owned()));
        route.hops.push(inner);
        route
    }

    #[test]
    fn a_stage_is_found_where_the_route_has_it_last() {
        let leg = |route: &Route, stage| route.position(stage).map(|position| position.leg);
        let one = route("db");
        assert_eq!((leg(&one, Stage::Connect), leg(&one, Stage::Authenticate), leg(&one, Stage::Dial)), (Some(0), Some(0), Some(1)));
        let two = two_hops("db");
        assert_eq!((leg(&two, Stage::Authenticate), leg(&two, Stage::Forward), leg(&two, Stage::Ready)), (Some(1), Some(2), Some(2)));
        let direct = Route { hops: Vec::new(), ..route("db") };
        assert_eq!((leg(&direct, Stage::HostKey), leg(&direct, Stage::Dial), leg(&direct, Stage::Tls)), (None, None, Some(0)));
        let hop = Route { target: None, ..route("db") };
        assert_eq!((leg(&hop, Stage::Authenticate), leg(&hop, Stage::Forward), leg(&hop, Stage::Login)), (Some(0), None, None));
        let tcp = Route { target: Some(Target::Tcp(at("db", Port::POSTGRES))), ..route("db") };
        assert_eq!((leg(&tcp, Stage::Dial), leg(&tcp, Stage::Tls)), (Some(1), None));
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
            ("fe80::1%eth0", HostError::Zone),
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
