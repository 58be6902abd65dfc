//! Handing over: a rule that one other object alone claims by now is described as that one wants it.

use std::collections::BTreeMap;

use super::calls::Calls;
use super::mark::{self, Mark};
use super::refuse::Failed;
use super::rule::{Rule, Want};

/// Gives rules that were left the description and the tags of the one object that still claims them, if this process has created or updated
/// that one. Any other object sees in its next plan what differs; so does this one, if a call fails.
pub(super) async fn hand_over(calls: &Calls<'_>, kept: &[(Rule, Vec<Mark>)]) {
    if let Err(failed) = attempt(calls, kept).await {
        let group = calls.group().as_str();
        tracing::warn!(group, "rules keep the description of their former owner, as the next plan shows: {}", failed.refusal);
    }
}

async fn attempt(calls: &Calls<'_>, kept: &[(Rule, Vec<Mark>)]) -> Result<(), Failed> {
    let mut changes: Vec<(Rule, Want)> = Vec::new();
    let mut alike: BTreeMap<BTreeMap<String, String>, Vec<String>> = BTreeMap::new();
    for (rule, marks) in kept {
        let [heir] = marks.as_slice() else { continue };
        let Some((want, default)) = calls.remembered().want(heir, &rule.key) else { continue };
        let mut tags = mark::described(&want, &default);
        tags.retain(|key, value| rule.tags.get(key) != Some(value));
        if !tags.is_empty() {
            alike.entry(tags).or_default().push(rule.id.clone());
        }
        if !want.is_described_by(&rule.description) {
            changes.push((rule.clone(), want));
        }
    }
    for (tags, ids) in alike {
        calls.tag(ids, &tags).await?;
    }
    if changes.is_empty() { Ok(()) } else { calls.modify(&changes).await }
}
