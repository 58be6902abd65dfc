//! What is refused, where, and what is only warned of.

use super::super::{Model, RuleModel};
use super::*;
use crate::tfplugin::diagnostic::Severity;

pub(in crate::provider::security_group_rules) const GROUP: &str = "sg-0123456789abcdef0";

/// A set of peers.
pub(in crate::provider::security_group_rules) fn peers(texts: &[&str]) -> Attr<std::collections::BTreeSet<Attr<String>>> {
    Attr::Known(texts.iter().map(|text| Attr::from(*text)).collect())
}

/// A rule for SSH.
pub(in crate::provider::security_group_rules) fn ssh(texts: &[&str]) -> RuleModel {
    RuleModel { port: Attr::Known(22), peers: peers(texts), ..RuleModel::default() }
}

/// Entries by name.
pub(in crate::provider::security_group_rules) fn named<const N: usize>(
    rules: [(&str, RuleModel); N],
) -> Attr<BTreeMap<String, Attr<RuleModel>>> {
    Attr::Known(rules.into_iter().map(|(name, rule)| (name.to_owned(), Attr::Known(rule))).collect())
}

fn model(ingress: Attr<BTreeMap<String, Attr<RuleModel>>>) -> Model {
    Model { security_group_id: GROUP.into(), ingress, ..Model::default() }
}

fn one(rule: RuleModel) -> Model {
    model(named([("it", rule)]))
}

fn told(model: &Model, severity: Severity) -> Vec<(String, String)> {
    let mut all = validate(model);
    all.append(advice(model));
    let some = all.iter().filter(|diagnostic| diagnostic.severity == severity);
    some.map(|diagnostic| (diagnostic.attribute.to_string(), diagnostic.summary.clone())).collect()
}

fn refused(model: &Model, attribute: &str, summary: &str) {
    assert_eq!(told(model, Severity::Error), [(attribute.to_owned(), summary.to_owned())]);
    assert!(parse_known(model).is_err());
}

#[test]
fn a_malformed_part_is_refused_where_it_stands() {
    refused(
        &Model { security_group_id: "sg-1".into(), ..one(ssh(&["10.0.0.1"])) },
        "security_group_id",
        "The security group's id is not an id",
    );
    refused(&model(Attr::Null), "", "No rule is given");
    refused(&model(named([])), "", "No rule is given");
    refused(&model(named([("", ssh(&["10.0.0.1"]))])), r#"ingress[""]"#, "The rule's name cannot be used");
    refused(&model(Attr::Known([("it".to_owned(), Attr::Null)].into())), r#"ingress["it"]"#, "The rule is null");
    let in_peers = |texts: &[&str], summary| refused(&one(ssh(texts)), r#"ingress["it"].peers"#, summary);
    for bad in
        ["10.1.2.3/8", "::ffff:1.2.3.4", "fe80::1%eth0", "1.2.3", "10.0.0.0/33", "sg-default", "pl-x", "subnet-0abc", "db.internal", ""]
    {
        in_peers(&[bad], "A peer cannot be used");
    }
    in_peers(&[], "There are no peers");
    let null = RuleModel { peers: Attr::Known([Attr::Null].into()), ..ssh(&[]) };
    refused(&one(null), r#"ingress["it"].peers"#, "A peer is null");
}

#[test]
fn ports_and_protocols_have_to_fit() {
    let at = |attribute: &str| format!(r#"ingress["it"]{attribute}"#);
    let rule = || RuleModel { port: Attr::Null, ..ssh(&["10.0.0.1"]) };
    refused(&one(rule()), &at(""), "No port is given");
    for port in [-1, 65_536] {
        refused(&one(RuleModel { port: Attr::Known(port), ..rule() }), &at(".port"), "The port is out of range");
    }
    let range = |from, to| RuleModel { from_port: Attr::Known(from), to_port: Attr::Known(to), ..rule() };
    refused(&one(range(23, 22)), &at(".from_port"), "The port range is upside down");
    refused(&one(RuleModel { to_port: Attr::Null, ..range(22, 22) }), &at(".to_port"), "Half of the port range is missing");
    refused(&one(RuleModel { port: Attr::Known(22), ..range(22, 22) }), &at(".port"), "Both a port and a range are given");
    refused(&one(RuleModel { protocol: "sctp".into(), ..ssh(&["10.0.0.1"]) }), &at(".protocol"), "The protocol is not a protocol");
    refused(&one(RuleModel { protocol: "ALL".into(), ..ssh(&["10.0.0.1"]) }), &at(".port"), "The protocol has no ports");
    refused(&one(RuleModel { protocol: "icmp".into(), ..ssh(&["10.0.0.1"]) }), &at(".port"), "ICMP has types, not ports");
    refused(&one(RuleModel { protocol: "icmp".into(), ..range(-1, 3) }), &at(".from_port"), "The ICMP type or code is out of range");
    for protocol in ["TCP", "tcp", "6"] {
        assert!(validate(&one(RuleModel { protocol: protocol.into(), ..ssh(&["10.0.0.1"]) })).iter().count() == 0);
    }
}

#[test]
fn a_description_is_what_ec2_takes() {
    let described = |text: &str| one(RuleModel { description: text.into(), ..ssh(&["10.0.0.1"]) });
    for bad in ["Neosync's", "naïve", "a\nb", &"x".repeat(256)] {
        refused(&described(bad), r#"ingress["it"].description"#, "The description cannot be used");
    }
    let owned = Model { owner: "not one".into(), ..one(ssh(&["10.0.0.1"])) };
    refused(&owned, "owner", "The owner cannot be used");
    assert!(parse_known(&described("a-Z 0_9.:/()#,@[]+=&;{}!$*")).is_ok());
}

#[test]
fn what_is_given_twice_counts_once_and_is_said() {
    let in_one = one(ssh(&["1.2.3.4", "1.2.3.4/32"]));
    assert_eq!(told(&in_one, Severity::Warning), [(r#"ingress["it"].peers"#.to_owned(), "A peer is given twice".to_owned())]);
    assert_eq!(parse_known(&in_one).ok().unwrap().entries[0].sources.len(), 1);
    let twice = model(named([("a", ssh(&["10.0.0.1", "10.0.0.2"])), ("b", ssh(&["10.0.0.2/32"]))]));
    assert_eq!(told(&twice, Severity::Warning), [(r#"ingress["b"].peers"#.to_owned(), "A rule is given twice".to_owned())]);
    assert!(parse_known(&twice).is_ok());
    let ports = RuleModel { port: Attr::Known(23), ..ssh(&["10.0.0.1"]) };
    assert!(parse_known(&model(named([("a", ssh(&["10.0.0.1"])), ("b", ports)]))).is_ok());
    let both = Model { egress: named([("a", ssh(&["10.0.0.1"]))]), ..one(ssh(&["10.0.0.1"])) };
    assert!(parse_known(&both).is_ok());
}

#[test]
fn what_is_not_known_yet_is_no_error() {
    let unknown = [
        Model { security_group_id: Attr::Unknown, ..one(ssh(&["10.0.0.1"])) },
        model(Attr::Unknown),
        model(Attr::Known([("it".to_owned(), Attr::Unknown)].into())),
        one(RuleModel { peers: Attr::Unknown, ..ssh(&[]) }),
        one(RuleModel { peers: Attr::Known([Attr::Unknown, "10.0.0.1".into()].into()), ..ssh(&[]) }),
        one(RuleModel { port: Attr::Unknown, ..ssh(&["10.0.0.1"]) }),
        one(RuleModel { port: Attr::Null, from_port: Attr::Unknown, to_port: Attr::Known(3), ..ssh(&["10.0.0.1"]) }),
        one(RuleModel { protocol: Attr::Unknown, ..ssh(&["10.0.0.1"]) }),
        one(RuleModel { description: Attr::Unknown, ..ssh(&["10.0.0.1"]) }),
        Model { egress: Attr::Unknown, ..model(Attr::Null) },
    ];
    for (number, model) in unknown.iter().enumerate() {
        assert_eq!(validate(model), Diagnostics::new(), "{number}");
        assert!(parse(model).unwrap().is_none(), "{number}");
        assert!(parse_known(model).is_err(), "{number}");
    }
    let known_and_wrong = RuleModel { peers: Attr::Known([Attr::Unknown, "10.1.2.3/8".into()].into()), ..ssh(&[]) };
    assert!(validate(&one(known_and_wrong)).has_errors());
}

#[test]
fn an_open_door_and_a_cut_off_bastion_are_warned_of() {
    let warned = |model: &Model| told(model, Severity::Warning);
    let open = [(r#"ingress["it"].peers"#.to_owned(), "SSH is open to the whole internet".to_owned())];
    for world in ["0.0.0.0/0", "::/0"] {
        assert_eq!(warned(&one(ssh(&[world]))), open);
    }
    let all = RuleModel { port: Attr::Null, protocol: "all".into(), ..ssh(&["0.0.0.0/0"]) };
    assert_eq!(warned(&one(all.clone())), open);
    assert_eq!(warned(&one(RuleModel { port: Attr::Known(443), ..ssh(&["0.0.0.0/0"]) })), []);
    let out = |rule| Model { egress: named([("it", rule)]), ..one(ssh(&["10.0.0.1"])) };
    let https = |peer| RuleModel { port: Attr::Known(443), ..ssh(&[peer]) };
    let cut_off = out(ssh(&["10.0.0.1"]));
    assert!(leaves_s3_to_others(None, &cut_off));
    let not_managed = one(ssh(&["10.0.0.1"]));
    for fine in [https("pl-68a54001"), all, RuleModel { port: Attr::Unknown, ..ssh(&["10.0.0.1"]) }] {
        let fine = out(fine);
        assert!(!leaves_s3_to_others(None, &fine) && leaves_s3_to_others(Some(&fine), &not_managed));
    }
    assert!(!leaves_s3_to_others(Some(&cut_off), &not_managed), "what is not managed is not judged");
}

#[test]
fn five_hundred_peers_are_judged_at_once() {
    let texts: Vec<String> = (0..500).map(|number| format!("10.0.{}.{}", number / 250, number % 250)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(parse_known(&one(ssh(&texts))).unwrap().entries[0].sources.len(), 500);
}
