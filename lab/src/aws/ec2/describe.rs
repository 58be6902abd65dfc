//! The Describes: rules from here, all else from moto, page by page.

use std::collections::HashSet;

use super::{Ec2, Entry, Form, Place, Rule, check_id, dry_run, respond, rule::Kind};
use crate::aws::{
    call::{Answer, Refusal},
    upstream::fault,
    xml,
};

/// How many results a page may have.
const PAGE: std::ops::RangeInclusive<usize> = 5..=1000;

/// What a token looks like, so that another's is noticed.
const TOKEN: &str = "lab-page-";

/// One filter of a Describe.
struct Filter {
    name: String,
    values: Vec<String>,
}

impl Ec2 {
    pub(super) async fn describe_rules(&mut self, form: &mut Form, place: Place<'_>) -> Result<Answer, Refusal> {
        let ids = form.list("SecurityGroupRuleId");
        let filters = filters(form, |name| matches!(name, "group-id" | "security-group-rule-id") || name.starts_with("tag:"))?;
        let dry = dry_run(form);
        let page = Page::take(form, "securityGroupRuleIds", &ids)?;
        form.finish()?;
        for id in &ids {
            self.rule_of_id(id)?;
        }
        dry?;
        let mut unknown = HashSet::new();
        for filter in filters.iter().filter(|filter| filter.name == "group-id") {
            for group in &filter.values {
                // One that does not exist in this region has no rules, and that is no error.
                match self.group(group, place).await {
                    Err(refusal) if refusal.status.is_server_error() => return Err(refusal),
                    Err(_) => drop(unknown.insert(group.clone())),
                    Ok(_) => {}
                }
            }
        }
        let wanted = |rule: &Rule| {
            let listed = ids.is_empty() || ids.contains(&rule.id);
            listed && !unknown.contains(&rule.group) && filters.iter().all(|filter| filter.admits(rule))
        };
        let mut found = Vec::new();
        for Entry { rule, hidden } in self.entries.iter_mut().filter(|entry| wanted(&entry.rule)) {
            match hidden.checked_sub(1) {
                Some(left) => *hidden = left,
                None => found.push(&*rule),
            }
        }
        let (items, next) = page.cut(&found);
        Ok(respond("DescribeSecurityGroupRules", |out| {
            xml::element(out, "securityGroupRuleSet", |out| items.iter().for_each(|rule| rule.item(out, &self.account)));
            next.iter().for_each(|next| xml::text(out, "nextToken", next));
        }))
    }

    /// moto's groups, with the rules that are kept here.
    pub(super) async fn describe_groups(&mut self, form: &mut Form, place: Place<'_>) -> Result<Answer, Refusal> {
        // The groups that are asked for by id are looked at first, for the right error.
        let mut asked = Form::parse(&encode(form))?;
        for id in asked.list("GroupId") {
            self.group(&id, place).await?;
        }
        let (text, page) = forward("DescribeSecurityGroups", "GroupId", form, place).await?;
        let parsed = roxmltree::Document::parse(&text).map_err(fault)?;
        let items = items(&parsed, "securityGroupInfo");
        let ids = items.iter().map(|item| xml::find(*item, "groupId").unwrap_or_default().to_owned());
        for id in ids.collect::<HashSet<_>>() {
            self.group(&id, place).await?;
        }
        let (items, next) = page.cut(&items);
        Ok(respond("DescribeSecurityGroups", |out| {
            xml::element(out, "securityGroupInfo", |out| items.iter().for_each(|item| self.group_item(out, *item, &text)));
            next.iter().for_each(|next| xml::text(out, "nextToken", next));
        }))
    }

    fn group_item(&self, out: &mut String, item: roxmltree::Node<'_, '_>, text: &str) {
        let group = xml::find(item, "groupId").unwrap_or_default();
        xml::element(out, "item", |out| {
            for child in item.children().filter(|child| !matches!(child.tag_name().name(), "ipPermissions" | "ipPermissionsEgress")) {
                out.push_str(text.get(child.range()).unwrap_or_default());
            }
            for (name, direction) in [("ipPermissions", super::Direction::Ingress), ("ipPermissionsEgress", super::Direction::Egress)] {
                let shown = self.entries.iter().filter(|entry| entry.hidden == 0).map(|entry| &entry.rule);
                let shown = shown.filter(|rule| rule.group == group && rule.direction == direction);
                xml::element(out, name, |out| permissions(out, shown, &self.account));
            }
        });
    }
}

/// Appends rules as `IpPermission` items, those of one protocol and range of ports together.
pub(super) fn permissions<'a>(out: &mut String, rules: impl Iterator<Item = &'a Rule>, account: &str) {
    let mut kinds: Vec<Vec<&Rule>> = Vec::new();
    for rule in rules {
        let key = |rule: &Rule| (rule.protocol.clone(), rule.from_port, rule.to_port);
        match kinds.iter_mut().find(|kind| kind.first().is_some_and(|first| key(first) == key(rule))) {
            Some(kind) => kind.push(rule),
            None => kinds.push(vec![rule]),
        }
    }
    for kind in kinds {
        xml::element(out, "item", |out| permission(out, &kind, account));
    }
}

fn permission(out: &mut String, rules: &[&Rule], account: &str) {
    let Some(first) = rules.first() else { return };
    xml::text(out, "ipProtocol", &first.protocol);
    if first.protocol != "-1" {
        xml::text(out, "fromPort", &first.from_port.to_string());
        xml::text(out, "toPort", &first.to_port.to_string());
    }
    let sets = [("groups", "groupId", Kind::Group), ("ipRanges", "cidrIp", Kind::Ipv4), ("ipv6Ranges", "cidrIpv6", Kind::Ipv6)];
    for (set, field, kind) in sets.into_iter().chain([("prefixListIds", "prefixListId", Kind::List)]) {
        xml::element(out, set, |out| {
            for rule in rules.iter().filter(|rule| Kind::of(&rule.peer) == kind) {
                xml::element(out, "item", |out| {
                    if kind == Kind::Group {
                        let (owner, group) = rule.peer_group(account);
                        xml::text(out, field, group);
                        xml::text(out, "userId", owner);
                    } else {
                        xml::text(out, field, &rule.peer);
                    }
                    rule.description.iter().for_each(|description| xml::text(out, "description", description));
                });
            }
        });
    }
}

/// A Describe of what moto keeps.
pub(super) async fn resources(action: &str, form: &mut Form, place: Place<'_>) -> Result<Answer, Refusal> {
    let (ids, prefix, code, set) = match action {
        "DescribeSubnets" => ("SubnetId", "subnet", "InvalidSubnetID.Malformed", "subnetSet"),
        "DescribeVpcs" => ("VpcId", "vpc", "InvalidVpcID.Malformed", "vpcSet"),
        _ => ("PrefixListId", "pl", "InvalidPrefixListId.Malformed", "prefixListSet"),
    };
    let asked = Form::parse(&encode(form))?.list(ids);
    for id in &asked {
        check_id(id, prefix, code)?;
    }
    let (text, page) = forward(action, ids, form, place).await?;
    let parsed = roxmltree::Document::parse(&text).map_err(fault)?;
    let items = items(&parsed, set);
    let missing = asked.iter().find(|id| !items.iter().any(|item| item.descendants().any(|node| node.text() == Some(id))));
    if let (Some(id), "DescribeManagedPrefixLists") = (missing, action) {
        return Err(Refusal::new("InvalidPrefixListID.NotFound", format!("The prefix list ID '{id}' does not exist")));
    }
    let (items, next) = page.cut(&items);
    Ok(respond(action, |out| {
        xml::element(out, set, |out| items.iter().for_each(|item| out.push_str(text.get(item.range()).unwrap_or_default())));
        next.iter().for_each(|next| xml::text(out, "nextToken", next));
    }))
}

/// Asks moto for all, whatever page is wanted.
async fn forward(action: &str, ids: &str, form: &mut Form, place: Place<'_>) -> Result<(String, Page), Refusal> {
    let asked = Form::parse(&encode(form))?.list(ids);
    let page = Page::take(form, &format!("{}{}s", ids[..1].to_lowercase(), &ids[1..]), &asked)?;
    let dry = dry_run(form);
    let mut onward = Vec::new();
    for (number, id) in (1..).zip(form.list(ids)) {
        onward.push((format!("{ids}.{number}"), id));
    }
    for (number, filter) in (1..).zip(filters(form, known_to_moto)?) {
        onward.push((format!("Filter.{number}.Name"), filter.name));
        onward.extend((1..).zip(filter.values).map(|(value, text)| (format!("Filter.{number}.Value.{value}"), text)));
    }
    form.finish()?;
    dry?;
    Ok((place.moto.ec2(place.region, action, &onward).await?, page))
}

/// The filters that moto applies as Amazon does; those over rules are not among them, because moto does not have the rules.
fn known_to_moto(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "group-id",
        "group-name",
        "vpc-id",
        "description",
        "owner-id",
        "subnet-id",
        "state",
        "cidr-block",
        "prefix-list-id",
        "prefix-list-name",
        "tag-key",
    ];
    NAMES.contains(&name) || name.starts_with("tag:")
}

fn filters(form: &mut Form, known: impl Fn(&str) -> bool) -> Result<Vec<Filter>, Refusal> {
    let mut filters = Vec::new();
    for mut filter in form.items("Filter") {
        let name = filter.need("Name")?;
        let values = filter.list("Value");
        filter.finish()?;
        if !known(&name) {
            return Err(Refusal::new("InvalidParameterValue", format!("The filter '{name}' is invalid")));
        }
        if values.is_empty() {
            return Err(Refusal::new("InvalidParameterValue", format!("The filter '{name}' has no value")));
        }
        filters.push(Filter { name, values });
    }
    Ok(filters)
}

impl Filter {
    fn admits(&self, rule: &Rule) -> bool {
        let value = match self.name.as_str() {
            "group-id" => Some(&rule.group),
            "security-group-rule-id" => Some(&rule.id),
            name => name.strip_prefix("tag:").and_then(|key| rule.tags.get(key)),
        };
        value.is_some_and(|value| self.values.iter().any(|pattern| fits(pattern.as_bytes(), value.as_bytes())))
    }
}

/// Whether a text fits a pattern with `*` and `?`.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((b'*', after)), rest) => fits(after, text) || rest.is_some_and(|(_, rest)| fits(pattern, rest)),
        (Some((wanted, after)), Some((letter, rest))) => (*wanted == b'?' || wanted == letter) && fits(after, rest),
        (Some(_), None) => false,
    }
}

/// Which part of the results is wanted.
struct Page {
    from: usize,
    most: usize,
}

impl Page {
    fn take(form: &mut Form, name: &str, ids: &[String]) -> Result<Page, Refusal> {
        let most = form.number::<usize>("MaxResults")?;
        let token = form.take("NextToken").filter(|token| !token.is_empty());
        if most.is_some() && !ids.is_empty() {
            let message = format!("The parameter {name} cannot be used with the parameter maxResults");
            return Err(Refusal::new("InvalidParameterCombination", message));
        }
        if let Some(most) = most.filter(|most| !PAGE.contains(most)) {
            let message = format!("Value ( {most} ) for parameter maxResults is invalid. Expecting a value between {PAGE:?}");
            return Err(Refusal::new("InvalidParameterValue", message));
        }
        let from = match token {
            None => 0,
            Some(token) => token
                .strip_prefix(TOKEN)
                .and_then(|from| from.parse().ok())
                .ok_or_else(|| Refusal::new("InvalidPaginationToken", "The specified pagination token is not valid or is expired."))?,
        };
        Ok(Page { from, most: most.unwrap_or(usize::MAX) })
    }

    /// The results of this page, and the token of the next if there is one.
    fn cut<'a, T>(&self, all: &'a [T]) -> (&'a [T], Option<String>) {
        let rest = all.get(self.from..).unwrap_or_default();
        match rest.split_at_checked(self.most) {
            Some((page, after)) if !after.is_empty() => (page, Some(format!("{TOKEN}{}", self.from + self.most))),
            _ => (rest, None),
        }
    }
}

fn items<'a, 'input>(document: &'a roxmltree::Document<'input>, set: &str) -> Vec<roxmltree::Node<'a, 'input>> {
    let set = document.descendants().find(|node| node.tag_name().name() == set);
    set.into_iter().flat_map(|set| set.children()).filter(|node| node.tag_name().name() == "item").collect()
}

fn encode(form: &Form) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form.pairs()).finish().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_stars_and_question_marks() {
        let fits = |pattern: &str, text: &str| fits(pattern.as_bytes(), text.as_bytes());
        assert!(fits("neo*", "neosync") && fits("*sync", "neosync") && fits("neo?ync", "neosync") && fits("*", ""));
        assert!(!fits("neo", "neosync") && !fits("?", "") && !fits("*x", "neosync"));
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let all: Vec<_> = (0..12).collect();
        let mut form = Form::parse(b"MaxResults=5").unwrap();
        let (page, next) = Page::take(&mut form, "ids", &[]).unwrap().cut(&all);
        assert_eq!((page, next.as_deref()), (&all[..5], Some("lab-page-5")));
        let mut form = Form::parse(b"MaxResults=7&NextToken=lab-page-5").unwrap();
        assert_eq!(Page::take(&mut form, "ids", &[]).unwrap().cut(&all), (&all[5..], None));
    }
}
