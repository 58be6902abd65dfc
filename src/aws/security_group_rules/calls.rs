//! The calls to EC2: each asked for in our words, answered in our words.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    Filter, IpPermission, IpRange, Ipv6Range, PrefixListId as PrefixList, ResourceType, SecurityGroupRule, SecurityGroupRuleRequest,
    SecurityGroupRuleUpdate, SubnetCidrBlockStateCode, Tag, TagSpecification, UserIdGroupPair,
};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use ring::rand::SecureRandom;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::entry::{Entry, Networks};
use super::id::{GroupId, SubnetId};
use super::refuse::{Failed, Kind};
use super::rule::{Direction, Key, Peer, Rule, Want};
use super::traffic::{Protocol, Traffic};
use crate::aws::Account;
use crate::aws::answer::Answer;
use crate::backoff::Backoff;
use crate::cidr::Cidr;
use crate::path::refusal::Refusal;

/// How long what was made a moment ago may be unknown: EC2 is consistent after some seconds; two minutes were seen once.
pub(super) const HEALING: Duration = Duration::from_secs(60);

/// How many rules a page holds: the most that EC2 gives.
const PAGE: i32 = 1_000;

/// How many pages are read: a group holds at most 1,000 rules a direction, so a service that has ever more is broken.
const MOST_PAGES: u32 = 20;

/// How long a call under way may go on once it was told to stop: Terraform waits two seconds.
const GRACE: Duration = Duration::from_millis(1_200);

/// EC2 for one security group.
pub(super) struct Calls<'a> {
    client: Client,
    group: &'a GroupId,
    entries: &'a [Entry],
    cancelled: &'a CancellationToken,
}

impl<'a> Calls<'a> {
    pub(super) async fn new(
        account: &Account,
        group: &'a GroupId,
        entries: &'a [Entry],
        cancelled: &'a CancellationToken,
    ) -> Result<Self, Refusal> {
        Ok(Self { client: account.ec2(cancelled).await?, group, entries, cancelled })
    }

    /// The group's rules; an empty list also if there is no such group.
    pub(super) async fn rules(&self) -> Result<Vec<Rule>, Failed> {
        const ACTION: &str = "ec2:DescribeSecurityGroupRules";
        let mut rules = Vec::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let of_group = Filter::builder().name("group-id").values(self.group.as_str()).build();
            let call = self.client.describe_security_group_rules().filters(of_group).max_results(PAGE).set_next_token(next);
            let page = self.call(ACTION, call.send()).await?;
            rules.extend(page.security_group_rules().iter().filter_map(read));
            next = page.next_token().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
            if next.is_none() {
                break;
            }
        }
        Ok(rules)
    }

    /// Whether the group exists.
    pub(super) async fn group_exists(&self) -> Result<bool, Failed> {
        let call = self.client.describe_security_groups().group_ids(self.group.as_str());
        match self.call("ec2:DescribeSecurityGroups", call.send()).await {
            Ok(found) => Ok(!found.security_groups().is_empty()),
            Err(failed) if failed.kind == Kind::GroupGone => Ok(false),
            Err(failed) => Err(failed),
        }
    }

    /// The networks of subnets.
    pub(super) async fn networks(&self, subnets: &[SubnetId]) -> Result<Networks, Failed> {
        if subnets.is_empty() {
            return Ok(Networks::new());
        }
        let ids: Vec<String> = subnets.iter().map(ToString::to_string).collect();
        let call = self.client.describe_subnets().set_subnet_ids(Some(ids));
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
        let (group, permissions, marks) = (self.group.as_str(), Some(permissions(wants)), specification(tags));
        let made = match direction {
            Direction::Ingress => {
                let call = self.client.authorize_security_group_ingress().group_id(group).set_ip_permissions(permissions);
                let done = self.call("ec2:AuthorizeSecurityGroupIngress", call.tag_specifications(marks).send()).await?;
                done.security_group_rules.unwrap_or_default()
            }
            Direction::Egress => {
                let call = self.client.authorize_security_group_egress().group_id(group).set_ip_permissions(permissions);
                let done = self.call("ec2:AuthorizeSecurityGroupEgress", call.tag_specifications(marks).send()).await?;
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
        let call = self.client.modify_security_group_rules().group_id(self.group.as_str());
        self.call("ec2:ModifySecurityGroupRules", call.set_security_group_rules(Some(updates.collect())).send()).await.map(drop)
    }

    /// Removes rules of one direction by their ids, all or none.
    pub(super) async fn revoke(&self, direction: Direction, ids: Vec<String>) -> Result<(), Failed> {
        let (group, ids) = (self.group.as_str(), Some(ids));
        match direction {
            Direction::Ingress => {
                let call = self.client.revoke_security_group_ingress().group_id(group).set_security_group_rule_ids(ids);
                self.call("ec2:RevokeSecurityGroupIngress", call.send()).await.map(drop)
            }
            Direction::Egress => {
                let call = self.client.revoke_security_group_egress().group_id(group).set_security_group_rule_ids(ids);
                self.call("ec2:RevokeSecurityGroupEgress", call.send()).await.map(drop)
            }
        }
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
            done = call => done.map_err(|error| Failed::of(&Answer::of(&error), action, self.group, self.entries)),
            () = patience => Err(Failed::interrupted(action)),
        }
    }

    /// Pauses after a failure that heals, so that the call can be made again; any other goes on.
    pub(super) async fn heal(&self, failed: Failed, pauses: &mut Pauses) -> Result<(), Failed> {
        let heals = matches!(failed.kind, Kind::Absent | Kind::GroupGone);
        if heals && pauses.pause(self.cancelled).await { Ok(()) } else { Err(failed) }
    }

    /// What tells to stop.
    pub(super) const fn cancelled(&self) -> &CancellationToken {
        self.cancelled
    }
}

/// Pauses within [`HEALING`].
pub(super) struct Pauses {
    until: Instant,
    backoff: Backoff,
}

impl Pauses {
    pub(super) fn new() -> Self {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(5));
        Self { until: Instant::now() + HEALING, backoff: Backoff::new(Duration::ZERO, first, longest) }
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

/// One permission for each protocol and ports, with all of its peers.
fn permissions(wants: &[Want]) -> Vec<IpPermission> {
    let mut by_traffic: BTreeMap<Traffic, Vec<&Want>> = BTreeMap::new();
    for want in wants {
        by_traffic.entry(want.key.traffic).or_default().push(want);
    }
    let permissions = by_traffic.into_iter().map(|(traffic, wants)| {
        let mut permission = IpPermission::builder().ip_protocol(traffic.protocol().to_string());
        if has_ports(traffic) {
            let (from, to) = traffic.ports();
            permission = permission.from_port(from).to_port(to);
        }
        for want in wants {
            let text = description(want);
            permission = match &want.key.peer {
                Peer::Cidr(cidr) if cidr.address().is_ipv4() => {
                    permission.ip_ranges(IpRange::builder().cidr_ip(cidr.to_string()).set_description(text).build())
                }
                Peer::Cidr(cidr) => permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(cidr.to_string()).set_description(text).build()),
                Peer::Group(id) => {
                    permission.user_id_group_pairs(UserIdGroupPair::builder().group_id(id.as_str()).set_description(text).build())
                }
                Peer::PrefixList(id) => {
                    permission.prefix_list_ids(PrefixList::builder().prefix_list_id(id.as_str()).set_description(text).build())
                }
            };
        }
        permission.build()
    });
    permissions.collect()
}

fn request(want: &Want) -> SecurityGroupRuleRequest {
    let traffic = want.key.traffic;
    let mut request = SecurityGroupRuleRequest::builder().ip_protocol(traffic.protocol().to_string()).set_description(description(want));
    // Unlike a permission, a changed rule needs both numbers always.
    let (from, to) = traffic.ports();
    request = request.from_port(from).to_port(to);
    match &want.key.peer {
        Peer::Cidr(cidr) if cidr.address().is_ipv4() => request.cidr_ipv4(cidr.to_string()),
        Peer::Cidr(cidr) => request.cidr_ipv6(cidr.to_string()),
        Peer::Group(id) => request.referenced_group_id(id.as_str()),
        Peer::PrefixList(id) => request.prefix_list_id(id.as_str()),
    }
    .build()
}

fn description(want: &Want) -> Option<String> {
    Some(want.description.clone()).filter(|text| !text.is_empty())
}

const fn has_ports(traffic: Traffic) -> bool {
    matches!(traffic.protocol(), Protocol::TCP | Protocol::UDP | Protocol::ICMP | Protocol::ICMPV6)
}

fn specification(tags: &BTreeMap<String, String>) -> TagSpecification {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    TagSpecification::builder().resource_type(ResourceType::SecurityGroupRule).set_tags(Some(tags.collect())).build()
}

/// A rule of EC2's; none for what no rule of ours could be.
fn read(rule: &SecurityGroupRule) -> Option<Rule> {
    let direction = if rule.is_egress()? { Direction::Egress } else { Direction::Ingress };
    let group = rule.referenced_group_info().and_then(|info| info.group_id());
    let peer = match (rule.cidr_ipv4().or(rule.cidr_ipv6()), rule.prefix_list_id(), group) {
        (Some(cidr), ..) => Peer::Cidr(cidr.parse().ok()?),
        (_, Some(list), _) => Peer::PrefixList(list.parse().ok()?),
        (.., Some(group)) => Peer::Group(group.parse().ok()?),
        _ => return None,
    };
    let traffic = Traffic::of_rule(rule.ip_protocol()?.parse().ok()?, rule.from_port(), rule.to_port());
    let tags = rule.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())));
    Some(Rule {
        id: rule.security_group_rule_id()?.to_owned(),
        key: Key { direction, traffic, peer },
        description: rule.description().unwrap_or_default().to_owned(),
        tags: tags.collect(),
    })
}
