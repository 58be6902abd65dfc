//! The marks on the rules of a security group.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::{Done, Marked, Outcome};
use crate::aws::security_group_rules::{Claim, Claimed, Direction, GroupId, leftovers, moment, release};
use crate::aws::{Account, Owner};
use crate::path::refusal::Refusal;

pub(super) async fn list(group: &GroupId, account: &Account, cancelled: &CancellationToken) -> Result<Vec<Marked>, Refusal> {
    Ok(leftovers(account, group, cancelled).await?.into_iter().map(marked).collect())
}

/// Takes an owner's marks off all rules of the group.
pub(super) async fn take_off(
    group: &GroupId,
    account: &Account,
    owner: &Owner,
    done: &mut Done,
    cancelled: &CancellationToken,
) -> Result<(), Refusal> {
    let released = release(account, group, owner, cancelled).await?;
    done.extend(released.removed.into_iter().map(|id| (owner.clone(), id, Outcome::Removed)));
    let kept = released.kept.iter().map(|rule| (owner.clone(), rule.rule_id.clone(), Outcome::Kept(owners(rule, owner))));
    done.extend(kept);
    Ok(())
}

fn marked(rule: Claimed) -> Marked {
    let preposition = match rule.key.direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let entry = rule.label.as_ref().map(|label| format!(", as {label}")).unwrap_or_default();
    let what = format!("{} {} {preposition} {}{entry}", rule.key.direction, rule.key.traffic, rule.key.peer);
    let ends = rule.marks.iter().filter_map(|mark| match mark.claim {
        Claim::Until(end) => Some(format!(", {} until {}", mark.owner, moment(end))),
        _ => None,
    });
    let what = ends.fold(what, |what, end| what + &end);
    Marked { id: rule.rule_id, what, owners: rule.marks.into_iter().map(|mark| mark.owner).collect() }
}

/// Who else claims a rule.
fn owners(rule: &Claimed, but: &Owner) -> BTreeSet<Owner> {
    rule.marks.iter().map(|mark| mark.owner.clone()).filter(|owner| owner != but).collect()
}
