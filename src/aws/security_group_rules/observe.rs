//! How what is there compares with what was wanted: the entries as they stand, and which rule serves which.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{self, Entry, Source, Surroundings};
use super::mark;
use super::ours::Ours;
use super::rule::{Key, Peer, Rule, Want, implied};

/// A rule that serves an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// `ingress/neosync`
    pub label: String,
    /// The other end, as the rule holds it.
    pub peer: Peer,
    /// `sgr-…`
    pub rule_id: String,
    /// Whether this object claims it: one that it does not is never changed or removed by it.
    pub owned: bool,
}

/// Entries as they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Those that were wanted, without the peers that are missing; and rules of ours that were not wanted.
    pub entries: Vec<Entry>,
    /// By label, then by peer.
    pub held: Vec<Held>,
    /// Tags of the rules that are this object's alone: the default tags, each as it is on the rule that lacks it, if one does; and the name
    /// of one that bears another than its entry's.
    pub tags: BTreeMap<String, String>,
}

/// The entry under which state shows what a killed run had begun to leave: in no configuration, so that the next apply ends it.
const LEAVING: &str = "leaving";

/// Compares, `default` being the tags that the provider block asks for. A subnet is there if all of its networks are.
pub(super) fn observe(
    entries: &[Entry],
    surroundings: &Surroundings,
    there: &[Rule],
    ours: &Ours,
    default: &BTreeMap<String, String>,
) -> Observed {
    let mut by_key: BTreeMap<&Key, &Rule> = BTreeMap::new();
    for rule in there {
        let first = by_key.entry(&rule.key).or_insert(rule);
        if ours.owns(rule) && !ours.owns(first) {
            *first = rule;
        }
    }
    let mut seen = Observed { tags: tags(&entry::wants(entries, surroundings), &by_key, ours, default), ..Observed::default() };
    let mut described = BTreeSet::new();
    let mut serving = BTreeSet::new();
    for entry in entries {
        let mut standing = Entry { sources: Vec::new(), ..entry.clone() };
        for source in &entry.sources {
            let keys = entry.keys(source, surroundings);
            // The first entry that asks for a rule describes it.
            let own: Vec<&Key> = keys.iter().filter(|key| described.insert((*key).clone())).collect();
            // One that this object has begun to leave is to be asked for anew, or left to the end.
            let rules: Vec<&Rule> = keys.iter().filter_map(|key| by_key.get(key).copied()).filter(|rule| !ours.leaves(rule)).collect();
            serving.extend(rules.iter().map(|rule| rule.id.as_str()));
            let rules: Vec<&Rule> = rules.into_iter().filter(|rule| ours.relies_on(rule)).collect();
            seen.held.extend(rules.iter().map(|rule| held(entry.label(), rule, ours)));
            if rules.len() < keys.len() || keys.is_empty() {
                continue;
            }
            standing.sources.push(source.clone());
            // The first that differs is enough to show that something does.
            let want = |key: &Key| Want { key: key.clone(), description: entry.description.clone(), name: entry.name.clone() };
            let differs =
                |rule: &&&Rule| own.contains(&&rule.key) && ours.describes(rule) && !want(&rule.key).is_described_by(&rule.description);
            if let Some(other) = rules.iter().find(differs).filter(|_| standing.description == entry.description) {
                standing.description = Some(other.description.clone());
            }
        }
        if !standing.sources.is_empty() {
            seen.entries.push(standing);
        }
    }
    for rule in there.iter().filter(|rule| ours.owns(rule) && !serving.contains(rule.id.as_str())) {
        let name = if ours.leaves(rule) { Some(LEAVING) } else { ours.name(rule) };
        let label = stray(&mut seen.entries, rule, name);
        seen.held.push(held(label, rule, ours));
    }
    seen.held.sort_by(|this, that| (&this.label, &this.peer, &this.rule_id).cmp(&(&that.label, &that.peer, &that.rule_id)));
    seen.held.dedup();
    seen
}

/// The recorded tags as the rules bear them.
fn tags(wants: &[Want], there: &BTreeMap<&Key, &Rule>, ours: &Ours, default: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut tags = ours.tags.clone();
    let mut astray: BTreeMap<String, Option<&String>> = BTreeMap::new();
    let mut alone = false;
    for want in wants {
        let Some(rule) = there.get(&want.key).filter(|rule| ours.holds(rule) && ours.describes(rule)) else { continue };
        alone = true;
        let expected = mark::described(want, default).into_iter().filter(|(key, value)| rule.tags.get(key) != Some(value));
        for (key, _) in expected {
            astray.entry(key.clone()).or_insert_with(|| rule.tags.get(&key));
        }
    }
    if alone {
        // What was astray the last time may have been put right since.
        tags.retain(|key, _| !mark::is_ours(key));
        tags.extend(default.clone());
    }
    for (key, found) in astray {
        match found {
            // A default tag that is missing is shown by its absence; of ours, none stands in state.
            None if !mark::is_ours(&key) => drop(tags.remove(&key)),
            found => drop(tags.insert(key, found.cloned().unwrap_or_default())),
        }
    }
    tags
}

fn held(label: String, rule: &Rule, ours: &Ours) -> Held {
    Held { label, peer: rule.key.peer.clone(), rule_id: rule.id.clone(), owned: ours.owns(rule) || ours.remembers(rule) }
}

/// Puts a rule of ours that was not wanted where it fits: under its own name, else under one that says what passes. The entry's label.
fn stray(entries: &mut Vec<Entry>, rule: &Rule, name: Option<&str>) -> String {
    let (direction, traffic) = (rule.key.direction, rule.key.traffic);
    let plain = traffic.to_string();
    let numbered = (2_u32..).map(|number| format!("{plain}-{number}"));
    for name in name.map(ToOwned::to_owned).into_iter().chain([plain.clone()]).chain(numbered) {
        let source = Source::Peer(rule.key.peer.clone());
        let description = Some(rule.description.clone()).filter(|text| !text.is_empty() && *text != implied(&name));
        match entries.iter_mut().find(|entry| entry.direction == direction && entry.name == name) {
            None => {
                let entry = Entry { direction, name, traffic, description, sources: vec![source] };
                let label = entry.label();
                entries.push(entry);
                return label;
            }
            Some(entry) if entry.traffic == traffic && entry.description == description => {
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
        Entry { direction: Direction::Ingress, name: name.to_owned(), traffic: tcp(port), description: None, sources }
    }

    fn rule(id: &str, port: i64, peer: &str) -> Rule {
        let key = Key { direction: Direction::Ingress, traffic: tcp(port), peer: Peer::Cidr(peer.parse().unwrap()) };
        Rule { id: id.to_owned(), key, description: String::new(), tags: BTreeMap::new() }
    }

    fn ours(ids: &[(&str, &str)]) -> Ours {
        Ours { recorded: ids.iter().map(|(id, label)| ((*id).to_owned(), (*label).to_owned())).collect(), ..Ours::default() }
    }

    #[test]
    fn what_is_missing_goes_and_what_was_changed_shows() {
        let wanted = [entry("neosync", 22, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]), entry("gone", 23, &["10.0.0.9"])];
        // One as wanted, one moved to another port, one with another address; somebody else's serves the third.
        let there = [rule("a", 22, "10.0.0.1"), rule("b", 2222, "10.0.0.2"), rule("c", 22, "10.9.0.0/16"), rule("theirs", 22, "10.0.0.3")];
        let label = "ingress/neosync";
        let seen = observe(&wanted, &Surroundings::default(), &there, &ours(&[("a", label), ("b", label), ("c", label)]), &BTreeMap::new());
        assert_eq!(seen.entries, [entry("neosync", 22, &["10.0.0.1", "10.0.0.3", "10.9.0.0/16"]), entry("tcp-2222", 2222, &["10.0.0.2"])]);
        let held: Vec<_> = seen.held.iter().map(|held| (held.label.as_str(), held.rule_id.as_str(), held.owned)).collect();
        assert_eq!(held, [(label, "a", true), (label, "theirs", false), (label, "c", true), ("ingress/tcp-2222", "b", true)]);
    }

    #[test]
    fn a_subnet_stands_for_all_of_its_networks() {
        let wanted = [entry("subnets", 22, &["subnet-1a2b3c4d"])];
        let networks = |list: &[&str]| {
            let networks = [("subnet-1a2b3c4d".parse().unwrap(), list.iter().map(|cidr| cidr.parse().unwrap()).collect())];
            Surroundings { networks: networks.into(), account: None }
        };
        let there = [rule("a", 22, "10.0.1.0/24")];
        assert_eq!(observe(&wanted, &networks(&["10.0.1.0/24"]), &there, &Ours::default(), &BTreeMap::new()).entries, wanted);
        assert_eq!(observe(&wanted, &networks(&["10.0.1.0/24", "10.0.2.0/24"]), &there, &Ours::default(), &BTreeMap::new()).entries, []);
        assert_eq!(observe(&wanted, &networks(&[]), &there, &Ours::default(), &BTreeMap::new()).entries, []);
    }

    #[test]
    fn a_description_is_ours_to_compare_on_our_rules_only() {
        let described = Rule { description: "other".to_owned(), ..rule("a", 22, "10.0.0.1") };
        let wanted = [entry("neosync", 22, &["10.0.0.1"])];
        assert_eq!(
            observe(&wanted, &Surroundings::default(), std::slice::from_ref(&described), &Ours::default(), &BTreeMap::new()).entries,
            wanted
        );
        let seen = observe(&wanted, &Surroundings::default(), &[described], &ours(&[("a", "ingress/neosync")]), &BTreeMap::new());
        assert_eq!(seen.entries[0].description.as_deref(), Some("other"));
    }
}
