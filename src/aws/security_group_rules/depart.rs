//! Departures: what an update gave up is left once nobody can come any more who wants it.
//!
//! Terraform runs the changes of one apply in an order that is not ours to choose: a peer that moves from one resource to another may be
//! given up long before it is asked for. So an update proves that it may remove a rule, says on it that it leaves, and the rule goes when
//! Terraform says goodbye to the provider: whoever wanted it in this apply has marked it by then.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::group::Departure;
use super::handover::hand_over;
use super::id::GroupId;
use super::leave;
use super::refuse::Failed;
use crate::aws::Account;

/// When rules are left at the latest, for a process that nobody says goodbye to, as one that serves under a debugger: longer than this
/// provider's own longest wait within one apply, the ten minutes of a check.
const LATEST: Duration = Duration::from_mins(15);

/// Puts rules off until the end of the process.
pub(super) fn later(account: &Account, group: &GroupId, departure: Departure) {
    let of_group = account.groups().of(group);
    of_group.depart(departure);
    let (account, group) = (account.clone(), group.clone());
    tokio::spawn(async move {
        tokio::time::sleep(LATEST).await;
        of_one(&account, &group, &CancellationToken::new()).await;
    });
}

/// Leaves all rules that updates gave up. Call it when no further change will come; what it does not come to, the next plan shows.
pub async fn depart(account: &Account, cancelled: &CancellationToken) {
    let mut tasks = JoinSet::new();
    for group in account.groups().with_departures() {
        let (account, cancelled) = (account.clone(), cancelled.clone());
        tasks.spawn(async move { of_one(&account, &group, &cancelled).await });
    }
    while tasks.join_next().await.is_some() {}
}

async fn of_one(account: &Account, group: &GroupId, cancelled: &CancellationToken) {
    let remembered = account.groups().of(group);
    let _turn = remembered.turn.lock().await;
    let done = match Calls::new(account, group, &[], cancelled).await {
        Ok(calls) => now(&calls, &remembered).await,
        Err(failed) => Err(failed),
    };
    if let Err(failed) = done {
        tracing::warn!(
            group = group.as_str(),
            "rules that are not wanted any more are still there, as the next plan shows: {}",
            failed.refusal
        );
    }
}

/// Leaves what updates of a group gave up, with the group's turn held.
pub(super) async fn now(calls: &Calls<'_>, group: &super::group::Group) -> Result<(), Failed> {
    for departure in group.take_departures() {
        let left = leave::conclude(calls, &departure.rules, &departure.ours).await?;
        hand_over(calls, &left.kept).await;
    }
    Ok(())
}
