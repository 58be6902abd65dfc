//! Warnings: what a change left where it is, and why.

use std::time::Duration;

use super::arguments::{HTTPS, NO_SYNC};
use crate::aws::Account;
use crate::aws::security_group_rules::{Claimed, Direction, Ensured, GroupId, Observed, Removed};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;

/// How many rules a warning lists.
const MOST: usize = 10;

/// How long a call may take that only makes a warning better.
const ADVICE: Duration = Duration::from_secs(2);

/// One line a rule: `sgr-… ingress/neosync 10.0.0.1/32, owner neosync/dev`.
fn listed(rules: &[Claimed]) -> String {
    let line = |rule: &Claimed| {
        let label = rule.label.clone().unwrap_or_else(|| rule.key.direction.to_string());
        let owners: Vec<&str> = rule.marks.iter().map(|mark| mark.owner.as_str()).collect();
        let owners = if owners.is_empty() { "no owner".to_owned() } else { format!("owner {}", owners.join(", ")) };
        format!("\n  {} {label} {}, {owners}", rule.rule_id, rule.key.peer)
    };
    let more = if rules.len() > MOST { format!("\n  and {} more", rules.len() - MOST) } else { String::new() };
    rules.iter().take(MOST).map(line).collect::<String>() + &more
}

/// After a create: what it took over, and what it knows nothing of.
pub(super) fn ensured(group: &GroupId, ensured: &Ensured) -> Diagnostics {
    let mut warnings = strangers(group, &ensured.strangers);
    if !ensured.succeeded.is_empty() {
        let detail = format!(
            "Another object of the same `owner` had them: one that this one replaces, or whose state was lost. If it is another configuration \
             that uses the same name, both now take the rules from each other: give one of them a name of its own.\n{}",
            listed(&ensured.succeeded)
        );
        warnings.warning(AttributePath::of("owner"), "Rules of the same owner were taken over", detail);
    }
    warnings
}

/// After an update: recorded rules that somebody took the marks from.
pub(super) fn unmarked(ensured: &Ensured) -> Diagnostics {
    let mut warnings = Diagnostics::new();
    if !ensured.unmarked.is_empty() {
        let detail =
            format!("They bear no mark any more, so nobody knows who else uses them. Remove them by hand.\n{}", listed(&ensured.unmarked));
        warnings.warning(AttributePath::of("security_group_id"), "Rules stay, because their marks are gone", detail);
    }
    warnings
}

/// Marked rules whose owners this run knows nothing of.
fn strangers(group: &GroupId, strangers: &[Claimed]) -> Diagnostics {
    let mut warnings = Diagnostics::new();
    let Some(owner) = strangers.iter().flat_map(|rule| &rule.marks).map(|mark| &mark.owner).next() else { return warnings };
    warnings.warning(
        AttributePath::of("security_group_id"),
        "The group has rules of other owners",
        format!(
            "Other resources may use them, in this state or in another: then all is well. Only if no resource has such an `owner`, because its \
             creation was interrupted or its state was lost, nothing else removes them:\n{}\n\nOnce that is certain, they are removed by their \
             owner:\n\n  bastion leftovers {group} --owner {owner} --remove",
            listed(strangers)
        ),
    );
    warnings
}

/// After a destroy: what stays, what was closed, and that there was nothing.
pub(super) async fn removed(account: &Account, group: &GroupId, removed: &Removed) -> Diagnostics {
    let mut warnings = Diagnostics::new();
    let at = || AttributePath::of("security_group_id");
    if removed.group_missing {
        let region = account.region().await.unwrap_or_default();
        let asked = tokio::time::timeout(ADVICE, account.account_id()).await.ok().flatten();
        let whose = asked.map_or_else(|| "the account in use".to_owned(), |account| format!("account {account}"));
        let detail = format!(
            "EC2 knows no {group} in region {region} of {whose}, so there was nothing to remove. If the group is elsewhere, its rules are \
             still there, and Terraform does not know them any more."
        );
        warnings.warning(at(), "The security group does not exist", detail);
    }
    if !removed.kept.is_empty() {
        let detail = format!("Other owners claim them; the last one to leave a rule removes it:\n{}", listed(&removed.kept));
        warnings.warning(at(), "Rules stay, because others use them", detail);
    }
    if !removed.superseded.is_empty() {
        let detail = format!(
            "They were recorded as this resource's. By now they bear the marks of others, another owner or a newer object of the same one; or no \
             mark at all, and then nobody knows who else uses them: remove those by hand.\n{}",
            listed(&removed.superseded)
        );
        warnings.warning(at(), "Rules stay, because they do not bear this resource's mark", detail);
    }
    if removed.closed_egress(HTTPS) {
        let detail = "The last rule of the group that let TCP to port 443 out was removed. A bastion that syncs its keys from a bucket gets none without it; and \
                      the sync job of Guimove's module takes a listing that fails for an empty one: it deletes every login.";
        warnings.warning(AttributePath::of("egress"), NO_SYNC, detail);
    }
    warnings
}

/// What an import means for what is there.
pub(super) fn imported(observed: &Observed) -> Diagnostics {
    let mut warnings = Diagnostics::new();
    let count = |direction: Direction| observed.held.iter().filter(|held| held.label.starts_with(direction.name())).count();
    warnings.warning(
        AttributePath::root(),
        "Rules were taken over",
        format!(
            "{} ingress and {} egress rules belong to this resource now: what of them is not in the configuration, the next apply removes. \
             Read the plan first. Of a group with marked rules, those of one owner are taken over; of one without any, all ingress rules.",
            count(Direction::Ingress),
            count(Direction::Egress)
        ),
    );
    warnings
}
