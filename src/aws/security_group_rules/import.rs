//! Takes over what is there, for a state that does not know it.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::entry::Surroundings;
use super::id::GroupId;
use super::mark::{self, Claim};
use super::observe::{Observed, observe};
use super::ours::{Identity, Ours};
use super::refuse::Failed;
use super::rule::{Direction, Rule};
use crate::aws::{Account, Owner};
use crate::path::heard::Heard;
use crate::path::refusal::{Reason, Refusal, RulesReason};

/// What is taken over.
#[derive(Debug)]
pub struct Imported {
    /// Whose rules they are; without an owner where they bear no mark.
    pub identity: Option<Identity>,
    /// The rules.
    pub observed: Observed,
}

/// What can be taken over of a group: the rules of an owner, or of the only one there is. Where nothing is marked, the ingress rules: an
/// egress rule may be the one that EC2 gives each group, and without it nothing gets out.
///
/// # Errors
///
/// What EC2 refused; no such group or owner; several owners, and none was named.
pub async fn import(account: &Account, group: &GroupId, owner: Option<&Owner>, cancelled: &CancellationToken) -> Result<Imported, Refusal> {
    let told = |failed: Failed| failed.refusal;
    let refused = |reason| Refusal { reason: Reason::Rules(reason), heard: Heard::default(), action: "ec2:DescribeSecurityGroupRules" };
    let calls = Calls::new(account, group, &[], cancelled).await.map_err(told)?;
    let rules = calls.rules().await.map_err(told)?;
    if rules.is_empty() && !calls.group_surely_exists().await.map_err(told)? {
        return Err(refused(RulesReason::GroupMissing { group: group.to_string() }));
    }
    let mut owners: Vec<Owner> = rules.iter().flat_map(mark::marks).map(|mark| mark.owner).filter(|owner| !owner.is_admission()).collect();
    owners.sort();
    owners.dedup();
    let found = || owners.iter().map(ToString::to_string).collect();
    let owner = match (owner, owners.as_slice()) {
        (Some(owner), _) if owners.contains(owner) => owner,
        (Some(owner), _) => {
            let (group, owner) = (group.to_string(), owner.to_string());
            return Err(refused(RulesReason::OwnerMissing { group, owner, found: found() }));
        }
        (None, [only]) => only,
        (None, []) => return Ok(Imported { identity: None, observed: unmarked(rules) }),
        (None, _) => return Err(refused(RulesReason::SeveralOwners { group: group.to_string(), found: found() })),
    };
    let identity = identity(&rules, owner);
    let ours = Ours { identity: Some(identity.clone()), ..Ours::default() };
    Ok(Imported { identity: Some(identity), observed: observe(&[], &Surroundings::default(), &rules, &ours, &BTreeMap::new()) })
}

/// The object of an owner that most of its rules name.
fn identity(rules: &[Rule], owner: &Owner) -> Identity {
    let mut claims: BTreeMap<_, usize> = BTreeMap::new();
    for mark in rules.iter().flat_map(mark::marks).filter(|mark| mark.owner == *owner) {
        let id = match mark.claim {
            Claim::Held(id) => Some(id),
            Claim::Leaving(id) => id,
            Claim::Unnamed | Claim::Until(_) => None,
        };
        *claims.entry(id).or_default() += 1;
    }
    let most = claims.into_iter().max_by_key(|(_, count)| *count);
    Identity { owner: owner.clone(), claim: most.and_then(|(claim, _)| claim) }
}

fn unmarked(mut rules: Vec<Rule>) -> Observed {
    rules.retain(|rule| rule.key.direction == Direction::Ingress && mark::marks(rule).is_empty());
    let recorded = rules.iter().map(|rule| (rule.id.clone(), String::new())).collect();
    observe(&[], &Surroundings::default(), &rules, &Ours { recorded, ..Ours::default() }, &BTreeMap::new())
}
