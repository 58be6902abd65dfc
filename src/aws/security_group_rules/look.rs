//! Looks at a group, for state.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::entry::Entry;
use super::group::{Group, Listing};
use super::id::GroupId;
use super::observe::{Observed, observe};
use super::ours::Ours;
use super::refuse::Failed;
use super::rule::Rule;
use crate::aws::Account;
use crate::path::heard::Heard;
use crate::path::refusal::{Reason, Refusal, RulesReason};

/// How a group compares with what was wanted of it. `None`: the group does not exist, and nothing was recorded of it.
///
/// # Errors
///
/// What EC2 refused. That a group has no rules is believed only if the group itself is there; that a group is gone of which rules were
/// recorded is an error: a wrong region or account looks the same.
pub async fn look(
    account: &Account,
    group: &GroupId,
    entries: &[Entry],
    ours: &Ours,
    cancelled: &CancellationToken,
) -> Result<Option<Observed>, Refusal> {
    let told = |failed: Failed| failed.refusal;
    let calls = Calls::new(account, group, entries, cancelled).await.map_err(told)?;
    let remembered = account.groups().of(group);
    remembered.meet(ours.identities());
    let rules = listed(&calls, &remembered, cancelled).await.map_err(told)?;
    if rules.is_empty() && !calls.group_surely_exists().await.map_err(told)? {
        if ours.recorded.is_empty() {
            return Ok(None);
        }
        return Err(missing(account, group, cancelled).await);
    }
    let surroundings = calls.surroundings().await.map_err(told)?;
    Ok(Some(observe(entries, &surroundings, &rules, ours, &account.settings().default_tags)))
}

/// Whether a rule that is not this object's alone lets TCP to a port out, as this process saw the group last. `None`: it has not looked.
pub async fn lets_out_beside(account: &Account, group: &GroupId, ours: &Ours, port: u16) -> Option<bool> {
    let remembered = account.groups().of(group);
    let listing = remembered.listing.lock().await;
    let open = |rule: &Rule| rule.key.lets_tcp_out(port) && !ours.is_sole(rule);
    listing.as_ref().map(|listing| listing.rules.iter().any(open))
}

/// The group's rules, asked once for all resources of a walk.
async fn listed(calls: &Calls<'_>, group: &Arc<Group>, cancelled: &CancellationToken) -> Result<Vec<Rule>, Failed> {
    let mut listing = tokio::select! {
        listing = group.listing.lock() => listing,
        () = cancelled.cancelled() => return Err(Failed::interrupted("ec2:DescribeSecurityGroupRules")),
    };
    let changes = group.changes();
    if let Some(listing) = listing.as_ref().filter(|listing| listing.is_fresh(changes)) {
        return Ok(listing.rules.clone());
    }
    let rules = calls.rules().await?;
    *listing = Some(Listing::new(rules.clone(), changes));
    Ok(rules)
}

/// The group is not where it was: said with the place that was looked at.
async fn missing(account: &Account, group: &GroupId, cancelled: &CancellationToken) -> Refusal {
    let whose = tokio::select! {
        whose = account.account_id() => whose,
        () = cancelled.cancelled() => None,
    };
    let region = account.region().await.unwrap_or_default();
    let reason = RulesReason::GroupLost { group: group.to_string(), region, account: whose };
    Refusal { reason: Reason::Rules(reason), heard: Heard::default(), action: "ec2:DescribeSecurityGroups" }
}
