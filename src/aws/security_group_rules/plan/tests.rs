//! Plans against a group that behaves as EC2's: from any start, with and without head-room.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::ours::Identity;
use super::super::rule::{Direction, Key, Peer};
use super::super::traffic::{Protocol, Traffic};
use super::*;

const NONE: &BTreeMap<String, String> = &BTreeMap::new();

fn ours() -> Ours {
    let identity = Identity { owner: "ours".parse().unwrap(), claim: Some("0123456789abcdef".parse().unwrap()) };
    Ours { identity: Some(identity), ..Ours::default() }
}

fn owns(rule: &Rule) -> bool {
    ours().owns(rule)
}

fn plan(wants: &[Want], there: &[Rule]) -> Plan {
    super::plan(wants, there, &ours(), NONE)
}

/// What a rule of ours bears.
fn tags(want: &Want) -> BTreeMap<String, String> {
    let mark = (mark::key(&"ours".parse().unwrap()), "0123456789abcdef".to_owned());
    mark::described(want, NONE).into_iter().chain([mark]).collect()
}

fn key(number: u8) -> Key {
    let direction = if number & 1 == 0 { Direction::Ingress } else { Direction::Egress };
    let port = 22 + i64::from(number >> 1 & 1);
    let peer = if number & 4 == 0 { format!("10.0.0.{number}/32") } else { format!("2001:db8::{number:x}/128") };
    Key { direction, traffic: Traffic::new(Protocol::TCP, Some((port, port))).unwrap(), peer: Peer::Cidr(peer.parse().unwrap()) }
}

fn want(number: u8, description: u8) -> Want {
    Want { key: key(number), description: Some("x".repeat(description.into())), name: "n".to_owned() }
}

fn rule(number: u8, description: u8, ours: bool) -> Rule {
    let tags = if ours { tags(&want(number, description)) } else { BTreeMap::new() };
    Rule { id: format!("sgr-{number}"), key: key(number), description: "x".repeat(description.into()), tags }
}

/// A group: no two rules with one key, a quota a direction and family.
struct Group {
    rules: Vec<Rule>,
    quota: usize,
    made: usize,
}

impl Group {
    fn crowded(&self, more: &[Want]) -> bool {
        let kind = |key: &Key| (key.direction, key.peer.kind());
        more.iter().any(|want| {
            let all = self.rules.iter().map(|rule| &rule.key).chain(more.iter().map(|want| &want.key));
            all.filter(|key| kind(key) == kind(&want.key)).count() > self.quota
        })
    }

    fn authorize(&mut self, wants: &[Want]) {
        assert!(!self.crowded(wants));
        for want in wants {
            assert!(self.rules.iter().all(|rule| rule.key != want.key), "EC2 refuses a duplicate");
            self.made += 1;
            let tags = tags(want);
            self.rules.push(Rule { id: format!("sgr-new{}", self.made), key: want.key.clone(), description: want.text(), tags });
        }
    }

    fn modify(&mut self, pairs: &[(Rule, Want)]) {
        for (old, want) in pairs {
            let rule = self.rules.iter_mut().find(|rule| rule.id == old.id).unwrap();
            assert!(rule.key.direction == want.key.direction && rule.key.peer.kind() == want.key.peer.kind());
            (rule.key, rule.description) = (want.key.clone(), want.text());
        }
        let keys: BTreeSet<_> = self.rules.iter().map(|rule| &rule.key).collect();
        assert_eq!(keys.len(), self.rules.len(), "EC2 refuses a duplicate");
    }

    fn lets(&self, key: &Key) -> bool {
        self.rules.iter().any(|rule| rule.key == *key)
    }
}

/// Does what a plan says; `always` may never be without a rule. Whether all of it could be done.
fn settle(group: &mut Group, wants: &[Want], always: &[Key]) -> bool {
    let watch = |group: &Group| assert!(always.iter().all(|key| group.lets(key)), "locked out");
    let planned = plan(wants, &group.rules);
    group.modify(&planned.describe);
    watch(group);
    if !group.crowded(&planned.authorize) {
        group.authorize(&planned.authorize);
        watch(group);
        group.rules.retain(|rule| !planned.leave.iter().any(|old| old.id == rule.id));
        watch(group);
        return true;
    }
    let exchange = exchange(&planned.authorize, &planned.leave);
    group.modify(&exchange.modify);
    watch(group);
    if group.crowded(&exchange.authorize) {
        return false;
    }
    group.authorize(&exchange.authorize);
    let left = plan(wants, &group.rules).leave;
    group.rules.retain(|rule| !left.iter().any(|old| old.id == rule.id));
    watch(group);
    true
}

fn wants_of(numbers: &BTreeMap<u8, u8>) -> Vec<Want> {
    numbers.iter().map(|(number, description)| want(*number, *description)).collect()
}

proptest! {
    #[test]
    fn any_start_leads_to_what_is_wanted(
        there in proptest::collection::btree_map(0_u8..32, (0_u8..3, any::<bool>()), 0..20),
        wanted in proptest::collection::btree_map(0_u8..32, 0_u8..3, 0..20),
        room in 0_usize..12,
    ) {
        let rules: Vec<_> = there.iter().map(|(number, (description, ours))| rule(*number, *description, *ours)).collect();
        let foreign: Vec<_> = rules.iter().filter(|rule| !owns(rule)).cloned().collect();
        let always: Vec<_> = wanted.keys().filter(|number| there.contains_key(number)).map(|number| key(*number)).collect();
        let mut group = Group { quota: rules.len() + room, rules, made: 0 };
        let wants = wants_of(&wanted);
        let done = settle(&mut group, &wants, &always);
        prop_assert!(foreign.iter().all(|rule| group.rules.contains(rule)), "a rule of somebody else's was touched");
        if done {
            prop_assert!(wanted.keys().all(|number| group.lets(&key(*number))));
            prop_assert!(group.rules.iter().filter(|rule| owns(rule)).all(|rule| wants.iter().any(|want| want.key == rule.key)));
            prop_assert_eq!(plan(&wants, &group.rules), Plan::default(), "a second run has work left");
        }
    }

    #[test]
    fn without_head_room_as_many_rules_can_change_as_there_are(
        before in proptest::collection::btree_set(0_u8..8, 0..8),
        after in proptest::collection::btree_set(0_u8..8, 0..8),
    ) {
        // One direction and family, all of the quota in use.
        let numbers = |set: &BTreeSet<u8>| set.iter().map(|number| (number * 8, 0)).collect::<BTreeMap<u8, u8>>();
        let rules: Vec<_> = numbers(&before).keys().map(|number| rule(*number, 0, true)).collect();
        let mut group = Group { quota: rules.len(), rules, made: 0 };
        let done = settle(&mut group, &wants_of(&numbers(&after)), &[]);
        prop_assert_eq!(done, after.len() <= before.len());
    }
}

#[test]
fn a_rule_of_ours_serves_rather_than_somebody_elses() {
    // EC2 holds no two rules with one key, but its reads may lag behind.
    let (ours, theirs) = (rule(0, 0, true), Rule { id: "sgr-theirs".to_owned(), ..rule(0, 2, false) });
    assert_eq!(plan(&[want(0, 0)], &[theirs, ours]), Plan::default());
}

#[test]
fn two_of_our_own_with_one_key_become_one() {
    let second = Rule { id: "sgr-second".to_owned(), ..rule(0, 0, true) };
    let plan = plan(&[want(0, 0)], &[rule(0, 0, true), second.clone()]);
    assert_eq!(plan, Plan { leave: vec![second], ..Plan::default() });
}

/// A rule that lets through by address and ports, some wide and some narrow, so that one serves what another was for.
fn broad((network, ports): (u8, u8)) -> Key {
    let peer = ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.0/30", "10.0.0.0/8", "10.9.0.1/32"][usize::from(network % 5)];
    let (from, to) = [(22, 22), (20, 25), (443, 443)][usize::from(ports % 3)];
    let traffic = Traffic::new(Protocol::TCP, Some((from, to))).unwrap();
    Key { direction: Direction::Ingress, traffic, peer: Peer::Cidr(peer.parse().unwrap()) }
}

/// Whether one address may come to one port.
fn admits(keys: &[Key], address: &str, port: u16) -> bool {
    keys.iter().any(|key| {
        let Peer::Cidr(cidr) = &key.peer else { return false };
        cidr.contains(address.parse().unwrap()) && key.traffic.lets_tcp(port)
    })
}

proptest! {
    #[test]
    fn who_may_come_in_before_and_after_may_come_in_at_each_moment_also_of_a_full_group(
        before in proptest::collection::btree_set((0_u8..5, 0_u8..3), 0..10),
        after in proptest::collection::btree_set((0_u8..5, 0_u8..3), 1..10),
        room in 0_usize..4,
    ) {
        let keys = |set: &BTreeSet<(u8, u8)>| set.iter().map(|shape| broad(*shape)).collect::<Vec<_>>();
        let (old, new) = (keys(&before), keys(&after));
        let named = |key: &Key| Want { key: key.clone(), description: Some(String::new()), name: "n".to_owned() };
        let wants: Vec<Want> = new.iter().map(named).collect();
        let rules = old.iter().enumerate().map(|(number, key)| {
            Rule { id: format!("sgr-{number}"), key: key.clone(), description: String::new(), tags: tags(&named(key)) }
        });
        let rules: Vec<Rule> = rules.collect();
        let quota = rules.len() + room;
        let planned = plan(&wants, &rules);
        prop_assume!(rules.len() + planned.authorize.len() > quota);
        let exchange = exchange(&planned.authorize, &planned.leave);
        let mut now = rules.clone();
        for (rule, want) in &exchange.modify {
            now.iter_mut().find(|other| other.id == rule.id).unwrap().key = want.key.clone();
        }
        let now: Vec<Key> = now.into_iter().map(|rule| rule.key).collect();
        let distinct: BTreeSet<&Key> = now.iter().collect();
        prop_assert_eq!(distinct.len(), now.len(), "EC2 refuses a duplicate");
        // After that one call there may be no room for the rest, so this is how it may stay.
        for address in ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.9.0.1", "10.77.0.1"] {
            for port in [20, 22, 443] {
                let kept = admits(&old, address, port) && admits(&new, address, port);
                prop_assert!(!kept || admits(&now, address, port), "{} is locked out of {}", address, port);
            }
        }
    }
}
