//! What is said of an object that was left, or could not be.

use std::collections::BTreeSet;

use super::{Model, at};
use crate::aws::authorized_keys::{AuthorizedKeys, Left, Leftover};
use crate::path::refusal::Refusal;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;

/// How many objects, and owners, a message names: a bucket may be full of them.
const MOST_NAMED: usize = 5;

/// What is to be said of the object that was left.
pub(super) fn told(model: &Model, left: &Left) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let (object, bucket) = (model.id.known().map_or("", String::as_str), model.bucket.known().map_or("", String::as_str));
    match left {
        Left::Shared(owners) if !owners.is_empty() => {
            let names: Vec<_> = owners.iter().map(|owner| format!("`{owner}`")).collect();
            let commands: Vec<_> = owners.iter().map(|owner| format!("  bastion leftovers {bucket} --owner {owner} --remove")).collect();
            diagnostics.warning(
                AttributePath::root(),
                "The object stays, because others claim it",
                format!(
                    "`{object}` is still claimed by {}. An owner that no state knows any more was left by a run that was killed; it is \
                     removed with\n\n{}",
                    names.join(", "),
                    commands.join("\n"),
                ),
            );
        }
        Left::Foreign => diagnostics.warning(
            AttributePath::root(),
            "The object is not this resource's any more",
            format!("Somebody else has written `{object}` since. It was left as it is."),
        ),
        Left::Gone | Left::HandedOver | Left::Shared(_) => {}
    }
    diagnostics
}

/// What is to be said of an object of this very resource under another login, which a run left that was killed while the login moved.
pub(super) fn stray(object: &AuthorizedKeys) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let detail = format!(
        "`{}` bore this resource's claim: a run was killed while the login moved there, or from there. The claim was taken off, and the object \
         with it, unless others claim it too.",
        object.place()
    );
    diagnostics.warning(AttributePath::of("user"), "Another login of this resource was removed too", detail);
    diagnostics
}

/// What is to be said of an object that another one of the same owner had.
pub(super) fn succeeded(model: &Model) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let detail = format!(
        "`{}` was claimed by another object of the same `owner`: one that this one replaces, or whose state was lost. If it is another \
         configuration that uses the same name, both now take the login from each other: give one of them a name of its own.",
        model.id.known().map_or("", String::as_str)
    );
    diagnostics.warning(AttributePath::of("owner"), "The object of the same owner was taken over", detail);
    diagnostics
}

/// What is to be said of other logins that one of the keys opens too.
pub(super) fn namesakes(model: &Model, others: &[Leftover]) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    if others.is_empty() {
        return diagnostics;
    }
    let bucket = model.bucket.known().map_or("", String::as_str);
    let told = others.iter().take(MOST_NAMED).map(|other| format!("`{}`, claimed by {}", other.key, other.claims));
    let owners: BTreeSet<_> = others.iter().flat_map(|other| other.claims.owners()).collect();
    let commands = owners.iter().take(MOST_NAMED).map(|owner| format!("  bastion leftovers {bucket} --owner {owner} --remove"));
    let detail = format!(
        "Other objects of the bucket let the same key in, for owners that this run knows nothing of: {}. Where that is what another \
         configuration wants, all is well. What was left by a run that was killed is removed with\n\n{}",
        told.collect::<Vec<_>>().join("; "),
        commands.collect::<Vec<_>>().join("\n"),
    );
    diagnostics.warning(AttributePath::of("public_keys"), "A key opens other logins too", detail);
    diagnostics
}

/// What is to be said of an object that could not be left.
pub(super) fn left_behind(prior: &Model, refusal: &Refusal) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let object = prior.id.known().map_or("", String::as_str);
    diagnostics.error(
        at(refusal),
        "The old object could not be removed",
        format!(
            "The new one is in place. The old one, `{object}`, is no longer in Terraform's state, and nothing else takes its claim off: where \
             no other owner stands in its text, remove it by hand, `aws s3 rm s3://{object}`.\n\n{refusal}"
        ),
    );
    diagnostics
}

/// What is given up with the canary.
pub(super) fn no_canary() -> Diagnostics {
    let mut warnings = Diagnostics::new();
    warnings.warning(
        AttributePath::of("canary"),
        "A change of this object cannot be seen to arrive",
        "Without its canary nothing tells whether the bastion works with these lines or with earlier ones. A connection is then proven with \
         whatever version still lets its key in.",
    );
    warnings
}
