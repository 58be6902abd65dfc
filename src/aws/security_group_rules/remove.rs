//! Removes what is ours, and nothing else.

use tokio_util::sync::CancellationToken;

use super::calls::{Calls, Pauses};
use super::group::Claims;
use super::id::GroupId;
use super::refuse::{Failed, Kind};
use super::rule::Direction;
use super::see::Ours;
use crate::aws::Account;
use crate::path::refusal::Refusal;

/// Removes our rules from a group. Rules and groups that are gone already are no error; rules that somebody has claimed stay.
///
/// # Errors
///
/// What EC2 refused. Rules may be left then.
pub async fn remove(
    account: &Account,
    group: &GroupId,
    ours: &Ours,
    claims: Option<&Claims>,
    cancelled: &CancellationToken,
) -> Result<(), Refusal> {
    let turn = account.groups().lock(group);
    let _turn = tokio::select! {
        turn = turn => turn,
        () = cancelled.cancelled() => return Err(Failed::interrupted("ec2:DescribeSecurityGroupRules").refusal),
    };
    let calls = Calls::new(account, group, &[], cancelled).await?;
    let mut pauses = Pauses::new();
    loop {
        match attempt(&calls, ours, claims).await {
            Ok(()) => return Ok(()),
            Err(failed) if failed.kind == Kind::GroupGone => return Ok(()),
            Err(failed) if failed.kind == Kind::RuleGone && pauses.pause(cancelled).await => {}
            Err(failed) => return Err(failed.refusal),
        }
    }
}

async fn attempt(calls: &Calls<'_>, ours: &Ours, claims: Option<&Claims>) -> Result<(), Failed> {
    let rules = calls.rules().await?;
    // A group that shows no rule at all may be one that does not show them yet.
    if rules.is_empty() && !ours.recorded.is_empty() && !calls.group_exists().await? {
        return Ok(());
    }
    let mine = rules.iter().filter(|rule| ours.owns(rule) && !claims.is_some_and(|claims| claims.claimed(&rule.id)));
    let mine: Vec<_> = mine.collect();
    for direction in Direction::BOTH {
        let ids: Vec<String> = mine.iter().filter(|rule| rule.key.direction == direction).map(|rule| rule.id.clone()).collect();
        if !ids.is_empty() {
            calls.revoke(direction, ids).await?;
        }
    }
    Ok(())
}
