//! Which permissions a call of EC2's needs, on what.

use super::{Ec2, Form, Place};
use crate::aws::{FURNISHER, call::Refusal, call::Request, policy};

impl Ec2 {
    /// # Errors
    /// UnauthorizedOperation, where the policy lacks one of them. Whoever furnishes may do everything.
    pub(super) fn permitted(&self, request: &Request, place: Place<'_>) -> Result<(), Refusal> {
        let Some(policy) = self.policy.as_ref().filter(|_| request.scope.access_key != FURNISHER) else { return Ok(()) };
        let missing = self.needed(&request.body, place)?.into_iter().find(|(action, resource)| !policy.allows(action, resource));
        missing.map_or(Ok(()), |(action, resource)| Err(policy::unauthorized(&self.account, &action, &resource)))
    }

    /// Action and resource, as [the reference](https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html)
    /// lists them; what a call tags as it makes it needs `ec2:CreateTags` there.
    fn needed(&self, body: &[u8], place: Place<'_>) -> Result<Vec<(String, String)>, Refusal> {
        let mut form = Form::parse(body)?;
        let action = form.take("Action").unwrap_or_default();
        let arn = |kind: &str, id: &str| format!("arn:aws:ec2:{}:{}:{kind}/{id}", place.region, self.account);
        let name = format!("ec2:{action}");
        let mut needed = Vec::new();
        if let Some(group) = form.take("GroupId").filter(|_| !action.starts_with("Describe")) {
            needed.push((name.clone(), arn("security-group", &group)));
            let mut rules = form.list("SecurityGroupRuleId");
            rules.extend(form.items("SecurityGroupRule").into_iter().filter_map(|mut rule| rule.take("SecurityGroupRuleId")));
            if action.starts_with("Authorize") {
                rules.push("*".to_owned());
            }
            needed.extend(rules.iter().map(|rule| (name.clone(), arn("security-group-rule", rule))));
        }
        for id in form.list("ResourceId") {
            let kind = if id.starts_with("sgr-") { "security-group-rule" } else { "security-group" };
            needed.push((name.clone(), arn(kind, &id)));
        }
        if !form.items("TagSpecification").is_empty() {
            needed.push(("ec2:CreateTags".to_owned(), arn("security-group-rule", "*")));
        }
        if needed.is_empty() {
            needed.push((name, "*".to_owned()));
        }
        Ok(needed)
    }
}
