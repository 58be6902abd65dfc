//! What a plan and the state say of the object.

use std::collections::BTreeSet;

use super::Model;
use super::arguments::Arguments;
use super::memory::Memory;
use crate::aws::authorized_keys::{AuthorizedKeys, BucketName, Claim, Found, Held, ObjectKey, Seen};
use crate::aws::{Account, Owner};
use crate::key::{KeysVersion, LineOptions};
use crate::tfplugin::kind::Change;
use crate::tfplugin::model::Attr;

impl Model {
    /// The object that state speaks of.
    pub(super) fn object(&self, account: &Account) -> Option<AuthorizedKeys> {
        let bucket: BucketName = self.bucket.known()?.parse().ok()?;
        let key: ObjectKey = self.key.known()?.parse().ok()?;
        let owner = self.expected_bucket_owner.known().cloned();
        Some(AuthorizedKeys::new(account, bucket, key, None, owner))
    }

    /// What state has recorded of the object.
    pub(super) fn held(&self, memory: &Memory) -> Held {
        Held {
            etag: memory.etag().or(self.etag.known()).cloned().unwrap_or_default(),
            lines: self.authorized_keys.known().cloned(),
            claim: self.claim(),
            imported: memory.imported,
        }
    }

    /// The claim on it; an earlier version made none.
    pub(super) fn claim(&self) -> Option<Claim> {
        Some(Claim { owner: self.owner.known()?.parse().ok()?, id: self.claim_id.known()?.parse().ok()? })
    }

    /// Writes down what S3 says of the object.
    pub(super) fn note(&mut self, seen: &Seen) {
        self.etag = Attr::Known(seen.etag.clone());
        self.version_id = seen.version_id.clone().map_or(Attr::Null, Attr::Known);
    }

    /// Writes down what an object's text says, as arguments would.
    pub(super) fn take(&mut self, found: &Found) {
        fn set<T: ToString>(elements: impl IntoIterator<Item = T>) -> Attr<BTreeSet<Attr<String>>> {
            Attr::Known(elements.into_iter().map(|element| Attr::Known(element.to_string())).collect())
        }
        let LineOptions { permit_open, from, expires, comment } = &found.options;
        self.public_keys = set(&found.keys);
        self.permit_open = permit_open.as_ref().map_or(Attr::Null, set);
        self.from = if from.is_empty() { Attr::Null } else { set(from) };
        self.expires = expires.as_ref().map_or(Attr::Null, |expires| Attr::Known(expires.to_string()));
        self.comment = comment.as_ref().map_or(Attr::Null, |comment| Attr::Known(comment.to_string()));
        self.canary = if found.canary.is_some() { Attr::Known(true) } else { Attr::Null };
        let version = |canary| Some(KeysVersion { user: self.user.known()?.clone(), canary });
        self.version = found.canary.clone().and_then(version).map_or(Attr::Null, |version| Attr::Known(version.to_string()));
    }

    /// The text to be written, and what it is known by.
    pub(super) fn plan_text(&mut self, arguments: Option<&Arguments>) {
        self.authorized_keys = arguments.map_or(Attr::Unknown, |arguments| Attr::Known(arguments.content.as_str().to_owned()));
        self.version = match arguments {
            Some(arguments) => arguments.version().map_or(Attr::Null, |version| Attr::Known(version.to_string())),
            None if self.canary == Attr::Known(false) => Attr::Null,
            None => Attr::Unknown,
        };
    }

    /// Whether the object has to be written.
    pub(super) fn rewrites(&self, change: &Change<Self>, memory: &Memory) -> bool {
        let Some(prior) = &change.prior else { return true };
        let other_key = match &change.config.kms_key_id {
            Attr::Null => memory.kms_given,
            given => *given != prior.kms_key_id,
        };
        let other_text = self.authorized_keys != prior.authorized_keys;
        self.id != prior.id || other_text || self.owner != prior.owner || other_key || memory.drifted()
    }

    /// The claim to be written: what is known of it, and the rest drawn.
    pub(super) fn claim_or_draw(&self, owner: Option<Owner>) -> Option<Claim> {
        let drawn = Claim::draw(owner).ok()?;
        let id = self.claim_id.known().and_then(|id| id.parse().ok());
        Some(Claim { id: id.unwrap_or(drawn.id), owner: drawn.owner })
    }
}

/// The owner, as far as it is known. What was drawn is kept; a name that somebody gave is not, once it is removed.
pub(super) fn planned_owner(config: &Model, prior: Option<&Model>) -> Attr<String> {
    match (&config.owner, prior.map(|prior| &prior.owner)) {
        (Attr::Null, None) => Attr::Unknown,
        (Attr::Null, Some(Attr::Known(owner))) if !owner.parse::<Owner>().is_ok_and(|owner| owner.is_drawn()) => Attr::Unknown,
        (Attr::Null, Some(kept)) => kept.clone(),
        (given, _) => given.clone(),
    }
}
