//! Amazon's double: what the strict proxy answers, hides, holds and counts. Long, because each rule that it enforces has its test here.
#![cfg(test)]

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use lab::{Allow, Aws, Direction, Fault, On, Policy};

mod support;
use support::LIMIT;

/// What a client hears: the HTTP status and the document; `None` if the connection was closed without an answer.
type Heard = Option<(u16, String)>;

/// Sends one signed call, as any client does.
fn send(aws: &Aws, service: &str, version: &str, action: &str, parameters: &[(&str, &str)]) -> Heard {
    let mut body = format!("Action={action}&Version={version}");
    for (name, value) in parameters {
        let value: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
        body.push_str(&format!("&{name}={value}"));
    }
    let authorization = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={}/20260101/{}/{service}/aws4_request, SignedHeaders=host, Signature={}\r\n",
        aws.access_key(),
        aws.region(),
        "0".repeat(64)
    );
    post(aws, &authorization, &body)
}

fn post(aws: &Aws, headers: &str, body: &str) -> Heard {
    let address = aws.endpoint().replace("http://", "");
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.get(9..12)?.parse().unwrap();
    Some((status, answer.split_once("\r\n\r\n").unwrap().1.to_owned()))
}

fn ec2(aws: &Aws, action: &str, parameters: &[(&str, &str)]) -> Heard {
    send(aws, "ec2", "2016-11-15", action, parameters)
}

fn sts(aws: &Aws, action: &str, parameters: &[(&str, &str)]) -> Heard {
    send(aws, "sts", "2011-06-15", action, parameters)
}

/// The text of the first element of that name.
fn field<'a>(document: &'a str, name: &str) -> &'a str {
    fields(document, name).first().copied().unwrap_or_else(|| panic!("no {name} in {document}"))
}

fn fields<'a>(document: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    document.split(&open).skip(1).map(|rest| rest.split_once(&close).unwrap().0).collect()
}

#[track_caller]
fn good(heard: Heard) -> String {
    let (status, document) = heard.expect("an answer");
    assert_eq!(status, 200, "{document}");
    document
}

/// Code and words of an error.
#[track_caller]
fn bad(heard: Heard) -> (String, String) {
    let (status, document) = heard.expect("an answer");
    assert!(status >= 400, "{document}");
    let words = field(&document, "Message").replace("&quot;", "\"").replace("&amp;", "&");
    (field(&document, "Code").to_owned(), words)
}

/// The parameters of one permission over TCP.
fn tcp<'a>(group: &'a str, port: &'a str, list: &'a str, peer: &'a str) -> Vec<(&'a str, &'a str)> {
    let protocol = [("GroupId", group), ("IpPermissions.1.IpProtocol", "tcp")];
    let ports = [("IpPermissions.1.FromPort", port), ("IpPermissions.1.ToPort", port)];
    [protocol, ports].concat().into_iter().chain([(list, peer)]).collect()
}

const IPV4: &str = "IpPermissions.1.IpRanges.1.CidrIp";
const IPV6: &str = "IpPermissions.1.Ipv6Ranges.1.CidrIpv6";
const LIST: &str = "IpPermissions.1.PrefixListIds.1.PrefixListId";
const GROUP: &str = "IpPermissions.1.Groups.1.GroupId";
const INGRESS: &str = "AuthorizeSecurityGroupIngress";
const EGRESS: &str = "AuthorizeSecurityGroupEgress";
const REVOKE: &str = "RevokeSecurityGroupIngress";
const MODIFY: &str = "ModifySecurityGroupRules";

fn peers(aws: &Aws, group: &str) -> Vec<String> {
    aws.rules(group).into_iter().map(|rule| rule.peer).collect()
}

#[test]
fn a_rule_is_made_shown_and_revoked() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    let mut parameters = tcp(&group, "22", IPV4, "100.68.0.18/18");
    parameters.extend([("IpPermissions.1.IpRanges.1.Description", "a & b"), ("TagSpecification.1.ResourceType", "security-group-rule")]);
    parameters.extend([("TagSpecification.1.Tag.1.Key", "owner"), ("TagSpecification.1.Tag.1.Value", "me")]);
    let made = good(ec2(&aws, INGRESS, &parameters));
    let id = field(&made, "securityGroupRuleId");
    assert_eq!((field(&made, "cidrIpv4"), field(&made, "groupOwnerId")), ("100.68.0.0/18", aws.account_id()));

    let shown = good(ec2(&aws, "DescribeSecurityGroupRules", &[("Filter.1.Name", "tag:owner"), ("Filter.1.Value.1", "me")]));
    let of_rule = ["securityGroupRuleId", "groupId", "isEgress", "ipProtocol", "fromPort", "toPort", "cidrIpv4", "description", "value"];
    let wanted = [id, group.as_str(), "false", "tcp", "22", "22", "100.68.0.0/18", "a &amp; b", "me"];
    assert_eq!(of_rule.map(|name| field(&shown, name)), wanted);
    let shown = good(ec2(&aws, "DescribeSecurityGroups", &[("GroupId.1", &group)]));
    assert_eq!(fields(&shown, "cidrIp"), ["100.68.0.0/18"]);
    assert_eq!(field(&shown, "groupName"), "bastion");

    let gone = good(ec2(&aws, REVOKE, &[("GroupId", &group), ("SecurityGroupRuleId.1", id)]));
    assert_eq!(fields(field(&gone, "revokedSecurityGroupRuleSet"), "securityGroupRuleId"), [id]);
    assert!(aws.rules(&group).is_empty());
}

#[test]
fn what_is_malformed_is_refused_in_amazons_words() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    for (list, peer, code, words) in [
        (IPV4, "54.69.79.83", "InvalidParameterValue", "CIDR block 54.69.79.83 is malformed"),
        (IPV4, "::/0", "InvalidParameterValue", "CIDR block ::/0 is malformed"),
        (IPV6, "10.0.0.0/8", "InvalidParameterValue", "CIDR block 10.0.0.0/8 is malformed"),
        (LIST, "pl-0123456789abcdef0", "InvalidPrefixListID.NotFound", "The prefix list ID 'pl-0123456789abcdef0' does not exist"),
        (GROUP, "sg-x", "InvalidGroupId.Malformed", "Invalid id: \"sg-x\" (expecting \"sg-...\")"),
        (GROUP, "sg-0123456789abcdef0", "InvalidGroup.NotFound", "The security group 'sg-0123456789abcdef0' does not exist"),
    ] {
        assert_eq!(bad(ec2(&aws, INGRESS, &tcp(&group, "22", list, peer))), (code.into(), words.into()));
    }
    let other = aws.make_vpc_group("elsewhere").unwrap();
    assert_eq!(bad(ec2(&aws, INGRESS, &tcp(&group, "22", GROUP, &other))).0, "InvalidGroup.NotFound");
    let with = |index: usize, value: &'static str| {
        let mut parameters = tcp(&group, "22", IPV4, "10.0.0.0/8");
        parameters[index].1 = value;
        bad(ec2(&aws, INGRESS, &parameters)).0
    };
    assert_eq!(with(0, "sg-nonsense"), "InvalidGroupId.Malformed");
    assert_eq!(with(0, "sg-0123456789abcdef0"), "InvalidGroup.NotFound");
    assert_eq!(with(1, "ssh"), "InvalidParameterValue");
    assert_eq!(with(2, "23"), "InvalidParameterValue", "from above to");
    assert_eq!(with(3, "70000"), "InvalidParameterValue");
    let without = |index: usize| {
        let mut parameters = tcp(&group, "22", IPV4, "10.0.0.0/8");
        parameters.remove(index);
        bad(ec2(&aws, INGRESS, &parameters)).0
    };
    assert_eq!([0, 1, 2, 4].map(without), ["MissingParameter", "MissingParameter", "InvalidParameterValue", "MissingParameter"]);
    let and = |more: (&'static str, &'static str)| {
        let mut parameters = tcp(&group, "22", IPV4, "10.0.0.0/8");
        parameters.push(more);
        bad(ec2(&aws, INGRESS, &parameters)).0
    };
    assert_eq!(and(("IpPermissions.1.IpRanges.1.Description", "it's")), "InvalidParameterValue");
    assert_eq!(and(("Nonsense", "1")), "UnknownParameter");
    assert_eq!(and(("DryRun", "true")), "DryRunOperation");
    assert_eq!(and(("TagSpecification.1.ResourceType", "instance")), "InvalidParameterValue");
    assert!(aws.rules(&group).is_empty());
}

#[test]
fn protocols_and_ranges_have_one_spelling() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    let mut upper = tcp(&group, "22", IPV6, "2001:DB8:0::1/32");
    upper[1].1 = "6";
    let made = good(ec2(&aws, EGRESS, &upper));
    assert_eq!((field(&made, "cidrIpv6"), field(&made, "ipProtocol")), ("2001:db8::/32", "tcp"));
    assert_eq!(bad(ec2(&aws, EGRESS, &tcp(&group, "22", IPV6, "2001:db8::/32"))).0, "InvalidPermission.Duplicate");
    let all = [("GroupId", group.as_str()), ("IpPermissions.1.IpProtocol", "-1"), (IPV4, "0.0.0.0/0")];
    assert_eq!(field(&good(ec2(&aws, EGRESS, &all)), "fromPort"), "-1");
}

#[test]
fn duplicates_are_refused_and_nothing_of_the_call_is_done() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    good(ec2(&aws, INGRESS, &tcp(&group, "80", IPV4, "0.0.0.0/0")));
    let words = "the specified rule \"peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW\" already exists";
    let mut mixed = tcp(&group, "80", IPV4, "10.0.0.0/8");
    mixed.extend([("IpPermissions.1.IpRanges.2.CidrIp", "1.2.3.4/0"), ("IpPermissions.1.IpRanges.2.Description", "another")]);
    assert_eq!(bad(ec2(&aws, INGRESS, &mixed)), ("InvalidPermission.Duplicate".into(), words.into()));
    let mut twice = tcp(&group, "80", IPV4, "10.0.0.0/8");
    twice.push(("IpPermissions.1.IpRanges.2.CidrIp", "10.1.1.1/8"));
    let words = "The same permission must not appear multiple times";
    assert_eq!(bad(ec2(&aws, INGRESS, &twice)), ("InvalidParameterValue".into(), words.into()));
    assert_eq!(peers(&aws, &group), ["0.0.0.0/0"]);
}

#[test]
fn rules_are_revoked_all_or_none() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    let own = aws.allow(&group, &Allow::tcp(Direction::Ingress, 22, "10.0.0.0/8")).unwrap();
    let outward = aws.allow(&group, &Allow::tcp(Direction::Egress, 22, "10.0.0.0/8")).unwrap();
    let by_ids = |action: &str, ids: &[&str]| {
        let names: Vec<_> = (1..=ids.len()).map(|number| format!("SecurityGroupRuleId.{number}")).collect();
        let ids = names.iter().map(String::as_str).zip(ids.iter().copied());
        bad(ec2(&aws, action, &ids.chain([("GroupId", group.as_str())]).collect::<Vec<_>>())).0
    };
    assert_eq!(by_ids(REVOKE, &[&own, "sgr-0123456789abcdef0"]), "InvalidSecurityGroupRuleId.NotFound");
    assert_eq!(by_ids(REVOKE, &[&own, "nonsense"]), "InvalidSecurityGroupRuleId.Malformed");
    assert_eq!(by_ids(REVOKE, &[&own, &outward]), "InvalidSecurityGroupRuleId.NotFound", "of the other direction");
    let mut permissions = tcp(&group, "22", IPV4, "10.0.0.0/8");
    permissions.push(("IpPermissions.1.IpRanges.2.CidrIp", "11.0.0.0/8"));
    assert_eq!(bad(ec2(&aws, REVOKE, &permissions)).0, "InvalidPermission.NotFound");
    permissions.push(("SecurityGroupRuleId.1", &own));
    assert_eq!(bad(ec2(&aws, REVOKE, &permissions)).0, "InvalidParameterCombination");
    assert_eq!(aws.rules(&group).len(), 2);
    good(ec2(&aws, REVOKE, &tcp(&group, "22", IPV4, "10.0.0.0/8")));
    assert_eq!(aws.rules(&group).iter().map(|rule| rule.id.clone()).collect::<Vec<_>>(), [outward]);
}

#[test]
fn the_default_network_forgives_unknown_permissions() {
    let aws = Aws::start().unwrap();
    let vpcs = good(ec2(&aws, "DescribeVpcs", &[]));
    let group = aws.make_group("bastion", field(&vpcs, "vpcId")).unwrap();
    let answer = good(ec2(&aws, REVOKE, &tcp(&group, "22", IPV4, "11.0.0.0/8")));
    assert_eq!(fields(field(&answer, "unknownIpPermissionSet"), "cidrIp"), ["11.0.0.0/8"]);
}

/// The parameters of a change of one rule's peer.
fn change<'a>(group: &'a str, id: &'a str, field: &'a str, peer: &'a str) -> Vec<(&'a str, &'a str)> {
    let ids = [("GroupId", group), ("SecurityGroupRule.1.SecurityGroupRuleId", id)];
    let protocol = [("SecurityGroupRule.1.SecurityGroupRule.IpProtocol", "tcp"), ("SecurityGroupRule.1.SecurityGroupRule.FromPort", "22")];
    let rest = [("SecurityGroupRule.1.SecurityGroupRule.ToPort", "22"), (field, peer)];
    [ids, protocol, rest].concat()
}

const NEW_IPV4: &str = "SecurityGroupRule.1.SecurityGroupRule.CidrIpv4";
const NEW_IPV6: &str = "SecurityGroupRule.1.SecurityGroupRule.CidrIpv6";

#[test]
fn a_rule_is_changed_in_place_and_its_source_stays_of_its_kind() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    let rule = Allow::tcp(Direction::Ingress, 22, "10.0.0.0/8").description("first").tag("owner", "me");
    let id = aws.allow(&group, &rule).unwrap();
    aws.allow(&group, &Allow::tcp(Direction::Ingress, 22, "11.0.0.0/8")).unwrap();
    assert_eq!(bad(ec2(&aws, MODIFY, &change(&group, &id, NEW_IPV6, "::/0"))).0, "InvalidParameterCombination");
    assert_eq!(bad(ec2(&aws, MODIFY, &change(&group, &id, NEW_IPV4, "11.0.0.1/8"))).0, "InvalidPermission.Duplicate");
    assert_eq!(bad(ec2(&aws, MODIFY, &change(&group, &id, NEW_IPV4, "12.0.0.1"))).0, "InvalidParameterValue");
    let unknown = change(&group, "sgr-0123456789abcdef0", NEW_IPV4, "12.0.0.0/8");
    assert_eq!(bad(ec2(&aws, MODIFY, &unknown)).0, "InvalidSecurityGroupRuleId.NotFound");
    assert_eq!(bad(ec2(&aws, MODIFY, &[("GroupId", &group)])).0, "MissingParameter");
    let mut half = change(&group, &id, NEW_IPV4, "12.0.0.0/8");
    half.extend([("SecurityGroupRule.2.SecurityGroupRuleId", "sgr-0123456789abcdef0")]);
    assert_eq!(bad(ec2(&aws, MODIFY, &half)).0, "InvalidSecurityGroupRuleId.NotFound");
    assert_eq!(peers(&aws, &group), ["10.0.0.0/8", "11.0.0.0/8"]);

    good(ec2(&aws, MODIFY, &change(&group, &id, NEW_IPV4, "12.0.0.0/8")));
    let changed = aws.rules(&group).remove(0);
    assert_eq!((changed.id, changed.peer, changed.description), (id, "12.0.0.0/8".into(), None));
    assert_eq!(changed.tags["owner"], "me");
}

#[test]
fn the_quota_counts_families_apart_and_lists_by_their_weight() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    aws.quota(4);
    let limit = "RulesPerSecurityGroupLimitExceeded";
    let list = aws.make_prefix_list("three", 3, &["10.0.0.0/8"]).unwrap();
    good(ec2(&aws, INGRESS, &tcp(&group, "22", LIST, &list)));
    good(ec2(&aws, INGRESS, &tcp(&group, "22", IPV4, "10.0.0.0/8")));
    good(ec2(&aws, INGRESS, &tcp(&group, "22", IPV6, "::/0")));
    assert_eq!(bad(ec2(&aws, INGRESS, &tcp(&group, "22", IPV4, "11.0.0.0/8"))).0, limit);
    assert_eq!(bad(ec2(&aws, INGRESS, &tcp(&group, "22", GROUP, &group))).0, limit);
    good(ec2(&aws, EGRESS, &tcp(&group, "443", LIST, &aws.amazons_prefix_list("s3").unwrap())));
    good(ec2(&aws, EGRESS, &tcp(&group, "22", LIST, &list)));
    assert_eq!(bad(ec2(&aws, EGRESS, &tcp(&group, "23", LIST, &list))).0, limit);
    assert_eq!(aws.rules(&group).len(), 5);
}

#[test]
fn sixty_rules_of_each_family_are_the_default_and_more_can_be_had() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    let authorize = |from: usize, to: usize, list: &str, field: &str, spell: &dyn Fn(usize) -> String| {
        let mut names = Vec::new();
        for number in from..to {
            names.push((format!("IpPermissions.1.{list}.{}.{field}", number + 1), spell(number)));
        }
        let mut parameters = tcp(&group, "22", "GroupId", &group);
        parameters.pop();
        parameters.extend(names.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        ec2(&aws, INGRESS, &parameters)
    };
    let ipv4 = |number| format!("10.0.{number}.0/24");
    let ipv6 = |number| format!("2001:db8:{number}::/48");
    good(authorize(0, 60, "IpRanges", "CidrIp", &ipv4));
    good(authorize(0, 60, "Ipv6Ranges", "CidrIpv6", &ipv6));
    assert_eq!(bad(authorize(60, 61, "IpRanges", "CidrIp", &ipv4)).0, "RulesPerSecurityGroupLimitExceeded");
    aws.quota(200);
    good(authorize(60, 200, "IpRanges", "CidrIp", &ipv4));
    assert_eq!(aws.rules(&group).len(), 260);
}

#[test]
fn describes_come_in_pages() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    for port in 1..=12 {
        aws.allow(&group, &Allow::tcp(Direction::Ingress, port, "10.0.0.0/8")).unwrap();
    }
    let of_group = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group.as_str())];
    let (mut ports, mut token) = (Vec::new(), String::new());
    loop {
        let page = [("MaxResults", "5"), ("NextToken", token.as_str())];
        let document = good(ec2(&aws, "DescribeSecurityGroupRules", &[of_group, page].concat()));
        ports.extend(fields(&document, "fromPort").into_iter().map(|port| port.parse::<u16>().unwrap()));
        match fields(&document, "nextToken").first() {
            Some(next) => token = (*next).to_owned(),
            None => break,
        }
    }
    assert_eq!(ports, (1..=12).collect::<Vec<_>>());
    assert_eq!(aws.count("DescribeSecurityGroupRules"), 3);
    let refused = |parameters: &[(&str, &str)]| bad(ec2(&aws, "DescribeSecurityGroupRules", parameters)).0;
    assert_eq!(refused(&[("MaxResults", "4")]), "InvalidParameterValue");
    assert_eq!(refused(&[("NextToken", "x")]), "InvalidPaginationToken");
    assert_eq!(refused(&[("SecurityGroupRuleId.1", &aws.rules(&group)[0].id), ("MaxResults", "5")]), "InvalidParameterCombination");
    assert_eq!(refused(&[("Filter.1.Name", "nonsense"), ("Filter.1.Value.1", "x")]), "InvalidParameterValue");
    assert_eq!(refused(&[("SecurityGroupRuleId.1", "sgr-0123456789abcdef0")]), "InvalidSecurityGroupRuleId.NotFound");
    let unknown = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", "sg-0123456789abcdef0")];
    assert!(fields(&good(ec2(&aws, "DescribeSecurityGroupRules", &unknown)), "item").is_empty());
    let groups = good(ec2(&aws, "DescribeSecurityGroups", &[("MaxResults", "5")]));
    assert_eq!(fields(&groups, "groupName").iter().filter(|name| **name == "bastion").count(), 1);
    assert_eq!(bad(ec2(&aws, "DescribeSecurityGroups", &[("GroupId.1", &group), ("MaxResults", "5")])).0, "InvalidParameterCombination");
}

#[test]
fn a_group_that_another_names_stays() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    let other = aws.make_group("clients", &aws.vpc_of(&group).unwrap()).unwrap();
    let rule = aws.allow(&group, &Allow::tcp(Direction::Ingress, 22, &other)).unwrap();
    assert_eq!(bad(ec2(&aws, "DeleteSecurityGroup", &[("GroupId", &other)])).0, "DependencyViolation");
    aws.revoke(&rule).unwrap();
    good(ec2(&aws, "DeleteSecurityGroup", &[("GroupId", &other)]));
    assert_eq!(bad(ec2(&aws, "DeleteSecurityGroup", &[("GroupId", &other)])).0, "InvalidGroup.NotFound");
}

#[test]
fn prefix_lists_are_checked() {
    let aws = Aws::start().unwrap();
    let refused = |name: &str, most: &str, family: &str, cidr: &str| {
        let list = [("PrefixListName", name), ("MaxEntries", most), ("AddressFamily", family), ("Entry.1.Cidr", cidr)];
        bad(ec2(&aws, "CreateManagedPrefixList", &list)).0
    };
    assert_eq!(refused("com.amazonaws.mine", "1", "IPv4", "10.0.0.0/8"), "InvalidParameterValue");
    assert_eq!(refused("mine", "0", "IPv4", "10.0.0.0/8"), "InvalidParameterValue");
    assert_eq!(refused("mine", "1", "IPv6", "10.0.0.0/8"), "InvalidParameterValue");
    assert_eq!(refused("mine", "1", "IPv4", "10.0.0.1/8"), "InvalidParameterValue");
    assert!(
        aws.make_prefix_list("mine", 1, &["10.0.0.0/8", "11.0.0.0/8"]).unwrap_err().to_string().contains("PrefixListMaxEntriesExceeded")
    );
    let list = aws.make_prefix_list("mine", 2, &["10.0.0.0/8"]).unwrap();
    let shown = good(ec2(&aws, "DescribeManagedPrefixLists", &[("PrefixListId.1", &list)]));
    assert_eq!((field(&shown, "prefixListName"), field(&shown, "maxEntries")), ("mine", "2"));
    let unknown = [("PrefixListId.1", "pl-0123456789abcdef0")];
    assert_eq!(bad(ec2(&aws, "DescribeManagedPrefixLists", &unknown)).0, "InvalidPrefixListID.NotFound");
}

#[test]
fn subnets_are_shown_in_one_call() {
    let aws = Aws::start().unwrap();
    let (one, two) = (aws.make_subnet("10.1.0.0/24").unwrap(), aws.make_subnet("10.2.0.0/24").unwrap());
    let shown = good(ec2(&aws, "DescribeSubnets", &[("SubnetId.1", &one), ("SubnetId.2", &two)]));
    let mut blocks = fields(&shown, "cidrBlock");
    blocks.sort_unstable();
    assert_eq!(blocks, ["10.1.0.0/24", "10.2.0.0/24"]);
    assert_eq!(bad(ec2(&aws, "DescribeSubnets", &[("SubnetId.1", "subnet-0123456789abcdef0")])).0, "InvalidSubnetID.NotFound");
    assert_eq!(bad(ec2(&aws, "DescribeSubnets", &[("SubnetId.1", "subnet-x")])).0, "InvalidSubnetID.Malformed");
}

#[test]
fn rules_have_tags() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    let id = aws.allow(&group, &Allow::all(Direction::Egress, "0.0.0.0/0").tag("a", "1")).unwrap();
    let tag = [("ResourceId.1", id.as_str()), ("Tag.1.Key", "b"), ("Tag.1.Value", "2")];
    good(ec2(&aws, "CreateTags", &tag));
    good(ec2(&aws, "DeleteTags", &[("ResourceId.1", &id), ("Tag.1.Key", "a")]));
    assert_eq!(aws.rules(&group)[0].tags.iter().collect::<Vec<_>>(), [(&"b".to_owned(), &"2".to_owned())]);
    let reserved = [("ResourceId.1", id.as_str()), ("Tag.1.Key", "aws:x")];
    assert_eq!(bad(ec2(&aws, "CreateTags", &reserved)).0, "InvalidParameterValue");
    let unknown = [("ResourceId.1", "sgr-0123456789abcdef0"), ("Tag.1.Key", "b")];
    assert_eq!(bad(ec2(&aws, "CreateTags", &unknown)).0, "InvalidSecurityGroupRuleId.NotFound");
}

#[test]
fn somebody_else_changes_rules_and_it_does_not_count() {
    let aws = Aws::start().unwrap();
    let group = aws.make_default_vpc_group("bastion").unwrap();
    assert_eq!(
        aws.rules(&group).iter().map(|rule| (rule.direction, rule.peer.as_str())).collect::<Vec<_>>(),
        [(Direction::Egress, "0.0.0.0/0")]
    );
    let rule = aws.allow(&group, &Allow::tcp(Direction::Ingress, 22, "10.0.0.0/8").protocol("udp").ports(53, 54)).unwrap();
    aws.change(&rule, &Allow::tcp(Direction::Ingress, 23, "11.0.0.0/8").description("changed")).unwrap();
    let changed = aws.rules(&group).remove(1);
    assert_eq!((changed.protocol.as_str(), changed.from_port, changed.to_port, changed.peer.as_str()), ("tcp", 23, 23, "11.0.0.0/8"));
    assert!(aws.calls().is_empty());
}

#[test]
fn only_known_and_signed_calls_are_answered() {
    let aws = Aws::start().unwrap();
    assert_eq!(bad(ec2(&aws, "RunInstances", &[])).0, "InvalidAction");
    assert_eq!(bad(sts(&aws, "GetSessionToken", &[])).0, "InvalidAction");
    assert_eq!(bad(send(&aws, "iam", "2010-05-08", "ListUsers", &[])).0, "InvalidAction");
    assert_eq!(bad(send(&aws, "ec2", "2006-01-01", "DescribeVpcs", &[])).0, "NoSuchVersion");
    let (status, document) = post(&aws, "", "Action=DescribeVpcs&Version=2016-11-15").unwrap();
    assert_eq!((status, field(&document, "Code")), (403, "MissingAuthenticationToken"));
    assert_eq!(aws.calls().last().unwrap().code.as_deref(), Some("MissingAuthenticationToken"));
}

#[test]
fn a_role_has_an_account_of_its_own() {
    let aws = Aws::start().unwrap();
    assert_eq!(field(&good(sts(&aws, "GetCallerIdentity", &[])), "Account"), aws.account_id());
    let role = [("RoleArn", "arn:aws:iam::999988887777:role/infra"), ("RoleSessionName", "terraform")];
    let assumed = good(sts(&aws, "AssumeRole", &role));
    let (key, token) = (field(&assumed, "AccessKeyId"), field(&assumed, "SessionToken"));
    let as_role = |token: &str| {
        let signature = "0".repeat(64);
        let headers = format!(
            "X-Amz-Security-Token: {token}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={key}/20260101/us-west-2/sts/aws4_request, \
             SignedHeaders=host, Signature={signature}\r\n"
        );
        post(&aws, &headers, "Action=GetCallerIdentity&Version=2011-06-15")
    };
    assert_eq!(field(&good(as_role(token)), "Arn"), "arn:aws:sts::999988887777:assumed-role/infra/terraform");
    assert_eq!(bad(as_role("another")).0, "InvalidClientTokenId");
    let refused = |arn, name| bad(sts(&aws, "AssumeRole", &[("RoleArn", arn), ("RoleSessionName", name)])).0;
    assert_eq!(refused("arn:aws:iam::1:role/x", "terraform"), "ValidationError");
    assert_eq!(refused(role[0].1, "no spaces"), "ValidationError");
}

#[test]
fn accounts_know_nothing_of_each_other() {
    let (one, two) = (Aws::start().unwrap(), Aws::start().unwrap());
    let group = one.make_vpc_group("bastion").unwrap();
    assert_ne!(one.account_id(), two.account_id());
    assert_eq!(bad(ec2(&two, "DescribeSecurityGroups", &[("GroupId.1", &group)])).0, "InvalidGroup.NotFound");
    assert!(one.calls().is_empty());
}

#[test]
fn calls_are_logged_with_their_answers() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    good(ec2(&aws, INGRESS, &tcp(&group, "22", IPV4, "10.0.0.0/8")));
    bad(ec2(&aws, INGRESS, &tcp(&group, "22", IPV4, "10.0.0.0/8")));
    let calls = aws.calls();
    assert_eq!(aws.count(INGRESS), 2);
    let call = &calls[1];
    assert_eq!((call.service.as_str(), call.target.as_str(), call.access_key.as_str()), ("ec2", group.as_str(), aws.access_key()));
    assert_eq!((call.status, call.code.as_deref()), (Some(400), Some("InvalidPermission.Duplicate")));
    assert_eq!((calls[0].status, calls[0].code.as_deref()), (Some(200), None));
    aws.forget_calls();
    assert!(aws.calls().is_empty());
}

#[test]
fn faults_answer_delay_and_drop() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    let call = |port: &str| ec2(&aws, INGRESS, &tcp(&group, port, IPV4, "10.0.0.0/8"));
    aws.fault(On::action(INGRESS).target("sg-another"), Fault::throttle());
    good(call("1"));
    aws.fault(On::action(INGRESS).target(&group).times(1), Fault::throttle());
    assert_eq!(bad(call("2")), ("RequestLimitExceeded".into(), "Request limit exceeded.".into()));
    aws.fault(On::action(INGRESS).times(1), Fault::DropBefore);
    assert_eq!(call("3"), None);
    aws.fault(On::action(INGRESS).times(1), Fault::DropAfter);
    assert_eq!(call("4"), None);
    let pause = Duration::from_millis(200);
    aws.fault(INGRESS, Fault::Delay(pause));
    let begin = Instant::now();
    good(call("5"));
    assert!(begin.elapsed() >= pause);
    aws.heal();
    good(call("6"));
    assert_eq!(aws.rules(&group).iter().map(|rule| rule.from_port).collect::<Vec<_>>(), [1, 4, 5, 6]);
    let statuses: Vec<_> = aws.calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [Some(200), Some(503), None, Some(200), Some(200), Some(200)]);
    aws.fault("GetCallerIdentity", Fault::answer(403, "AccessDenied", "no"));
    assert_eq!(bad(sts(&aws, "GetCallerIdentity", &[])), ("AccessDenied".into(), "no".into()));
}

#[test]
fn new_rules_can_be_late() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    aws.hide_new_rules(2);
    good(ec2(&aws, INGRESS, &tcp(&group, "22", IPV4, "10.0.0.0/8")));
    assert_eq!(bad(ec2(&aws, INGRESS, &tcp(&group, "22", IPV4, "10.0.0.0/8"))).0, "InvalidPermission.Duplicate");
    let of_group = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group.as_str())];
    let seen = [(); 3].map(|()| fields(&good(ec2(&aws, "DescribeSecurityGroupRules", &of_group)), "cidrIpv4").len());
    assert_eq!(seen, [0, 0, 1]);
}

#[test]
fn a_call_is_held_until_it_is_released_or_cut() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    let call = |port: &str| ec2(&aws, INGRESS, &tcp(&group, port, IPV4, "10.0.0.0/8"));
    thread::scope(|scope| {
        let before = aws.pause_before(INGRESS);
        let held = scope.spawn(|| call("1"));
        assert_eq!(before.wait(LIMIT).unwrap(), INGRESS);
        assert!(aws.rules(&group).is_empty());
        // Others go on meanwhile.
        good(call("2"));
        before.release();
        good(held.join().unwrap());

        let after = aws.pause_after(On::any().target(&group));
        let held = scope.spawn(|| call("3"));
        after.wait(LIMIT).unwrap();
        assert_eq!(aws.rules(&group).len(), 3);
        after.cut();
        assert_eq!(held.join().unwrap(), None);

        let before = aws.pause_before(On::any().skip(1));
        good(call("4"));
        let held = scope.spawn(|| call("5"));
        before.wait(LIMIT).unwrap();
        before.cut();
        assert_eq!(held.join().unwrap(), None);
    });
    assert_eq!(aws.rules(&group).iter().map(|rule| rule.from_port).collect::<Vec<_>>(), [2, 1, 3, 4]);
}

#[test]
fn a_client_that_dies_while_it_is_held_has_not_called() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    let before = aws.pause_before(INGRESS);
    let body = format!("Action={INGRESS}&Version=2016-11-15&GroupId={group}&IpPermissions.1.IpProtocol=-1&{IPV4}=10.0.0.0%2F8");
    let address = aws.endpoint().replace("http://", "");
    let mut client = TcpStream::connect(&address).unwrap();
    let signature = "0".repeat(64);
    let scope = format!("{}/20260101/{}/ec2/aws4_request", aws.access_key(), aws.region());
    let signed = format!("Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={signature}");
    write!(client, "POST / HTTP/1.1\r\nHost: {address}\r\n{signed}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    before.wait(LIMIT).unwrap();
    drop(client);
    // By the time that another call is answered, the proxy has seen the end of the first.
    good(ec2(&aws, "DescribeVpcs", &[]));
    before.release();
    good(ec2(&aws, "DescribeVpcs", &[]));
    assert!(aws.rules(&group).is_empty());
    good(post(&aws, &format!("{signed}\r\n"), &body));
    assert_eq!(peers(&aws, &group), ["10.0.0.0/8"]);
}

#[test]
fn it_is_gone_with_its_value() {
    let aws = Aws::start().unwrap();
    let address = aws.endpoint().replace("http://", "");
    TcpStream::connect(&address).unwrap();
    drop(aws);
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn what_the_policy_does_not_allow_is_refused_in_amazons_words() {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    let allow = |actions: &[&str]| {
        let policy = format!(
            "{{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Effect\": \"Allow\", \"Action\": {actions:?}, \"Resource\": \"*\"}}]}}"
        );
        aws.allow_only(&Policy::parse(&policy).unwrap());
    };
    let plain = tcp(&group, "22", IPV4, "10.0.0.1/32");
    let tags = [("TagSpecification.1.ResourceType", "security-group-rule"), ("TagSpecification.1.Tag.1.Key", "a")];
    let tagged = [plain.clone(), tags.to_vec()].concat();
    let denied = |heard: Heard, action: &str, on: &str| {
        let (code, words) = bad(heard);
        let account = aws.account_id();
        let start = format!(
            "You are not authorized to perform this operation. User: arn:aws:iam::{account}:user/lab is not authorized to perform: {action}{on} \
             because no identity-based policy allows the {action} action. Encoded authorization failure message: "
        );
        assert_eq!((code.as_str(), &words[..start.len().min(words.len())]), ("UnauthorizedOperation", start.as_str()));
        assert!(words.len() > start.len() + 500, "{words}");
    };
    let arn = |rest: &str| format!(" on resource: arn:aws:ec2:{}:{}:{rest}", aws.region(), aws.account_id());
    allow(&["ec2:CreateTags"]);
    denied(ec2(&aws, INGRESS, &tagged), "ec2:AuthorizeSecurityGroupIngress", &arn(&format!("security-group/{group}")));
    denied(ec2(&aws, "DescribeSecurityGroupRules", &[]), "ec2:DescribeSecurityGroupRules", "");
    // The tags of a call need a permission of their own.
    allow(&["ec2:AuthorizeSecurityGroupIngress"]);
    denied(ec2(&aws, INGRESS, &tagged), "ec2:CreateTags", &arn("security-group-rule/*"));
    // Only tried, it is refused for the same reason, or says that it would be done.
    let tried = |parameters: &[(&'static str, &'static str)]| [plain.clone(), parameters.to_vec(), vec![("DryRun", "true")]].concat();
    denied(ec2(&aws, INGRESS, &tried(&tags)), "ec2:CreateTags", &arn("security-group-rule/*"));
    assert_eq!(bad(ec2(&aws, INGRESS, &tried(&[]))).0, "DryRunOperation");
    let made = good(ec2(&aws, INGRESS, &plain));
    let id = field(&made, "securityGroupRuleId");
    for action in ["CreateTags", "DeleteTags"] {
        let on = arn(&format!("security-group-rule/{id}"));
        denied(ec2(&aws, action, &[("ResourceId.1", id), ("Tag.1.Key", "a")]), &format!("ec2:{action}"), &on);
    }
    // Furnishing needs no permission.
    aws.allow(&group, &Allow::tcp(Direction::Ingress, 22, "10.0.0.2/32")).unwrap();
}
