//! From what is there and what is wanted to what has to be done. Pure: no call is made here.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::{Direction, PeerKind, Rule, Want};

/// What has to be done, in this order: describe, authorize, revoke.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Rules of ours that need another description.
    pub(super) describe: Vec<(Rule, Want)>,
    /// Wants that no rule satisfies.
    pub(super) authorize: Vec<Want>,
    /// Rules of ours that nobody wants.
    pub(super) revoke: Vec<Rule>,
}

/// `owns` tells our rules. A rule of somebody else's satisfies a want, and is in no part of the answer.
pub(super) fn plan(wants: &[Want], there: &[Rule], owns: impl Fn(&Rule) -> bool) -> Plan {
    let mut plan = Plan::default();
    let mut serving = BTreeSet::new();
    let mut handled = BTreeSet::new();
    for want in wants.iter().filter(|want| handled.insert(&want.key)) {
        let fits = |rule: &&Rule| rule.key == want.key;
        let own = there.iter().filter(fits).find(|rule| owns(rule));
        match own.or_else(|| there.iter().find(fits)) {
            None => plan.authorize.push(want.clone()),
            Some(rule) => {
                serving.insert(rule.id.as_str());
                if own.is_some() && rule.description != want.description {
                    plan.describe.push((rule.clone(), want.clone()));
                }
            }
        }
    }
    plan.revoke = there.iter().filter(|rule| owns(rule) && !serving.contains(rule.id.as_str())).cloned().collect();
    plan
}

/// The same without head-room in the quota: unwanted rules become the new ones. What finds no partner is left over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) modify: Vec<(Rule, Want)>,
    pub(super) authorize: Vec<Want>,
}

/// Pairs within a direction and a kind of peer, because EC2 changes neither.
pub(super) fn exchange(authorize: &[Want], revoke: &[Rule]) -> Exchange {
    let mut free: BTreeMap<(Direction, PeerKind), Vec<&Rule>> = BTreeMap::new();
    for rule in revoke.iter().rev() {
        free.entry((rule.key.direction, rule.key.peer.kind())).or_default().push(rule);
    }
    let mut exchange = Exchange::default();
    for want in authorize {
        match free.get_mut(&(want.key.direction, want.key.peer.kind())).and_then(Vec::pop) {
            Some(rule) => exchange.modify.push((rule.clone(), want.clone())),
            None => exchange.authorize.push(want.clone()),
        }
    }
    exchange
}

#[cfg(test)]
mod tests;
