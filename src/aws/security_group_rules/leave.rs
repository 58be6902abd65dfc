//! Leaving rules: the last user of a rule removes it.
//!
//! Two processes may come and go at the same rule at the same moment, and EC2 knows no conditional call. So whoever leaves first says so on
//! the rule, then looks who else is there; whoever comes first marks the rule, then looks who is leaving. Each writes before it looks, so at
//! least one of two sees the other: a rule is neither removed under somebody who came, nor left behind by two who went.

use std::collections::BTreeMap;

use super::calls::{Calls, Pauses};
use super::mark::{self, Mark};
use super::ours::Ours;
use super::refuse::{Failed, Kind};
use super::rule::{Direction, Rule};
use crate::aws::Owner;

/// What became of rules that were left.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Removed.
    pub(super) revoked: Vec<Rule>,
    /// Still there, because others claim them.
    pub(super) kept: Vec<(Rule, Vec<Mark>)>,
}

/// Says on rules that they are about to be left.
pub(super) async fn announce(calls: &Calls<'_>, rules: &[Rule], ours: &Ours) -> Result<(), Failed> {
    let mut pauses = Pauses::new();
    let mut rules = rules.to_vec();
    loop {
        match say(calls, &rules, ours).await {
            // One of them is gone, and EC2 tags all or none.
            Err(failed) if failed.kind == Kind::RuleGone && pauses.pause(calls.cancelled()).await => {
                let there = calls.rules().await?;
                rules = there.into_iter().filter(|rule| ours.owns(rule) && rules.iter().any(|old| old.id == rule.id)).collect();
            }
            said => return said,
        }
    }
}

async fn say(calls: &Calls<'_>, rules: &[Rule], ours: &Ours) -> Result<(), Failed> {
    let mut alike: BTreeMap<BTreeMap<String, String>, Vec<String>> = BTreeMap::new();
    for rule in rules {
        let marked: Vec<Mark> = mark::marks(rule);
        let bears = |owner: &Owner| marked.iter().any(|mark| mark.owner == *owner);
        let mut tags = BTreeMap::new();
        for identity in ours.identities().filter(|identity| marked.is_empty() || bears(&identity.owner)) {
            tags.extend(mark::added(&identity.owner, &identity.leaving(), rule));
        }
        if tags.iter().any(|(key, value)| rule.tags.get(key) != Some(value)) {
            alike.entry(tags).or_default().push(rule.id.clone());
        }
    }
    for (tags, ids) in alike {
        calls.tag(ids, &tags).await?;
    }
    Ok(())
}

/// Looks at rules that were announced, and leaves them: those that others claim lose our mark only, all else is removed.
pub(super) async fn conclude(calls: &Calls<'_>, ids: &[String], ours: &Ours) -> Result<Left, Failed> {
    let (mut pauses, mut doubts) = (Pauses::new(), Pauses::doubts());
    let mut left = Left::default();
    loop {
        let awaited = |rule: &Rule| ids.contains(&rule.id);
        let mut there: Vec<Rule> = calls.rules().await?.into_iter().filter(awaited).collect();
        let known = |id: &&String, there: &[Rule]| there.iter().chain(&left.revoked).any(|rule| rule.id == **id);
        let missing: Vec<String> = ids.iter().filter(|id| !known(id, &there)).cloned().collect();
        if !missing.is_empty() {
            // They were tagged a moment ago, so it is more likely that a read lags behind than that somebody removed them.
            there.extend(calls.rules_of_ids(&missing).await?);
            if ids.iter().any(|id| !known(&id, &there)) && doubts.pause(calls.cancelled()).await {
                continue;
            }
        }
        match attempt(calls, there, ours, &mut left).await {
            // Somebody was faster. What EC2 still shows needs a moment.
            Err(failed) if failed.kind == Kind::RuleGone && pauses.pause(calls.cancelled()).await => {}
            Err(failed)
                if failed.kind == Kind::GroupGone && calls.group_surely_exists().await? && pauses.pause(calls.cancelled()).await => {}
            Err(failed) => return Err(failed),
            Ok(()) => return Ok(left),
        }
    }
}

async fn attempt(calls: &Calls<'_>, there: Vec<Rule>, ours: &Ours, left: &mut Left) -> Result<(), Failed> {
    left.kept.clear();
    let (sole, shared): (Vec<Rule>, Vec<Rule>) = there.into_iter().partition(|rule| ours.is_sole(rule));
    let mut alike: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for rule in shared {
        // One that another object of the same owner has taken over bears its mark where ours was.
        if ours.owns(&rule) {
            let owners = ours.identities().map(|identity| &identity.owner);
            let held = |owner: &&Owner| !ours.others(&rule).iter().any(|mark| mark.owner == **owner);
            let mut keys: Vec<String> = owners.filter(held).flat_map(|owner| mark::keys(owner, &rule)).collect();
            keys.dedup();
            alike.entry(keys).or_default().push(rule.id.clone());
        }
        left.kept.push((rule.clone(), ours.others(&rule)));
    }
    for (keys, ids) in alike {
        calls.untag(ids, &keys).await?;
    }
    for direction in Direction::BOTH {
        let rules: Vec<Rule> = sole.iter().filter(|rule| rule.key.direction == direction).cloned().collect();
        if !rules.is_empty() {
            calls.revoke(direction, rules.iter().map(|rule| rule.id.clone()).collect()).await?;
            left.revoked.extend(rules);
        }
    }
    Ok(())
}
