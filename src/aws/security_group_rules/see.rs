//! How what is there compares with what was wanted: the entries as they stand, and which rule serves which.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, Networks, Source};
use super::mark::{self, Owner};
use super::rule::{Key, Peer, Rule};

/// What tells our rules from others'.
#[derive(Clone, Debug, Default)]
pub struct Ours {
    /// The mark; absent before there is any.
    pub owner: Option<Owner>,
    /// Ids of rules that were recorded as ours, each with its entry's label.
    pub recorded: BTreeMap<String, String>,
}

impl Ours {
    /// Whether a rule is ours.
    #[must_use]
    pub fn owns(&self, rule: &Rule) -> bool {
        self.recorded.contains_key(&rule.id) || self.owner.as_ref().is_some_and(|owner| mark::owner(rule).as_ref() == Some(owner))
    }

    /// The name under which a rule of ours was made, as far as it is known.
    fn name<'a>(&'a self, rule: &'a Rule) -> Option<&'a str> {
        let label = self.recorded.get(&rule.id).and_then(|label| label.split_once('/'));
        label.map(|(_, name)| name).or_else(|| mark::name(rule))
    }
}

/// A rule that serves an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// `ingress/neosync`
    pub label: String,
    /// The other end, as the rule holds it.
    pub peer: Peer,
    /// `sgr-…`
    pub rule_id: String,
    /// Whether it is ours: one that is not is never changed or revoked.
    pub owned: bool,
}

/// Entries as they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Those that were wanted, without the peers that are missing; and rules of ours that were not wanted.
    pub entries: Vec<Entry>,
    /// By label, then by peer.
    pub held: Vec<Held>,
}

/// Compares. A subnet is there if all of its networks are.
pub(super) fn see(entries: &[Entry], networks: &Networks, there: &[Rule], ours: &Ours) -> Seen {
    let mut by_key: BTreeMap<&Key, &Rule> = BTreeMap::new();
    for rule in there {
        let first = by_key.entry(&rule.key).or_insert(rule);
        if ours.owns(rule) && !ours.owns(first) {
            *first = rule;
        }
    }
    let mut seen = Seen::default();
    let mut serving = BTreeSet::new();
    for entry in entries {
        let mut standing = Entry { sources: Vec::new(), ..entry.clone() };
        for source in &entry.sources {
            let keys = entry.keys(source, networks);
            let rules: Vec<&Rule> = keys.iter().filter_map(|key| by_key.get(key).copied()).collect();
            serving.extend(rules.iter().map(|rule| rule.id.as_str()));
            seen.held.extend(rules.iter().map(|rule| held(entry.label(), rule, ours)));
            if rules.len() < keys.len() || keys.is_empty() {
                continue;
            }
            standing.sources.push(source.clone());
            // The first that differs is enough to show that something does.
            let other = rules.iter().find(|rule| ours.owns(rule) && rule.description != entry.description);
            if let Some(other) = other.filter(|_| standing.description == entry.description) {
                standing.description.clone_from(&other.description);
            }
        }
        if !standing.sources.is_empty() {
            seen.entries.push(standing);
        }
    }
    for rule in there.iter().filter(|rule| ours.owns(rule) && !serving.contains(rule.id.as_str())) {
        let label = stray(&mut seen.entries, rule, ours.name(rule));
        seen.held.push(held(label, rule, ours));
    }
    seen.held.sort_by(|this, that| (&this.label, &this.peer, &this.rule_id).cmp(&(&that.label, &that.peer, &that.rule_id)));
    seen.held.dedup();
    seen
}

fn held(label: String, rule: &Rule, ours: &Ours) -> Held {
    Held { label, peer: rule.key.peer.clone(), rule_id: rule.id.clone(), owned: ours.owns(rule) }
}

/// Puts a rule of ours that was not wanted where it fits: under its own name, else under one that says what passes. The entry's label.
fn stray(entries: &mut Vec<Entry>, rule: &Rule, name: Option<&str>) -> String {
    let (direction, traffic) = (rule.key.direction, rule.key.traffic);
    let plain = traffic.to_string();
    let numbered = (2_u32..).map(|number| format!("{plain}-{number}"));
    for name in name.map(ToOwned::to_owned).into_iter().chain([plain.clone()]).chain(numbered) {
        let source = Source::Peer(rule.key.peer.clone());
        match entries.iter_mut().find(|entry| entry.direction == direction && entry.name == name) {
            None => {
                let entry = Entry { direction, name, traffic, description: rule.description.clone(), sources: vec![source] };
                let label = entry.label();
                entries.push(entry);
                return label;
            }
            Some(entry) if entry.traffic == traffic && entry.description == rule.description => {
                entry.sources.push(source);
                return entry.label();
            }
            Some(_) => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::rule::Direction;
    use super::super::traffic::{Protocol, Traffic};
    use super::*;

    fn tcp(port: i64) -> Traffic {
        Traffic::new(Protocol::TCP, Some((port, port))).unwrap()
    }

    fn entry(name: &str, port: i64, sources: &[&str]) -> Entry {
        let sources = sources.iter().map(|source| source.parse().unwrap()).collect();
        Entry { direction: Direction::Ingress, name: name.to_owned(), traffic: tcp(port), description: String::new(), sources }
    }

    fn rule(id: &str, port: i64, peer: &str) -> Rule {
        let key = Key { direction: Direction::Ingress, traffic: tcp(port), peer: Peer::Cidr(peer.parse().unwrap()) };
        Rule { id: id.to_owned(), key, description: String::new(), tags: BTreeMap::new() }
    }

    fn ours(ids: &[(&str, &str)]) -> Ours {
        Ours { owner: None, recorded: ids.iter().map(|(id, label)| ((*id).to_owned(), (*label).to_owned())).collect() }
    }

    #[test]
    fn what_is_missing_goes_and_what_was_changed_shows() {
        let wanted = [entry("neosync", 22, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]), entry("gone", 23, &["10.0.0.9"])];
        // One as wanted, one moved to another port, one with another address; somebody else's serves the third.
        let there = [rule("a", 22, "10.0.0.1"), rule("b", 2222, "10.0.0.2"), rule("c", 22, "10.9.0.0/16"), rule("theirs", 22, "10.0.0.3")];
        let label = "ingress/neosync";
        let seen = see(&wanted, &Networks::new(), &there, &ours(&[("a", label), ("b", label), ("c", label)]));
        assert_eq!(seen.entries, [entry("neosync", 22, &["10.0.0.1", "10.0.0.3", "10.9.0.0/16"]), entry("tcp-2222", 2222, &["10.0.0.2"])]);
        let held: Vec<_> = seen.held.iter().map(|held| (held.label.as_str(), held.rule_id.as_str(), held.owned)).collect();
        assert_eq!(held, [(label, "a", true), (label, "theirs", false), (label, "c", true), ("ingress/tcp-2222", "b", true)]);
    }

    #[test]
    fn a_subnet_stands_for_all_of_its_networks() {
        let wanted = [entry("subnets", 22, &["subnet-1a2b3c4d"])];
        let networks =
            |list: &[&str]| Networks::from([("subnet-1a2b3c4d".parse().unwrap(), list.iter().map(|cidr| cidr.parse().unwrap()).collect())]);
        let there = [rule("a", 22, "10.0.1.0/24")];
        assert_eq!(see(&wanted, &networks(&["10.0.1.0/24"]), &there, &Ours::default()).entries, wanted);
        assert_eq!(see(&wanted, &networks(&["10.0.1.0/24", "10.0.2.0/24"]), &there, &Ours::default()).entries, []);
        assert_eq!(see(&wanted, &networks(&[]), &there, &Ours::default()).entries, []);
    }

    #[test]
    fn a_description_is_ours_to_compare_on_our_rules_only() {
        let described = Rule { description: "other".to_owned(), ..rule("a", 22, "10.0.0.1") };
        let wanted = [entry("neosync", 22, &["10.0.0.1"])];
        assert_eq!(see(&wanted, &Networks::new(), std::slice::from_ref(&described), &Ours::default()).entries, wanted);
        let seen = see(&wanted, &Networks::new(), &[described], &ours(&[("a", "ingress/neosync")]));
        assert_eq!(seen.entries[0].description, "other");
    }
}
