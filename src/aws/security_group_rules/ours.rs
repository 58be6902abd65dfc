//! What tells one object's rules from all others'.

use std::collections::BTreeMap;

use super::mark::{self, Claim, Mark};
use super::rule::Rule;
use crate::aws::{ClaimId, Owner};

/// One object, as marks name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose.
    pub owner: Owner,
    /// Which of the owner's objects; absent for one that the version before made and nothing has changed since.
    pub claim: Option<ClaimId>,
}

impl Identity {
    /// Whether a mark is the one that it leaves on what it uses.
    pub(super) fn holds(&self, mark: &Mark) -> bool {
        let same = match (&mark.claim, &self.claim) {
            (Claim::Held(theirs), Some(own)) => theirs == own,
            (Claim::Unnamed, None) => true,
            _ => false,
        };
        same && mark.owner == self.owner
    }

    fn leaves(&self, mark: &Mark) -> bool {
        matches!(&mark.claim, Claim::Leaving(claim) if *claim == self.claim) && mark.owner == self.owner
    }

    /// What its mark says.
    pub(super) fn claim(&self) -> Claim {
        self.claim.clone().map_or(Claim::Unnamed, Claim::Held)
    }

    /// What its mark says while it leaves.
    pub(super) fn leaving(&self) -> Claim {
        Claim::Leaving(self.claim.clone())
    }
}

/// One object's rules.
#[derive(Clone, Debug, Default)]
pub struct Ours {
    /// Who it is; absent before there is any.
    pub identity: Option<Identity>,
    /// Who it was before this change, if that is another.
    pub former: Option<Identity>,
    /// Ids of rules that were recorded as ours, each with its entry's label.
    pub recorded: BTreeMap<String, String>,
    /// The default tags that its rules were recorded to bear.
    pub tags: BTreeMap<String, String>,
}

impl Ours {
    /// Who it is and was.
    pub(super) fn identities(&self) -> impl Iterator<Item = &Identity> + Clone {
        self.identity.iter().chain(&self.former)
    }

    /// Whether a rule is held by this object: by its mark, or by record alone where the object has never marked anything.
    pub(super) fn holds(&self, rule: &Rule) -> bool {
        let marked = mark::marks(rule).iter().any(|mark| self.identities().any(|identity| identity.holds(mark)));
        marked || (self.remembers(rule) && !self.marks_its_rules())
    }

    /// Whether a rule was recorded as this object's and bears nobody's mark any more: somebody took the marks away, and whoever else had one
    /// is unknown. It is marked again by a change, and never removed.
    pub(super) fn remembers(&self, rule: &Rule) -> bool {
        mark::marks(rule).is_empty() && self.recorded.contains_key(&rule.id)
    }

    fn marks_its_rules(&self) -> bool {
        self.identities().any(|identity| identity.claim.is_some())
    }

    /// Whether this object is to remove a rule, or to leave it to others: it holds it, or has begun to leave it.
    pub(super) fn owns(&self, rule: &Rule) -> bool {
        self.holds(rule) || self.leaves(rule)
    }

    /// Whether this object has begun to leave a rule.
    pub(super) fn leaves(&self, rule: &Rule) -> bool {
        mark::marks(rule).iter().any(|mark| self.identities().any(|identity| identity.leaves(mark)))
    }

    /// Whether a rule bears the mark that this object is to leave on it.
    pub(super) fn is_claimed(&self, rule: &Rule) -> bool {
        let marks = mark::marks(rule);
        self.identity.iter().any(|identity| identity.claim.is_some() && marks.iter().any(|mark| identity.holds(mark)))
    }

    /// The marks of others that are a reason to keep a rule: of other owners, and of another object of the same owner.
    pub(super) fn others(&self, rule: &Rule) -> Vec<Mark> {
        let mut marks = mark::marks(rule);
        marks.retain(|mark| mark.is_live() && !self.identities().any(|identity| identity.holds(mark)));
        marks
    }

    /// Whether a rule is this object's alone, to be changed as it likes.
    pub(super) fn is_sole(&self, rule: &Rule) -> bool {
        self.owns(rule) && self.others(rule).is_empty()
    }

    /// Whether a rule is this object's to describe: its own, or an admission's besides, which goes by itself.
    pub(super) fn describes(&self, rule: &Rule) -> bool {
        let others = self.others(rule);
        (self.owns(rule) || !others.is_empty()) && others.iter().all(|mark| mark.owner.is_admission())
    }

    /// Whether a rule lets through for this object: it holds it, or nobody marked it. One that others alone hold goes when they go.
    pub(super) fn relies_on(&self, rule: &Rule) -> bool {
        let knows_no_claims = self.identity.as_ref().is_none_or(|identity| identity.claim.is_none());
        knows_no_claims || self.holds(rule) || mark::marks(rule).is_empty()
    }

    /// The name under which a rule of ours was made, as far as it is known.
    pub(super) fn name<'a>(&'a self, rule: &'a Rule) -> Option<&'a str> {
        let label = self.recorded.get(&rule.id).and_then(|label| label.split_once('/'));
        label.map(|(_, name)| name).or_else(|| mark::name(rule))
    }
}
