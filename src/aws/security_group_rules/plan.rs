//! From what is there and what is wanted to what has to be done. Pure: no call is made here.

use std::collections::{BTreeMap, BTreeSet};

use super::mark;
use super::ours::Ours;
use super::rule::{Key, Peer, Rule, Want};

/// What has to be done, in this order: tag, describe, authorize, leave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Rules that serve, and lack a tag or have one too many.
    pub(super) tag: Vec<(Rule, Tagging)>,
    /// Those of them that others were at: they have to be looked at again afterwards.
    pub(super) claim: Vec<Rule>,
    /// Rules of ours alone that need another description.
    pub(super) describe: Vec<(Rule, Want)>,
    /// Wants that no rule satisfies.
    pub(super) authorize: Vec<Want>,
    /// Rules of ours that nobody of ours wants.
    pub(super) leave: Vec<Rule>,
}

/// A change of a rule's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tagging {
    pub(super) set: BTreeMap<String, String>,
    pub(super) delete: Vec<String>,
}

/// A rule without any mark satisfies a want as it is, and is in no part of the answer. `default` are the tags that the provider block asks
/// for.
pub(super) fn plan(wants: &[Want], there: &[Rule], ours: &Ours, default: &BTreeMap<String, String>) -> Plan {
    let mut plan = Plan::default();
    let mut serving = BTreeSet::new();
    for want in wants {
        // EC2 holds no two rules with one key, but its reads may lag behind.
        let Some(rule) = there.iter().filter(|rule| rule.key == want.key).min_by_key(|rule| !ours.owns(rule)) else {
            plan.authorize.push(want.clone());
            continue;
        };
        serving.insert(rule.id.as_str());
        if mark::marks(rule).is_empty() && !ours.owns(rule) && !ours.remembers(rule) {
            continue;
        }
        let tagging = tagging(rule, want, ours, default);
        if tagging != Tagging::default() {
            plan.tag.push((rule.clone(), tagging));
        }
        if !ours.is_claimed(rule) && !mark::marks(rule).is_empty() {
            plan.claim.push(rule.clone());
        }
        if ours.describes(rule) && !want.is_described_by(&rule.description) {
            plan.describe.push((rule.clone(), want.clone()));
        }
    }
    plan.leave = there.iter().filter(|rule| ours.owns(rule) && !serving.contains(rule.id.as_str())).cloned().collect();
    plan
}

/// What a rule that serves lacks: our mark always; name and default tags where it is ours to describe.
fn tagging(rule: &Rule, want: &Want, ours: &Ours, default: &BTreeMap<String, String>) -> Tagging {
    let mut tagging = Tagging::default();
    if let Some(identity) = ours.identity.as_ref().filter(|_| !ours.is_claimed(rule)) {
        tagging.set = mark::added(&identity.owner, &identity.claim(), rule);
    }
    let moved = ours.former.as_ref().filter(|former| ours.identity.as_ref().is_none_or(|identity| identity.owner != former.owner));
    if let Some(former) = moved.filter(|_| ours.owns(rule)) {
        tagging.set.remove(&mark::key(&former.owner));
        tagging.delete = mark::keys(&former.owner, rule);
    }
    if ours.describes(rule) {
        tagging.set.extend(mark::described(want, default).into_iter().filter(|(key, value)| rule.tags.get(key) != Some(value)));
        let gone = ours.tags.keys().filter(|key| rule.tags.contains_key(*key) && !default.contains_key(*key) && !mark::is_ours(key));
        tagging.delete.extend(gone.cloned());
    }
    tagging
}

/// The same without head-room in the quota: unwanted rules become the new ones. What finds no partner is left over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) modify: Vec<(Rule, Want)>,
    pub(super) authorize: Vec<Want>,
}

/// Whether a rule may become another.
type Fits<'a> = dyn Fn(&Rule, &Want) -> bool + 'a;

/// Pairs within a direction and a kind of peer, because EC2 changes neither; the same peer first. All of `modify` happens at one moment,
/// and what is left over may find no room: so no rule is given away that lets a peer in for whom the new rule would be left over.
pub(super) fn exchange(authorize: &[Want], old: &[Rule]) -> Exchange {
    let same_kind = |rule: &Rule, want: &Want| {
        let kind = |key: &Key| (key.direction, key.peer.kind());
        kind(&rule.key) == kind(&want.key)
    };
    let needed = |rule: &Rule, wants: &[Want]| wants.iter().any(|want| lets_through(&rule.key, &want.key));
    let mut left: Vec<Want> = authorize.to_vec();
    let mut free: Vec<Rule> = old.to_vec();
    let mut modify: Vec<(Rule, Want)> = Vec::new();
    let fits: [&Fits<'_>; 3] = [&|rule, want| rule.key.peer == want.key.peer, &|rule, _| !needed(rule, authorize), &|_, _| true];
    for fits in fits {
        for want in std::mem::take(&mut left) {
            match free.iter().position(|rule| same_kind(rule, &want) && fits(rule, &want)) {
                Some(found) => modify.push((free.remove(found), want)),
                None => left.push(want),
            }
        }
    }
    // What was given away may have been what lets somebody in who is left over: taken back, until it is not.
    while let Some(found) = modify.iter().position(|(rule, _)| needed(rule, &left)) {
        left.push(modify.remove(found).1);
    }
    Exchange { modify, authorize: left }
}

/// Whether a rule lets some of what a key is about through.
pub(super) fn lets_through(rule: &Key, wanted: &Key) -> bool {
    let peer = match (&rule.peer, &wanted.peer) {
        (Peer::Cidr(wide), Peer::Cidr(narrow)) => wide.contains(*narrow) || narrow.contains(*wide),
        (this, that) => this == that,
    };
    peer && rule.direction == wanted.direction && rule.traffic.overlaps(wanted.traffic)
}

#[cfg(test)]
mod tests;
