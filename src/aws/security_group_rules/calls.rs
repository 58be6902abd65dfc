//! The calls to EC2: each asked for in our words, answered in our words.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, SecurityGroupRuleUpdate, SubnetCidrBlockStateCode, Tag};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use ring::rand::SecureRandom;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::entry::{self, Entry, Networks, Surroundings};
use super::group::Group;
use super::id::{GroupId, SubnetId};
use super::refuse::{Failed, Kind};
use super::rule::{Direction, Rule, Want};
use super::wire::{permissions, read, request, specification, tags};
use crate::aws::Account;
use crate::aws::answer::Answer;
use crate::backoff::Backoff;
use crate::cidr::Cidr;
use crate::path::refusal::RulesReason;

/// How long what was made a moment ago may be unknown: EC2 is consistent after some seconds; two minutes were seen once.
pub(super) const HEALING: Duration = Duration::from_secs(60);

/// How long "it does not exist" has to stay the answer before it is believed of what was recorded: longer than the second or so by which
/// EC2's answers mostly lag, and short enough for each plan after a group was deleted by hand.
const DOUBT: Duration = Duration::from_secs(5);

/// How long a rule that another process has begun to leave is watched: between the two steps of leaving lie two calls, each of which is
/// tried again when it is throttled.
const COURTESY: Duration = Duration::from_secs(20);

/// How many rules a page holds: the most that EC2 gives.
const PAGE: i32 = 1_000;

/// How many pages are read: a group holds at most 1,000 rules a direction, so a service that has ever more is broken.
const MOST_PAGES: u32 = 20;

/// How many values EC2 takes in one filter.
const MOST_VALUES: usize = 200;

/// How long a call under way may go on once it was told to stop: Terraform waits two seconds.
const GRACE: Duration = Duration::from_millis(1_200);

/// EC2 for one security group.
pub(super) struct Calls<'a> {
    client: Client,
    id: &'a GroupId,
    entries: &'a [Entry],
    cancelled: &'a CancellationToken,
    /// What this process remembers of the group: a change makes what was read before old.
    group: Arc<Group>,
    /// The group's account, once a rule has told it.
    account: OnceLock<String>,
}

impl<'a> Calls<'a> {
    pub(super) async fn new(
        account: &Account,
        group: &'a GroupId,
        entries: &'a [Entry],
        cancelled: &'a CancellationToken,
    ) -> Result<Self, Failed> {
        let client = account.ec2(cancelled).await.map_err(Failed::of_refusal)?;
        Ok(Self { client, id: group, entries, cancelled, group: account.groups().of(group), account: OnceLock::new() })
    }

    /// The group's rules; an empty list also if there is no such group.
    pub(super) async fn rules(&self) -> Result<Vec<Rule>, Failed> {
        self.rules_where(&[("group-id", self.id.as_str())]).await
    }

    /// Those of these rules that are there.
    pub(super) async fn rules_of_ids(&self, ids: &[String]) -> Result<Vec<Rule>, Failed> {
        let mut found = Vec::new();
        for ids in ids.chunks(MOST_VALUES) {
            let mut filters = vec![("group-id", self.id.as_str())];
            filters.extend(ids.iter().map(|id| ("security-group-rule-id", id.as_str())));
            found.extend(self.rules_where(&filters).await?);
        }
        Ok(found)
    }

    async fn rules_where(&self, wanted: &[(&str, &str)]) -> Result<Vec<Rule>, Failed> {
        const ACTION: &str = "ec2:DescribeSecurityGroupRules";
        let mut filters: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, value) in wanted {
            filters.entry(name).or_default().push((*value).to_owned());
        }
        let filters: Vec<_> =
            filters.into_iter().map(|(name, values)| Filter::builder().name(name).set_values(Some(values)).build()).collect();
        let mut rules = Vec::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let call = self.client.describe_security_group_rules().set_filters(Some(filters.clone())).max_results(PAGE);
            let page = self.call(ACTION, call.set_next_token(next).send()).await?;
            if let Some(account) = page.security_group_rules().iter().find_map(|rule| rule.group_owner_id()) {
                self.account.get_or_init(|| account.to_owned());
            }
            rules.extend(page.security_group_rules().iter().filter_map(read));
            next = page.next_token().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
            if next.is_none() {
                return Ok(rules);
            }
        }
        Err(Failed::of_reason(RulesReason::Endless { group: self.id.to_string() }, ACTION))
    }

    /// Whether the group exists.
    pub(super) async fn group_exists(&self) -> Result<bool, Failed> {
        let call = self.client.describe_security_groups().group_ids(self.id.as_str());
        match self.call("ec2:DescribeSecurityGroups", call.send()).await {
            Ok(found) => {
                if let Some(account) = found.security_groups().iter().find_map(|group| group.owner_id()) {
                    self.account.get_or_init(|| account.to_owned());
                }
                Ok(!found.security_groups().is_empty())
            }
            Err(failed) if failed.kind == Kind::GroupGone => Ok(false),
            Err(failed) => Err(failed),
        }
    }

    /// Whether the group exists; that it does not is believed only of an answer that stays the same.
    pub(super) async fn group_surely_exists(&self) -> Result<bool, Failed> {
        let mut doubts = Pauses::doubts();
        loop {
            if self.group_exists().await? {
                return Ok(true);
            }
            if !doubts.pause(self.cancelled).await {
                return if self.cancelled.is_cancelled() { Err(Failed::interrupted("ec2:DescribeSecurityGroups")) } else { Ok(false) };
            }
        }
    }

    /// What entries need to be read as rules. Asked after the rules, which mostly tell the account.
    pub(super) async fn surroundings(&self) -> Result<Surroundings, Failed> {
        if entry::name_an_account(self.entries) && self.account.get().is_none() {
            self.group_exists().await?;
        }
        let networks = self.networks(&entry::subnets(self.entries)).await?;
        Ok(Surroundings { networks, account: self.account.get().cloned() })
    }

    /// The networks of subnets. One that does not exist has none.
    async fn networks(&self, subnets: &[SubnetId]) -> Result<Networks, Failed> {
        if subnets.is_empty() {
            return Ok(Networks::new());
        }
        // A filter, not ids: one subnet that is gone would make the answer an error about all of them.
        let ids = Filter::builder().name("subnet-id").set_values(Some(subnets.iter().map(ToString::to_string).collect())).build();
        let call = self.client.describe_subnets().filters(ids);
        let found = self.call("ec2:DescribeSubnets", call.send()).await?;
        let networks = found.subnets().iter().filter_map(|subnet| {
            let six = subnet.ipv6_cidr_block_association_set().iter().filter(|block| {
                block
                    .ipv6_cidr_block_state()
                    .and_then(|state| state.state())
                    .is_none_or(|state| *state == SubnetCidrBlockStateCode::Associated)
            });
            let blocks = subnet.cidr_block().into_iter().chain(six.filter_map(|block| block.ipv6_cidr_block()));
            let blocks: Vec<Cidr> = blocks.filter_map(|block| block.parse().ok()).collect();
            Some((subnet.subnet_id()?.parse().ok()?, blocks))
        });
        Ok(networks.collect())
    }

    /// Makes rules of one direction, with tags, all or none.
    pub(super) async fn authorize(
        &self,
        direction: Direction,
        wants: &[Want],
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<Rule>, Failed> {
        let (group, permissions, marks) = (self.id.as_str(), Some(permissions(wants)), specification(tags));
        let made = match direction {
            Direction::Ingress => {
                let call = self.client.authorize_security_group_ingress().group_id(group).set_ip_permissions(permissions);
                let done = self.change("ec2:AuthorizeSecurityGroupIngress", call.tag_specifications(marks).send()).await?;
                done.security_group_rules.unwrap_or_default()
            }
            Direction::Egress => {
                let call = self.client.authorize_security_group_egress().group_id(group).set_ip_permissions(permissions);
                let done = self.change("ec2:AuthorizeSecurityGroupEgress", call.tag_specifications(marks).send()).await?;
                done.security_group_rules.unwrap_or_default()
            }
        };
        // The tags are on them whether or not the answer repeats them.
        Ok(made.iter().filter_map(read).map(|rule| Rule { tags: tags.clone(), ..rule }).collect())
    }

    /// Makes rules into others, all or none. Their tags stay.
    pub(super) async fn modify(&self, changes: &[(Rule, Want)]) -> Result<(), Failed> {
        let updates = changes.iter().map(|(rule, want)| {
            SecurityGroupRuleUpdate::builder().security_group_rule_id(&rule.id).security_group_rule(request(want)).build()
        });
        let call = self.client.modify_security_group_rules().group_id(self.id.as_str());
        self.change("ec2:ModifySecurityGroupRules", call.set_security_group_rules(Some(updates.collect())).send()).await.map(drop)
    }

    /// Removes rules of one direction by their ids, all or none.
    pub(super) async fn revoke(&self, direction: Direction, ids: Vec<String>) -> Result<(), Failed> {
        self.send_revoke(direction, ids, None).await
    }

    /// Whether rules could be removed, without removing them.
    pub(super) async fn prove_revocable(&self, direction: Direction, ids: Vec<String>) -> Result<(), Failed> {
        match self.send_revoke(direction, ids, Some(true)).await {
            Err(failed) if failed.kind == Kind::WouldWork => Ok(()),
            tried => tried,
        }
    }

    /// Whether a rule that is not there yet could be removed once it is.
    pub(super) async fn prove_revocable_once_made(&self, want: &Want) -> Result<(), Failed> {
        let permissions = Some(permissions(std::slice::from_ref(want)));
        let call = self.client.revoke_security_group_ingress().group_id(self.id.as_str()).set_ip_permissions(permissions).dry_run(true);
        match self.call("ec2:RevokeSecurityGroupIngress", call.send()).await {
            Err(failed) if matches!(failed.kind, Kind::WouldWork | Kind::RuleGone) => Ok(()),
            tried => tried.map(drop),
        }
    }

    async fn send_revoke(&self, direction: Direction, ids: Vec<String>, dry: Option<bool>) -> Result<(), Failed> {
        let (group, ids) = (self.id.as_str(), Some(ids));
        match direction {
            Direction::Ingress => {
                let call = self.client.revoke_security_group_ingress().group_id(group).set_security_group_rule_ids(ids).set_dry_run(dry);
                self.change("ec2:RevokeSecurityGroupIngress", call.send()).await.map(drop)
            }
            Direction::Egress => {
                let call = self.client.revoke_security_group_egress().group_id(group).set_security_group_rule_ids(ids).set_dry_run(dry);
                self.change("ec2:RevokeSecurityGroupEgress", call.send()).await.map(drop)
            }
        }
    }

    /// Sets tags on rules.
    pub(super) async fn tag(&self, ids: Vec<String>, given: &BTreeMap<String, String>) -> Result<(), Failed> {
        let call = self.client.create_tags().set_resources(Some(ids)).set_tags(Some(tags(given)));
        self.change("ec2:CreateTags", call.send()).await.map(drop)
    }

    /// Takes tags off rules, whatever their values.
    pub(super) async fn untag(&self, ids: Vec<String>, keys: &[String]) -> Result<(), Failed> {
        let tags = keys.iter().map(|key| Tag::builder().key(key).build()).collect();
        let call = self.client.delete_tags().set_resources(Some(ids)).set_tags(Some(tags));
        self.change("ec2:DeleteTags", call.send()).await.map(drop)
    }

    /// Waits for a call that changes the group: whatever was read before is old then, whether the call succeeds or not.
    async fn change<T, E>(
        &self,
        action: &'static str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Failed>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let done = self.call(action, call).await;
        self.group.outdate();
        done
    }

    /// Waits for a call. None begins after a stop, and one under way gets a moment to end: cut off, nobody knows whether it took effect.
    async fn call<T, E>(&self, action: &'static str, call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>) -> Result<T, Failed>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        if self.cancelled.is_cancelled() {
            return Err(Failed::interrupted(action));
        }
        let patience = async {
            self.cancelled.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            done = call => done.map_err(|error| Failed::of(&Answer::of(&error), action, self.id, self.entries)),
            () = patience => Err(Failed::interrupted(action)),
        }
    }

    /// Pauses after a failure that heals, so that the call can be made again; any other goes on.
    pub(super) async fn heal(&self, failed: Failed, pauses: &mut Pauses) -> Result<(), Failed> {
        let heals = matches!(failed.kind, Kind::Absent | Kind::GroupGone);
        if heals && pauses.pause(self.cancelled).await { Ok(()) } else { Err(failed) }
    }

    /// What this process remembers of the group.
    pub(super) fn remembered(&self) -> &Group {
        &self.group
    }

    /// The group.
    pub(super) const fn group(&self) -> &'a GroupId {
        self.id
    }

    /// What tells to stop.
    pub(super) const fn cancelled(&self) -> &CancellationToken {
        self.cancelled
    }
}

/// Growing pauses within a time.
pub(super) struct Pauses {
    until: Instant,
    backoff: Backoff,
}

impl Pauses {
    pub(super) fn new() -> Self {
        Self::within(HEALING)
    }

    /// For an answer that is not believed at once.
    pub(super) fn doubts() -> Self {
        Self::within(DOUBT)
    }

    /// For another process that is about to act.
    pub(super) fn courtesy() -> Self {
        Self::within(COURTESY)
    }

    fn within(time: Duration) -> Self {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(5));
        Self { until: Instant::now() + time, backoff: Backoff::new(Duration::ZERO, first, longest) }
    }

    /// Pauses, unless the time is up or it was told to stop.
    pub(super) async fn pause(&mut self, cancelled: &CancellationToken) -> bool {
        let mut bytes = [0; 4];
        let dice = ring::rand::SystemRandom::new().fill(&mut bytes).map_or(u32::MAX, |()| u32::from_le_bytes(bytes));
        let pause = self.backoff.next_pause(dice);
        if Instant::now() + pause > self.until {
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = cancelled.cancelled() => false,
        }
    }
}
