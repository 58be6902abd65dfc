//! A key of the user's own: parsed, never kept.

use super::{Keys, Model, SuppliedKey};
use crate::key::{self, KeyError, PrivateKey};
use crate::provider::fault;
use crate::provider::keyring::Keyring;
use crate::provider::tunnel::sentence;
use crate::secret::Secret;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::Change;
use crate::tfplugin::model::Attr;

/// What is missing, by the configuration as it is written: a plan may see less of it, since `ignore_changes` takes secrets out.
pub(super) fn validate(key: &SuppliedKey, diagnostics: &mut Diagnostics) {
    if key.passphrase_wo.is_null() && key.private_key_wo.known().is_some_and(key::is_encrypted) {
        refuse(&KeyError::PassphraseMissing, diagnostics);
    }
}

/// What can be judged without deriving a key from a passphrase; the rest waits until the key is opened.
pub(super) fn judge(key: &SuppliedKey, diagnostics: &mut Diagnostics) {
    let Some(text) = key.private_key_wo.known().filter(|text| !key::is_encrypted(text)) else { return };
    if let Err(error) = PrivateKey::parse(text, None) {
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
fn keeps(prior: &Model, key: &SuppliedKey) -> bool {
    prior.supplied_key.known().is_some_and(|before| before.private_key_wo_version == key.private_key_wo_version)
}

pub(super) async fn plan(
    keyring: &Keyring,
    change: &Change<Model>,
    key: &SuppliedKey,
    warnings: &mut Diagnostics,
) -> Result<Keys, Diagnostics> {
    if let Some(prior) = change.prior.as_ref().filter(|prior| keeps(prior, key)) {
        warn_of_another(keyring, prior, key, warnings).await;
        return Ok(Keys::of(prior));
    }
    // Only the version tells whether the key in state is kept.
    let replaces = change.prior.as_ref().is_some_and(|prior| prior.supplied_key.known().is_some());
    let undecided = replaces && key.private_key_wo_version.is_unknown();
    match &key.private_key_wo {
        Attr::Known(text) if !(undecided || (key.passphrase_wo.is_unknown() && key::is_encrypted(text))) => open(keyring, text, key).await,
        _ => Ok(Keys {
            public: [Attr::Unknown, Attr::Null],
            fingerprints: [Attr::Unknown, Attr::Null],
            previous: Attr::Null,
            private_keys: [Attr::Null, Attr::Null],
        }),
    }
}

/// A key that is kept needs no passphrase: that it is another one shows without, where its format has the public half in clear.
async fn warn_of_another(keyring: &Keyring, prior: &Model, key: &SuppliedKey, warnings: &mut Diagnostics) {
    let Attr::Known(text) = &key.private_key_wo else { return };
    let public = match key::public_half(text) {
        Some(public) => Some(public),
        None => keyring.open(text, key.passphrase_wo.known()).await.ok().map(|key| key.public()),
    };
    if public.is_some_and(|public| prior.public_key_1.known() != Some(&public.to_string())) {
        warnings.warning(
            AttributePath::of("supplied_key").attribute("private_key_wo_version"),
            "The supplied key is another one than in state",
            "A write-only value counts as changed only when its version is raised: raise `private_key_wo_version` to take this key.",
        );
    }
}

pub(super) async fn make(keyring: &Keyring, prior: Option<&Model>, key: &SuppliedKey) -> Result<Keys, Diagnostics> {
    if let Some(prior) = prior.filter(|prior| keeps(prior, key)) {
        return Ok(Keys::of(prior));
    }
    match &key.private_key_wo {
        Attr::Known(text) => open(keyring, text, key).await,
        _ => Err(fault("apply was called without the supplied key")),
    }
}

async fn open(keyring: &Keyring, text: &Secret<String>, key: &SuppliedKey) -> Result<Keys, Diagnostics> {
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
        previous: Attr::Null,
        private_keys: [Attr::Null, Attr::Null],
    }
}
