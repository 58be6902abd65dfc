//! Takes back what a create that failed has made, so that it leaves nothing behind: Terraform would keep half of it as tainted, and the next
//! apply would close before it opens.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::id::GroupId;
use super::leave;
use super::mark;
use super::ours::Ours;
use super::refuse::Failed;
use super::rule::Rule;
use crate::aws::Account;

/// How long it may take: some calls, each tried again when it is throttled.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it may take once Terraform was told to stop: what is left of the two seconds that it waits.
const HASTE: Duration = Duration::from_millis(1_200);

/// `overwritten` are the marks of another object of the same owner that were written over, by rule: they are put back. What cannot be taken
/// back in time stays, with a mark, and is named by the next create.
pub(super) async fn undo(
    account: &Account,
    group: &GroupId,
    ours: &Ours,
    overwritten: &BTreeMap<String, String>,
    cancelled: &CancellationToken,
) {
    let patience = if cancelled.is_cancelled() { HASTE } else { PATIENCE };
    match tokio::time::timeout(patience, attempt(account, group, ours, overwritten)).await {
        Ok(Ok(())) => {}
        Ok(Err(failed)) => tracing::warn!(group = group.as_str(), "what a failed create has made is still there: {}", failed.refusal),
        Err(_) => tracing::warn!(group = group.as_str(), "what a failed create has made is still there: no time was left to remove it"),
    }
}

async fn attempt(account: &Account, group: &GroupId, ours: &Ours, overwritten: &BTreeMap<String, String>) -> Result<(), Failed> {
    // The call that failed may have been told to stop, and this one has to go on.
    let cancelled = CancellationToken::new();
    let calls = Calls::new(account, group, &[], &cancelled).await?;
    let made: Vec<Rule> = calls.rules().await?.into_iter().filter(|rule| ours.owns(rule)).collect();
    let (taken, made): (Vec<Rule>, Vec<Rule>) = made.into_iter().partition(|rule| overwritten.contains_key(&rule.id));
    if let Some(identity) = &ours.identity {
        for rule in taken {
            let old = overwritten.get(&rule.id).cloned().unwrap_or_default();
            calls.tag(vec![rule.id], &[(mark::key(&identity.owner), old)].into()).await?;
        }
    }
    if made.is_empty() {
        return Ok(());
    }
    leave::announce(&calls, &made, ours).await?;
    let ids: Vec<String> = made.into_iter().map(|rule| rule.id).collect();
    leave::conclude(&calls, &ids, ours).await.map(drop)
}
