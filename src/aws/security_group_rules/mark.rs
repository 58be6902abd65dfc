//! Marks on a rule: tags, one a user of the rule, so that the last one to leave it is the one who removes it.
//!
//! `bastion-owner/OWNER = CLAIM` says that an object of that owner uses the rule; `leaving CLAIM`, that it is about to stop. The version
//! before wrote one tag for all, `bastion-owner = OWNER`. The value `until TIME` is that of an admission: it counts until then.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::rule::{Rule, Want};
use crate::aws::{ClaimId, Owner};

/// The tag that says which program made the rule …
const MANAGED_BY: &str = "managed-by";

/// … and its value.
const PROGRAM: &str = "terraform-provider-bastion";

/// The tag by which the version before said whose a rule is; with a slash and an owner behind it, it is that owner's mark.
const OWNER: &str = "bastion-owner";

/// What the value of a mark begins with while its owner leaves the rule.
const LEAVING: &str = "leaving";

/// What the value of an admission's mark begins with.
const UNTIL: &str = "until ";

/// The value of a mark that stands for one of the version before, which knew no claims.
const UNNAMED: &str = "unnamed";

/// The tag that EC2's console shows as a rule's name.
const NAME: &str = "Name";

/// The longest value of a tag that EC2 takes, in characters.
const LONGEST_VALUE: usize = 256;

/// What one user of a rule says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is used by this object.
    Held(ClaimId),
    /// It is used by an object that did not say which: one of the version before.
    Unnamed,
    /// A process walks through it, and says so anew as long as it does.
    Until(SystemTime),
    /// Its use is about to end: no reason to keep the rule.
    Leaving(Option<ClaimId>),
}

/// The mark of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Who.
    pub owner: Owner,
    /// What it says.
    pub claim: Claim,
}

impl Mark {
    /// Whether it is a reason to keep the rule.
    #[must_use]
    pub fn is_live(&self) -> bool {
        match self.claim {
            Claim::Held(_) | Claim::Unnamed => true,
            Claim::Until(end) => end > SystemTime::now(),
            Claim::Leaving(_) => false,
        }
    }

    /// Whether its time is over: whoever set it was killed, and nobody will take it away.
    pub(super) fn is_expired(&self) -> bool {
        matches!(self.claim, Claim::Until(_)) && !self.is_live()
    }
}

/// The marks on a rule, by owner.
pub(super) fn marks(rule: &Rule) -> Vec<Mark> {
    let found = rule.tags.iter().filter_map(|(key, value)| {
        let owner = key.strip_prefix(OWNER)?.strip_prefix('/')?.parse().ok()?;
        let claim = match value.strip_prefix(LEAVING) {
            Some(rest) => Claim::Leaving(rest.trim().parse().ok()),
            // What cannot be read protects the rule.
            None => until(value).or_else(|| value.parse().ok().map(Claim::Held)).unwrap_or(Claim::Unnamed),
        };
        Some(Mark { owner, claim })
    });
    let found: Vec<Mark> = found.collect();
    if found.is_empty() { old_mark(rule).into_iter().collect() } else { found }
}

/// The mark of an admission, to the second.
fn until(value: &str) -> Option<Claim> {
    let end = DateTime::from_str(value.strip_prefix(UNTIL)?, Format::DateTime).ok()?;
    Some(Claim::Until(SystemTime::UNIX_EPOCH + Duration::from_secs(end.secs().try_into().ok()?)))
}

/// The mark of the version before. It counts as long as no other stands beside it: whoever adds one, writes this one anew.
fn old_mark(rule: &Rule) -> Option<Mark> {
    let ours = rule.tags.get(MANAGED_BY).is_some_and(|program| program == PROGRAM);
    let owner = rule.tags.get(OWNER).filter(|_| ours)?.parse().ok()?;
    Some(Mark { owner, claim: Claim::Unnamed })
}

/// The key of an owner's mark.
pub(super) fn key(owner: &Owner) -> String {
    format!("{OWNER}/{owner}")
}

/// The keys to delete for an owner's mark to be gone from a rule.
pub(super) fn keys(owner: &Owner, rule: &Rule) -> Vec<String> {
    let old = rule.tags.get(OWNER).is_some_and(|value| value == owner.as_str());
    let all = [Some(key(owner)).filter(|key| rule.tags.contains_key(key)), old.then(|| OWNER.to_owned())];
    all.into_iter().flatten().collect()
}

/// The value of a mark.
pub(super) fn value(claim: &Claim) -> String {
    match claim {
        Claim::Held(id) => id.to_string(),
        Claim::Unnamed => UNNAMED.to_owned(),
        Claim::Until(end) => format!("{UNTIL}{}", moment(*end)),
        Claim::Leaving(Some(id)) => format!("{LEAVING} {id}"),
        Claim::Leaving(None) => LEAVING.to_owned(),
    }
}

/// A moment as RFC 3339 writes it, to the second.
#[must_use]
pub fn moment(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    DateTime::from_secs(seconds.try_into().unwrap_or(i64::MAX)).fmt(Format::DateTime).unwrap_or_default()
}

/// The tags that a mark of one's own adds to a rule: with it, the mark of the version before is written anew, or it would not count any more.
pub(super) fn added(owner: &Owner, claim: &Claim, rule: &Rule) -> BTreeMap<String, String> {
    let newer = rule.tags.keys().any(|key| key.strip_prefix(OWNER).is_some_and(|rest| rest.starts_with('/')));
    let old = old_mark(rule).filter(|old| !newer && old.owner != *owner).map(|old| (key(&old.owner), value(&old.claim)));
    old.into_iter().chain([(key(owner), value(claim))]).collect()
}

/// The tags of a rule that nobody else uses, marks apart.
pub(super) fn described(want: &Want, default: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let name: String = format!("{}/{}", want.key.direction, want.name).chars().take(LONGEST_VALUE).collect();
    let ours = [(MANAGED_BY.to_owned(), PROGRAM.to_owned()), (NAME.to_owned(), name)];
    // Ours come last: a default tag must not unmake them.
    let default = default.iter().filter(|(key, _)| !is_ours(key)).map(|(key, value)| (key.clone(), value.clone()));
    default.chain(ours).collect()
}

/// Whether a tag is the provider's own.
pub(super) fn is_ours(key: &str) -> bool {
    matches!(key, MANAGED_BY | NAME | OWNER) || key.strip_prefix(OWNER).is_some_and(|rest| rest.starts_with('/'))
}

/// The name that a rule was made under, if a mark and the tag `Name` tell it: `neosync` of `ingress/neosync`.
pub(super) fn name(rule: &Rule) -> Option<&str> {
    if marks(rule).is_empty() {
        return None;
    }
    let text = rule.tags.get(NAME)?;
    // The version before gave all rules of one call one text: `egress/key_sync=tcp-443 egress/postgres=tcp-5432`.
    let label = if text.contains('=') {
        let traffic = rule.key.traffic.to_string();
        let mut fitting = text.split(' ').filter_map(|part| part.rsplit_once('=')).filter(|(_, passes)| *passes == traffic);
        match (fitting.next(), fitting.next()) {
            (Some((label, _)), None) => label,
            // Two names for what passes, and nobody knows which.
            (Some(_), Some(_)) => return None,
            (None, _) => text,
        }
    } else {
        text
    };
    label.strip_prefix(rule.key.direction.name())?.strip_prefix('/').filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::rule::{Direction, Key, Peer};
    use super::super::traffic::{Protocol, Traffic};
    use super::*;

    fn rule(tags: &[(&str, &str)]) -> Rule {
        let traffic = Traffic::new(Protocol::TCP, Some((443, 443))).unwrap();
        let key = Key { direction: Direction::Egress, traffic, peer: Peer::Cidr("10.0.0.1".parse().unwrap()) };
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Rule { id: String::new(), key, description: String::new(), tags }
    }

    fn owner(text: &str) -> Owner {
        text.parse().unwrap()
    }

    const CLAIM: &str = "0123456789abcdef";

    #[test]
    fn each_user_has_a_mark_and_what_cannot_be_read_protects() {
        let found = marks(&rule(&[
            ("bastion-owner/a/b", CLAIM),
            ("bastion-owner/c", "leaving 0123456789abcdef"),
            ("bastion-owner/d", "junk"),
            ("bastion-owner/e", "leaving"),
            ("bastion-owner/ä", CLAIM),
            ("bastion-owners", CLAIM),
        ]));
        let told: Vec<_> = found.iter().map(|mark| (mark.owner.as_str(), mark.is_live(), value(&mark.claim))).collect();
        let leaving = format!("leaving {CLAIM}");
        let expected = [("a/b", true, CLAIM), ("c", false, &leaving), ("d", true, "unnamed"), ("e", false, "leaving")];
        assert_eq!(told, expected.map(|(owner, live, value)| (owner, live, value.to_owned())));
    }

    #[test]
    fn the_mark_of_the_version_before_counts_until_another_stands_beside_it() {
        let old = [("managed-by", "terraform-provider-bastion"), ("bastion-owner", CLAIM)];
        let mark = Mark { owner: owner(CLAIM), claim: Claim::Unnamed };
        assert_eq!(marks(&rule(&old)), [mark]);
        assert_eq!(marks(&rule(&old[1..])), [], "the tag alone may be anybody's");
        let added = added(&owner("new"), &Claim::Held(CLAIM.parse().unwrap()), &rule(&old));
        let told: Vec<_> = added.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(told, [("bastion-owner/0123456789abcdef", "unnamed"), ("bastion-owner/new", CLAIM)]);
        let both: Vec<(&str, &str)> = old.iter().copied().chain(told.iter().copied()).collect();
        assert_eq!(marks(&rule(&both)).len(), 2);
        assert_eq!(keys(&owner(CLAIM), &rule(&both)), ["bastion-owner/0123456789abcdef", "bastion-owner"]);
        assert_eq!(keys(&owner("new"), &rule(&both)), ["bastion-owner/new"]);
    }

    #[test]
    fn a_name_is_the_entrys_own_and_the_old_texts_are_read() {
        let want = Want { key: rule(&[]).key, description: None, name: "my rule".to_owned() };
        let default = BTreeMap::from([("team".to_owned(), "data".to_owned()), ("bastion-owner/x".to_owned(), "mine".to_owned())]);
        let tags = described(&want, &default);
        assert_eq!((tags.len(), tags["Name"].as_str(), tags["team"].as_str()), (3, "egress/my rule", "data"));
        let named = |text| name(&rule(&[("bastion-owner/a", CLAIM), ("Name", text)])).map(ToOwned::to_owned);
        assert_eq!(named("egress/my rule").as_deref(), Some("my rule"));
        assert_eq!(named("egress/a=tcp-443 egress/b=tcp-5432").as_deref(), Some("a"));
        assert_eq!(named("egress/a=tcp-443 egress/b=tcp-443"), None);
        assert_eq!(named("egress/x=y").as_deref(), Some("x=y"));
        assert_eq!(named("ingress/a"), None);
        assert_eq!(name(&rule(&[("Name", "egress/a")])), None, "without a mark it is a stranger's");
    }
}
