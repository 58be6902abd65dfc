//! Rotations of generated keys: their number, and how long the key before the last one stays authorised.

use super::{KeyPairs, Model};
use crate::key::{KeysVersion, PublicKey};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::Attr;

/// Where `rotation` starts when it is not given.
const FIRST: i64 = 1;
/// `phase` where the two keys of the pairs are all there are.
const STEADY: &str = "steady";
/// `phase` where the key before the last rotation is authorised too.
const KEPT: &str = "previous kept";

pub(super) fn validate(pairs: &KeyPairs, diagnostics: &mut Diagnostics) {
    if pairs.rotation.known().is_some_and(|rotation| *rotation < FIRST) {
        diagnostics.error(at("rotation"), "The rotation is too low", "It starts at 1 and is raised to rotate.");
    }
    if pairs.retire.known().is_some_and(|retire| *retire < FIRST) {
        diagnostics.error(at("retire"), "There is no such rotation", "Rotations are counted from 1.");
    }
}

/// The rotation that is in force.
pub(super) fn number(pairs: &KeyPairs) -> i64 {
    pairs.rotation.known().copied().unwrap_or(FIRST)
}

/// Whether keys from before a rotation are to be given up; `None` where that is unknown.
fn gives_up(pairs: &KeyPairs, before: i64) -> Option<bool> {
    match (&pairs.keep_previous, &pairs.retire) {
        (Attr::Null | Attr::Known(false), _) => Some(true),
        (_, Attr::Known(retire)) if *retire >= before => Some(true),
        (Attr::Unknown, _) | (_, Attr::Unknown) => None,
        (Attr::Known(true), _) => Some(false),
    }
}

/// The public half of the key before the last rotation once the change is made, or `Null` where none is kept. Its private half is not: the
/// system that goes on with it has it.
pub(super) fn previous(prior: Option<&Model>, pairs: &KeyPairs) -> Result<Attr<String>, Diagnostics> {
    let before = prior.and_then(|prior| Some((prior, prior.key_pairs.known()?)));
    refuse_ahead(before.map(|(_, before)| before), pairs)?;
    let Some((prior, before)) = before else { return Ok(Attr::Null) };
    let (kept, old, new) = (&prior.previous_public_key, number(before), number(pairs));
    let hold = |key: &Attr<String>, gives_up: Option<bool>| match gives_up {
        _ if key.is_null() => Attr::Null,
        Some(true) => Attr::Null,
        Some(false) => key.clone(),
        None => Attr::Unknown,
    };
    if pairs.rotation.is_unknown() {
        let none = pairs.keep_previous.is_null() || pairs.keep_previous == Attr::Known(false);
        return Ok(if none { Attr::Null } else { Attr::Unknown });
    }
    // One that was lowered gives up nothing: it is warned that the keys stay.
    if new < old {
        return Ok(kept.clone());
    }
    if new == old {
        return Ok(hold(kept, gives_up(pairs, new)));
    }
    if !kept.is_null() {
        match gives_up(pairs, old) {
            Some(true) => {}
            Some(false) => return Err(still_kept(prior, old)),
            None => return Ok(Attr::Unknown),
        }
    }
    if pairs.keep_previous == Attr::Known(true) && pairs.retire.known().is_some_and(|retire| *retire >= new) {
        return Err(at_once(new));
    }
    Ok(hold(&prior.public_key_1, gives_up(pairs, new)))
}

/// A number that no rotation has reached would give up the key of the next one, which it was not written for.
fn refuse_ahead(before: Option<&KeyPairs>, pairs: &KeyPairs) -> Result<(), Diagnostics> {
    // A rotation that was lowered by mistake is warned of, and must not stop a destroy.
    let stands = before.is_some_and(|before| before.retire == pairs.retire);
    match pairs.retire.known() {
        Some(retire) if !stands && !pairs.rotation.is_unknown() && *retire > number(pairs) => {
            let detail = format!("It is {retire}, and `rotation` is {}. Give the number of a rotation that has been made.", number(pairs));
            Err(refused("retire", "No such rotation has been made", detail))
        }
        _ => Ok(()),
    }
}

fn still_kept(prior: &Model, old: i64) -> Diagnostics {
    let key = prior.previous_fingerprint.known().map_or("", String::as_str);
    let detail = format!(
        "The key from before rotation {old}, {key}, is authorised for a system that still logs in with it, and one previous key is kept at the \
         most: a rotation now would lock that system out. Move it to a newer key, then set `retire = {old}`. To give the key up regardless, \
         leave `keep_previous` out of this rotation."
    );
    refused("rotation", "The previous key is still kept", detail)
}

fn at_once(new: i64) -> Diagnostics {
    let detail = format!(
        "`keep_previous` keeps the previous key beyond rotation {new}, and `retire = {new}` gives it up in the same apply. Rotate first, move \
         the systems that log in with it, and raise `retire` in an apply of its own. To rotate without keeping it, leave `keep_previous` out."
    );
    refused("retire", "The previous key is kept and retired at once", detail)
}

fn refused(attribute: &str, summary: &str, detail: String) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    diagnostics.error(at(attribute), summary, detail);
    diagnostics
}

/// An attribute of `key_pairs`.
pub(super) fn at(attribute: &str) -> AttributePath {
    AttributePath::of("key_pairs").attribute(attribute)
}

impl Model {
    /// Says where a rotation stands, and what the standby key is asked for by.
    pub(super) fn tell_phase(&mut self) {
        let fingerprint = |key: String| key.parse().map_or_else(|_| String::new(), |key: PublicKey| key.fingerprint());
        self.previous_fingerprint = self.previous_public_key.clone().map(fingerprint);
        self.phase = match (&self.key_pairs, &self.previous_public_key) {
            (Attr::Null, _) => Attr::Null,
            (Attr::Known(_), Attr::Null) => Attr::Known(STEADY.to_owned()),
            (Attr::Known(_), Attr::Known(_)) => Attr::Known(KEPT.to_owned()),
            _ => Attr::Unknown,
        };
        self.keys_version = match (&self.user, &self.public_key_2) {
            (_, Attr::Null) => Attr::Null,
            (Attr::Known(user), Attr::Known(key)) => match key.parse::<PublicKey>() {
                Ok(canary) => Attr::Known(KeysVersion { user: user.clone(), canary }.to_string()),
                Err(_) => Attr::Null,
            },
            _ => Attr::Unknown,
        };
    }
}
