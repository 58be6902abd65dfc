//! From what stands to what state says: the user's spelling where it means the same, the canonical one where it is news.

use std::collections::{BTreeMap, BTreeSet};

use super::arguments::{self, written};
use super::{HeldModel, Model, RuleModel};
use crate::aws::security_group_rules::{
    Direction, Entry, GroupId, Held, Identity, Observed, Ours, Peer, PeerGroup, Protocol, Source, Traffic,
};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::Attr;

/// What a state says of the rules that are ours.
pub(super) fn ours(model: &Model) -> Ours {
    let mut recorded = BTreeMap::new();
    for (label, rules) in model.rules.known().into_iter().flatten() {
        for rule in rules.known().into_iter().flatten().filter(|rule| rule.owned.known() == Some(&true)) {
            if let Some(id) = rule.rule_id.known() {
                recorded.insert(id.clone(), label.clone());
            }
        }
    }
    let tags = model.tags.known().into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.known()?.clone())));
    Ours { identity: identity(model), former: None, recorded, tags: tags.collect() }
}

/// Who a state says that the object is.
pub(super) fn identity(model: &Model) -> Option<Identity> {
    let owner = model.owner.known()?.parse().ok()?;
    Some(Identity { owner, claim: model.claim_id.known().and_then(|claim| claim.parse().ok()) })
}

/// Which rule serves which entry, as state says it.
pub(super) fn rules(held: &[Held]) -> Attr<BTreeMap<String, Attr<Vec<HeldModel>>>> {
    let mut by_label: BTreeMap<String, Vec<HeldModel>> = BTreeMap::new();
    for held in held {
        by_label.entry(held.label.clone()).or_default().push(HeldModel {
            peer: Attr::Known(held.peer.to_string()),
            rule_id: Attr::Known(held.rule_id.clone()),
            owned: Attr::Known(held.owned),
        });
    }
    Attr::Known(by_label.into_iter().map(|(label, rules)| (label, Attr::Known(rules))).collect())
}

/// A model as it stands: what is missing is gone from it, what is ours and was not asked for is in it.
pub(super) fn standing(mut model: Model, seen: &Observed) -> Model {
    for direction in Direction::BOTH {
        let before = written(&model, direction);
        let entries = seen.entries.iter().filter(|entry| entry.direction == direction);
        let after: BTreeMap<_, _> = entries
            .map(|entry| {
                let known = before.known().and_then(|rules| rules.get(&entry.name)).and_then(Attr::known);
                (entry.name.clone(), Attr::Known(rule(known, entry)))
            })
            .collect();
        let after = if after.is_empty() && before.is_null() { Attr::Null } else { Attr::Known(after) };
        match direction {
            Direction::Ingress => model.ingress = after,
            Direction::Egress => model.egress = after,
        }
    }
    model.rules = rules(&seen.held);
    if !model.tags.is_null() {
        model.tags = tags(&seen.tags);
    }
    model
}

/// Tags, as state says them.
pub(super) fn tags(tags: &BTreeMap<String, String>) -> Attr<BTreeMap<String, Attr<String>>> {
    Attr::Known(tags.iter().map(|(key, value)| (key.clone(), Attr::Known(value.clone()))).collect())
}

/// One entry, in the spelling it had if it is the same entry.
fn rule(before: Option<&RuleModel>, entry: &Entry) -> RuleModel {
    let passes = |rule: &&RuleModel| arguments::traffic(rule, &AttributePath::root(), &mut Diagnostics::new()) == Some(entry.traffic);
    let same = before.filter(passes);
    let mut rule = same.cloned().unwrap_or_else(|| ports(entry.traffic));
    let spelled: BTreeSet<&String> = same.and_then(|rule| rule.peers.known()).into_iter().flatten().filter_map(Attr::known).collect();
    // One peer may be spelled in two ways; it stands or is gone in both.
    let peers = entry.sources.iter().flat_map(|source| {
        let kept: Vec<_> =
            spelled.iter().filter(|text| text.parse::<Source>().as_ref() == Ok(source)).map(|text| (*text).clone()).collect();
        if kept.is_empty() { vec![source.to_string()] } else { kept }
    });
    rule.peers = Attr::Known(peers.map(Attr::Known).collect());
    if rule.description.known() != entry.description.as_ref() {
        rule.description = entry.description.clone().map_or(Attr::Null, Attr::Known);
    }
    rule
}

/// The shortest way to write what passes.
fn ports(traffic: Traffic) -> RuleModel {
    let protocol = if traffic.protocol() == Protocol::TCP { Attr::Null } else { Attr::Known(traffic.protocol().name()) };
    let mut rule = RuleModel { protocol, ..RuleModel::default() };
    match traffic.given_ports() {
        Some((from, to)) if from == to && matches!(traffic.protocol(), Protocol::TCP | Protocol::UDP) => {
            rule.port = Attr::Known(from.into())
        }
        Some((from, to)) => (rule.from_port, rule.to_port) = (Attr::Known(from.into()), Attr::Known(to.into())),
        None => {}
    }
    rule
}

/// The same in the spelling of state, where it means the same.
pub(super) fn respelled(planned: &Model, prior: &Model) -> Model {
    let mut planned = planned.clone();
    keep_spelling(&mut planned, prior);
    planned
}

fn keep_spelling(planned: &mut Model, prior: &Model) {
    let own = own_groups(prior);
    for (planned, prior) in [(&mut planned.ingress, &prior.ingress), (&mut planned.egress, &prior.egress)] {
        let (Attr::Known(planned), Attr::Known(prior)) = (planned, prior) else { continue };
        for (name, rule) in planned {
            let (Attr::Known(rule), Some(Attr::Known(before))) = (rule, prior.get(name)) else { continue };
            if means(&rule.peers, &own).is_some_and(|peers| means(&before.peers, &own) == Some(peers)) {
                rule.peers = before.peers.clone();
            }
            let protocol = |rule: &RuleModel| rule.protocol.known().and_then(|text| text.parse::<Protocol>().ok());
            if protocol(rule).is_some_and(|now| protocol(before) == Some(now)) {
                rule.protocol = before.protocol.clone();
            }
        }
    }
}

/// What a set of peers stands for, if all of it is known.
fn means(peers: &Attr<BTreeSet<Attr<String>>>, own: &BTreeSet<String>) -> Option<BTreeSet<Source>> {
    let source = |text: &String| match text.parse().ok()? {
        Source::Peer(Peer::Group(group)) if own.contains(group.id.as_str()) => {
            Some(Source::Peer(Peer::Group(PeerGroup { account: None, id: group.id })))
        }
        source => Some(source),
    };
    peers.known()?.iter().map(|text| source(text.known()?)).collect()
}

/// The peers that EC2 shows as groups of the own account: naming the account makes no difference to them.
fn own_groups(model: &Model) -> BTreeSet<String> {
    let rules = model.rules.known().into_iter().flat_map(BTreeMap::values).filter_map(Attr::known).flatten();
    rules.filter_map(|rule| rule.peer.known()).filter(|peer| peer.starts_with(GroupId::PREFIX)).cloned().collect()
}

/// Whether two sets of entries ask for the same rules under the same names.
pub(super) fn same_rules(these: &[Entry], those: &[Entry]) -> bool {
    let rules = |entries: &[Entry]| -> BTreeSet<_> {
        let all = entries.iter().flat_map(|entry| entry.sources.iter().map(|source| (entry.label(), entry.traffic, source.clone())));
        all.collect()
    };
    rules(these) == rules(those)
}

#[cfg(test)]
mod tests;
