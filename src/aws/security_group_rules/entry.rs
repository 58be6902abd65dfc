//! A named want: what passes, and for whom. Several peers, each a rule of its own; a subnet stands for its networks.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::id::{GroupId, IdError, PrefixListId, SubnetId};
use super::rule::{Direction, Key, Peer, Want};
use super::traffic::Traffic;
use crate::cidr::{Cidr, CidrError};

/// The networks of the subnets that entries name.
pub(super) type Networks = BTreeMap<SubnetId, Vec<Cidr>>;

/// A peer as it is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// What a rule can hold as it is.
    Peer(Peer),
    /// Stands for its networks.
    Subnet(SubnetId),
}

/// Why a text is not a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// An address or a network that no rule takes.
    #[error(transparent)]
    Cidr(#[from] CidrError),
    /// It begins like an id and goes on otherwise.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Nothing that a rule knows.
    #[error("a peer is an IP address, a CIDR block, a security group (`sg-…`), a prefix list (`pl-…`) or a subnet (`subnet-…`)")]
    Unknown,
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with(GroupId::PREFIX) {
            return Ok(Self::Peer(Peer::Group(text.parse()?)));
        }
        if text.starts_with(PrefixListId::PREFIX) {
            return Ok(Self::Peer(Peer::PrefixList(text.parse()?)));
        }
        if text.starts_with(SubnetId::PREFIX) {
            return Ok(Self::Subnet(text.parse()?));
        }
        match text.parse() {
            Ok(cidr) => Ok(Self::Peer(Peer::Cidr(cidr))),
            Err(CidrError::NotAnAddress) => Err(SourceError::Unknown),
            Err(error) => Err(error.into()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => peer.fmt(f),
            Self::Subnet(id) => id.fmt(f),
        }
    }
}

/// Rules under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which way.
    pub direction: Direction,
    /// What they are called; unique in its direction.
    pub name: String,
    /// What passes.
    pub traffic: Traffic,
    /// Put on each rule; empty: none.
    pub description: String,
    /// The other ends. Never empty.
    pub sources: Vec<Source>,
}

impl Entry {
    /// `ingress/neosync`
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}", self.direction, self.name)
    }

    /// The keys that one of its sources stands for.
    pub(super) fn keys(&self, source: &Source, networks: &Networks) -> Vec<Key> {
        let peers = match source {
            Source::Peer(peer) => vec![peer.clone()],
            Source::Subnet(id) => networks.get(id).into_iter().flatten().map(|cidr| Peer::Cidr(*cidr)).collect(),
        };
        peers.into_iter().map(|peer| Key { direction: self.direction, traffic: self.traffic, peer }).collect()
    }
}

/// Every rule that entries ask for, each key once: two subnets, or a subnet and a network, may stand for the same.
pub(super) fn wants(entries: &[Entry], networks: &Networks) -> Vec<Want> {
    let mut wants = BTreeMap::new();
    for entry in entries {
        for key in entry.sources.iter().flat_map(|source| entry.keys(source, networks)) {
            let want = Want { key: key.clone(), description: entry.description.clone(), name: entry.name.clone() };
            wants.entry(key).or_insert(want);
        }
    }
    wants.into_values().collect()
}

/// The subnets that entries name.
pub(super) fn subnets(entries: &[Entry]) -> Vec<SubnetId> {
    let mut found: Vec<_> = entries
        .iter()
        .flat_map(|entry| &entry.sources)
        .filter_map(|source| match source {
            Source::Subnet(id) => Some(id.clone()),
            Source::Peer(_) => None,
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_one_of_five() {
        for (text, canonical) in [
            ("54.69.79.83", "54.69.79.83/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("sg-1a2b3c4d", "sg-1a2b3c4d"),
            ("pl-68a54001", "pl-68a54001"),
            ("subnet-1a2b3c4d", "subnet-1a2b3c4d"),
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), canonical);
        }
        for (text, words) in [
            ("", "a peer is"),
            ("neosync.example.com", "a peer is"),
            ("vpc-1a2b3c4d", "a peer is"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("sg-default", "`sg-` and 8 or 17"),
            ("subnet-xyz", "`subnet-` and 8 or 17"),
            ("pl-1", "`pl-` and 8 or 17"),
        ] {
            assert!(text.parse::<Source>().unwrap_err().to_string().contains(words), "{text}");
        }
    }
}
