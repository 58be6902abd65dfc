//! Brings a group to the desired state: new rules first, old ones only when the new ones are there.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::calls::{Calls, Pauses};
use super::depart;
use super::entry::{self, Entry, Surroundings};
use super::group::{Departure, Group, Present};
use super::id::GroupId;
use super::leave;
use super::leftovers::{Claimed, claimed};
use super::mark;
use super::observe::{Held, Observed, observe};
use super::ours::Ours;
use super::plan::{self, Plan, Tagging, exchange};
use super::refuse::{Failed, Kind};
use super::rule::{Direction, Rule, Want};
use super::undo;
use crate::aws::Account;
use crate::path::refusal::{Reason, Refusal, RulesReason};

/// Desired state of one security group.
pub struct DesiredRules<'a> {
    /// The group.
    pub group: &'a GroupId,
    /// The rules. At least one entry, or rather use [`super::remove`].
    pub entries: &'a [Entry],
    /// Whose they are. With an identity that has a claim.
    pub ours: &'a Ours,
}

/// What stands after a change.
#[derive(Debug)]
pub struct Ensured {
    /// Which rule serves which entry.
    pub held: Vec<Held>,
    /// Marked rules of owners that this process knows nothing of.
    pub strangers: Vec<Claimed>,
    /// Rules that another object of the same owner had claimed: a predecessor, or somebody who uses the same name.
    pub succeeded: Vec<Claimed>,
    /// Rules that were recorded, are not wanted any more and bear no mark: they were left.
    pub unmarked: Vec<Claimed>,
}

/// The group could not be brought to the desired state.
#[derive(Debug)]
pub struct Unfinished {
    /// Why.
    pub refusal: Refusal,
    /// What stands by now; absent if nothing was changed.
    pub observed: Option<Observed>,
}

/// A change under way.
struct Work<'a> {
    calls: Calls<'a>,
    account: &'a Account,
    ours: Ours,
    entries: &'a [Entry],
    default: &'a BTreeMap<String, String>,
    surroundings: Surroundings,
    group: Arc<Group>,
    /// The group's rules, as far as they are known by now.
    there: Vec<Rule>,
    changed: bool,
    /// Marks of another object of the same owner that were written over, by rule: what a create that fails puts back.
    overwritten: BTreeMap<String, String>,
}

/// Creates what is desired. Nothing is removed, and no rule that another owner uses is changed but for a mark; if it fails, what was made is
/// taken back.
///
/// # Errors
///
/// What EC2 refused.
pub async fn create(account: &Account, desired: &DesiredRules<'_>, cancelled: &CancellationToken) -> Result<Ensured, Refusal> {
    let _arrival = account.arrivals().begin(desired.group.as_str());
    let group = account.groups().of(desired.group);
    let _turn = group.turn(cancelled).await?;
    let mut work = Work::begin(account, desired, &group, cancelled).await.map_err(|failed| failed.refusal)?;
    let done = match work.take_over_estate().await {
        Ok(()) => work.settle().await,
        failed => failed,
    };
    if let Err(failed) = done {
        if work.changed || cancelled.is_cancelled() {
            undo::undo(account, desired.group, &work.ours, &work.overwritten, cancelled).await;
        }
        return Err(failed.refusal);
    }
    if let Some(present) = work.present() {
        group.note(Present { succeeds: !work.overwritten.is_empty(), ..present });
    }
    Ok(work.ensured())
}

/// Makes what is desired of what this object made before, and gives up what it does not want any more: that is left by [`depart`] at last.
///
/// One describe; one authorize an entry; one modify, if descriptions change; to remove something, a mark and a trial.
///
/// # Errors
///
/// What EC2 refused, and what stands by then.
pub async fn update(account: &Account, desired: &DesiredRules<'_>, cancelled: &CancellationToken) -> Result<Ensured, Unfinished> {
    let untouched = |refusal| Unfinished { refusal, observed: None };
    let _arrival = account.arrivals().begin(desired.group.as_str());
    let group = account.groups().of(desired.group);
    let _turn = group.turn(cancelled).await.map_err(untouched)?;
    let mut work = Work::begin(account, desired, &group, cancelled).await.map_err(|failed| untouched(failed.refusal))?;
    let done = match work.settle().await {
        Ok(()) => work.give_up().await,
        failed => failed,
    };
    match done {
        Ok(()) => {
            work.present().into_iter().for_each(|present| group.note(present));
            Ok(work.ensured())
        }
        Err(failed) => Err(Unfinished { refusal: failed.refusal, observed: work.changed.then(|| work.observed()) }),
    }
}

impl<'a> Work<'a> {
    async fn begin(
        account: &'a Account,
        desired: &DesiredRules<'a>,
        group: &Arc<Group>,
        cancelled: &'a CancellationToken,
    ) -> Result<Self, Failed> {
        let calls = Calls::new(account, desired.group, desired.entries, cancelled).await?;
        group.meet(desired.ours.identities());
        let there = calls.rules().await?;
        let surroundings = healed(&calls, desired.entries).await?;
        let default = &account.settings().default_tags;
        let (ours, entries, group) = (desired.ours.clone(), desired.entries, Arc::clone(group));
        let overwritten = BTreeMap::new();
        Ok(Self { calls, account, ours, entries, default, surroundings, group, there, changed: false, overwritten })
    }

    fn observed(&self) -> Observed {
        observe(self.entries, &self.surroundings, &self.there, &self.ours, self.default)
    }

    fn ensured(&self) -> Ensured {
        let strange = |rule: &&Rule| {
            let marks = mark::marks(rule);
            !marks.is_empty() && !marks.iter().any(|mark| self.group.has_met(&mark.owner))
        };
        let listed = |which: &dyn Fn(&Rule) -> bool| self.there.iter().filter(|rule| which(rule)).map(claimed).collect();
        let wants = entry::wants(self.entries, &self.surroundings);
        Ensured {
            held: self.observed().held,
            strangers: self.there.iter().filter(strange).map(claimed).collect(),
            succeeded: listed(&|rule| self.overwritten.contains_key(&rule.id)),
            unmarked: listed(&|rule| self.ours.remembers(rule) && wants.iter().all(|want| want.key != rule.key)),
        }
    }

    fn plan(&self) -> Plan {
        plan::plan(&entry::wants(self.entries, &self.surroundings), &self.there, &self.ours, self.default)
    }

    /// What it wants, for whoever leaves a rule to it later on in this process.
    fn present(&self) -> Option<Present> {
        let identity = self.ours.identity.clone()?;
        let wants = entry::wants(self.entries, &self.surroundings).into_iter().map(|want| (want.key.clone(), want)).collect();
        Some(Present { identity, wants, tags: self.default.clone(), succeeds: false })
    }

    /// A given owner's new object follows its older ones, which a killed run or another name may have left: it takes over their marks also
    /// where it wants nothing. So the next plan shows those rules, and an older object that is still to be destroyed leaves the others alone.
    async fn take_over_estate(&mut self) -> Result<(), Failed> {
        let Some(identity) = self.ours.identity.clone() else { return Ok(()) };
        let of_owner = |rule: &&Rule| mark::marks(rule).iter().any(|mark| mark.owner == identity.owner);
        let estate: Vec<Rule> = self.there.iter().filter(of_owner).filter(|rule| !self.ours.is_claimed(rule)).cloned().collect();
        if estate.is_empty() {
            return Ok(());
        }
        let tagging = Tagging { set: BTreeMap::from([(mark::key(&identity.owner), mark::value(&identity.claim()))]), delete: Vec::new() };
        let taken = estate.iter().map(|rule| (rule.clone(), tagging.clone())).collect::<Vec<_>>();
        self.tag(&taken).await?;
        self.look_again(&estate).await
    }

    /// Does what is to be done; what turns out to have changed meanwhile is read again and planned anew.
    async fn settle(&mut self) -> Result<(), Failed> {
        let mut pauses = Pauses::new();
        let mut again = false;
        loop {
            match self.attempt().await {
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

    async fn attempt(&mut self) -> Result<(), Failed> {
        let mut plan = self.plan();
        self.tag(&plan.tag).await?;
        if !plan.claim.is_empty() {
            self.look_again(&plan.claim).await?;
            plan = self.plan();
            // What was ours alone all of a sudden, because the last other owner has just left.
            self.tag(&plan.tag).await?;
        }
        if let Some(identity) = &self.ours.identity {
            let serving: Vec<&str> = self.there.iter().filter(|rule| self.ours.is_claimed(rule)).map(|rule| rule.id.as_str()).collect();
            self.group.recall(identity, &serving);
        }
        if !plan.describe.is_empty() {
            self.modify(&plan.describe).await?;
        }
        for direction in Direction::BOTH {
            let new: Vec<Want> = plan.authorize.iter().filter(|want| want.key.direction == direction).cloned().collect();
            if let Err(failed) = self.authorize(direction, &new).await {
                if failed.kind != Kind::Quota {
                    return Err(failed);
                }
                self.make_room(direction, failed).await?;
            }
        }
        self.until_seen().await
    }

    /// Looks again at rules that were claimed: the last one to use them may have left at the same moment. Who has begun to leave either sees
    /// our mark and goes without the rule, or has seen none and removes it: until that is decided, nothing is built on the rule.
    async fn look_again(&mut self, claimed: &[Rule]) -> Result<(), Failed> {
        let mut pauses = Pauses::courtesy();
        loop {
            self.there = self.calls.rules().await?;
            let being_left = |rule: &Rule| {
                let leaves = |mark: &mark::Mark| !mark.is_live() && self.ours.identities().all(|identity| identity.owner != mark.owner);
                !self.group.is_departing(&rule.id) && mark::marks(rule).iter().any(leaves)
            };
            let open = self.there.iter().any(|rule| claimed.iter().any(|claimed| claimed.id == rule.id) && being_left(rule));
            // After that long the one who left was killed on the way: its mark counts no more.
            if !open || !pauses.pause(self.calls.cancelled()).await {
                return Ok(());
            }
        }
    }

    async fn tag(&mut self, taggings: &[(Rule, Tagging)]) -> Result<(), Failed> {
        let mut alike: BTreeMap<&Tagging, Vec<String>> = BTreeMap::new();
        for (rule, tagging) in taggings {
            let key = self.ours.identity.as_ref().map(|identity| mark::key(&identity.owner));
            if let Some(old) = key.filter(|key| tagging.set.contains_key(key)).and_then(|key| rule.tags.get(&key)) {
                self.overwritten.entry(rule.id.clone()).or_insert_with(|| old.clone());
            }
            alike.entry(tagging).or_default().push(rule.id.clone());
        }
        for (tagging, ids) in alike {
            self.changed = true;
            if !tagging.set.is_empty() {
                self.calls.tag(ids.clone(), &tagging.set).await?;
            }
            if !tagging.delete.is_empty() {
                self.calls.untag(ids.clone(), &tagging.delete).await?;
            }
            for rule in self.there.iter_mut().filter(|rule| ids.contains(&rule.id)) {
                rule.tags.extend(tagging.set.clone());
                rule.tags.retain(|key, _| !tagging.delete.contains(key));
            }
        }
        Ok(())
    }

    /// Makes rules, those of each entry in a call of their own: EC2 gives all rules of a call the same tags.
    async fn authorize(&mut self, direction: Direction, wants: &[Want]) -> Result<(), Failed> {
        let Some(identity) = self.ours.identity.clone() else { return Ok(()) };
        let mut entries: BTreeMap<&str, Vec<Want>> = BTreeMap::new();
        for want in wants {
            entries.entry(&want.name).or_default().push(want.clone());
        }
        for wants in entries.into_values() {
            let Some(first) = wants.first() else { continue };
            let mut tags = mark::described(first, self.default);
            tags.insert(mark::key(&identity.owner), mark::value(&identity.claim()));
            let mut pauses = Pauses::new();
            let made = loop {
                match self.calls.authorize(direction, &wants, &tags).await {
                    Ok(made) => break made,
                    Err(failed) => self.calls.heal(failed, &mut pauses).await?,
                }
            };
            self.changed = true;
            self.there.extend(made);
        }
        Ok(())
    }

    async fn modify(&mut self, changes: &[(Rule, Want)]) -> Result<(), Failed> {
        let mut pauses = Pauses::new();
        while let Err(failed) = self.calls.modify(changes).await {
            self.calls.heal(failed, &mut pauses).await?;
        }
        self.changed = true;
        for (old, want) in changes {
            if let Some(rule) = self.there.iter_mut().find(|rule| rule.id == old.id) {
                (rule.key, rule.description) = (want.key.clone(), want.text());
            }
        }
        Ok(())
    }

    /// Without head-room: what others of this process have given up goes at once, old rules become new ones, and what is left over has the
    /// room that there is.
    async fn make_room(&mut self, direction: Direction, failed: Failed) -> Result<(), Failed> {
        depart::now(&self.calls, &self.group).await?;
        self.there = self.calls.rules().await?;
        let plan = self.plan();
        let new: Vec<Want> = plan.authorize.into_iter().filter(|want| want.key.direction == direction).collect();
        let old: Vec<Rule> = plan.leave.into_iter().filter(|rule| self.ours.is_sole(rule)).collect();
        let exchange = exchange(&new, &old);
        if !exchange.modify.is_empty() {
            self.modify(&exchange.modify).await?;
            let plan = self.plan();
            self.tag(&plan.tag).await?;
        }
        match self.authorize(direction, &exchange.authorize).await {
            Err(again) if again.kind == Kind::Quota => {
                let there = self.there.iter().filter(|rule| rule.key.direction == direction).count();
                let needed = self.plan().authorize.iter().filter(|want| want.key.direction == direction).count();
                let group = self.calls.group().to_string();
                let reason = RulesReason::Quota { group, direction: direction.name(), there, needed };
                Err(Failed { kind: Kind::Final, refusal: Refusal { reason: Reason::Rules(reason), ..failed.refusal } })
            }
            done => done,
        }
    }

    /// The answer to a call that makes rules names them. If it does not, they have to show before an old one goes.
    async fn until_seen(&mut self) -> Result<(), Failed> {
        let mut pauses = Pauses::new();
        while !self.plan().authorize.is_empty() {
            self.there = self.calls.rules().await?;
            if !self.plan().authorize.is_empty() && !pauses.pause(self.calls.cancelled()).await {
                let reason = RulesReason::Unseen { group: self.calls.group().to_string() };
                return Err(Failed::of_reason(reason, "ec2:DescribeSecurityGroupRules"));
            }
        }
        Ok(())
    }

    /// Says on the rules that are not wanted any more that they will be left, and tries whether they may be removed.
    async fn give_up(&mut self) -> Result<(), Failed> {
        let old = self.plan().leave;
        if old.is_empty() {
            return Ok(());
        }
        self.changed = true;
        leave::announce(&self.calls, &old, &self.ours).await?;
        for direction in Direction::BOTH {
            let sole = old.iter().filter(|rule| rule.key.direction == direction && self.ours.is_sole(rule));
            let ids: Vec<String> = sole.map(|rule| rule.id.clone()).collect();
            if ids.is_empty() {
                continue;
            }
            let mut pauses = Pauses::new();
            while let Err(failed) = self.calls.prove_revocable(direction, ids.clone()).await {
                // Who removed one of them meanwhile has done what was to be done.
                if failed.kind == Kind::RuleGone {
                    break;
                }
                self.calls.heal(failed, &mut pauses).await?;
            }
        }
        let going: Vec<String> = old.into_iter().map(|rule| rule.id).collect();
        self.there.retain(|rule| !going.contains(&rule.id));
        depart::later(self.account, self.calls.group(), Departure { ours: self.ours.clone(), rules: going });
        Ok(())
    }
}

/// What surrounds the group: subnets may have been made a moment ago.
async fn healed(calls: &Calls<'_>, entries: &[Entry]) -> Result<Surroundings, Failed> {
    let mut pauses = Pauses::new();
    loop {
        let surroundings = calls.surroundings().await?;
        let Some(missing) = entry::subnets(entries).into_iter().find(|subnet| !surroundings.networks.contains_key(subnet)) else {
            return Ok(surroundings);
        };
        if !pauses.pause(calls.cancelled()).await {
            return Err(Failed::of_reason(RulesReason::PeerMissing { peer: missing.to_string() }, "ec2:DescribeSubnets"));
        }
    }
}
