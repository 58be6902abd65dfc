//! State keeps the user's spelling, and shows what is different.

use super::super::arguments::parse_known;
use super::super::arguments::tests::{GROUP, named, peers, ssh};
use super::*;

fn model(rule: RuleModel) -> Model {
    Model { security_group_id: GROUP.into(), ingress: named([("it", rule)]), ..Model::default() }
}

fn seen(model: &Model, change: impl FnOnce(&mut Vec<Entry>)) -> Observed {
    let mut entries = parse_known(model).ok().unwrap().entries;
    change(&mut entries);
    Observed { entries, ..Observed::default() }
}

#[test]
fn what_stands_as_it_was_asked_for_is_spelled_as_it_was_asked_for() {
    for rule in [
        ssh(&["1.2.3.4", "2001:DB8::1/128", "subnet-1a2b3c4d"]),
        RuleModel { protocol: "TCP".into(), description: "x".into(), ..ssh(&["1.2.3.4/32"]) },
        RuleModel { port: Attr::Null, from_port: Attr::Known(22), to_port: Attr::Known(22), description: "".into(), ..ssh(&["1.2.3.4"]) },
        RuleModel { port: Attr::Null, protocol: "-1".into(), ..ssh(&["1.2.3.4"]) },
    ] {
        let before = model(rule);
        let after = standing(before.clone(), &seen(&before, |_| {}));
        assert!(after.ingress == before.ingress && after.egress.is_null());
    }
}

#[test]
fn what_is_missing_or_new_shows() {
    let before = model(ssh(&["1.2.3.4", "1.2.3.5"]));
    let after = standing(
        before.clone(),
        &seen(&before, |entries| entries[0].sources = vec!["1.2.3.5".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]),
    );
    assert!(after.ingress == named([("it", ssh(&["1.2.3.5", "10.0.0.0/8"]))]));
    let gone = standing(before.clone(), &seen(&before, Vec::clear));
    assert!(gone.ingress == named([]));
    let changed = standing(
        before.clone(),
        &seen(&before, |entries| {
            entries[0].traffic = Traffic::new(Protocol::UDP, Some((53, 54))).unwrap();
            entries[0].description = Some("other".to_owned());
        }),
    );
    let rule = RuleModel {
        protocol: "udp".into(),
        from_port: Attr::Known(53),
        to_port: Attr::Known(54),
        description: "other".into(),
        peers: peers(&["1.2.3.4/32", "1.2.3.5/32"]),
        ..RuleModel::default()
    };
    assert!(changed.ingress == named([("it", rule)]));
}

#[test]
fn another_spelling_of_the_same_is_no_change() {
    let prior = model(RuleModel { protocol: "TCP".into(), ..ssh(&["1.2.3.4", "::1"]) });
    let mut planned = model(RuleModel { protocol: "tcp".into(), ..ssh(&["1.2.3.4/32", "0:0::1/128"]) });
    keep_spelling(&mut planned, &prior);
    assert!(planned.ingress == prior.ingress);
    let other = model(ssh(&["1.2.3.4/32", "::2"]));
    let mut planned = other.clone();
    keep_spelling(&mut planned, &prior);
    assert!(planned.ingress == other.ingress);
}

#[test]
fn only_rules_that_are_recorded_as_owned_are_ours() {
    let held = |label: &str, id: &str, owned| Held {
        label: label.to_owned(),
        peer: crate::aws::security_group_rules::Peer::Cidr("10.0.0.1".parse().unwrap()),
        rule_id: id.to_owned(),
        owned,
    };
    let model = Model {
        owner: "0123456789abcdef".into(),
        rules: rules(&[held("ingress/a", "sgr-1", true), held("ingress/a", "sgr-2", false)]),
        ..Model::default()
    };
    let ours = ours(&model);
    assert_eq!(ours.recorded, BTreeMap::from([("sgr-1".to_owned(), "ingress/a".to_owned())]));
    assert_eq!(ours.identity.unwrap().owner.as_str(), "0123456789abcdef");
}
