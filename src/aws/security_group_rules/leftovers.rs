//! What marks say of a group's rules, for a person who wonders whose they are, and the way to give up an owner's rules by hand.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::id::GroupId;
use super::leave;
use super::mark::{self, Claim, Mark};
use super::ours::{Identity, Ours};
use super::refuse::Failed;
use super::rule::{Key, Rule};
use crate::aws::{Account, Owner};
use crate::path::heard::Heard;
use crate::path::refusal::{Reason, Refusal, RulesReason};

/// A rule with at least one mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// `sgr-…`
    pub rule_id: String,
    /// Direction, traffic, peer.
    pub key: Key,
    /// Empty if there is none.
    pub description: String,
    /// The entry that it was made for, if the tag `Name` tells: `ingress/neosync`.
    pub label: Option<String>,
    /// Its users, by owner. Never empty in an answer of [`leftovers`].
    pub marks: Vec<Mark>,
}

/// What [`release`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// The ids of rules that were removed.
    pub removed: Vec<String>,
    /// Rules that stay, because others claim them.
    pub kept: Vec<Claimed>,
}

/// Rules that were left, with those who still claim them.
pub(super) fn kept(left: &[(Rule, Vec<Mark>)]) -> impl Iterator<Item = Claimed> {
    left.iter().map(|(rule, marks)| Claimed { marks: marks.clone(), ..claimed(rule) })
}

pub(super) fn claimed(rule: &Rule) -> Claimed {
    Claimed {
        rule_id: rule.id.clone(),
        key: rule.key.clone(),
        description: rule.description.clone(),
        label: mark::name(rule).map(|name| format!("{}/{name}", rule.key.direction)),
        marks: mark::marks(rule),
    }
}

/// The rules of a group that bear a mark of this provider, whoever's.
///
/// # Errors
///
/// What EC2 refused, and that there is no such group.
pub async fn leftovers(account: &Account, group: &GroupId, cancelled: &CancellationToken) -> Result<Vec<Claimed>, Refusal> {
    let calls = Calls::new(account, group, &[], cancelled).await.map_err(|failed| failed.refusal)?;
    let rules = existing(&calls).await.map_err(|failed| failed.refusal)?;
    Ok(rules.iter().map(claimed).filter(|claimed| !claimed.marks.is_empty()).collect())
}

/// Takes every mark of an owner off a group's rules, whichever of its objects left it, and removes the rules that nobody else claims.
///
/// # Errors
///
/// What EC2 refused. Some may be done then; it can be called again.
pub async fn release(account: &Account, group: &GroupId, owner: &Owner, cancelled: &CancellationToken) -> Result<Released, Refusal> {
    let told = |failed: Failed| failed.refusal;
    let remembered = account.groups().of(group);
    let _turn = remembered.turn(cancelled).await?;
    let calls = Calls::new(account, group, &[], cancelled).await.map_err(told)?;
    let mut objects: BTreeMap<Option<crate::aws::ClaimId>, Vec<Rule>> = BTreeMap::new();
    for rule in existing(&calls).await.map_err(told)? {
        for mark in mark::marks(&rule).into_iter().filter(|mark| mark.owner == *owner) {
            let id = match mark.claim {
                Claim::Held(id) => Some(id),
                Claim::Leaving(id) => id,
                Claim::Unnamed | Claim::Until(_) => None,
            };
            objects.entry(id).or_default().push(rule.clone());
        }
    }
    let mut released = Released::default();
    for (claim, rules) in objects {
        let ours = Ours { identity: Some(Identity { owner: owner.clone(), claim }), ..Ours::default() };
        leave::announce(&calls, &rules, &ours).await.map_err(told)?;
        let ids: Vec<String> = rules.into_iter().map(|rule| rule.id).collect();
        let left = leave::conclude(&calls, &ids, &ours).await.map_err(told)?;
        released.removed.extend(left.revoked.into_iter().map(|rule| rule.id));
        released.kept.extend(kept(&left.kept));
    }
    Ok(released)
}

async fn existing(calls: &Calls<'_>) -> Result<Vec<Rule>, Failed> {
    let rules = calls.rules().await?;
    if rules.is_empty() && !calls.group_surely_exists().await? {
        let reason = RulesReason::GroupMissing { group: calls.group().to_string() };
        let refusal = Refusal { reason: Reason::Rules(reason), heard: Heard::default(), action: "ec2:DescribeSecurityGroups" };
        return Err(Failed::of_refusal(refusal));
    }
    Ok(rules)
}
