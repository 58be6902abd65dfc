//! Looks at a group: for state, and to take over what is there.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::entry::{self, Entry, Networks};
use super::id::GroupId;
use super::mark::{self, Owner};
use super::see::{Ours, Seen, see};
use crate::aws::Account;
use crate::path::refusal::Refusal;

/// How a group compares with what was wanted of it. `None`: the group does not exist.
///
/// # Errors
///
/// What EC2 refused. That a group has no rules is believed only if the group itself is there.
pub async fn look(
    account: &Account,
    group: &GroupId,
    entries: &[Entry],
    ours: &Ours,
    cancelled: &CancellationToken,
) -> Result<Option<Seen>, Refusal> {
    let told = |failed: super::refuse::Failed| failed.refusal;
    let calls = Calls::new(account, group, entries, cancelled).await?;
    let rules = calls.rules().await.map_err(told)?;
    if rules.is_empty() && !calls.group_exists().await.map_err(told)? {
        return Ok(None);
    }
    let subnets = entry::subnets(entries);
    // A subnet that is gone has no networks any more, which is what there is to see of it.
    let networks = match calls.networks(&subnets).await {
        Err(failed) if failed.kind == super::refuse::Kind::Absent => Networks::new(),
        found => found.map_err(told)?,
    };
    Ok(Some(see(entries, &networks, &rules, ours)))
}

/// What can be taken over of a group, by whom: the rules that bear our mark if any do, else all of them. `None`: the group does not exist.
///
/// # Errors
///
/// What EC2 refused.
pub async fn take_over(account: &Account, group: &GroupId, cancelled: &CancellationToken) -> Result<Option<(Owner, Seen)>, Refusal> {
    let told = |failed: super::refuse::Failed| failed.refusal;
    let calls = Calls::new(account, group, &[], cancelled).await?;
    let mut rules = calls.rules().await.map_err(told)?;
    if rules.is_empty() && !calls.group_exists().await.map_err(told)? {
        return Ok(None);
    }
    let mut owners: Vec<Owner> = rules.iter().filter_map(mark::owner).collect();
    if !owners.is_empty() {
        rules.retain(|rule| mark::owner(rule).is_some());
    }
    owners.sort_by(|this, that| this.as_str().cmp(that.as_str()));
    owners.dedup();
    let recorded: BTreeMap<_, _> = rules.iter().map(|rule| (rule.id.clone(), String::new())).collect();
    let seen = see(&[], &Networks::new(), &rules, &Ours { owner: None, recorded });
    let owner = match owners.as_slice() {
        [one] => one.clone(),
        _ => Owner::of(group, &seen.entries),
    };
    Ok(Some((owner, seen)))
}
