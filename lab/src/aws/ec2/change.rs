//! Authorize, Revoke, Modify: all of a call is checked first, so nothing of a refused one is done.

use hyper::StatusCode;

use super::{
    Direction, Ec2, Entry, Form, Group, Place, Rule, check_id, description, dry_run,
    form::missing,
    permission::{ports, tag_specifications},
    respond,
    rule::Kind,
};
use crate::aws::{
    call::{Answer, Refusal},
    xml,
};

impl Ec2 {
    pub(super) async fn authorize(&mut self, form: &mut Form, direction: Direction, place: Place<'_>) -> Result<Answer, Refusal> {
        let group = self.group_of(form, place).await?;
        let dry = dry_run(form);
        let tags = tag_specifications(form)?;
        let mut rules = self.permissions(form, &group, direction, place).await?;
        form.finish()?;
        if rules.is_empty() {
            return Err(missing("IpPermissions"));
        }
        rules.iter_mut().for_each(|rule| rule.tags.clone_from(&tags));
        if let Some(rule) = rules.iter().find(|rule| self.of_group(&group.id).any(|other| other.same(rule))) {
            return Err(rule.duplicate());
        }
        self.check_quota(self.of_group(&group.id).chain(&rules))?;
        dry?;
        let answer = respond(action("Authorize", direction), |out| {
            out.push_str("<return>true</return>");
            xml::element(out, "securityGroupRuleSet", |out| rules.iter().for_each(|rule| rule.item(out, &self.account)));
        });
        let hidden = self.hide;
        self.entries.extend(rules.into_iter().map(|rule| Entry { rule, hidden }));
        Ok(answer)
    }

    pub(super) async fn revoke(&mut self, form: &mut Form, direction: Direction, place: Place<'_>) -> Result<Answer, Refusal> {
        let group = self.group_of(form, place).await?;
        let dry = dry_run(form);
        let ids = form.list("SecurityGroupRuleId");
        let wanted = self.permissions(form, &group, direction, place).await?;
        form.finish()?;
        if !ids.is_empty() && !wanted.is_empty() {
            let message = "The parameter securityGroupRuleIds cannot be used with the parameter ipPermissions";
            return Err(Refusal::new("InvalidParameterCombination", message));
        }
        if ids.is_empty() && wanted.is_empty() {
            return Err(missing("IpPermissions"));
        }
        for id in &ids {
            let found = self.rule_of_id(id)?;
            if found.group != group.id || found.direction != direction {
                return Err(no_rule(id));
            }
        }
        let unknown = wanted.iter().any(|rule| !self.of_group(&group.id).any(|other| other.same(rule)));
        if unknown && !is_default_network(&group, place).await? {
            let message = "The specified rule does not exist in this security group.";
            return Err(Refusal::new("InvalidPermission.NotFound", message));
        }
        dry?;
        let goes = |rule: &Rule| ids.contains(&rule.id) || wanted.iter().any(|wanted| wanted.same(rule));
        let (gone, kept) = std::mem::take(&mut self.entries).into_iter().partition(|entry| goes(&entry.rule));
        self.entries = kept;
        let gone: Vec<Entry> = gone;
        let unknown: Vec<_> = wanted.iter().filter(|rule| !gone.iter().any(|entry| entry.rule.same(rule))).collect();
        Ok(respond(action("Revoke", direction), |out| {
            out.push_str("<return>true</return>");
            if !unknown.is_empty() {
                xml::element(out, "unknownIpPermissionSet", |out| super::describe::permissions(out, unknown.into_iter(), &self.account));
            }
            xml::element(out, "revokedSecurityGroupRuleSet", |out| gone.iter().for_each(|entry| entry.rule.revoked_item(out)));
        }))
    }

    pub(super) async fn modify(&mut self, form: &mut Form, place: Place<'_>) -> Result<Answer, Refusal> {
        let group = self.group_of(form, place).await?;
        let dry = dry_run(form);
        let mut changed: Vec<Rule> = Vec::new();
        for mut update in form.items("SecurityGroupRule") {
            let id = update.need("SecurityGroupRuleId")?;
            let old = Some(self.rule_of_id(&id)?).filter(|rule| rule.group == group.id).ok_or_else(|| no_rule(&id))?.clone();
            if changed.iter().any(|rule| rule.id == id) {
                return Err(Refusal::new(
                    "InvalidParameterValue",
                    format!("The security group rule ID '{id}' must not appear multiple times"),
                ));
            }
            let mut new = update.part("SecurityGroupRule");
            update.finish()?;
            changed.push(self.changed(old, &mut new, &group, place).await?);
        }
        form.finish()?;
        if changed.is_empty() {
            return Err(missing("SecurityGroupRules"));
        }
        let rest = || self.of_group(&group.id).filter(|rule| !changed.iter().any(|new| new.id == rule.id));
        let meets = |rule: &&Rule| rest().chain(&changed).any(|other| other.id != rule.id && other.same(rule));
        if let Some(rule) = changed.iter().find(meets) {
            return Err(rule.duplicate());
        }
        self.check_quota(rest().chain(&changed))?;
        dry?;
        for new in changed {
            if let Some(entry) = self.entries.iter_mut().find(|entry| entry.rule.id == new.id) {
                entry.rule = new;
            }
        }
        Ok(respond("ModifySecurityGroupRules", |out| out.push_str("<return>true</return>")))
    }

    /// A rule as it is to be: all of it is said anew, but for direction, id and tags.
    async fn changed(&mut self, old: Rule, new: &mut Form, group: &Group, place: Place<'_>) -> Result<Rule, Refusal> {
        let (protocol, from_port, to_port) = ports(new)?;
        let fields = [("CidrIpv4", Kind::Ipv4), ("CidrIpv6", Kind::Ipv6), ("PrefixListId", Kind::List), ("ReferencedGroupId", Kind::Group)];
        let mut peers: Vec<_> = fields.into_iter().filter_map(|(name, kind)| Some((kind, new.take(name)?))).collect();
        let description = description(new.take("Description"))?;
        new.finish()?;
        let Some((kind, peer)) = peers.pop() else { return Err(missing("CidrIpv4")) };
        if !peers.is_empty() || kind != Kind::of(&old.peer) {
            let message = "The source or destination type of a security group rule cannot be changed, and there is exactly one.";
            return Err(Refusal::new("InvalidParameterCombination", message));
        }
        let peer = self.peer(kind, peer, group, place).await?;
        Ok(Rule { protocol, from_port, to_port, peer, description, ..old })
    }

    async fn group_of(&mut self, form: &mut Form, place: Place<'_>) -> Result<Group, Refusal> {
        let Some(id) = form.take("GroupId") else {
            return Err(Refusal::new("MissingParameter", "The request must contain the parameter groupName or groupId"));
        };
        self.group(&id, place).await
    }

    /// The rules of a group, hidden ones too.
    pub(crate) fn of_group(&self, group: &str) -> impl Iterator<Item = &Rule> + Clone {
        self.entries.iter().map(|entry| &entry.rule).filter(move |rule| rule.group == group)
    }

    pub(super) fn rule_of_id(&self, id: &str) -> Result<&Rule, Refusal> {
        check_id(id, "sgr", "InvalidSecurityGroupRuleId.Malformed")?;
        self.entries.iter().map(|entry| &entry.rule).find(|rule| rule.id == id).ok_or_else(|| no_rule(id))
    }

    /// Takes all rules out of a group.
    pub(crate) fn empty(&mut self, group: &str) {
        self.entries.retain(|entry| entry.rule.group != group);
    }

    /// Takes a rule out, whatever its direction.
    pub(crate) fn remove(&mut self, id: &str) -> Result<(), Refusal> {
        self.rule_of_id(id)?;
        self.entries.retain(|entry| entry.rule.id != id);
        Ok(())
    }

    pub(crate) fn group_of_rule(&self, id: &str) -> Result<String, Refusal> {
        self.rule_of_id(id).map(|rule| rule.group.clone())
    }

    /// Deletes a group that no other one names.
    pub(super) async fn delete_group(&mut self, form: &mut Form, place: Place<'_>) -> Result<Answer, Refusal> {
        let group = self.group_of(form, place).await?;
        let dry = dry_run(form);
        form.finish()?;
        if group.name == "default" {
            let message = format!("the specified group: \"{}\" name: \"default\" cannot be deleted by a user", group.id);
            return Err(Refusal::new("CannotDelete", message));
        }
        if self.entries.iter().any(|entry| entry.rule.peer == group.id && entry.rule.group != group.id) {
            return Err(Refusal::new("DependencyViolation", format!("resource {} has a dependent object", group.id)));
        }
        dry?;
        place.call("DeleteSecurityGroup", &[("GroupId", &group.id)]).await?;
        self.entries.retain(|entry| entry.rule.group != group.id);
        Ok(respond("DeleteSecurityGroup", |out| {
            out.push_str("<return>true</return>");
            xml::text(out, "groupId", &group.id);
        }))
    }
}

fn action(verb: &str, direction: Direction) -> &'static str {
    match (verb, direction) {
        ("Authorize", Direction::Ingress) => "AuthorizeSecurityGroupIngress",
        ("Authorize", Direction::Egress) => "AuthorizeSecurityGroupEgress",
        (_, Direction::Ingress) => "RevokeSecurityGroupIngress",
        (_, Direction::Egress) => "RevokeSecurityGroupEgress",
    }
}

fn no_rule(id: &str) -> Refusal {
    Refusal::new("InvalidSecurityGroupRuleId.NotFound", format!("The security group rule ID '{id}' does not exist"))
}

/// Whether the group stands in the account's default network, where Revoke forgives what is unknown.
async fn is_default_network(group: &Group, place: Place<'_>) -> Result<bool, Refusal> {
    let answer = place.ask("DescribeVpcs", &[("VpcId.1", &group.vpc)], "isDefault").await;
    match answer {
        Ok(text) => Ok(text == "true"),
        Err(refusal) if refusal.status == StatusCode::INTERNAL_SERVER_ERROR => Err(refusal),
        Err(_) => Ok(false),
    }
}
