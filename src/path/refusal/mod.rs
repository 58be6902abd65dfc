//! What one of Amazon's APIs refused, ready to be read: what was heard, what it means, what to change.

mod account;
mod bucket;
mod denial;
mod rules;

use std::fmt;

pub use self::account::AccountReason;
pub use self::bucket::BucketReason;
pub use self::denial::Denial;
pub use self::rules::RulesReason;
use super::diagnosis::{Economy, write_words};
use super::heard::Heard;
use super::words::Words;

/// Why it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Something about the account, the way to the API or the patience of either side.
    Account(AccountReason),
    /// Something about the bastion's key bucket.
    Bucket(BucketReason),
    /// Something about the security group.
    Rules(RulesReason),
}

/// A verdict on a call that did not do what was asked. Its `Display` is the text below the summary line, fourteen lines at the most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The API's own words; empty if it never spoke.
    pub heard: Heard,
    /// Which call, in the words of an IAM policy: `s3:PutObject`.
    pub action: &'static str,
}

impl Refusal {
    /// `bucket/missing`: for searching, filtering and the docs.
    #[must_use]
    pub fn code(&self) -> String {
        match &self.reason {
            Reason::Account(reason) => format!("account/{}", reason.slug()),
            Reason::Bucket(reason) => format!("bucket/{}", reason.slug()),
            Reason::Rules(reason) => format!("rules/{}", reason.slug()),
        }
    }

    /// One general line, without values.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        self.words().summary
    }

    /// What it means; empty where the summary says all.
    #[must_use]
    pub fn means(&self) -> String {
        self.words().means
    }

    /// What to do, the likeliest first.
    #[must_use]
    pub fn remedies(&self) -> Vec<String> {
        self.words().remedies
    }

    /// Where the catalogue's page explains it: the heading as GitHub makes an anchor of it.
    #[must_use]
    pub fn anchor(&self) -> String {
        self.code().replace('/', "")
    }

    /// One of each reason, for the docs and for tests.
    #[must_use]
    pub fn examples() -> Vec<Self> {
        let account = AccountReason::examples().into_iter().map(|reason| (Reason::Account(reason), "sts:GetCallerIdentity"));
        let bucket = BucketReason::examples().into_iter().map(|reason| (Reason::Bucket(reason), "s3:PutObject"));
        let rules = RulesReason::examples().into_iter().map(|reason| (Reason::Rules(reason), "ec2:AuthorizeSecurityGroupIngress"));
        let all = account.chain(bucket).chain(rules);
        all.map(|(reason, action)| Self { reason, heard: Heard::from_text("SomeCode: some words"), action }).collect()
    }

    fn words(&self) -> Words {
        match &self.reason {
            Reason::Account(reason) => reason.words(self.action),
            Reason::Bucket(reason) => reason.words(self.action),
            Reason::Rules(reason) => reason.words(self.action),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heard = (!self.heard.is_empty()).then(|| format!("\"{}\", from {}.", self.heard, self.action));
        let code = format!("{}, see docs/diagnoses.md#{}", self.code(), self.anchor());
        let mut page = String::new();
        write_words(&mut page, heard.as_deref(), &self.words(), Economy::None, &code)?;
        f.write_str(&page)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_words_of_its_own_in_fourteen_lines() {
        let mut codes = BTreeSet::new();
        for told in Refusal::examples() {
            let text = told.to_string();
            assert!(!told.summary().is_empty() && text.contains("  Do      "), "{text}");
            assert!(text.lines().count() <= 14, "{text}");
            assert!(!told.summary().contains(['`', '?']), "a summary is general: {}", told.summary());
            assert!(text.lines().all(|line| line.is_empty() || line.starts_with("  ")), "Terraform folds what is not indented: {text}");
            assert!(codes.insert(told.code()), "{} is said twice", told.code());
        }
    }

    #[test]
    fn a_refusal_reads_as_a_page() {
        let pages: Vec<_> =
            Refusal::examples().into_iter().map(|told| format!("== {} [{}]\n\n{told}\n", told.summary(), told.code())).collect();
        insta::assert_snapshot!(pages.join("\n"));
    }
}
