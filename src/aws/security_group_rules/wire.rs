//! Rules in the words of EC2's API, both ways.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, PrefixListId as PrefixList, ResourceType, SecurityGroupRule, SecurityGroupRuleRequest, Tag,
    TagSpecification, UserIdGroupPair,
};

use super::id::PeerGroup;
use super::rule::{Direction, Key, Peer, Rule, Want};
use super::traffic::{Protocol, Traffic};

/// One permission for each protocol and ports, with all of its peers.
pub(super) fn permissions(wants: &[Want]) -> Vec<IpPermission> {
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
                Peer::Group(PeerGroup { account, id }) => {
                    let pair = UserIdGroupPair::builder().group_id(id.as_str()).set_user_id(account.clone());
                    permission.user_id_group_pairs(pair.set_description(text).build())
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

pub(super) fn request(want: &Want) -> SecurityGroupRuleRequest {
    let traffic = want.key.traffic;
    let mut request = SecurityGroupRuleRequest::builder().ip_protocol(traffic.protocol().to_string()).set_description(description(want));
    // Unlike a permission, a changed rule needs both numbers always.
    let (from, to) = traffic.ports();
    request = request.from_port(from).to_port(to);
    match &want.key.peer {
        Peer::Cidr(cidr) if cidr.address().is_ipv4() => request.cidr_ipv4(cidr.to_string()),
        Peer::Cidr(cidr) => request.cidr_ipv6(cidr.to_string()),
        Peer::Group(group) => request.referenced_group_id(group.id.as_str()),
        Peer::PrefixList(id) => request.prefix_list_id(id.as_str()),
    }
    .build()
}

fn description(want: &Want) -> Option<String> {
    Some(want.text()).filter(|text| !text.is_empty())
}

const fn has_ports(traffic: Traffic) -> bool {
    matches!(traffic.protocol(), Protocol::TCP | Protocol::UDP | Protocol::ICMP | Protocol::ICMPV6)
}

pub(super) fn specification(given: &BTreeMap<String, String>) -> TagSpecification {
    TagSpecification::builder().resource_type(ResourceType::SecurityGroupRule).set_tags(Some(tags(given))).build()
}

pub(super) fn tags(given: &BTreeMap<String, String>) -> Vec<Tag> {
    given.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// A rule of EC2's; none for what no rule of ours could be.
pub(super) fn read(rule: &SecurityGroupRule) -> Option<Rule> {
    let direction = if rule.is_egress()? { Direction::Egress } else { Direction::Ingress };
    let group = rule.referenced_group_info().and_then(|info| {
        let account = info.user_id().filter(|account| rule.group_owner_id().is_some_and(|own| own != *account)).map(ToOwned::to_owned);
        Some(PeerGroup { account, id: info.group_id()?.parse().ok()? })
    });
    let peer = match (rule.cidr_ipv4().or(rule.cidr_ipv6()), rule.prefix_list_id(), group) {
        (Some(cidr), ..) => Peer::Cidr(cidr.parse().ok()?),
        (_, Some(list), _) => Peer::PrefixList(list.parse().ok()?),
        (.., Some(group)) => Peer::Group(group),
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
