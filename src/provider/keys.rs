//! `keys`: the version of the bastion's key object that a path is to be walked with.

use crate::key::KeysVersion;
use crate::path::route::Hop;
use crate::provider::tunnel::sentence;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::Attr;
use crate::tfplugin::schema::{Attribute, dynamic};
use crate::tfplugin::value::Value;

/// The argument.
pub(super) fn attribute() -> Attribute {
    Attribute::optional(
        "keys",
        dynamic(),
        "`version` of the `bastion_authorized_keys` of the tunnel's login, or a list of several, each for the hop with its login: the path \
         counts only once the bastion works with that version. Where no object has a canary, `keys_version` of the tunnel stands in: it asks for \
         the standby key. Without it, an earlier version that still lets the key in is not told apart.",
    )
}

/// What is wrong with it; what is not known yet is not judged.
pub(super) fn judge(keys: &Attr<Value>, hop: Option<&Hop>, diagnostics: &mut Diagnostics) {
    let versions = versions(keys, diagnostics).unwrap_or_default();
    let (Some(hop), at) = (hop, AttributePath::of("keys")) else { return };
    let user = hop.user.as_deref().unwrap_or_default();
    if let Some(stranger) = versions.iter().find(|version| version.user != user) {
        let detail =
            format!("It is of the login `{}`, and the tunnel's is `{user}`: give the version of that login's keys.", stranger.user);
        diagnostics.error(at, "The version is that of another login", detail);
    } else if versions.iter().any(|version| versions.first() != Some(version)) {
        let detail = format!("Both are of the login `{user}`, which has one object on one bastion.");
        diagnostics.error(at, "Two versions are given for one login", detail);
    }
}

/// The hop, to be seen to work with its version.
pub(super) fn demand(keys: &Attr<Value>, hop: Hop, diagnostics: &mut Diagnostics) -> Hop {
    let versions = versions(keys, diagnostics).unwrap_or_default();
    let version = versions.into_iter().find(|version| Some(&version.user) == hop.user.as_ref());
    Hop { canary: version.map(|version| version.canary), ..hop }
}

/// One or a list of them; none while one is unknown.
fn versions(keys: &Attr<Value>, diagnostics: &mut Diagnostics) -> Option<Vec<KeysVersion>> {
    let mut versions = Vec::new();
    for text in texts(keys.known()?)? {
        match text.map(|text| text.parse::<KeysVersion>()) {
            Some(Ok(version)) => versions.push(version),
            Some(Err(error)) => diagnostics.error(AttributePath::of("keys"), "This is not a version of a login's keys", sentence(&error)),
            None => diagnostics.error(
                AttributePath::of("keys"),
                "This is not a version of a login's keys",
                "Give `version` of a bastion_authorized_keys, or a list of such. It is null where the object has no canary.",
            ),
        }
    }
    Some(versions)
}

/// The texts in a value of any type; `None` for what is none. The outer one while anything is unknown.
fn texts(value: &Value) -> Option<Vec<Option<&str>>> {
    match value {
        Value::Dynamic(typed) => texts(&typed.1),
        Value::Unknown(_) => None,
        Value::Null => Some(Vec::new()),
        Value::String(text) => Some(vec![Some(text)]),
        Value::List(elements) => {
            let each = elements.iter().map(|element| match element {
                Value::Unknown(_) => None,
                Value::String(text) => Some(Some(text.as_str())),
                _ => Some(None),
            });
            each.collect()
        }
        _ => Some(vec![None]),
    }
}
