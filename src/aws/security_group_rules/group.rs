//! What one process remembers of a security group: whose turn it is, what was read a moment ago, whom it met, and who is about to leave.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::id::GroupId;
use super::mark::Mark;
use super::ours::{Identity, Ours};
use super::refuse::Failed;
use super::rule::{Key, Rule, Want};
use crate::aws::Owner;
use crate::path::refusal::Refusal;

/// How long a listing serves further reads of the same group: those of one walk come within a second or two, and what somebody else
/// changes meanwhile could as well have been changed a moment after the read.
const FRESH: Duration = Duration::from_secs(10);

/// The groups that this process works at.
#[derive(Default)]
pub(in crate::aws) struct Groups(Mutex<HashMap<GroupId, Arc<Group>>>);

/// One of them.
#[derive(Default)]
pub(super) struct Group {
    /// Held by the one change that is under way: another would plan against what this one is changing.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// The last listing. Held while it is read: whoever comes then waits for it instead of asking again.
    pub(super) listing: tokio::sync::Mutex<Option<Listing>>,
    memory: Mutex<Memory>,
}

/// What a listing told.
pub(super) struct Listing {
    pub(super) rules: Vec<Rule>,
    read: Instant,
    changes: u64,
}

#[derive(Default)]
struct Memory {
    /// How often this process has changed the group.
    changes: u64,
    met: BTreeSet<Owner>,
    present: Vec<Present>,
    departures: Vec<Departure>,
}

/// An object that this process has created or updated, and what it wants.
#[derive(Clone)]
pub(super) struct Present {
    pub(super) identity: Identity,
    pub(super) wants: BTreeMap<Key, Want>,
    /// Its default tags.
    pub(super) tags: BTreeMap<String, String>,
    /// Whether it was created over others of its owner: its marks stand where theirs stood, also on what it does not want.
    pub(super) succeeds: bool,
}

/// Rules that an update gave up, and that are left once nobody can come any more who wants them.
#[derive(Clone)]
pub(super) struct Departure {
    pub(super) ours: Ours,
    pub(super) rules: Vec<String>,
}

impl Groups {
    /// A group.
    pub(super) fn of(&self, group: &GroupId) -> Arc<Group> {
        Arc::clone(locked(&self.0).entry(group.clone()).or_default())
    }

    /// The groups in which rules are still to be left.
    pub(super) fn with_departures(&self) -> Vec<GroupId> {
        let groups = locked(&self.0);
        groups.iter().filter(|(_, group)| !group.memory().departures.is_empty()).map(|(id, _)| id.clone()).collect()
    }
}

impl Group {
    /// Waits for one's turn to change the group.
    pub(super) async fn turn(&self, cancelled: &CancellationToken) -> Result<tokio::sync::MutexGuard<'_, ()>, Refusal> {
        tokio::select! {
            turn = self.turn.lock() => Ok(turn),
            () = cancelled.cancelled() => Err(Failed::interrupted("ec2:DescribeSecurityGroupRules").refusal),
        }
    }

    /// Says that this process has changed the group, or may have.
    pub(super) fn outdate(&self) {
        self.memory().changes += 1;
    }

    /// How often it was changed so far.
    pub(super) fn changes(&self) -> u64 {
        self.memory().changes
    }

    /// Notes that an owner is one of those whose resources Terraform showed to this process.
    pub(super) fn meet<'a>(&self, identities: impl IntoIterator<Item = &'a Identity>) {
        self.memory().met.extend(identities.into_iter().map(|identity| identity.owner.clone()));
    }

    /// Whether this process knows of an owner. An admission goes by itself, so nobody has to be told of it.
    pub(super) fn has_met(&self, owner: &Owner) -> bool {
        owner.is_admission() || self.memory().met.contains(owner)
    }

    /// Notes what an object wants, in place of what it wanted before.
    pub(super) fn note(&self, present: Present) {
        let mut memory = self.memory();
        memory.present.retain(|other| other.identity != present.identity);
        memory.present.push(present);
    }

    /// The objects that this process created over others of this owner.
    pub(super) fn successors(&self, of: &Identity) -> Vec<Present> {
        let memory = self.memory();
        let follows = |other: &&Present| other.succeeds && other.identity.owner == of.owner && other.identity.claim != of.claim;
        memory.present.iter().filter(follows).cloned().collect()
    }

    /// What the object that left a mark wants of a rule, with its default tags, if this process knows.
    pub(super) fn want(&self, mark: &Mark, key: &Key) -> Option<(Want, BTreeMap<String, String>)> {
        let memory = self.memory();
        let present = memory.present.iter().find(|present| present.identity.holds(mark))?;
        Some((present.wants.get(key)?.clone(), present.tags.clone()))
    }

    pub(super) fn depart(&self, departure: Departure) {
        self.memory().departures.push(departure);
    }

    /// Whether a rule is about to be left by this process, which looks again before it removes it.
    pub(super) fn is_departing(&self, rule: &str) -> bool {
        self.memory().departures.iter().any(|departure| departure.rules.iter().any(|id| id == rule))
    }

    /// Keeps rules that an object wants again after all.
    pub(super) fn recall(&self, identity: &Identity, rules: &[&str]) {
        for departure in self.memory().departures.iter_mut().filter(|departure| departure.ours.identity.as_ref() == Some(identity)) {
            departure.rules.retain(|id| !rules.contains(&id.as_str()));
        }
    }

    /// Takes the departures, to be made now.
    pub(super) fn take_departures(&self) -> Vec<Departure> {
        std::mem::take(&mut self.memory().departures)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        locked(&self.memory)
    }
}

impl Listing {
    /// What was read when the group had been changed so often.
    pub(super) fn new(rules: Vec<Rule>, changes: u64) -> Self {
        Self { rules, read: Instant::now(), changes }
    }

    /// Whether it still serves.
    pub(super) fn is_fresh(&self, changes: u64) -> bool {
        self.changes == changes && self.read.elapsed() < FRESH
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
