//! From what is written to what is wanted: the one place that parses the arguments, for validation, plan and apply.

use std::collections::BTreeMap;

use super::{Model, RuleModel};
use crate::aws::Owner;
use crate::aws::security_group_rules::{
    DESCRIPTION_SIGNS as SIGNS, Direction, Entry, GroupId, LONGEST_DESCRIPTION, Protocol, Source, Traffic, TrafficError,
};
use crate::path::heard::Heard;
use crate::provider::tunnel::sentence;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::{Diagnostics, Severity};
use crate::tfplugin::model::Attr;

/// The longest name of an entry: `ingress/NAME` is a tag's value, of which EC2 takes 256 characters.
const LONGEST_NAME: usize = 240;

/// What a configuration asks for.
pub(super) struct Asked {
    pub(super) group: GroupId,
    pub(super) entries: Vec<Entry>,
}

/// One direction's rules as they are written.
pub(super) fn written(model: &Model, direction: Direction) -> &Attr<BTreeMap<String, Attr<RuleModel>>> {
    match direction {
        Direction::Ingress => &model.ingress,
        Direction::Egress => &model.egress,
    }
}

/// Where an entry is written.
pub(super) fn at(direction: Direction, name: &str) -> AttributePath {
    AttributePath::of(direction.name()).key(name)
}

/// Judges a configuration; values that are not known yet are not judged.
pub(super) fn validate(config: &Model) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    group(config, &mut diagnostics);
    owner(config, &mut diagnostics);
    let mut judged = Diagnostics::new();
    for direction in Direction::BOTH {
        judge(config, direction, &mut judged);
    }
    diagnostics.append(of_severity(&judged, Severity::Error));
    diagnostics.append(shape(config));
    diagnostics
}

/// Judges what is given at all. The values may be what other resources compute, and are judged by [`validate`], before a plan.
pub(super) fn shape(config: &Model) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let none = |direction| match written(config, direction) {
        Attr::Null => true,
        Attr::Unknown => false,
        Attr::Known(entries) => entries.is_empty(),
    };
    if Direction::BOTH.into_iter().all(none) {
        diagnostics.error(AttributePath::root(), "No rule is given", "Give at least one entry in `ingress` or `egress`.");
    }
    diagnostics
}

/// What can be meant, and is probably not. Not a part of [`validate`]: Terraform validates twice a plan, and shows each warning as often.
pub(super) fn advice(config: &Model) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let mut judged = Diagnostics::new();
    let [ingress, egress] = Direction::BOTH.map(|direction| judge(config, direction, &mut judged));
    // What is wrong has been told, and is not told again.
    diagnostics.append(of_severity(&judged, Severity::Warning));
    warn_of_the_world(&ingress, &mut diagnostics);
    duplicates(&[ingress, egress].concat(), &mut diagnostics);
    diagnostics
}

fn of_severity(all: &Diagnostics, severity: Severity) -> Diagnostics {
    let mut some = Diagnostics::new();
    all.iter().filter(|diagnostic| diagnostic.severity == severity).for_each(|diagnostic| some.push(diagnostic.clone()));
    some
}

/// Whether a configuration leaves the way to S3 to other rules: it manages egress and opens none, or closes the one that state has.
pub(super) fn leaves_s3_to_others(prior: Option<&Model>, config: &Model) -> bool {
    let opens = |model| {
        let entries = judge(model, Direction::Egress, &mut Diagnostics::new());
        entries.iter().any(|entry| entry.traffic.is_none_or(|traffic| traffic.lets_tcp(HTTPS)))
    };
    match &config.egress {
        Attr::Unknown => false,
        Attr::Known(entries) if !entries.is_empty() => !opens(config),
        _ => prior.is_some_and(opens),
    }
}

/// Nothing in the group lets the bastion out to S3 then.
pub(super) fn no_sync() -> Diagnostics {
    warned(NO_SYNC, NO_SYNC_DETAIL)
}

/// The same of a group that nobody has looked at yet.
pub(super) fn perhaps_no_sync() -> Diagnostics {
    let detail = format!("{NO_SYNC_DETAIL} Where another rule of the group lets it out, this is no problem.");
    warned("The bastion may not reach S3", &detail)
}

fn warned(summary: &str, detail: &str) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    diagnostics.warning(AttributePath::of("egress"), summary, detail);
    diagnostics
}

/// What a wholly known configuration asks for; `None` if not all of it is known.
pub(super) fn parse(config: &Model) -> Result<Option<Asked>, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let group = group(config, &mut diagnostics);
    let judged = Direction::BOTH.map(|direction| judge(config, direction, &mut diagnostics)).concat();
    let known = Direction::BOTH.iter().all(|direction| !written(config, *direction).is_unknown());
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let entries: Option<Vec<Entry>> = judged.into_iter().map(Judged::into_entry).collect();
    Ok(match (group, entries) {
        (Some(group), Some(entries)) if known => Some(Asked { group, entries }),
        _ => None,
    })
}

/// As [`parse`], for what has to be known by now, with what only apply could judge.
pub(super) fn parse_known(config: &Model) -> Result<Asked, Diagnostics> {
    let judged = validate(config);
    if judged.has_errors() {
        return Err(judged);
    }
    parse(config)?.ok_or_else(|| crate::provider::fault("apply was called with unknown values"))
}

fn group(config: &Model, diagnostics: &mut Diagnostics) -> Option<GroupId> {
    let text = config.security_group_id.known()?;
    match text.parse() {
        Ok(group) => Some(group),
        Err(error) => {
            let error: crate::aws::security_group_rules::IdError = error;
            let detail = format!("It is \"{}\" here: {error}.", Heard::verbatim(text));
            diagnostics.error(AttributePath::of("security_group_id"), "The security group's id is not an id", detail);
            None
        }
    }
}

fn owner(config: &Model, diagnostics: &mut Diagnostics) {
    if let Some(Err(error)) = config.owner.known().map(|text| text.parse::<Owner>()) {
        diagnostics.error(AttributePath::of("owner"), "The owner cannot be used", sentence(&error));
    }
}

/// An entry as far as it is known. Absent parts are unknown or wrong.
#[derive(Clone)]
struct Judged {
    direction: Direction,
    name: String,
    traffic: Option<Traffic>,
    /// The inner absence: the name of the entry.
    description: Option<Option<String>>,
    /// Those that are known.
    sources: Vec<Source>,
    /// Whether these are all.
    complete: bool,
}

impl Judged {
    fn into_entry(self) -> Option<Entry> {
        let Self { direction, name, traffic, description, sources, complete } = self;
        let (traffic, description) = (traffic?, description?);
        complete.then_some(Entry { direction, name, traffic, description, sources })
    }
}

fn judge(config: &Model, direction: Direction, diagnostics: &mut Diagnostics) -> Vec<Judged> {
    let Attr::Known(entries) = written(config, direction) else { return Vec::new() };
    let mut judged = Vec::new();
    for (name, rule) in entries {
        let at = at(direction, name);
        let length = name.chars().count();
        if length == 0 || length > LONGEST_NAME || name.chars().any(char::is_control) {
            let detail = format!("A name has 1 to {LONGEST_NAME} characters and no control characters: it becomes the tag `Name`.");
            diagnostics.error(at.clone(), "The rule's name cannot be used", detail);
        }
        let rule = match rule {
            Attr::Known(rule) => rule,
            Attr::Null => {
                diagnostics.error(at, "The rule is null", "Leave the entry out, or give it `port` and `peers`.");
                continue;
            }
            Attr::Unknown => {
                let (traffic, description, sources) = (None, None, Vec::new());
                judged.push(Judged { direction, name: name.clone(), traffic, description, sources, complete: false });
                continue;
            }
        };
        let (sources, complete) = peers(&rule.peers, &at.clone().attribute("peers"), diagnostics);
        judged.push(Judged {
            direction,
            name: name.clone(),
            traffic: traffic(rule, &at, diagnostics),
            description: description(&rule.description, at.attribute("description"), diagnostics),
            sources,
            complete,
        });
    }
    judged
}

/// What passes, if it is known and right.
pub(super) fn traffic(rule: &RuleModel, at: &AttributePath, diagnostics: &mut Diagnostics) -> Option<Traffic> {
    let protocol = match &rule.protocol {
        Attr::Unknown => None,
        Attr::Null => Some(Protocol::TCP),
        Attr::Known(text) => text.parse().ok().or_else(|| {
            let detail = format!("It is \"{}\" here. It is tcp, udp, icmp, icmpv6, all, or a number from 0 to 255.", Heard::verbatim(text));
            diagnostics.error(at.clone().attribute("protocol"), "The protocol is not a protocol", detail);
            None
        }),
    };
    let ports = match (&rule.port, &rule.from_port, &rule.to_port) {
        (Attr::Null, Attr::Null, Attr::Null) => None,
        (Attr::Known(port), Attr::Null, Attr::Null) => Some((*port, *port)),
        (Attr::Null, Attr::Known(from), Attr::Known(to)) => Some((*from, *to)),
        (Attr::Known(_), Attr::Known(_), _) | (Attr::Known(_), _, Attr::Known(_)) => {
            let detail = "Give `port` for one port, or `from_port` and `to_port` for a range.";
            diagnostics.error(at.clone().attribute("port"), "Both a port and a range are given", detail);
            return None;
        }
        (Attr::Null, Attr::Known(_), Attr::Null) | (Attr::Null, Attr::Null, Attr::Known(_)) => {
            let missing = if rule.to_port.is_null() { "to_port" } else { "from_port" };
            let detail = "`from_port` and `to_port` belong together; for one port, give `port`.";
            diagnostics.error(at.clone().attribute(missing), "Half of the port range is missing", detail);
            return None;
        }
        _ => return None,
    };
    let protocol = protocol?;
    if rule.port.known().is_some() && matches!(protocol, Protocol::ICMP | Protocol::ICMPV6) {
        let detail = "Give `from_port` as the type and `to_port` as the code, -1 for any, or leave them out for all of it.";
        diagnostics.error(at.clone().attribute("port"), "ICMP has types, not ports", detail);
        return None;
    }
    match Traffic::new(protocol, ports) {
        Ok(traffic) => Some(traffic),
        Err(error) => {
            let first = if rule.port.is_null() { "from_port" } else { "port" };
            let (attribute, summary) = match error {
                TrafficError::PortsMissing(_) => (None, "No port is given"),
                TrafficError::PortsNotTaken(_) => (Some(first), "The protocol has no ports"),
                TrafficError::PortOutOfRange => (Some(first), "The port is out of range"),
                TrafficError::Reversed => (Some("from_port"), "The port range is upside down"),
                TrafficError::IcmpOutOfRange(_) => (Some("from_port"), "The ICMP type or code is out of range"),
            };
            let at = attribute.map_or_else(|| at.clone(), |attribute| at.clone().attribute(attribute));
            diagnostics.error(at, summary, sentence(&error));
            None
        }
    }
}

fn description(value: &Attr<String>, at: AttributePath, diagnostics: &mut Diagnostics) -> Option<Option<String>> {
    let text = match value {
        Attr::Null => return Some(None),
        Attr::Unknown => return None,
        Attr::Known(text) => text,
    };
    let length = text.chars().count();
    let odd = text.chars().find(|c| !c.is_ascii_alphanumeric() && !SIGNS.contains(*c));
    if length <= LONGEST_DESCRIPTION && odd.is_none() {
        return Some(Some(text.clone()));
    }
    let found = match odd {
        Some(odd) => format!("this one has {odd:?}"),
        None => format!("this one has {length} characters"),
    };
    let detail = format!("EC2 takes at most {LONGEST_DESCRIPTION} letters, digits, blanks and signs of `{}`; {found}.", SIGNS.trim());
    diagnostics.error(at, "The description cannot be used", detail);
    None
}

/// The peers that are known, and whether they are all.
fn peers(value: &Attr<std::collections::BTreeSet<Attr<String>>>, at: &AttributePath, diagnostics: &mut Diagnostics) -> (Vec<Source>, bool) {
    let Attr::Known(texts) = value else { return (Vec::new(), false) };
    if texts.is_empty() {
        let detail = "A rule without a peer lets nobody through: give at least one, or leave the entry out.";
        diagnostics.error(at.clone(), "There are no peers", detail);
    }
    let mut sources: BTreeMap<Source, &str> = BTreeMap::new();
    let mut complete = true;
    for text in texts {
        let text = match text {
            Attr::Unknown => {
                complete = false;
                continue;
            }
            Attr::Null => {
                diagnostics.error(at.clone(), "A peer is null", "Each peer is a text.");
                continue;
            }
            Attr::Known(text) => text,
        };
        match text.parse::<Source>() {
            Err(error) => {
                let detail = format!("It is \"{}\" here: {error}.", Heard::verbatim(text));
                diagnostics.error(at.clone(), "A peer cannot be used", detail);
            }
            Ok(source) => {
                if let Some(other) = sources.insert(source, text) {
                    let detail = format!("\"{other}\" and \"{text}\" are the same. It counts once: give one of them.");
                    diagnostics.warning(at.clone(), "A peer is given twice", detail);
                }
            }
        }
    }
    (sources.into_keys().collect(), complete)
}

/// EC2 takes no two rules with the same protocol, ports and peer, whatever they are called.
fn duplicates(judged: &[Judged], diagnostics: &mut Diagnostics) {
    let mut first: BTreeMap<(Direction, Traffic, &Source), &str> = BTreeMap::new();
    for entry in judged {
        let Some(traffic) = entry.traffic else { continue };
        for source in &entry.sources {
            let other = *first.entry((entry.direction, traffic, source)).or_insert(&entry.name);
            if other != entry.name {
                let detail = format!(
                    "{source} with {traffic} is in \"{other}\" and in \"{}\". EC2 holds such a rule once, whatever it is called: the first \
                     counts, with its description. Leave it out of one of them.",
                    entry.name
                );
                diagnostics.warning(at(entry.direction, &entry.name).attribute("peers"), "A rule is given twice", detail);
            }
        }
    }
}

/// `0.0.0.0/0`, `::/0`.
fn is_world(source: &Source) -> bool {
    use crate::aws::security_group_rules::Peer;
    matches!(source, Source::Peer(Peer::Cidr(cidr)) if cidr.is_everything())
}

fn warn_of_the_world(ingress: &[Judged], diagnostics: &mut Diagnostics) {
    const SSH: u16 = 22;
    for entry in ingress {
        let world = entry.sources.iter().find(|source| is_world(source));
        if let Some(world) = world.filter(|_| entry.traffic.is_some_and(|traffic| traffic.lets_tcp(SSH))) {
            let detail = format!(
                "{world} lets every address on the internet try port {SSH}. Give the addresses that connect: the data system publishes its egress IPs."
            );
            diagnostics.warning(at(Direction::Ingress, &entry.name).attribute("peers"), "SSH is open to the whole internet", detail);
        }
    }
}

/// The port by which a bastion reaches S3.
pub(super) const HTTPS: u16 = 443;

pub(super) const NO_SYNC: &str = "The bastion cannot reach S3";

const NO_SYNC_DETAIL: &str = "Nothing in `egress` lets TCP to port 443 out. A bastion that syncs its keys from a bucket then gets none; and the \
    sync job of Guimove's module takes a listing that fails for an empty one: it deletes every login. Add an entry with port 443 to S3's \
    prefix list (`pl-…`, com.amazonaws.REGION.s3), or to 0.0.0.0/0.";

#[cfg(test)]
pub(super) mod tests;
