//! Generated key pairs: made, kept encrypted, rotated, given a new passphrase.

use super::rotation::{self, at, number};
use super::{KeyPairs, Keys, Model};
use crate::key::{self, PrivateKey, PublicKey};
use crate::provider::fault;
use crate::provider::keyring::Keyring;
use crate::secret::Secret;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::{Change, Kept, Private};
use crate::tfplugin::model::Attr;

pub(super) fn validate(pairs: &KeyPairs, diagnostics: &mut Diagnostics) {
    let plain = pairs.allow_plaintext_in_state.known() == Some(&true);
    if plain && !pairs.passphrase_wo.is_null() {
        diagnostics.error(
            at("allow_plaintext_in_state"),
            "Plain text and a passphrase are both asked for",
            "Give `passphrase_wo`, or `allow_plaintext_in_state = true`, not both.",
        );
    }
    if pairs.passphrase_wo.known().is_some_and(|passphrase| passphrase.expose().is_empty()) {
        diagnostics.error(at("passphrase_wo"), "The passphrase is empty", "An empty passphrase encrypts nothing.");
    }
    rotation::validate(pairs, diagnostics);
}

/// Keys that are made or encrypted anew need a passphrase, unless they are to be kept in plain text. Nothing else does: neither a plan that
/// leaves the keys alone, nor a destroy.
fn require_passphrase(pairs: &KeyPairs) -> Result<(), Diagnostics> {
    let plain = !matches!(pairs.allow_plaintext_in_state, Attr::Null | Attr::Known(false));
    if plain || !pairs.passphrase_wo.is_null() {
        return Ok(());
    }
    let mut diagnostics = Diagnostics::new();
    diagnostics.error(
        at("passphrase_wo"),
        "No passphrase for the private keys",
        "Private keys are kept in state only encrypted: give `passphrase_wo`. If state is protected otherwise, `allow_plaintext_in_state = true` keeps them in plain text.",
    );
    Err(diagnostics)
}

/// What a change does to the keys.
struct Intent {
    rotate: bool,
    re_encrypt: bool,
}

fn intent(prior: &Model, pairs: &KeyPairs) -> Intent {
    let before = prior.key_pairs.known();
    let plain = |pairs: &KeyPairs| pairs.allow_plaintext_in_state.known() == Some(&true);
    Intent {
        rotate: before.is_some_and(|before| number(pairs) > number(before)),
        // A version that is left out from now on says nothing of another passphrase.
        re_encrypt: before.is_some_and(|before| {
            let other = !pairs.passphrase_wo_version.is_null() && before.passphrase_wo_version != pairs.passphrase_wo_version;
            other || plain(before) != plain(pairs)
        }),
    }
}

/// The prior model, if its keys were generated too.
fn generated_before(prior: Option<&Model>) -> Option<(&Model, &Secret<String>)> {
    prior.and_then(|prior| prior.private_key.known().map(|key| (prior, key)))
}

pub(super) async fn plan(
    keyring: &Keyring,
    change: &Change<Model>,
    pairs: &KeyPairs,
    warnings: &mut Diagnostics,
) -> Result<Keys, Diagnostics> {
    let previous = rotation::previous(change.prior.as_ref(), pairs)?;
    let Some((prior, private_key)) = generated_before(change.prior.as_ref()) else {
        require_passphrase(pairs)?;
        return Ok(Keys { previous, ..Keys::unknown() });
    };
    if pairs.rotation.is_unknown() || pairs.passphrase_wo_version.is_unknown() || pairs.allow_plaintext_in_state.is_unknown() {
        return Ok(Keys { previous, ..Keys::unknown() });
    }
    if let Some(old) = prior.key_pairs.known().map(number)
        && number(pairs) < old
    {
        warnings.warning(
            at("rotation"),
            "The rotation was lowered",
            format!("It is {old} in state. Keys that were given up do not come back, so the keys stay as they are; raise it to rotate."),
        );
    }
    let intent = intent(prior, pairs);
    let mut keys = Keys { previous, ..Keys::of(prior) };
    // A passphrase is needed only to change what it encrypts: deriving a key takes some 100 ms, at each plan of each tunnel.
    if !intent.rotate && !intent.re_encrypt {
        return Ok(keys);
    }
    require_passphrase(pairs)?;
    check_passphrase(keyring, private_key, prior, pairs, &intent).await?;
    let standby = standby(prior, &change.private)?;
    if intent.rotate {
        keys.public = [prior.public_key_2.clone(), Attr::Unknown];
        keys.fingerprints = [prior.fingerprint_2.clone(), Attr::Unknown];
        keys.private_keys = [Attr::Known(standby), Attr::Unknown];
    }
    if intent.re_encrypt {
        keys.private_keys = [Attr::Unknown, Attr::Unknown];
    }
    Ok(keys)
}

/// Refuses a passphrase that does not open the key in state, on the argument that should.
async fn check_passphrase(
    keyring: &Keyring,
    private_key: &Secret<String>,
    prior: &Model,
    pairs: &KeyPairs,
    intent: &Intent,
) -> Result<(), Diagnostics> {
    if !key::is_encrypted(private_key) {
        return Ok(());
    }
    let (argument, passphrase) = opener(pairs, intent);
    let mut diagnostics = Diagnostics::new();
    match passphrase {
        Attr::Unknown => {}
        Attr::Null if intent.re_encrypt => diagnostics.error(
            at(argument),
            "The old passphrase is needed once more",
            format!(
                "The private keys in state are encrypted with the passphrase before. Give it as `previous_passphrase_wo` for this one apply; without it nothing is changed.\n\n{}",
                way_out(prior)
            ),
        ),
        Attr::Null => diagnostics.error(at(argument), "No passphrase for the private keys", "The private keys in state are encrypted: give their `passphrase_wo`."),
        Attr::Known(passphrase) => {
            if keyring.open(private_key, Some(passphrase)).await.is_err() {
                diagnostics.error(
                    at(argument),
                    "The passphrase is wrong",
                    format!(
                        "It does not open the private keys in state. To change the passphrase, raise `passphrase_wo_version` and give the old one once as `previous_passphrase_wo`.\n\n{}",
                        way_out(prior)
                    ),
                );
            }
        }
    }
    if diagnostics.has_errors() { Err(diagnostics) } else { Ok(()) }
}

/// What is left to do where nobody can decrypt the keys any more.
fn way_out(prior: &Model) -> String {
    let before = prior.key_pairs.known();
    let number = |number: Option<&i64>| number.map_or_else(|| "left out".to_owned(), ToString::to_string);
    let rotation = number(before.and_then(|pairs| pairs.rotation.known()));
    let version = number(before.and_then(|pairs| pairs.passphrase_wo_version.known()));
    format!(
        "If that is lost: set `key_pairs` back to what it was, `rotation` (in state: {rotation}), `passphrase_wo_version` (in state: {version}) and \
         `allow_plaintext_in_state` alike, and make new keys with `terraform apply -replace=ADDRESS`, which needs no old passphrase. Both \
         public keys change, so the login is out until the bastion has the new ones. `terraform destroy -refresh=false` needs none of this."
    )
}

/// The argument that has to open the keys in state.
const fn opener<'a>(pairs: &'a KeyPairs, intent: &Intent) -> (&'static str, &'a Attr<Secret<String>>) {
    if intent.re_encrypt { ("previous_passphrase_wo", &pairs.previous_passphrase_wo) } else { ("passphrase_wo", &pairs.passphrase_wo) }
}

pub(super) async fn make(keyring: &Keyring, prior: Option<&Model>, private: &Private, pairs: &KeyPairs) -> Result<Keys, Diagnostics> {
    let previous = rotation::previous(prior, pairs)?;
    let Some((prior, private_key)) = generated_before(prior) else {
        require_passphrase(pairs)?;
        return keep(generate()?, generate()?, pairs.passphrase_wo.known()).await;
    };
    let intent = intent(prior, pairs);
    let keys = if intent.rotate || intent.re_encrypt {
        remake(keyring, prior, private_key, private, pairs, &intent).await?
    } else {
        Keys::of(prior)
    };
    Ok(Keys { previous, ..keys })
}

/// Rotates, encrypts anew, or both.
async fn remake(
    keyring: &Keyring,
    prior: &Model,
    private_key: &Secret<String>,
    private: &Private,
    pairs: &KeyPairs,
    intent: &Intent,
) -> Result<Keys, Diagnostics> {
    let passphrase = pairs.passphrase_wo.known();
    require_passphrase(pairs)?;
    check_passphrase(keyring, private_key, prior, pairs, intent).await?;
    let (_, old) = opener(pairs, intent);
    let open = async |text: &Secret<String>| {
        keyring.open(text, old.known()).await.map_err(|error| fault(&format!("a private key in state cannot be opened: {error}")))
    };
    let standby = standby(prior, private)?;
    if !intent.re_encrypt {
        // The promoted key stays as it is encrypted: only the new one is written.
        let promoted = open(&standby).await?;
        let fresh = generate()?;
        let public = [promoted.public(), fresh.public()];
        return Ok(describe(public, [standby, seal(fresh, passphrase.cloned()).await?]));
    }
    let (first, second) = (open(private_key).await?, open(&standby).await?);
    if intent.rotate {
        keep((*second).clone(), generate()?, passphrase).await
    } else {
        keep((*first).clone(), (*second).clone(), passphrase).await
    }
}

async fn keep(first: PrivateKey, second: PrivateKey, passphrase: Option<&Secret<String>>) -> Result<Keys, Diagnostics> {
    let public = [first.public(), second.public()];
    Ok(describe(public, [seal(first, passphrase.cloned()).await?, seal(second, passphrase.cloned()).await?]))
}

fn describe(public: [PublicKey; 2], private_keys: [Secret<String>; 2]) -> Keys {
    Keys {
        fingerprints: public.each_ref().map(|key| Attr::Known(key.fingerprint())),
        public: public.map(|key| Attr::Known(key.to_string())),
        previous: Attr::Null,
        private_keys: private_keys.map(Attr::Known),
    }
}

fn generate() -> Result<PrivateKey, Diagnostics> {
    PrivateKey::generate_ed25519().map_err(|error| fault(&format!("no key could be generated: {error}")))
}

/// A private key as it is kept. Deriving the encryption key takes some 100 ms, so it does not run on the runtime's own thread.
async fn seal(key: PrivateKey, passphrase: Option<Secret<String>>) -> Result<Secret<String>, Diagnostics> {
    let sealed = tokio::task::spawn_blocking(move || match passphrase {
        Some(passphrase) => key.to_openssh_encrypted(&passphrase),
        None => key.to_openssh(),
    });
    match sealed.await {
        Ok(Ok(text)) => Ok(text),
        _ => Err(fault("a private key could not be written")),
    }
}

/// Earlier versions kept key 2 beside the state, where Terraform drops it when a provider dies in an update.
fn shelved(private: &Private) -> Option<Secret<String>> {
    let shelf: serde_json::Value = serde_json::from_slice(&private.0).ok()?;
    shelf.get("private_key_2").and_then(serde_json::Value::as_str).map(Secret::from)
}

/// Completes the state of an earlier version: puts a key 2 that is kept beside it into it, and says what follows from the rest.
pub(super) fn unshelve(mut kept: Kept<Model>) -> Kept<Model> {
    kept.model.tell_phase();
    if kept.model.private_key_2.is_null()
        && let Some(standby) = shelved(&kept.private)
    {
        kept.model.private_key_2 = Attr::Known(standby);
    }
    kept
}

fn standby(prior: &Model, private: &Private) -> Result<Secret<String>, Diagnostics> {
    prior.private_key_2.known().cloned().or_else(|| shelved(private)).ok_or_else(|| {
        let mut diagnostics = Diagnostics::new();
        let detail = format!(
            "Its private half is missing from this resource's state, so it cannot be promoted or encrypted anew. Restore the state from a backup.\n\n{}",
            way_out(prior)
        );
        diagnostics.error(at("rotation"), "Key 2 is not in state", detail);
        diagnostics
    })
}
