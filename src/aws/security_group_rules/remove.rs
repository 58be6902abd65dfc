//! Removes what is ours, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::calls::{Calls, Pauses};
use super::handover::hand_over;
use super::id::GroupId;
use super::leave;
use super::leftovers::{Claimed, claimed, kept};
use super::ours::Ours;
use super::refuse::{Failed, Kind};
use super::rule::Rule;
use crate::aws::Account;
use crate::path::refusal::Refusal;

/// How long a destroy waits for a create or an update that wants the same rules: Terraform starts what does not depend on each other at
/// once, or, with little parallelism, one after the other, and each begins with a plan of its own.
const SUCCESSION: Duration = Duration::from_millis(1_500);

/// What a removal left.
#[derive(Debug, Default)]
pub struct Removed {
    /// Rules that stay, because others claim them of whom this process knows nothing: nobody else will say so.
    pub kept: Vec<Claimed>,
    /// Rules that were recorded and bear marks of others only.
    pub superseded: Vec<Claimed>,
    revoked: Vec<Rule>,
    /// Rules of the group that stay, whoever's.
    stay: Vec<Rule>,
    /// There is no such group, so there was nothing to remove.
    pub group_missing: bool,
}

impl Removed {
    /// Whether a rule that let TCP to a port out was removed, and no other lets it out.
    #[must_use]
    pub fn closed_egress(&self, port: u16) -> bool {
        let open = |rules: &[Rule]| rules.iter().any(|rule| rule.key.lets_tcp_out(port));
        open(&self.revoked) && !open(&self.stay)
    }
}

/// Leaves all rules of an object: what nobody else claims is removed. What is gone already is no error.
///
/// # Errors
///
/// What EC2 refused. Rules may be left then.
pub async fn remove(account: &Account, group: &GroupId, ours: &Ours, cancelled: &CancellationToken) -> Result<Removed, Refusal> {
    let remembered = account.groups().of(group);
    let calls = Calls::new(account, group, &[], cancelled).await.map_err(|failed| failed.refusal)?;
    remembered.meet(ours.identities());
    let told = |failed: Failed| failed.refusal;
    let Some(rules) = all_recorded(&calls, ours).await.map_err(told)? else {
        return Ok(Removed { group_missing: true, ..Removed::default() });
    };
    if rules.iter().any(|rule| ours.is_sole(rule)) {
        // Only if something would be removed, and without the group's turn, which the other one needs.
        let successor = account.arrivals().next(group.as_str(), Instant::now() + SUCCESSION);
        tokio::select! {
            _ = successor => {}
            () = cancelled.cancelled() => return Err(Failed::interrupted("ec2:RevokeSecurityGroupIngress").refusal),
        }
    }
    let _turn = remembered.turn(cancelled).await?;
    // Who came meanwhile has left a mark. What a listing does not show any more may be there all the same.
    let mut now = calls.rules().await.map_err(told)?;
    now.extend(rules.into_iter().filter(|rule| !now.iter().any(|other| other.id == rule.id)).collect::<Vec<_>>());
    let mut removed = Removed { stay: now.clone(), ..Removed::default() };
    leave_all(&calls, ours, now, &mut removed).await.map_err(told)?;
    for successor in ours.identity.iter().flat_map(|identity| remembered.successors(identity)) {
        // What the object that follows has taken over from this one and does not want.
        let theirs = Ours { identity: Some(successor.identity), ..Ours::default() };
        let rules = calls.rules().await.map_err(told)?;
        let unwanted = rules.into_iter().filter(|rule| !successor.wants.contains_key(&rule.key)).collect();
        leave_all(&calls, &theirs, unwanted, &mut Removed::default()).await.map_err(told)?;
    }
    removed.stay.retain(|rule| !removed.revoked.iter().any(|gone| gone.id == rule.id));
    let unknown = |rule: &Claimed| !rule.marks.iter().any(|mark| mark.is_live() && remembered.has_met(&mark.owner));
    removed.kept.retain(unknown);
    removed.superseded.retain(unknown);
    Ok(removed)
}

/// Leaves those of these rules that are ours.
async fn leave_all(calls: &Calls<'_>, ours: &Ours, rules: Vec<Rule>, removed: &mut Removed) -> Result<(), Failed> {
    let (mine, others): (Vec<Rule>, Vec<Rule>) = rules.into_iter().partition(|rule| ours.owns(rule));
    removed.superseded.extend(others.iter().filter(|rule| ours.recorded.contains_key(&rule.id)).map(claimed));
    if mine.is_empty() {
        return Ok(());
    }
    leave::announce(calls, &mine, ours).await?;
    let ids: Vec<String> = mine.into_iter().map(|rule| rule.id).collect();
    let left = match leave::conclude(calls, &ids, ours).await {
        Err(failed) if failed.kind == Kind::GroupGone => {
            removed.group_missing = true;
            return Ok(());
        }
        left => left?,
    };
    hand_over(calls, &left.kept).await;
    removed.kept.extend(kept(&left.kept));
    removed.revoked.extend(left.revoked);
    Ok(())
}

/// The group's rules. A listing without a rule that was recorded is not believed at once, nor that there is no such group. `None`: there is none.
async fn all_recorded(calls: &Calls<'_>, ours: &Ours) -> Result<Option<Vec<Rule>>, Failed> {
    let mut doubts = Pauses::doubts();
    let mut rules = calls.rules().await?;
    loop {
        let there: BTreeSet<&String> = rules.iter().map(|rule| &rule.id).collect();
        let missing: Vec<String> = ours.recorded.keys().filter(|id| !there.contains(id)).cloned().collect();
        if missing.is_empty() {
            return Ok(Some(rules));
        }
        let found = calls.rules_of_ids(&missing).await?;
        let surely = rules.is_empty() && found.is_empty();
        rules.extend(found);
        if rules.iter().filter(|rule| missing.contains(&rule.id)).count() == missing.len() {
            return Ok(Some(rules));
        }
        if !doubts.pause(calls.cancelled()).await {
            let gone = surely && !calls.group_surely_exists().await?;
            return Ok((!gone).then_some(rules));
        }
        rules = calls.rules().await?;
    }
}
