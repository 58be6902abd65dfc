//! Reads the permissions of a call into rules, and refuses what Amazon refuses about each by itself.

use std::collections::BTreeMap;

use super::{
    Direction, Ec2, Form, Group, Place, Rule, check_id, description, form::missing, ipv4, ipv6, no_group, protocol_and_ports, rule::Kind,
    tags,
};
use crate::aws::{call::Refusal, upstream::fault, xml};

/// How many rules Amazon's own prefix lists count as, by the end of their names; a list that is not here counts as one.
const AMAZONS_WEIGHTS: [(&str, usize); 2] = [(".cloudfront.origin-facing", 55), (".s3", 1)];

impl Ec2 {
    /// All rules of `IpPermissions`, one for each range, list or group, each checked by itself and none twice.
    pub(super) async fn permissions(
        &mut self,
        form: &mut Form,
        group: &Group,
        to: Direction,
        place: Place<'_>,
    ) -> Result<Vec<Rule>, Refusal> {
        let mut rules: Vec<Rule> = Vec::new();
        for mut permission in form.items("IpPermissions") {
            let (protocol, from, to_port) = ports(&mut permission)?;
            for (peer, description) in self.peers(&mut permission, group, place).await? {
                let rule = Rule {
                    id: format!("sgr-{:017x}", fastrand::u128(..) >> 60),
                    group: group.id.clone(),
                    direction: to,
                    protocol: protocol.clone(),
                    from_port: from,
                    to_port,
                    peer,
                    description,
                    tags: BTreeMap::new(),
                };
                if rules.iter().any(|other| other.same(&rule)) {
                    return Err(Refusal::new("InvalidParameterValue", "The same permission must not appear multiple times"));
                }
                rules.push(rule);
            }
            permission.finish()?;
        }
        Ok(rules)
    }

    /// The peers of one permission, with their descriptions.
    async fn peers(&mut self, permission: &mut Form, group: &Group, place: Place<'_>) -> Result<Vec<(String, Option<String>)>, Refusal> {
        let mut peers = Vec::new();
        for (list, field, kind) in [
            ("IpRanges", "CidrIp", Kind::Ipv4),
            ("Ipv6Ranges", "CidrIpv6", Kind::Ipv6),
            ("PrefixListIds", "PrefixListId", Kind::List),
            ("Groups", "GroupId", Kind::Group),
        ] {
            for mut item in permission.items(list) {
                let owner = item.take("UserId").filter(|_| kind == Kind::Group);
                let text = item.need(field)?;
                if let Some(owner) = owner.filter(|owner| *owner != self.account) {
                    let peer = format!("{owner}/{text}");
                    if !self.elsewhere.contains(&peer) {
                        return Err(no_group(&text));
                    }
                    peers.push((peer, description(item.take("Description"))?));
                    item.finish()?;
                    continue;
                }
                let peer = self.peer(kind, text, group, place).await?;
                peers.push((peer, description(item.take("Description"))?));
                item.finish()?;
            }
        }
        if peers.is_empty() {
            let message = "Either 'cidrIp' or 'sourceSecurityGroupName' should be provided.";
            return Err(Refusal::new("MissingParameter", message));
        }
        Ok(peers)
    }

    /// A peer in its canonical form; a list or group has to exist.
    pub(super) async fn peer(&mut self, kind: Kind, text: String, group: &Group, place: Place<'_>) -> Result<String, Refusal> {
        match kind {
            Kind::Ipv4 => ipv4(&text),
            Kind::Ipv6 => ipv6(&text),
            Kind::List => self.weigh(&text, place).await.map(|()| text),
            Kind::Group => {
                let other = self.group(&text, place).await?;
                if other.vpc != group.vpc {
                    let words = "You have specified two resources that belong to different networks.";
                    return Err(Refusal::new("InvalidGroup.NotFound", words));
                }
                Ok(text)
            }
        }
    }

    /// Learns how many rules a prefix list counts as.
    async fn weigh(&mut self, list: &str, place: Place<'_>) -> Result<(), Refusal> {
        check_id(list, "pl", "InvalidPrefixListId.Malformed")?;
        let text = place.call("DescribeManagedPrefixLists", &[("PrefixListId.1", list)]).await?;
        let document = roxmltree::Document::parse(&text).map_err(fault)?;
        let find = |name| xml::find(document.root(), name);
        if find("prefixListId") != Some(list) {
            let message = format!("The prefix list ID '{list}' does not exist");
            return Err(Refusal::new("InvalidPrefixListID.NotFound", message));
        }
        let name = find("prefixListName").unwrap_or_default();
        let amazons = || AMAZONS_WEIGHTS.iter().find(|(end, _)| name.ends_with(end)).map_or(1, |(_, weight)| *weight);
        let weight = find("maxEntries").and_then(|entries| entries.parse().ok()).unwrap_or_else(amazons);
        self.weights.insert(list.into(), weight);
        Ok(())
    }

    /// Refuses rules of a group that are more than the quota admits, in any direction, IPv4 and IPv6 apart.
    pub(super) fn check_quota<'a>(&self, rules: impl Iterator<Item = &'a Rule> + Clone) -> Result<(), Refusal> {
        for direction in [Direction::Ingress, Direction::Egress] {
            for family in [Kind::Ipv4, Kind::Ipv6] {
                let of_direction = rules.clone().filter(|rule| rule.direction == direction);
                let count: usize = of_direction.map(|rule| self.weight(rule, family)).sum();
                if count > self.quota {
                    let message = "The maximum number of rules per security group has been reached.";
                    return Err(Refusal::new("RulesPerSecurityGroupLimitExceeded", message));
                }
            }
        }
        Ok(())
    }

    /// How many rules of a family a rule counts as. A group or a list counts in both, as Amazon's page on quotas says; nobody has tried.
    fn weight(&self, rule: &Rule, family: Kind) -> usize {
        match Kind::of(&rule.peer) {
            Kind::List => self.weights.get(&rule.peer).copied().unwrap_or(1),
            Kind::Group => 1,
            kind => usize::from(kind == family),
        }
    }
}

/// Takes protocol and ports out.
pub(super) fn ports(form: &mut Form) -> Result<(String, i32, i32), Refusal> {
    let protocol = form.take("IpProtocol").ok_or_else(|| missing("IpProtocol"))?;
    protocol_and_ports(&protocol, form.number("FromPort")?, form.number("ToPort")?)
}

/// Takes the tags for rules out.
pub(super) fn tag_specifications(form: &mut Form) -> Result<BTreeMap<String, String>, Refusal> {
    let mut found = BTreeMap::new();
    for mut specification in form.items("TagSpecification") {
        let kind = specification.take("ResourceType").unwrap_or_default();
        if kind != "security-group-rule" {
            let message = format!("'{kind}' is not a valid taggable resource type for this operation.");
            return Err(Refusal::new("InvalidParameterValue", message));
        }
        found.extend(tags::take(&mut specification)?);
        specification.finish()?;
    }
    Ok(found)
}
