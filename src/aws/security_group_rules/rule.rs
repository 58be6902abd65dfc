//! A rule of a security group: what identifies it, and what else it holds.

use std::collections::BTreeMap;
use std::fmt;

use super::id::{PeerGroup, PrefixListId};
use super::traffic::Traffic;
use crate::cidr::Cidr;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Into the group.
    Ingress,
    /// Out of it.
    Egress,
}

impl Direction {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    /// `ingress`, `egress`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The other end, as one rule holds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Addresses.
    Cidr(Cidr),
    /// The members of a security group.
    Group(PeerGroup),
    /// The networks of a managed prefix list.
    PrefixList(PrefixListId),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(cidr) => cidr.fmt(f),
            Self::Group(id) => id.fmt(f),
            Self::PrefixList(id) => id.fmt(f),
        }
    }
}

/// What kinds of peer EC2 lets a rule change between, and counts apart: a rule never changes its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PeerKind {
    V4,
    V6,
    Group,
    PrefixList,
}

impl Peer {
    pub(super) const fn kind(&self) -> PeerKind {
        match self {
            Self::Cidr(cidr) if cidr.address().is_ipv4() => PeerKind::V4,
            Self::Cidr(_) => PeerKind::V6,
            Self::Group(_) => PeerKind::Group,
            Self::PrefixList(_) => PeerKind::PrefixList,
        }
    }
}

/// What identifies a rule within its group: EC2 takes no second one with the same key. The description is no part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Which way.
    pub direction: Direction,
    /// What passes.
    pub traffic: Traffic,
    /// The other end.
    pub peer: Peer,
}

impl Key {
    /// Whether TCP to a port may go out to somebody.
    pub(super) fn lets_tcp_out(&self, port: u16) -> bool {
        matches!(self.direction, Direction::Egress) && self.traffic.lets_tcp(port)
    }
}

/// A rule that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `sgr-…`
    pub id: String,
    /// What identifies it.
    pub key: Key,
    /// Empty if there is none.
    pub description: String,
    /// All of them.
    pub tags: BTreeMap<String, String>,
}

/// A rule that is to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) key: Key,
    /// Absent: the entry's name.
    pub(super) description: Option<String>,
    /// The name of the entry that it comes from.
    pub(super) name: String,
}

impl Want {
    /// The description of a rule that is made.
    pub(super) fn text(&self) -> String {
        self.description.clone().unwrap_or_else(|| implied(&self.name))
    }

    /// Whether a rule is described as it is to be. Where no description was given, none at all is as good as the name: the version before
    /// wrote none.
    pub(super) fn is_described_by(&self, text: &str) -> bool {
        match &self.description {
            Some(given) => given == text,
            None => text.is_empty() || text == implied(&self.name),
        }
    }
}

/// EC2's limit on a rule's description, in characters …
pub const LONGEST_DESCRIPTION: usize = 255;

/// … and the signs that it takes there besides letters and digits (API reference, IpRange).
pub const DESCRIPTION_SIGNS: &str = " ._-:/()#,@[]+=&;{}!$*";

/// An entry's name as a description, with what EC2 does not take there replaced.
pub(super) fn implied(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || DESCRIPTION_SIGNS.contains(c);
    name.chars().take(LONGEST_DESCRIPTION).map(|c| if fits(c) { c } else { '_' }).collect()
}
