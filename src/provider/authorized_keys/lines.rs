//! The arguments that become the lines of the object's text.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;
use std::time::SystemTime;

use super::Model;
use crate::aws::authorized_keys::{Content, ContentError};
use crate::cidr::CidrError;
use crate::key::{Expiry, LineOptions, PermitOpenError, PublicKey};
use crate::provider::tunnel::sentence;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::Attr;

/// The text, if all that it is made of is known and right; what is wrong is added to the diagnostics.
pub(super) fn content(config: &Model, diagnostics: &mut Diagnostics) -> Option<Content> {
    let at = AttributePath::of("public_keys");
    let keys =
        each::<PublicKey>(&config.public_keys, "public_keys", diagnostics, |_, error| ("A public key cannot be used", sentence(error)));
    let options = options(config, diagnostics);
    match Content::new(&keys?, &options?) {
        Ok(content) => Some(content),
        Err(error) => {
            let summary = match &error {
                ContentError::Empty => "No public key is given",
                ContentError::TooLong(_) => "The object would be too long",
            };
            diagnostics.error(at, summary, sentence(&error));
            None
        }
    }
}

fn options(config: &Model, diagnostics: &mut Diagnostics) -> Option<LineOptions> {
    let permit_open = optional(&config.permit_open, |set| {
        each(set, "permit_open", diagnostics, |_, error: &PermitOpenError| ("A target cannot be permitted", sentence(error)))
    });
    let from = optional(&config.from, |set| {
        each(set, "from", diagnostics, |text, error: &CidrError| ("sshd would not let this address in", format!("\"{text}\": {error}.")))
    });
    if config.from.known().is_some_and(BTreeSet::is_empty) {
        let detail = "An empty set would let nobody in. Name the addresses, or leave `from` out.";
        diagnostics.error(AttributePath::of("from"), "No address is let in", detail);
        return None;
    }
    let expires = optional(&config.expires, |expires| parsed(expires, "expires", "The time cannot be used", diagnostics));
    let comment = optional(&config.comment, |comment| parsed(comment, "comment", "The comment cannot be used", diagnostics));
    let from = from?.unwrap_or_default().into_iter().collect();
    Some(LineOptions { permit_open: permit_open?, from, expires: expires?, comment: comment? })
}

/// What is given, if it is; the outer `None` is for what is not known or wrong.
fn optional<T, P>(given: &Attr<T>, parse: impl FnOnce(&Attr<T>) -> Option<P>) -> Option<Option<P>> {
    if matches!(given, Attr::Null) { Some(None) } else { parse(given).map(Some) }
}

/// The elements of a set, if all are known and right.
fn each<T: FromStr<Err: Display>>(
    set: &Attr<BTreeSet<Attr<String>>>,
    name: &str,
    diagnostics: &mut Diagnostics,
    wrong: impl Fn(&str, &T::Err) -> (&'static str, String),
) -> Option<Vec<T>> {
    let elements = set.known()?;
    let mut parsed = Vec::new();
    let mut refuse = |summary: &str, detail: String| diagnostics.error(AttributePath::of(name), summary, detail);
    for element in elements {
        match element {
            Attr::Null => refuse("An element is null", format!("Each element of `{name}` is a text.")),
            Attr::Unknown => {}
            Attr::Known(text) => match text.parse() {
                Ok(element) => parsed.push(element),
                Err(error) => {
                    let (summary, detail) = wrong(text, &error);
                    refuse(summary, detail);
                }
            },
        }
    }
    (parsed.len() == elements.len()).then_some(parsed)
}

/// A text, parsed, if it is known and right.
pub(super) fn parsed<T: FromStr<Err: std::error::Error + 'static>>(
    value: &Attr<String>,
    name: &str,
    summary: &str,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let text = value.known()?;
    match text.parse() {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            diagnostics.error(AttributePath::of(name), summary, format!("\"{text}\": {error}."));
            None
        }
    }
}

/// A key that nobody can log in with any more is a path that cannot be proven.
pub(super) fn advise(config: &Model, diagnostics: &mut Diagnostics) {
    let expires = config.expires.known().and_then(|text| text.parse::<Expiry>().ok());
    if let Some(expires) = expires.filter(|expires| expires.has_passed(SystemTime::now())) {
        let detail = format!("sshd refuses the keys since {expires}. Give a later time, or leave `expires` out.");
        diagnostics.warning(AttributePath::of("expires"), "The keys have expired", detail);
    }
}
