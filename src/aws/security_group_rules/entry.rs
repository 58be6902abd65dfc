//! A named want: what passes, and for whom. Several peers, each a rule of its own; a subnet stands for its networks.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::id::{GroupId, IdError, PeerGroup, PrefixListId, SubnetId, is_account};
use super::rule::{Direction, Key, Peer, Want};
use super::traffic::Traffic;
use crate::cidr::{Cidr, CidrError};

/// The networks of the subnets that entries name.
pub(super) type Networks = BTreeMap<SubnetId, Vec<Cidr>>;

/// What has to be asked before entries can be read as rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    pub(super) networks: Networks,
    /// The account that the group is in, as far as it is known: in it, `ACCOUNT/sg-…` is the same as `sg-…`.
    pub(super) account: Option<String>,
}

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
    #[error(
        "a peer is an IP address, a CIDR block, a security group (`sg-…`, of another account `123456789012/sg-…`), a prefix list (`pl-…`) \
         or a subnet (`subnet-…`)"
    )]
    Unknown,
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let of_account = text.split_once('/').is_some_and(|(account, id)| is_account(account) && id.starts_with(GroupId::PREFIX));
        if of_account || text.starts_with(GroupId::PREFIX) {
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
    /// Put on each rule; absent: the name.
    pub description: Option<String>,
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
    pub(super) fn keys(&self, source: &Source, surroundings: &Surroundings) -> Vec<Key> {
        let peers = match source {
            Source::Peer(Peer::Group(PeerGroup { account, id })) => {
                let account = account.clone().filter(|account| surroundings.account.as_ref() != Some(account));
                vec![Peer::Group(PeerGroup { account, id: id.clone() })]
            }
            Source::Peer(peer) => vec![peer.clone()],
            Source::Subnet(id) => surroundings.networks.get(id).into_iter().flatten().map(|cidr| Peer::Cidr(*cidr)).collect(),
        };
        peers.into_iter().map(|peer| Key { direction: self.direction, traffic: self.traffic, peer }).collect()
    }
}

/// Every rule that entries ask for, each key once: two subnets, or a subnet and a network, may stand for the same. The first entry counts.
pub(super) fn wants(entries: &[Entry], surroundings: &Surroundings) -> Vec<Want> {
    let mut wants = BTreeMap::new();
    for entry in entries {
        for key in entry.sources.iter().flat_map(|source| entry.keys(source, surroundings)) {
            let want = Want { key: key.clone(), description: entry.description.clone(), name: entry.name.clone() };
            wants.entry(key).or_insert(want);
        }
    }
    wants.into_values().collect()
}

/// Whether an entry names an account, so that the own one has to be known.
pub(super) fn name_an_account(entries: &[Entry]) -> bool {
    let names = |source: &Source| matches!(source, Source::Peer(Peer::Group(group)) if group.account.is_some());
    entries.iter().flat_map(|entry| &entry.sources).any(names)
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
    fn a_peer_is_one_of_six() {
        for (text, canonical) in [
            ("54.69.79.83", "54.69.79.83/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("sg-1a2b3c4d", "sg-1a2b3c4d"),
            ("123456789012/sg-1a2b3c4d", "123456789012/sg-1a2b3c4d"),
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
