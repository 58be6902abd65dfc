//! The arguments, parsed once: what cannot be meant is refused on its attribute, what is not known yet is not judged.

use std::collections::{BTreeMap, BTreeSet};

use super::Model;
use super::lines::{self, parsed};
use crate::aws::authorized_keys::{AuthorizedKeys, BastionUser, BucketName, Content, ObjectKey, PREFIX, Prefix, Seen};
use crate::aws::{Account, Owner};
use crate::key::{KeysVersion, PublicKey};
use crate::provider::tunnel::sentence;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::Attr;

/// All arguments, known and right.
pub(super) struct Arguments {
    bucket: BucketName,
    key: ObjectKey,
    kms_key_id: Option<String>,
    account_id: Option<String>,
    /// Given, or drawn before.
    pub(super) owner: Option<Owner>,
    pub(super) content: Content,
}

impl Arguments {
    /// The arguments, if all are known and right; what is wrong is added to the diagnostics.
    pub(super) fn parse(config: &Model, diagnostics: &mut Diagnostics) -> Option<Self> {
        let bucket = parsed(&config.bucket, "bucket", "The bucket's name cannot be used", diagnostics);
        let user = parsed::<BastionUser>(&config.user, "user", "The bastion would not make this login", diagnostics);
        let prefix_given = config.prefix.clone().or(PREFIX.to_owned());
        let prefix = parsed::<Prefix>(&prefix_given, "prefix", "The bastion would not look there", diagnostics);
        let kms_key_id = kms_key_id(&config.kms_key_id, diagnostics);
        let account_id = account_id(&config.expected_bucket_owner, diagnostics);
        let owner = match &config.owner {
            // Drawn when it is written.
            Attr::Null | Attr::Unknown => None,
            given => Some(parsed::<Owner>(given, "owner", "The owner cannot be used", diagnostics)),
        };
        let content = lines::content(config, diagnostics);
        let key = match ObjectKey::new(prefix?, user?) {
            Ok(key) => key,
            Err(error) => {
                diagnostics.error(AttributePath::of("prefix"), "The object's key is too long", sentence(&error));
                return None;
            }
        };
        let owner = owner.map_or(Some(None), |given| given.map(Some));
        let (bucket, content) = (bucket?, content?);
        let content = match config.canary.clone().or(true) {
            Attr::Known(true) => content.with_canary(&format!("{bucket}/{key}")),
            Attr::Known(false) => content,
            Attr::Null | Attr::Unknown => return None,
        };
        Some(Self { bucket, key, kms_key_id: kms_key_id?, account_id: account_id?, owner: owner?, content })
    }

    /// What the text is known by.
    pub(super) fn version(&self) -> Option<KeysVersion> {
        let canary = self.content.canary()?.clone();
        Some(KeysVersion { user: self.user().to_owned(), canary })
    }

    pub(super) fn user(&self) -> &str {
        self.key.user().as_str()
    }

    pub(super) fn object(&self, account: &Account) -> AuthorizedKeys {
        AuthorizedKeys::new(account, self.bucket.clone(), self.key.clone(), self.kms_key_id.clone(), self.account_id.clone())
    }
}

/// Key and id of the object, as far as they are known.
pub(super) fn place(config: &Model) -> (Attr<String>, Attr<String>) {
    let prefix = config.prefix.clone().or(PREFIX.to_owned());
    match (&config.bucket, &config.user, &prefix) {
        (Attr::Known(bucket), Attr::Known(user), Attr::Known(prefix)) => {
            let key = format!("{prefix}{user}.pub");
            (Attr::Known(key.clone()), Attr::Known(format!("{bucket}/{key}")))
        }
        (_, Attr::Known(user), Attr::Known(prefix)) => (Attr::Known(format!("{prefix}{user}.pub")), Attr::Unknown),
        _ => (Attr::Unknown, Attr::Unknown),
    }
}

/// The outer `None` is for what is not known or wrong.
fn kms_key_id(value: &Attr<String>, diagnostics: &mut Diagnostics) -> Option<Option<String>> {
    let id = match value {
        Attr::Unknown => return None,
        Attr::Null => return Some(None),
        Attr::Known(id) => id,
    };
    let name = id.split_once(":kms:").filter(|(partition, _)| partition.starts_with("arn:aws")).map(|(_, rest)| rest);
    let name = name.map_or(Some(id.as_str()), |rest| rest.splitn(3, ':').nth(2).map(|name| name.strip_prefix("key/").unwrap_or(name)));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/'));
    let fits = name.is_some_and(|name| !name.is_empty() && plain(name) && (name.starts_with("alias/") || !name.contains('/')));
    if fits {
        return Some(Some(id.clone()));
    }
    let detail = format!("\"{id}\" is neither the id, the alias (`alias/…`) nor the ARN of a KMS key.");
    diagnostics.error(AttributePath::of("kms_key_id"), "The KMS key is not a KMS key", detail);
    None
}

/// The outer `None` is for what is not known or wrong.
fn account_id(value: &Attr<String>, diagnostics: &mut Diagnostics) -> Option<Option<String>> {
    let owner = match value {
        Attr::Unknown => return None,
        Attr::Null => return Some(None),
        Attr::Known(owner) => owner,
    };
    if owner.len() == 12 && owner.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Some(owner.clone()));
    }
    let detail = format!("\"{owner}\" is not an account id: twelve digits, in quotation marks, with leading zeros.");
    diagnostics.error(AttributePath::of("expected_bucket_owner"), "The bucket's owner is not an account", detail);
    None
}

/// What can be meant, and is probably not.
pub(super) fn advise(config: &Model, diagnostics: &mut Diagnostics) {
    lines::advise(config, diagnostics);
    if let Some(prefix) = config.prefix.known().filter(|prefix| *prefix != PREFIX) {
        diagnostics.warning(
            AttributePath::of("prefix"),
            "The bastion may not look there",
            format!("The sync job of Guimove's module lists `{PREFIX}` and nothing else; here the prefix is \"{prefix}\"."),
        );
    }
    for (first, second) in doubles(&config.public_keys) {
        diagnostics.warning(
            AttributePath::of("public_keys"),
            "A public key is given twice",
            format!("\"{first}\" and \"{second}\" are one key. It counts once."),
        );
    }
    if config.kms_key_id.known().is_some_and(|id| id.ends_with("alias/aws/s3")) {
        diagnostics.warning(
            AttributePath::of("kms_key_id"),
            "The bastion may not be able to read the object",
            "The role of Guimove's module may decrypt with the module's own key only, and `alias/aws/s3` is another. Leave `kms_key_id` out, or give module.bastion.bucket_kms_key_arn.",
        );
    }
}

/// Keys that are spelled in two ways, with both.
fn doubles(keys: &Attr<BTreeSet<Attr<String>>>) -> Vec<(&String, &String)> {
    let mut spelled = BTreeMap::new();
    let texts = keys.known().into_iter().flatten().filter_map(Attr::known);
    let parsed = texts.filter_map(|text| Some((text.parse::<PublicKey>().ok()?.to_string(), text)));
    parsed.filter_map(|(key, text)| spelled.insert(key, text).map(|first| (first, text))).collect()
}

/// A warning, if the given key is not the one that the bucket encrypts with by itself.
pub(super) async fn compare_keys(object: &AuthorizedKeys, given: Option<&str>, seen: &Seen) -> Option<Diagnostics> {
    let (given, used) = (given?, seen.kms_key.as_ref()?);
    let default = object.default_kms_key().await?;
    // An alias does not tell which key it is, and an id is the end of an ARN.
    if default.contains("alias/") || default == *used || used.ends_with(&format!("/{default}")) || default.ends_with(&format!("/{used}")) {
        return None;
    }
    let mut diagnostics = Diagnostics::new();
    diagnostics.warning(
        AttributePath::of("kms_key_id"),
        "The bastion may not be able to read the object",
        format!("It is encrypted with `{given}`, and the bucket's own key is `{default}`: the bastion of Guimove's module may decrypt with that one only, and says nothing when it cannot read."),
    );
    Some(diagnostics)
}

/// `bucket/key`
pub(super) fn import_id(id: &str) -> Result<(BucketName, ObjectKey), Diagnostics> {
    let parsed = id.split_once('/').ok_or_else(String::new).and_then(|(bucket, key)| {
        let bucket = bucket.parse::<BucketName>().map_err(|error| format!(" \"{bucket}\": {error}."))?;
        let key = key.parse::<ObjectKey>().map_err(|error| format!(" \"{key}\": {error}."))?;
        Ok((bucket, key))
    });
    parsed.map_err(|why| {
        let mut diagnostics = Diagnostics::new();
        let detail = format!("The id of an import is `bucket/key`, such as my-bastion/public-keys/neosync.pub.{why}");
        diagnostics.error(AttributePath::root(), "The id is not that of a login's object", detail);
        diagnostics
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn known(text: &str) -> Attr<String> {
        Attr::Known(text.to_owned())
    }

    fn set<const N: usize>(elements: [&str; N]) -> Attr<BTreeSet<Attr<String>>> {
        Attr::Known(elements.into_iter().map(known).collect())
    }

    fn model() -> Model {
        Model { bucket: known("my-bastion"), user: known("neosync"), public_keys: set([KEY]), ..Model::default() }
    }

    fn wrong(model: &Model) -> Vec<String> {
        let mut diagnostics = Diagnostics::new();
        let parsed = Arguments::parse(model, &mut diagnostics);
        assert_eq!(parsed.is_none(), diagnostics.has_errors());
        diagnostics.iter().map(|diagnostic| diagnostic.attribute.to_string()).collect()
    }

    #[test]
    fn what_cannot_be_meant_is_refused_on_its_attribute() {
        assert!(wrong(&model()).is_empty());
        assert_eq!(wrong(&Model { bucket: known("s3://x"), ..model() }), ["bucket"]);
        assert_eq!(wrong(&Model { user: known("mz_prod"), ..model() }), ["user"]);
        assert_eq!(wrong(&Model { prefix: known("/public-keys/"), ..model() }), ["prefix"]);
        assert_eq!(wrong(&Model { public_keys: set([]), ..model() }), ["public_keys"]);
        assert_eq!(wrong(&Model { public_keys: set(["junk"]), ..model() }), ["public_keys"]);
        assert_eq!(wrong(&Model { owner: known("a b"), ..model() }), ["owner"]);
        assert_eq!(wrong(&Model { permit_open: set(["db"]), ..model() }), ["permit_open"]);
        // An empty set permits nothing, which may be meant; one that lets nobody in is not.
        assert!(wrong(&Model { permit_open: set([]), ..model() }).is_empty());
        for from in [set([]), set(["10.0.0.1", "!10.0.0.1"]), set(["*.example.com"]), set(["10.1.2.3/8"]), set(["::ffff:10.0.0.1"])] {
            assert_eq!(wrong(&Model { from, ..model() }), ["from"]);
        }
        assert_eq!(wrong(&Model { expires: known("tomorrow"), ..model() }), ["expires"]);
        assert_eq!(wrong(&Model { comment: known("a\nb"), ..model() }), ["comment"]);
        assert_eq!(wrong(&Model { expected_bucket_owner: known("1"), ..model() }), ["expected_bucket_owner"]);
    }

    #[test]
    fn a_key_that_is_spelled_twice_counts_once_and_both_are_named() {
        let again = format!("{KEY} again");
        let twice = Model { public_keys: set([KEY, &again]), ..model() };
        assert!(wrong(&twice).is_empty());
        let mut diagnostics = Diagnostics::new();
        advise(&twice, &mut diagnostics);
        let [said] = diagnostics.iter().collect::<Vec<_>>()[..] else { panic!("{diagnostics:?}") };
        assert!(said.detail.contains(KEY) && said.detail.contains(&again), "{}", said.detail);
    }

    #[test]
    fn kms_keys_are_ids_aliases_and_arns() {
        let arn = "arn:aws:kms:us-west-2:123456789012:";
        for id in
            ["1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234", "alias/bastion", &format!("{arn}key/12-34"), &format!("{arn}alias/b")]
        {
            assert!(wrong(&Model { kms_key_id: known(id), ..model() }).is_empty(), "{id}");
        }
        for id in ["", "a b", "key/1", "arn:aws:s3:::bucket", arn, "alias/é"] {
            assert_eq!(wrong(&Model { kms_key_id: known(id), ..model() }), ["kms_key_id"], "{id}");
        }
    }

    #[test]
    fn what_is_not_known_yet_is_not_judged() {
        let mut diagnostics = Diagnostics::new();
        for unknown in [
            Model { bucket: Attr::Unknown, ..model() },
            Model { user: Attr::Unknown, ..model() },
            Model { public_keys: Attr::Known([Attr::Unknown].into()), ..model() },
            Model { permit_open: Attr::Unknown, ..model() },
            Model { from: Attr::Known([Attr::Unknown].into()), ..model() },
            Model { expires: Attr::Unknown, ..model() },
            Model { comment: Attr::Unknown, ..model() },
            Model { kms_key_id: Attr::Unknown, ..model() },
        ] {
            assert!(Arguments::parse(&unknown, &mut diagnostics).is_none());
        }
        assert_eq!(diagnostics, Diagnostics::new());
    }

    #[test]
    fn the_id_of_an_import_names_bucket_and_key() {
        let (bucket, key) = import_id("my-bastion/public-keys/neosync.pub").unwrap();
        assert_eq!((bucket.as_str(), key.user().as_str()), ("my-bastion", "neosync"));
        for id in ["", "my-bastion", "my-bastion/public-keys/root.pub", "my-bastion//public-keys/a.pub", "public-keys/neosync"] {
            assert!(import_id(id).is_err(), "{id}");
        }
        let refused = import_id("my-bastion/public-keys/neosync").unwrap_err();
        assert!(refused.iter().next().unwrap().detail.ends_with("ends in .pub: \"public-keys/neosync.pub\"."));
    }
}
