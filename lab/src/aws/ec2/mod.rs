//! The rules of EC2 in the strict proxy.
//!
//! Security-group rules live here, not in moto: nearly all of what moto does with them differs from Amazon (duplicates, atomicity, quota,
//! revocation and change by id, owners, pages). Networks, groups and prefix lists live in moto, and their calls are checked on the way.

mod change;
mod describe;
mod form;
mod furnish;
mod permission;
mod permit;
mod rule;
mod tags;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Weak};

use hyper::{
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue},
};

use super::{
    call::{Answer, Named, Refusal, Request},
    gate::Filter,
    policy::Policy,
    upstream::Upstream,
    xml,
};

pub(crate) use form::Form;
pub use rule::{Direction, Rule};
pub(crate) use rule::{check_id, description, ipv4, ipv6, protocol_and_ports};

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
const VERSION: &str = "2016-11-15";

/// How many rules a group may have in each direction, IPv4 and IPv6 apart [Amazon's default quota].
const QUOTA: usize = 60;

/// What the rules remember.
pub(crate) struct Ec2 {
    account: String,
    pub(crate) quota: usize,
    /// For how many Describes a new rule stays invisible.
    pub(crate) hide: usize,
    /// What callers may do; all of it without one.
    pub(crate) policy: Option<Policy>,
    /// In the order of their making.
    entries: Vec<Entry>,
    /// The groups whose rules are in `entries`; those that moto gave a group at its birth are taken over at first sight.
    known: HashSet<String>,
    /// How many rules a prefix list counts as, by id.
    weights: HashMap<String, usize>,
    /// Security groups of other accounts that rules may name, as `ACCOUNT/sg-…`.
    pub(crate) elsewhere: HashSet<String>,
    /// All rules after each call that made, changed or removed one.
    pub(crate) history: Vec<Vec<Rule>>,
    /// The ports that are guarded by a group.
    gates: Vec<Weak<Filter>>,
}

struct Entry {
    rule: Rule,
    hidden: usize,
}

/// A security group that exists.
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) vpc: String,
    pub(crate) name: String,
}

/// Where a call is to be done, and by whom it is asked.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) moto: &'a Upstream,
    pub(crate) region: &'a str,
}

impl Place<'_> {
    /// Asks moto and reads nothing but one text out of the answer.
    pub(crate) async fn ask(self, action: &str, parameters: &[(&str, &str)], wanted: &str) -> Result<String, Refusal> {
        let text = self.call(action, parameters).await?;
        let document = roxmltree::Document::parse(&text).map_err(super::upstream::fault)?;
        let found = xml::find(document.root(), wanted).map(str::to_owned);
        found.ok_or_else(|| super::upstream::fault(format!("no {wanted} in moto's answer {text}")))
    }

    pub(crate) async fn call(self, action: &str, parameters: &[(&str, &str)]) -> Result<String, Refusal> {
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.moto.ec2(self.region, action, &parameters).await
    }
}

impl Ec2 {
    pub(crate) fn new(account: &str) -> Ec2 {
        Ec2 {
            account: account.into(),
            quota: QUOTA,
            hide: 0,
            policy: None,
            entries: Vec::new(),
            known: HashSet::new(),
            weights: HashMap::new(),
            elsewhere: HashSet::new(),
            history: Vec::new(),
            gates: Vec::new(),
        }
    }

    pub(crate) async fn answer(&mut self, request: &Request, moto: &Upstream) -> Answer {
        let place = Place { moto, region: &request.scope.region };
        let answer = self.result(request, place).await.unwrap_or_else(|refusal| refuse(&refusal));
        self.remember();
        answer
    }

    /// Notes which rules there are, if that has changed.
    pub(crate) fn remember(&mut self) {
        let now = || self.entries.iter().map(|entry| &entry.rule);
        let same =
            |then: &Vec<Rule>| then.len() == now().count() && then.iter().zip(now()).all(|(then, now)| then.id == now.id && then.same(now));
        if !self.history.last().is_some_and(same) {
            let now = now().cloned().collect();
            self.history.push(now);
            self.gates.retain(|gate| gate.upgrade().is_some_and(|gate| gate.set(self.entries.iter().map(|entry| &entry.rule)).is_ok()));
        }
    }

    /// Lets a port follow the rules of a group from now on.
    pub(crate) fn guard(&mut self, filter: &Arc<Filter>) -> std::io::Result<()> {
        filter.set(self.of_group(&filter.group))?;
        self.gates.push(Arc::downgrade(filter));
        Ok(())
    }

    /// Makes all rules that are there invisible for that many Describes that would show them.
    pub(crate) fn hide_all(&mut self, describes: usize) {
        self.entries.iter_mut().for_each(|entry| entry.hidden = describes);
    }

    async fn result(&mut self, request: &Request, place: Place<'_>) -> Result<Answer, Refusal> {
        let mut form = Form::parse(&request.body)?;
        let action = form.need("Action")?;
        if form.take("Version").as_deref() != Some(VERSION) {
            return Err(Refusal::new("NoSuchVersion", format!("The requested version is not {VERSION}")));
        }
        self.permitted(request, place)?;
        let form = &mut form;
        match action.as_str() {
            "AuthorizeSecurityGroupIngress" => self.authorize(form, Direction::Ingress, place).await,
            "AuthorizeSecurityGroupEgress" => self.authorize(form, Direction::Egress, place).await,
            "RevokeSecurityGroupIngress" => self.revoke(form, Direction::Ingress, place).await,
            "RevokeSecurityGroupEgress" => self.revoke(form, Direction::Egress, place).await,
            "ModifySecurityGroupRules" => self.modify(form, place).await,
            "DescribeSecurityGroupRules" => self.describe_rules(form, place).await,
            "DescribeSecurityGroups" => self.describe_groups(form, place).await,
            "DescribeSubnets" | "DescribeVpcs" | "DescribeManagedPrefixLists" => describe::resources(&action, form, place).await,
            "CreateTags" | "DeleteTags" => self.tag(&action, form, place).await,
            "CreateVpc" | "CreateSubnet" => furnish::network(&action, form, place).await,
            "CreateSecurityGroup" => furnish::group(form, place).await,
            "DeleteSecurityGroup" => self.delete_group(form, place).await,
            "CreateManagedPrefixList" => furnish::prefix_list(form, place).await,
            _ => Err(Refusal::new("InvalidAction", format!("The action {action} is not valid for this web service."))),
        }
    }

    /// The group of that id; the rules that it was born with are known from then on.
    pub(crate) async fn group(&mut self, id: &str, place: Place<'_>) -> Result<Group, Refusal> {
        check_id(id, "sg", "InvalidGroupId.Malformed")?;
        let text = place.call("DescribeSecurityGroups", &[("GroupId.1", id)]).await.map_err(|refusal| match refusal.code.as_str() {
            "InvalidGroup.NotFound" => no_group(id),
            _ => refusal,
        })?;
        let document = roxmltree::Document::parse(&text).map_err(super::upstream::fault)?;
        let find = |name| xml::find(document.root(), name).unwrap_or_default().to_owned();
        let group = Group { id: id.into(), vpc: find("vpcId"), name: find("groupName") };
        if self.known.insert(id.to_owned()) {
            self.take_over(id, place).await?;
        }
        Ok(group)
    }

    async fn take_over(&mut self, group: &str, place: Place<'_>) -> Result<(), Refusal> {
        let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group)];
        let text = place.call("DescribeSecurityGroupRules", &filter).await?;
        let document = roxmltree::Document::parse(&text).map_err(super::upstream::fault)?;
        for item in document.descendants().filter(|node| node.tag_name().name() == "item" && xml::find(*node, "isEgress").is_some()) {
            let find = |name| xml::find(item, name).unwrap_or_default().to_owned();
            let direction = if find("isEgress") == "true" { Direction::Egress } else { Direction::Ingress };
            let rule = Rule {
                id: find("securityGroupRuleId"),
                group: group.into(),
                direction,
                protocol: find("ipProtocol"),
                from_port: find("fromPort").parse().unwrap_or(-1),
                to_port: find("toPort").parse().unwrap_or(-1),
                peer: find("cidrIpv4"),
                description: None,
                tags: BTreeMap::new(),
            };
            self.entries.push(Entry { rule, hidden: 0 });
        }
        Ok(())
    }
}

fn no_group(id: &str) -> Refusal {
    Refusal::new("InvalidGroup.NotFound", format!("The security group '{id}' does not exist"))
}

/// Refuses a call that was only tried, after all else was checked.
pub(crate) fn dry_run(form: &mut Form) -> Result<(), Refusal> {
    match form.take("DryRun").as_deref() {
        Some("true") => {
            let words = "Request would have succeeded, but DryRun flag is set.";
            Err(Refusal::with(hyper::StatusCode::PRECONDITION_FAILED, "DryRunOperation", words))
        }
        _ => Ok(()),
    }
}

/// A good answer of the proxy's own.
pub(crate) fn respond(action: &str, content: impl FnOnce(&mut String)) -> Answer {
    let mut body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{action}Response xmlns=\"{NAMESPACE}\">");
    xml::text(&mut body, "requestId", &xml::request_id());
    content(&mut body);
    body.push_str(&format!("</{action}Response>"));
    document(body)
}

/// A whole document as an answer.
pub(crate) fn document(body: String) -> Answer {
    let mut answer = Answer::new(Bytes::from(body));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml;charset=UTF-8"));
    answer
}

/// An error as EC2 says it.
pub(crate) fn refuse(refusal: &Refusal) -> Answer {
    let mut body = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>");
    xml::text(&mut body, "Code", &refusal.code);
    xml::text(&mut body, "Message", &refusal.message);
    body.push_str("</Error></Errors>");
    xml::text(&mut body, "RequestID", &xml::request_id());
    body.push_str("</Response>");
    let mut answer = document(body);
    *answer.status_mut() = refusal.status;
    answer
}

/// The name of a query call, of EC2 or STS, and the ids that it is about.
pub(crate) fn name(request: &Request) -> Named {
    /// Whose values are the target, in this order.
    const TARGETS: [&str; 9] =
        ["GroupId", "ResourceId", "SubnetId", "PrefixListId", "VpcId", "SecurityGroupRuleId", "PrefixListName", "GroupName", "RoleArn"];
    let mut form = Form::parse(&request.body).unwrap_or_default();
    let action = form.take("Action").unwrap_or_default();
    let mut ids = Vec::new();
    for name in TARGETS {
        ids.extend(form.take(name));
        ids.extend(form.list(name));
    }
    for mut filter in form.items("Filter") {
        if filter.take("Name").is_some_and(|name| name.ends_with("-id")) {
            ids.extend(filter.list("Value"));
        }
    }
    Named { action, target: ids.join(",") }
}
