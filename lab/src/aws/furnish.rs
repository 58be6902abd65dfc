//! What a test puts into the account before, and changes behind the back of, the program under test. None of it is in the log.

use anyhow::{Context, Result, anyhow};

use super::{
    Aws, Direction, FURNISHER, REGION, Rule,
    call::{Refusal, Request, Scope},
    ec2::Place,
    upstream::query,
};

/// What a foreign rule lets through: one protocol, a range of ports, one peer.
#[derive(Clone, Debug)]
pub struct Allow {
    direction: Direction,
    protocol: String,
    ports: (i32, i32),
    peer: String,
    description: Option<String>,
    tags: Vec<(String, String)>,
}

impl Allow {
    /// TCP to or from a port; the peer is a CIDR, `sg-…` or `pl-…`.
    pub fn tcp(direction: Direction, port: u16, peer: &str) -> Allow {
        let ports = (port.into(), port.into());
        Allow { direction, protocol: "tcp".into(), ports, peer: peer.into(), description: None, tags: Vec::new() }
    }

    /// Everything.
    pub fn all(direction: Direction, peer: &str) -> Allow {
        Allow { protocol: "-1".into(), ports: (-1, -1), ..Allow::tcp(direction, 0, peer) }
    }

    /// Another protocol: `udp`, `icmp`, `50`.
    pub fn protocol(self, protocol: &str) -> Allow {
        Allow { protocol: protocol.into(), ..self }
    }

    /// A range of ports.
    pub fn ports(self, from: i32, to: i32) -> Allow {
        Allow { ports: (from, to), ..self }
    }

    /// With a description.
    pub fn description(self, description: &str) -> Allow {
        Allow { description: Some(description.into()), ..self }
    }

    /// With a tag.
    pub fn tag(mut self, key: &str, value: &str) -> Allow {
        self.tags.push((key.into(), value.into()));
        self
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let (list, field) = match &self.peer {
            peer if peer.starts_with("sg-") => ("Groups", "GroupId"),
            peer if peer.starts_with("pl-") => ("PrefixListIds", "PrefixListId"),
            peer if peer.contains(':') => ("Ipv6Ranges", "CidrIpv6"),
            _ => ("IpRanges", "CidrIp"),
        };
        let permission = |name: &str, value: &str| (format!("IpPermissions.1.{name}"), value.to_owned());
        let mut parameters = vec![
            permission("IpProtocol", &self.protocol),
            permission("FromPort", &self.ports.0.to_string()),
            permission("ToPort", &self.ports.1.to_string()),
            permission(&format!("{list}.1.{field}"), &self.peer),
        ];
        parameters.extend(self.description.iter().map(|text| permission(&format!("{list}.1.Description"), text)));
        if !self.tags.is_empty() {
            parameters.push(("TagSpecification.1.ResourceType".into(), "security-group-rule".into()));
        }
        for (number, (key, value)) in (1..).zip(&self.tags) {
            parameters.push((format!("TagSpecification.1.Tag.{number}.Key"), key.clone()));
            parameters.push((format!("TagSpecification.1.Tag.{number}.Value"), value.clone()));
        }
        parameters
    }
}

impl Aws {
    /// A network with a security group of that name and no rule at all, as Terraform leaves one; gives the group's id.
    pub fn make_vpc_group(&self, name: &str) -> Result<String> {
        let group = self.make_default_vpc_group(name)?;
        self.with_state(async |state, _| state.ec2.empty(&group));
        Ok(group)
    }

    /// A network with a security group of that name and the rule that Amazon puts in: all egress to anywhere.
    pub fn make_default_vpc_group(&self, name: &str) -> Result<String> {
        let vpc = self.make_vpc("10.0.0.0/16")?;
        self.make_group(name, &vpc)
    }

    /// A network; gives its id.
    pub fn make_vpc(&self, cidr_block: &str) -> Result<String> {
        self.do_ec2("CreateVpc", &[("CidrBlock", cidr_block)], "vpcId")
    }

    /// Another security group, with Amazon's rule, in a network that is there; gives its id.
    pub fn make_group(&self, name: &str, vpc: &str) -> Result<String> {
        let parameters = [("GroupName", name), ("GroupDescription", "of the lab"), ("VpcId", vpc)];
        let group = self.do_ec2("CreateSecurityGroup", &parameters, "groupId")?;
        // Seen once, so its rules are known.
        self.with_state(async |state, moto| state.ec2.group(&group, Place { moto, region: REGION }).await.map(drop)).map_err(said)?;
        Ok(group)
    }

    /// The network that a group is in.
    pub fn vpc_of(&self, group: &str) -> Result<String> {
        let found = self.with_state(async |state, moto| state.ec2.group(group, Place { moto, region: REGION }).await);
        Ok(found.map_err(said)?.vpc)
    }

    /// A subnet of that range in a network of its own; gives its id.
    pub fn make_subnet(&self, cidr_block: &str) -> Result<String> {
        let vpc = self.make_vpc(cidr_block)?;
        self.make_subnet_in(&vpc, cidr_block)
    }

    /// A subnet in a network that is there.
    pub fn make_subnet_in(&self, vpc: &str, cidr_block: &str) -> Result<String> {
        self.do_ec2("CreateSubnet", &[("VpcId", vpc), ("CidrBlock", cidr_block)], "subnetId")
    }

    /// A prefix list of IPv4 ranges; gives its id.
    pub fn make_prefix_list(&self, name: &str, max_entries: usize, cidrs: &[&str]) -> Result<String> {
        let most = max_entries.to_string();
        let entries: Vec<_> = (1..).zip(cidrs).map(|(number, cidr)| (format!("Entry.{number}.Cidr"), *cidr)).collect();
        let mut parameters = vec![("PrefixListName", name), ("AddressFamily", "IPv4"), ("MaxEntries", most.as_str())];
        parameters.extend(entries.iter().map(|(name, cidr)| (name.as_str(), *cidr)));
        self.do_ec2("CreateManagedPrefixList", &parameters, "prefixListId")
    }

    /// The id of Amazon's own prefix list by the end of its name: `s3`, `dynamodb`.
    pub fn amazons_prefix_list(&self, service: &str) -> Result<String> {
        let name = format!("com.amazonaws.{REGION}.{service}");
        self.do_ec2("DescribeManagedPrefixLists", &[("Filter.1.Name", "prefix-list-name"), ("Filter.1.Value.1", &name)], "prefixListId")
    }

    /// Adds a rule, as somebody else would; gives its id. It is visible at once.
    pub fn allow(&self, group: &str, rule: &Allow) -> Result<String> {
        let mut parameters = rule.parameters();
        parameters.push(("GroupId".into(), group.into()));
        let action = match rule.direction {
            Direction::Ingress => "AuthorizeSecurityGroupIngress",
            Direction::Egress => "AuthorizeSecurityGroupEgress",
        };
        let hidden = self.with_state(async |state, _| std::mem::take(&mut state.ec2.hide));
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let id = self.do_ec2(action, &parameters, "securityGroupRuleId");
        self.with_state(async |state, _| state.ec2.hide = hidden);
        id
    }

    /// Removes a rule by its id, as somebody else would.
    pub fn revoke(&self, rule: &str) -> Result<()> {
        let removed = self.with_state(async |state, _| {
            let removed = state.ec2.remove(rule);
            state.ec2.remember();
            removed
        });
        removed.map_err(said)
    }

    /// Makes another rule of one that is there, as somebody else would; direction, tags and kind of peer stay.
    pub fn change(&self, rule: &str, to: &Allow) -> Result<()> {
        let group = self.with_state(async |state, _| state.ec2.group_of_rule(rule)).map_err(said)?;
        let field = match &to.peer {
            peer if peer.starts_with("sg-") => "ReferencedGroupId",
            peer if peer.starts_with("pl-") => "PrefixListId",
            peer if peer.contains(':') => "CidrIpv6",
            _ => "CidrIpv4",
        };
        let inner = |name: &str| format!("SecurityGroupRule.1.SecurityGroupRule.{name}");
        let mut parameters = vec![
            ("GroupId".to_owned(), group),
            ("SecurityGroupRule.1.SecurityGroupRuleId".to_owned(), rule.to_owned()),
            (inner("IpProtocol"), to.protocol.clone()),
            (inner("FromPort"), to.ports.0.to_string()),
            (inner("ToPort"), to.ports.1.to_string()),
            (inner(field), to.peer.clone()),
        ];
        parameters.extend(to.description.iter().map(|text| (inner("Description"), text.clone())));
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.do_ec2("ModifySecurityGroupRules", &parameters, "return").map(drop)
    }

    /// All rules of a group as they are, in the order of their making, hidden ones too.
    pub fn rules(&self, group: &str) -> Vec<Rule> {
        self.with_state(async |state, _| state.ec2.of_group(group).cloned().collect())
    }

    /// The rules of a group after each call that made, changed or removed a rule of any, since the last [`Aws::forget_rules`]; the first are
    /// those that were there then.
    pub fn rule_history(&self, group: &str) -> Vec<Vec<Rule>> {
        let all = self.with_state(async |state, _| state.ec2.history.clone());
        all.into_iter().map(|rules| rules.into_iter().filter(|rule| rule.group == group).collect()).collect()
    }

    /// Begins the history anew.
    pub fn forget_rules(&self) {
        self.with_state(async |state, _| {
            state.ec2.history.clear();
            state.ec2.remember();
        });
    }

    /// Makes all rules that are there invisible for that many DescribeSecurityGroupRules that would show them.
    pub fn hide_rules(&self, describes: usize) {
        self.with_state(async |state, _| state.ec2.hide_all(describes));
    }

    /// Lets rules name a security group of another account: `123456789012`, `sg-…`.
    pub fn peer_with(&self, account: &str, group: &str) {
        self.with_state(async |state, _| state.ec2.elsewhere.insert(format!("{account}/{group}")));
    }

    /// Tags a rule, as somebody else would.
    pub fn tag_rule(&self, rule: &str, key: &str, value: &str) -> Result<()> {
        self.do_ec2("CreateTags", &[("ResourceId.1", rule), ("Tag.1.Key", key), ("Tag.1.Value", value)], "return").map(drop)
    }

    /// Takes a tag off a rule, as somebody else would.
    pub fn untag_rule(&self, rule: &str, key: &str) -> Result<()> {
        self.do_ec2("DeleteTags", &[("ResourceId.1", rule), ("Tag.1.Key", key)], "return").map(drop)
    }

    /// Does an EC2 call under the same rules as any client's, and reads one text out of the answer.
    fn do_ec2(&self, action: &str, parameters: &[(&str, &str)], wanted: &str) -> Result<String> {
        let pairs = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let body = query(action, pairs);
        let scope = Scope { access_key: FURNISHER.into(), region: REGION.into(), service: "ec2".into() };
        let request = Request { method: hyper::Method::POST, uri: "/".into(), headers: hyper::HeaderMap::new(), body, scope };
        let answer = self.with_state(async |state, moto| state.ec2.answer(&request, moto).await);
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        let document = roxmltree::Document::parse(&text).with_context(|| format!("no XML: {text}"))?;
        let find = |name| super::xml::find(document.root(), name).map(str::to_owned);
        if !answer.status().is_success() {
            return Err(anyhow!("{action}: {}: {}", find("Code").unwrap_or_default(), find("Message").unwrap_or_default()));
        }
        find(wanted).ok_or_else(|| anyhow!("{action}: no {wanted} in {text}"))
    }
}

fn said(refusal: Refusal) -> anyhow::Error {
    anyhow!("{}: {}", refusal.code, refusal.message)
}
