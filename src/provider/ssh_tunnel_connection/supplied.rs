//! A key of the user's own: parsed, never kept.

use super::{Keys, Model, SuppliedKey};
use crate::key::{self, KeyError, PrivateKey};
use crate::provider::fault;
use crate::provider::keyring::Keyring;
use crate::provider::tunnel::sentence;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::{Change, Private};
use crate::tfplugin::model::Attr;

/// What can be judged without deriving a key from a passphrase; the rest waits for the plan.
pub(super) fn validate(key: &SuppliedKey, diagnostics: &mut Diagnostics) {
    let Attr::Known(text) = &key.private_key_wo else { return };
    let judged = match (&key.passphrase_wo, key::is_encrypted(text)) {
        (Attr::Unknown | Attr::Known(_), true) => return,
        _ => PrivateKey::parse(text, None),
    };
    if let Err(error) = judged {
        refuse(&error, diagnostics);
    }
}

/// A key that cannot be used, on the argument to look at.
fn refuse(error: &KeyError, diagnostics: &mut Diagnostics) {
    let (attribute, summary) = match error {
        KeyError::PassphraseMissing => ("passphrase_wo", "The private key is encrypted"),
        KeyError::WrongPassphrase => ("passphrase_wo", "The passphrase is wrong"),
        _ => ("private_key_wo", "The private key cannot be used"),
    };
    diagnostics.error(AttributePath::of("supplied_key").attribute(attribute), summary, sentence(error));
}

/// Whether the key in state is to be kept: the version tells, not the write-only value.
fn keeps(prior: Option<&Model>, key: &SuppliedKey) -> bool {
    let before = prior.and_then(|prior| prior.supplied_key.known());
    before.is_some_and(|before| before.private_key_wo_version == key.private_key_wo_version)
}

pub(super) async fn plan(
    keyring: &Keyring,
    change: &Change<Model>,
    key: &SuppliedKey,
    warnings: &mut Diagnostics,
) -> Result<Keys, Diagnostics> {
    let given = match (&key.private_key_wo, &key.passphrase_wo) {
        (Attr::Known(text), passphrase) if !(passphrase.is_unknown() && key::is_encrypted(text)) => {
            let opened = keyring.open(text, passphrase.known()).await;
            Some(opened.map_err(|error| {
                let mut diagnostics = Diagnostics::new();
                refuse(&error, &mut diagnostics);
                diagnostics
            })?)
        }
        _ => None,
    };
    if let Some(prior) = change.prior.as_ref().filter(|prior| keeps(Some(prior), key)) {
        let public = given.as_ref().map(|given| given.public().to_string());
        if public.is_some() && prior.public_key_1.known() != public.as_ref() {
            warnings.warning(
                AttributePath::of("supplied_key").attribute("private_key_wo_version"),
                "The supplied key is another one than in state",
                "A write-only value counts as changed only when its version is raised: raise `private_key_wo_version` to take this key.",
            );
        }
        return Ok(Keys::of(prior, &change.private));
    }
    Ok(given.map_or_else(
        || Keys {
            public: [Attr::Unknown, Attr::Null],
            fingerprints: [Attr::Unknown, Attr::Null],
            private_key: Attr::Null,
            private: Private::default(),
        },
        |given| describe(&given),
    ))
}

pub(super) async fn make(
    keyring: &Keyring,
    prior: Option<&Model>,
    private: &Private,
    _planned: &Model,
    key: &SuppliedKey,
) -> Result<Keys, Diagnostics> {
    if let Some(prior) = prior.filter(|prior| keeps(Some(prior), key)) {
        return Ok(Keys::of(prior, private));
    }
    let Attr::Known(text) = &key.private_key_wo else {
        return Err(fault("apply was called without the supplied key"));
    };
    match keyring.open(text, key.passphrase_wo.known()).await {
        Ok(given) => Ok(describe(&given)),
        Err(error) => {
            let mut diagnostics = Diagnostics::new();
            refuse(&error, &mut diagnostics);
            Err(diagnostics)
        }
    }
}

fn describe(key: &PrivateKey) -> Keys {
    let public = key.public();
    Keys {
        public: [Attr::Known(public.to_string()), Attr::Null],
        fingerprints: [Attr::Known(public.fingerprint()), Attr::Null],
        private_key: Attr::Null,
        private: Private::default(),
    }
}
