//! A door for one address: opened for the time of a walk, under a mark that counts for some minutes, and closed by the last one who uses it.
//!
//! Several processes of one machine, or of several behind one address, use one rule, because EC2 takes no second one with the same key. So each
//! sets its mark and then looks, as everybody else who uses a rule does; the last one to leave removes it. What a killed process left is
//! removed by the next one that opens a door of the group, once its time is over.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::calls::{Calls, Pauses};
use super::group::Group;
use super::id::GroupId;
use super::leave;
use super::mark::{self, Claim, Mark};
use super::ours::{Identity, Ours};
use super::refuse::{Failed, Kind};
use super::rule::{Direction, Key, Peer, Rule, Want};
use super::traffic::{Protocol, Traffic, TrafficError};
use crate::aws::{Account, Owner};
use crate::cidr::Cidr;
use crate::path::heard::Heard;
use crate::path::refusal::{Reason, Refusal, RulesReason};

/// How long a mark counts after it was set. EC2 refuses calls of a clock that is five minutes off, so two clocks differ by ten at the most;
/// a mark that is set anew every five minutes is never nearer to its end than that.
const LIFE: Duration = Duration::from_mins(15);

/// The name and description of a rule that is made.
const NAME: &str = "this machine, while it proves a path";

/// One port of one group, for one address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::aws) struct Entrance {
    pub(in crate::aws) group: GroupId,
    pub(in crate::aws) port: u16,
    pub(in crate::aws) address: IpAddr,
}

impl Entrance {
    fn want(&self) -> Result<Want, TrafficError> {
        let port = i64::from(self.port);
        let traffic = Traffic::new(Protocol::TCP, Some((port, port)))?;
        let key = Key { direction: Direction::Ingress, traffic, peer: Peer::Cidr(Cidr::of(self.address)) };
        Ok(Want { key, description: None, name: NAME.to_owned() })
    }

    /// Whether a rule of somebody else's lets the address in: one that stays without us.
    fn is_let_in_by(&self, rule: &Rule) -> bool {
        let peer = matches!(rule.key.peer, Peer::Cidr(cidr) if cidr.contains(Cidr::of(self.address)));
        let marks = mark::marks(rule);
        let stays = marks.is_empty() || marks.iter().any(|mark| mark.is_live() && !mark.owner.is_admission());
        stays && peer && rule.key.direction == Direction::Ingress && rule.key.traffic.lets_tcp(self.port)
    }
}

/// An entrance that is being opened or closed, with the group's turn held.
struct Work<'a> {
    calls: Calls<'a>,
    group: &'a Group,
    owner: &'a Owner,
}

/// Lets an address in. The id of the rule that bears our mark then; none where somebody else's rule lets it in already.
pub(in crate::aws) async fn open(account: &Account, entrance: &Entrance, owner: &Owner) -> Result<Option<String>, Refusal> {
    let cancelled = CancellationToken::new();
    let group = account.groups().of(&entrance.group);
    let _turn = group.turn(&cancelled).await?;
    let calls = Calls::new(account, &entrance.group, &[], &cancelled).await.map_err(|failed| failed.refusal)?;
    let work = Work { calls, group: &group, owner };
    work.open(account, entrance).await.map_err(|failed| failed.refusal)
}

/// Says anew that a rule is used. `false`: it is not there any more.
pub(in crate::aws) async fn renew(account: &Account, entrance: &Entrance, owner: &Owner, rule: &str) -> Result<bool, Refusal> {
    let cancelled = CancellationToken::new();
    let calls = Calls::new(account, &entrance.group, &[], &cancelled).await.map_err(|failed| failed.refusal)?;
    match calls.tag(vec![rule.to_owned()], &mark_of(owner)).await {
        Ok(()) => Ok(true),
        Err(failed) if failed.kind == Kind::RuleGone => Ok(false),
        Err(failed) => Err(failed.refusal),
    }
}

/// Leaves a rule: the last one to do so removes it.
pub(in crate::aws) async fn close(account: &Account, entrance: &Entrance, owner: &Owner, rule: &str) -> Result<(), Refusal> {
    let cancelled = CancellationToken::new();
    let group = account.groups().of(&entrance.group);
    let _turn = group.turn(&cancelled).await?;
    let calls = Calls::new(account, &entrance.group, &[], &cancelled).await.map_err(|failed| failed.refusal)?;
    let ours = ours(owner);
    let leaving = BTreeMap::from([(mark::key(owner), mark::value(&Claim::Leaving(None)))]);
    let left = match calls.tag(vec![rule.to_owned()], &leaving).await {
        Err(failed) if failed.kind == Kind::RuleGone => return Ok(()),
        Ok(()) => leave::conclude(&calls, &[rule.to_owned()], &ours).await.map(drop),
        failed => failed,
    };
    left.map_err(|failed| failed.refusal)
}

impl Work<'_> {
    async fn open(&self, account: &Account, entrance: &Entrance) -> Result<Option<String>, Failed> {
        let malformed = |_| Failed::of_reason(RulesReason::Malformed, AUTHORIZE);
        let want = entrance.want().map_err(malformed)?;
        // A bastion stands behind the group already: unlike for rules, it is not waited for until it is made.
        let (mut pauses, mut doubts) = (Pauses::new(), Pauses::doubts());
        loop {
            let there = self.calls.rules().await?;
            self.sweep(&there).await;
            if there.iter().any(|rule| entrance.is_let_in_by(rule)) {
                return Ok(None);
            }
            let tried = match there.iter().find(|rule| rule.key == want.key && !mark::marks(rule).is_empty()) {
                Some(rule) => self.join(rule).await,
                None => {
                    self.make(account, &want, there.iter().filter(|rule| rule.key.direction == Direction::Ingress).count()).await.map(Some)
                }
            };
            match tried {
                Ok(Some(rule)) => return Ok(Some(rule)),
                // It was removed at the same moment.
                Ok(None) => {}
                Err(failed) if matches!(failed.kind, Kind::Duplicate | Kind::RuleGone) => {
                    if !pauses.pause(self.calls.cancelled()).await {
                        return Err(failed);
                    }
                }
                Err(failed) => self.calls.heal(failed, &mut doubts).await?,
            }
        }
    }

    /// Makes the rule, marked from its first moment. A door that could not be closed again is not opened.
    async fn make(&self, account: &Account, want: &Want, there: usize) -> Result<String, Failed> {
        self.calls.prove_revocable_once_made(want).await?;
        let mut tags = mark::described(want, &account.settings().default_tags);
        tags.extend(mark_of(self.owner));
        let made = self.calls.authorize(Direction::Ingress, std::slice::from_ref(want), &tags).await.map_err(|failed| {
            if failed.kind != Kind::Quota {
                return failed;
            }
            let reason = RulesReason::Quota { group: self.calls.group().to_string(), direction: "ingress", there, needed: 1 };
            Failed { refusal: Refusal { reason: Reason::Rules(reason), ..failed.refusal }, ..failed }
        })?;
        let missing = || Failed::of_reason(RulesReason::Unseen { group: self.calls.group().to_string() }, AUTHORIZE);
        made.into_iter().next().map(|rule| rule.id).ok_or_else(missing)
    }

    /// Marks a rule that others use, and looks who is leaving it: until that is decided, nothing is built on it. `None`: it is gone.
    async fn join(&self, rule: &Rule) -> Result<Option<String>, Failed> {
        self.calls.tag(vec![rule.id.clone()], &mark_of(self.owner)).await?;
        let mut pauses = Pauses::courtesy();
        loop {
            let there = self.calls.rules_of_ids(std::slice::from_ref(&rule.id)).await?;
            let Some(now) = there.first() else { return Ok(None) };
            let leaves = |mark: &Mark| matches!(mark.claim, Claim::Leaving(_)) && mark.owner != *self.owner;
            let open = !self.group.is_departing(&now.id) && mark::marks(now).iter().any(leaves);
            // After that long the one who left was killed on the way: its mark counts no more.
            if !open || !pauses.pause(self.calls.cancelled()).await {
                return Ok(Some(now.id.clone()));
            }
        }
    }

    /// Leaves what killed processes did not come to leave. Whoever says anew in this moment that it lives keeps its rule.
    async fn sweep(&self, there: &[Rule]) {
        let expired = |rule: &Rule| mark::marks(rule).into_iter().filter(Mark::is_expired).map(|mark| mark.owner).collect::<Vec<_>>();
        let owners: BTreeSet<Owner> = there.iter().flat_map(expired).filter(|owner| owner != self.owner).collect();
        for owner in owners {
            let rules: Vec<Rule> = there.iter().filter(|rule| expired(rule).contains(&owner)).cloned().collect();
            if let Err(failed) = self.leave_for(&owner, &rules).await {
                // The door that is asked for can be opened all the same.
                tracing::warn!(group = self.calls.group().as_str(), "what a killed run has opened is still there: {}", failed.refusal);
            }
        }
    }

    async fn leave_for(&self, owner: &Owner, rules: &[Rule]) -> Result<(), Failed> {
        let ours = ours(owner);
        leave::announce(&self.calls, rules, &ours).await?;
        let ids: Vec<String> = rules.iter().map(|rule| rule.id.clone()).collect();
        leave::conclude(&self.calls, &ids, &ours).await.map(drop)
    }
}

const AUTHORIZE: &str = "ec2:AuthorizeSecurityGroupIngress";

fn mark_of(owner: &Owner) -> BTreeMap<String, String> {
    BTreeMap::from([(mark::key(owner), mark::value(&Claim::Until(SystemTime::now() + LIFE)))])
}

/// A process as marks name it. One that counts is never taken for ours: what is left is what says that it is being left.
fn ours(owner: &Owner) -> Ours {
    Ours { identity: Some(Identity { owner: owner.clone(), claim: None }), ..Ours::default() }
}

/// That a process has ended, and opens nothing more.
pub(in crate::aws) fn ended() -> Refusal {
    Refusal { heard: Heard::default(), ..Failed::interrupted(AUTHORIZE).refusal }
}
