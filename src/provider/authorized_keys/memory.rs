//! What is kept beside the state: how the object was written, and how it was found since.

use serde_json::{Value, json};

use super::{Model, bytes};
use crate::aws::authorized_keys::Seen;
use crate::tfplugin::kind::Private;

/// How the object was written, and how it was found since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// Encryptions, as `aws:kms arn:…`. A bastion cannot read an object under another key than its own, and nothing says so.
    written: Option<String>,
    found: Option<String>,
    /// ETag and version as they were last seen: others who join change them, and not what state says of the keys.
    seen: Option<(String, Option<String>)>,
    /// Whether `kms_key_id` was configured when it was written.
    pub(super) kms_given: bool,
    /// Whether our claim was found missing.
    pub(super) unclaimed: bool,
    /// Whether it was imported, and not written since.
    pub(super) imported: bool,
}

impl Memory {
    /// Just written.
    pub(super) fn written(seen: &Seen, kms_given: bool) -> Self {
        Self { kms_given, ..Self::first(seen) }
    }

    /// Just imported.
    pub(super) fn imported(seen: &Seen) -> Self {
        Self { imported: true, ..Self::first(seen) }
    }

    fn first(seen: &Seen) -> Self {
        Self { written: Some(encryption(seen)), seen: Some(version(seen)), ..Self::default() }
    }

    /// Reads it back; what cannot be read is forgotten.
    pub(super) fn of(private: &Private) -> Self {
        let value: Value = serde_json::from_slice(&private.0).unwrap_or_default();
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or_default();
        Self {
            written: text("written"),
            found: text("found"),
            seen: text("etag").map(|etag| (etag, text("version"))),
            kms_given: flag("kms_given"),
            unclaimed: flag("unclaimed"),
            imported: flag("imported"),
        }
    }

    /// Notes what is there now, and tells whether that is another encryption than was written.
    pub(super) fn found(&mut self, seen: &Seen) -> bool {
        let now = encryption(seen);
        self.found = self.written.as_ref().is_some_and(|written| *written != now).then_some(now);
        self.found.is_some()
    }

    /// Notes that it was looked at.
    pub(super) fn looked(&mut self, seen: &Seen) {
        let now = version(seen);
        // What somebody else wrote is not ours by the record of an import.
        self.imported &= self.seen.as_ref() == Some(&now);
        self.seen = Some(now);
    }

    /// Whether it was seen like this before.
    pub(super) fn knows(&self, state: &Model, seen: &Seen) -> bool {
        let in_state = || Some((state.etag.known()?.clone(), state.version_id.known().cloned()));
        self.seen.clone().or_else(in_state) == Some(version(seen))
    }

    /// The ETag that it was last seen with.
    pub(super) fn etag(&self) -> Option<&String> {
        self.seen.as_ref().map(|(etag, _)| etag)
    }

    /// Whether somebody else encrypted the object anew, or our claim is missing.
    pub(super) const fn drifted(&self) -> bool {
        self.found.is_some() || self.unclaimed
    }

    pub(super) fn keep(&self) -> Private {
        let (etag, version) = self.seen.clone().unzip();
        bytes(
            json!({
                "written": self.written,
                "found": self.found,
                "etag": etag,
                "version": version.flatten(),
                "kms_given": self.kms_given,
                "unclaimed": self.unclaimed,
                "imported": self.imported,
            })
            .to_string(),
        )
    }
}

fn encryption(seen: &Seen) -> String {
    format!("{} {}", seen.encryption, seen.kms_key.as_deref().unwrap_or("-"))
}

fn version(seen: &Seen) -> (String, Option<String>) {
    (seen.etag.clone(), seen.version_id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(kms_key: Option<&str>) -> Seen {
        let encryption = if kms_key.is_some() { "aws:kms" } else { "AES256" }.to_owned();
        Seen { etag: "1".to_owned(), version_id: None, encryption, kms_key: kms_key.map(ToOwned::to_owned), claims: None }
    }

    #[test]
    fn another_encryption_is_remembered_until_it_is_written_again() {
        let mut memory = Memory::of(&Memory::written(&seen(Some("a")), false).keep());
        assert!(!memory.found(&seen(Some("a"))) && !memory.drifted());
        assert!(memory.found(&seen(Some("b"))));
        assert!(Memory::of(&memory.keep()).drifted());
        assert!(memory.found(&seen(None)));
        assert!(!memory.found(&seen(Some("a"))), "it was put back");
        assert!(!Memory::of(&Private(b"junk".to_vec())).found(&seen(None)), "what was never noted cannot differ");
    }

    #[test]
    fn a_record_of_an_import_ends_with_the_next_write_of_anybody() {
        let (before, after) = (seen(None), Seen { etag: "2".to_owned(), ..seen(None) });
        let mut memory = Memory::of(&Memory::imported(&before).keep());
        memory.looked(&before);
        assert!(memory.imported && memory.knows(&Model::default(), &before) && !memory.knows(&Model::default(), &after));
        memory.looked(&after);
        assert!(!memory.imported && memory.knows(&Model::default(), &after) && memory.etag().unwrap() == "2");
        let state = Model { etag: crate::tfplugin::model::Attr::Known("1".to_owned()), ..Model::default() };
        assert!(Memory::of(&Private(b"{}".to_vec())).knows(&state, &before), "an earlier version noted it in state alone");
    }
}
