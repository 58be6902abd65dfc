//! Handing over: a rule that one other object alone claims by now is described as that one wants it.

use super::calls::Calls;
use super::mark::{self, Mark};
use super::refuse::Failed;
use super::rule::{Rule, Want};

/// Gives rules that were left the description and the tags of the one object that still claims them, if this process has created or updated
/// that one. Whose else they are sees in its next plan what differs; so does this one, if a call fails.
pub(super) async fn hand_over(calls: &Calls<'_>, kept: &[(Rule, Vec<Mark>)]) {
    for (rule, marks) in kept {
        let [heir] = marks.as_slice() else { continue };
        let Some((want, default)) = calls.remembered().want(heir, &rule.key) else { continue };
        let mut tags = mark::described(&want, &default);
        tags.retain(|key, value| rule.tags.get(key) != Some(value));
        if let Err(failed) = describe(calls, rule, &want, tags).await {
            tracing::warn!(rule = rule.id, "it keeps the description of its former owner: {}", failed.refusal);
        }
    }
}

async fn describe(calls: &Calls<'_>, rule: &Rule, want: &Want, tags: std::collections::BTreeMap<String, String>) -> Result<(), Failed> {
    if !want.is_described_by(&rule.description) {
        calls.modify(&[(rule.clone(), want.clone())]).await?;
    }
    if tags.is_empty() { Ok(()) } else { calls.tag(vec![rule.id.clone()], &tags).await }
}
