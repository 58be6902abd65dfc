//! Makes what is wanted: new rules first, old ones only when the new ones are there.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::calls::{Calls, Pauses};
use super::entry::{self, Entry, Networks};
use super::group::Claims;
use super::id::{GroupId, SubnetId};
use super::mark::{self, Owner};
use super::plan::{self, exchange};
use super::refuse::{Failed, Kind};
use super::rule::{Direction, Rule, Want};
use super::see::{Held, Ours, Seen, see};
use crate::aws::Account;
use crate::path::refusal::{Reason, Refusal, RulesReason};

/// What a group is to let through.
pub struct Intent<'a> {
    /// The group.
    pub group: &'a GroupId,
    /// The rules. At least one entry, or rather use [`super::remove`].
    pub entries: &'a [Entry],
    /// Whose they are.
    pub owner: &'a Owner,
    /// Ids of rules that were recorded as ours, each with its entry's label.
    pub recorded: &'a BTreeMap<String, String>,
}

/// It did not come to what is wanted.
#[derive(Debug)]
pub struct Unfinished {
    /// Why.
    pub refusal: Refusal,
    /// What stands by now; absent if nothing was changed.
    pub seen: Option<Seen>,
}

/// A change under way.
struct Work<'a> {
    calls: Calls<'a>,
    ours: Ours,
    owner: &'a Owner,
    entries: &'a [Entry],
    default_tags: &'a BTreeMap<String, String>,
    networks: Networks,
    /// The group's rules, as far as they are known by now.
    there: Vec<Rule>,
    changed: bool,
}

/// Makes what is wanted and removes what was ours and is not wanted any more; answers which rule serves which want.
///
/// One describe; one authorize and one revoke a direction, if there is something to add or to remove; one modify, if descriptions change.
/// A rule that both old and new wants contain is never gone. `claims` takes the rules in, if it is given.
///
/// # Errors
///
/// What EC2 refused, and what stands by then.
pub async fn ensure(
    account: &Account,
    intent: &Intent<'_>,
    claims: Option<&Claims>,
    cancelled: &CancellationToken,
) -> Result<Vec<Held>, Unfinished> {
    let untouched = |refusal| Unfinished { refusal, seen: None };
    let turn = account.groups().lock(intent.group);
    let _turn = tokio::select! {
        turn = turn => turn,
        () = cancelled.cancelled() => return Err(untouched(Failed::interrupted("ec2:DescribeSecurityGroupRules").refusal)),
    };
    let calls = Calls::new(account, intent.group, intent.entries, cancelled).await.map_err(untouched)?;
    let subnets = entry::subnets(intent.entries);
    let networks = healed(&calls, &subnets).await.map_err(|failed| untouched(failed.refusal))?;
    let there = calls.rules().await.map_err(|failed| untouched(failed.refusal))?;
    let mut work = Work {
        calls,
        ours: Ours { owner: Some(intent.owner.clone()), recorded: intent.recorded.clone() },
        owner: intent.owner,
        entries: intent.entries,
        default_tags: &account.settings().default_tags,
        networks,
        there,
        changed: false,
    };
    let done = work.settle(intent.group).await;
    let seen = see(intent.entries, &work.networks, &work.there, &work.ours);
    if let Some(claims) = claims {
        claims.claim(seen.held.iter().filter(|held| held.owned).map(|held| held.rule_id.clone()));
    }
    match done {
        Ok(()) => Ok(seen.held),
        Err(failed) => Err(Unfinished { refusal: failed.refusal, seen: work.changed.then_some(seen) }),
    }
}

/// The networks of subnets, which may have been made a moment ago.
async fn healed(calls: &Calls<'_>, subnets: &[SubnetId]) -> Result<Networks, Failed> {
    let mut pauses = Pauses::new();
    loop {
        match calls.networks(subnets).await {
            Ok(networks) => return Ok(networks),
            Err(failed) => calls.heal(failed, &mut pauses).await?,
        }
    }
}

impl Work<'_> {
    /// Does what is to be done; what turns out to have changed meanwhile is read again and planned anew.
    async fn settle(&mut self, group: &GroupId) -> Result<(), Failed> {
        let mut pauses = Pauses::new();
        let mut again = false;
        loop {
            match self.attempt(group).await {
                Err(failed) if matches!(failed.kind, Kind::Duplicate | Kind::RuleGone) => {
                    // Whoever was faster is seen at once, as a rule; what EC2 does not show yet needs a moment.
                    if again && !pauses.pause(self.calls.cancelled()).await {
                        return Err(failed);
                    }
                    again = true;
                    self.there = self.calls.rules().await?;
                }
                done => return done,
            }
        }
    }

    async fn attempt(&mut self, group: &GroupId) -> Result<(), Failed> {
        let wants = entry::wants(self.entries, &self.networks);
        let plan = plan::plan(&wants, &self.there, |rule| self.ours.owns(rule));
        if !plan.describe.is_empty() {
            self.modify(&plan.describe).await?;
        }
        for direction in Direction::BOTH {
            let new: Vec<Want> = plan.authorize.iter().filter(|want| want.key.direction == direction).cloned().collect();
            match self.authorize(direction, &new).await {
                Err(failed) if failed.kind == Kind::Quota => self.make_do(group, direction, &new, &plan.revoke, failed).await?,
                done => done?,
            }
        }
        self.until_seen(group, &wants).await?;
        // Planned anew: what was changed in place is wanted now.
        let old = plan::plan(&wants, &self.there, |rule| self.ours.owns(rule)).revoke;
        for direction in Direction::BOTH {
            let ids: Vec<String> = old.iter().filter(|rule| rule.key.direction == direction).map(|rule| rule.id.clone()).collect();
            if !ids.is_empty() {
                self.changed = true;
                self.calls.revoke(direction, ids.clone()).await?;
                self.there.retain(|rule| !ids.contains(&rule.id));
            }
        }
        Ok(())
    }

    async fn authorize(&mut self, direction: Direction, wants: &[Want]) -> Result<(), Failed> {
        if wants.is_empty() {
            return Ok(());
        }
        let tags = mark::tags(self.owner, wants, self.default_tags);
        let mut pauses = Pauses::new();
        let made = loop {
            match self.calls.authorize(direction, wants, &tags).await {
                Ok(made) => break made,
                Err(failed) => self.calls.heal(failed, &mut pauses).await?,
            }
        };
        self.changed = true;
        self.there.extend(made);
        Ok(())
    }

    async fn modify(&mut self, changes: &[(Rule, Want)]) -> Result<(), Failed> {
        self.calls.modify(changes).await?;
        self.changed = true;
        for (old, want) in changes {
            if let Some(rule) = self.there.iter_mut().find(|rule| rule.id == old.id) {
                (rule.key, rule.description) = (want.key.clone(), want.description.clone());
            }
        }
        Ok(())
    }

    /// Without head-room: old rules become new ones, and what is left over has the room that there is.
    async fn make_do(&mut self, group: &GroupId, direction: Direction, new: &[Want], old: &[Rule], failed: Failed) -> Result<(), Failed> {
        let exchange = exchange(new, old);
        let full = |there: &[Rule], needed| {
            let there = there.iter().filter(|rule| rule.key.direction == direction).count();
            let reason = RulesReason::Quota { group: group.to_string(), direction: direction.name(), there, needed };
            Failed { kind: Kind::Final, refusal: Refusal { reason: Reason::Rules(reason), ..failed.refusal.clone() } }
        };
        if exchange.modify.is_empty() {
            return Err(full(&self.there, new.len()));
        }
        self.modify(&exchange.modify).await?;
        match self.authorize(direction, &exchange.authorize).await {
            Err(again) if again.kind == Kind::Quota => Err(full(&self.there, exchange.authorize.len())),
            done => done,
        }
    }

    /// The answer to a call that makes rules names them. If it does not, they have to show before an old one goes.
    async fn until_seen(&mut self, group: &GroupId, wants: &[Want]) -> Result<(), Failed> {
        let mut pauses = Pauses::new();
        while !wants.iter().all(|want| self.there.iter().any(|rule| rule.key == want.key)) {
            self.there = self.calls.rules().await?;
            let missing = wants.iter().any(|want| self.there.iter().all(|rule| rule.key != want.key));
            if missing && !pauses.pause(self.calls.cancelled()).await {
                return Err(Failed::of_reason(RulesReason::Unseen { group: group.to_string() }, "ec2:DescribeSecurityGroupRules"));
            }
        }
        Ok(())
    }
}
