//! Our mark on a rule: tags that are set within the call that makes it, so that no rule of ours is ever without.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

use super::entry::Entry;
use super::id::GroupId;
use super::rule::{Rule, Want};
use super::traffic::Traffic;

/// The tag that says which program made the rule …
const MANAGED_BY: &str = "managed-by";

/// … and its value.
const PROGRAM: &str = "terraform-provider-bastion";

/// The tag that says whose it is.
const OWNER: &str = "bastion-owner";

/// The tag that EC2's console shows as a rule's name.
const NAME: &str = "Name";

/// The longest value of a tag that EC2 takes, in characters.
const LONGEST_VALUE: usize = 256;

/// How many hexadecimal digits an owner has: 64 bits, of the few owners that one group ever sees.
const DIGITS: usize = 16;

/// Whose rules they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(String);

/// A text is not an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an owner is {DIGITS} hexadecimal digits")]
pub struct OwnerError;

impl Owner {
    /// The owner of rules that are made for the first time. Two runs that want the same of the same group are the same owner: a run that
    /// was killed before its rules were recorded is followed by one that knows them. It is kept from then on, whatever is wanted later.
    #[must_use]
    pub fn of(group: &GroupId, entries: &[Entry]) -> Self {
        let mut lines: Vec<_> = entries
            .iter()
            .map(|entry| {
                let mut sources: Vec<_> = entry.sources.iter().map(ToString::to_string).collect();
                sources.sort();
                format!("{}\n{}\n{}\n", entry.label(), entry.traffic, sources.join(","))
            })
            .collect();
        lines.sort();
        let digest = digest(&SHA256, format!("{group}\n{}", lines.concat()).as_bytes());
        let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Self(digits.chars().take(DIGITS).collect())
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if fits { Ok(Self(text.to_owned())) } else { Err(OwnerError) }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tags of rules that are made in one call. EC2 puts the same on all of them, so several names share one text, each with what passes
/// under it: `egress/key_sync=tcp-443 egress/postgres=tcp-5432`.
pub(super) fn tags(owner: &Owner, wants: &[Want], default: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let names: BTreeMap<String, Traffic> =
        wants.iter().map(|want| (format!("{}/{}", want.key.direction, want.name), want.key.traffic)).collect();
    let name = match names.len() {
        1 => names.into_keys().collect(),
        _ => names.iter().map(|(label, traffic)| format!("{label}={traffic}")).collect::<Vec<_>>().join(" "),
    };
    let name: String = name.chars().take(LONGEST_VALUE).collect();
    let ours = [(MANAGED_BY, PROGRAM), (OWNER, owner.as_str()), (NAME, &name)];
    let ours = ours.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    // Ours come last: a default tag must not unmake the mark.
    default.iter().map(|(key, value)| (key.clone(), value.clone())).chain(ours).collect()
}

/// Whose a rule is, if it bears our mark.
pub(super) fn owner(rule: &Rule) -> Option<Owner> {
    let ours = rule.tags.get(MANAGED_BY).is_some_and(|program| program == PROGRAM);
    if ours { rule.tags.get(OWNER)?.parse().ok() } else { None }
}

/// The name that a rule was made under, if the mark tells it: `neosync` of `ingress/neosync`.
pub(super) fn name(rule: &Rule) -> Option<&str> {
    owner(rule)?;
    let text = rule.tags.get(NAME)?;
    let label = if text.contains('=') {
        let traffic = rule.key.traffic.to_string();
        let mut fitting = text.split(' ').filter_map(|part| part.rsplit_once('=')).filter(|(_, passes)| *passes == traffic);
        let (label, _) = fitting.next()?;
        // Two names for what passes, and nobody knows which.
        fitting.next().is_none().then_some(label)?
    } else {
        text
    };
    label.strip_prefix(rule.key.direction.name())?.strip_prefix('/').filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::rule::{Direction, Key, Peer};
    use super::super::traffic::Protocol;
    use super::*;

    fn want(name: &str, port: i64) -> Want {
        let traffic = Traffic::new(Protocol::TCP, Some((port, port))).unwrap();
        let key = Key { direction: Direction::Egress, traffic, peer: Peer::Cidr("10.0.0.1".parse().unwrap()) };
        Want { key, description: String::new(), name: name.to_owned() }
    }

    fn made(wants: &[Want]) -> Vec<Rule> {
        let owner = "0123456789abcdef".parse().unwrap();
        let default = BTreeMap::from([("team".to_owned(), "data".to_owned()), (OWNER.to_owned(), "mine".to_owned())]);
        let tags = tags(&owner, wants, &default);
        let rule = |want: &Want| Rule { id: String::new(), key: want.key.clone(), description: String::new(), tags: tags.clone() };
        wants.iter().map(rule).collect()
    }

    #[test]
    fn a_mark_tells_owner_and_name() {
        let [one] = made(&[want("my rule", 443)]).try_into().unwrap();
        assert_eq!((one.tags[NAME].as_str(), name(&one), one.tags.len()), ("egress/my rule", Some("my rule"), 4));
        assert_eq!(owner(&one).unwrap().as_str(), "0123456789abcdef");
        let several = made(&[want("a", 443), want("b", 5432), want("c", 22), want("d", 22)]);
        assert_eq!(several.iter().map(name).collect::<Vec<_>>(), [Some("a"), Some("b"), None, None]);
        assert!(several[0].tags[NAME].starts_with("egress/a=tcp-443 egress/b=tcp-5432 "));
    }

    #[test]
    fn tags_of_somebody_elses_are_no_mark() {
        let [rule] = made(&[want("a", 443)]).try_into().unwrap();
        for (key, value) in [(MANAGED_BY, "me"), (OWNER, ""), (OWNER, "0123456789ABCDEF")] {
            let mut other = rule.clone();
            other.tags.insert(key.to_owned(), value.to_owned());
            assert_eq!((owner(&other), name(&other)), (None, None));
        }
    }

    #[test]
    fn an_owner_is_of_what_was_wanted_in_any_order() {
        let group = |text: &str| text.parse().unwrap();
        let entry = |sources: &[&str]| Entry {
            direction: Direction::Ingress,
            name: "a".to_owned(),
            traffic: Traffic::new(Protocol::All, None).unwrap(),
            description: String::new(),
            sources: sources.iter().map(|source| source.parse().unwrap()).collect(),
        };
        let owner = Owner::of(&group("sg-1a2b3c4d"), &[entry(&["10.0.0.1", "10.0.0.2"])]);
        assert_eq!(owner, Owner::of(&group("sg-1a2b3c4d"), &[entry(&["10.0.0.2/32", "10.0.0.1"])]));
        assert_ne!(owner, Owner::of(&group("sg-11111111"), &[entry(&["10.0.0.1", "10.0.0.2"])]));
        assert_ne!(owner, Owner::of(&group("sg-1a2b3c4d"), &[entry(&["10.0.0.1"])]));
        assert_eq!(owner.to_string().parse(), Ok(owner));
    }
}
