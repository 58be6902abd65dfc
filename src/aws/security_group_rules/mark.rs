//! Our mark on a rule: tags that are set within the call that makes it, so that no rule of ours is ever without.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

use super::entry::Entry;
use super::id::GroupId;
use super::rule::Rule;

/// The tag that says which program made the rule …
const MANAGED_BY: &str = "managed-by";

/// … and its value.
const PROGRAM: &str = "terraform-provider-bastion";

/// The tag that says whose it is.
const OWNER: &str = "bastion-owner";

/// The tag that EC2's console shows as a rule's name.
const NAME: &str = "Name";

/// The longest value of a tag that EC2 takes, in characters.
const LONGEST_VALUE: usize = 256;

/// How many hexadecimal digits an owner has: 64 bits, of the few owners that one group ever sees.
const DIGITS: usize = 16;

/// Whose rules they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(String);

/// A text is not an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an owner is {DIGITS} hexadecimal digits")]
pub struct OwnerError;

impl Owner {
    /// The owner of rules that are made for the first time. Two runs that want the same of the same group are the same owner: a run that
    /// was killed before its rules were recorded is followed by one that knows them. It is kept from then on, whatever is wanted later.
    #[must_use]
    pub fn of(group: &GroupId, entries: &[Entry]) -> Self {
        let mut lines: Vec<_> = entries
            .iter()
            .map(|entry| {
                let mut sources: Vec<_> = entry.sources.iter().map(ToString::to_string).collect();
                sources.sort();
                format!("{}\n{}\n{}\n", entry.label(), entry.traffic, sources.join(","))
            })
            .collect();
        lines.sort();
        let digest = digest(&SHA256, format!("{group}\n{}", lines.concat()).as_bytes());
        let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Self(digits.chars().take(DIGITS).collect())
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if fits { Ok(Self(text.to_owned())) } else { Err(OwnerError) }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tags of rules that are made in one call. EC2 puts the same on all of them, so several names share one text.
pub(super) fn tags(owner: &Owner, labels: &[String], default: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let name: String = labels.join(" ").chars().take(LONGEST_VALUE).collect();
    let ours = [(MANAGED_BY, PROGRAM), (OWNER, owner.as_str()), (NAME, &name)];
    let ours = ours.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    // Ours come last: a default tag must not unmake the mark.
    default.iter().map(|(key, value)| (key.clone(), value.clone())).chain(ours).collect()
}

/// Whose a rule is, if it bears our mark.
pub(super) fn owner(rule: &Rule) -> Option<Owner> {
    let ours = rule.tags.get(MANAGED_BY).is_some_and(|program| program == PROGRAM);
    if ours { rule.tags.get(OWNER)?.parse().ok() } else { None }
}

/// The name that a rule was made under, if the mark tells it: `ingress/neosync`.
pub(super) fn name(rule: &Rule) -> Option<&str> {
    owner(rule)?;
    let label = rule.tags.get(NAME).filter(|label| !label.contains(' '))?;
    label.strip_prefix(rule.key.direction.name())?.strip_prefix('/').filter(|name| !name.is_empty())
}
