//! What is kept beside the state: how the object was encrypted when it was written, and how it was found since.

use serde_json::{Value, json};

use super::bytes;
use crate::aws::authorized_keys::Seen;
use crate::tfplugin::kind::Private;

/// Encryptions, as `aws:kms arn:…`. A bastion cannot read an object under another key than its own, and nothing says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    written: Option<String>,
    found: Option<String>,
}

impl Memory {
    /// Just written.
    pub(super) fn written(seen: &Seen) -> Self {
        Self { written: Some(encryption(seen)), found: None }
    }

    /// Reads it back; what cannot be read is forgotten.
    pub(super) fn of(private: &Private) -> Self {
        let value: Value = serde_json::from_slice(&private.0).unwrap_or_default();
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        Self { written: text("written"), found: text("found") }
    }

    /// Notes what is there now, and tells whether that is another encryption than was written.
    pub(super) fn found(&mut self, seen: &Seen) -> bool {
        let now = encryption(seen);
        self.found = self.written.as_ref().is_some_and(|written| *written != now).then_some(now);
        self.found.is_some()
    }

    /// Whether somebody else encrypted the object anew.
    pub(super) const fn drifted(&self) -> bool {
        self.found.is_some()
    }

    pub(super) fn keep(&self) -> Private {
        bytes(json!({ "written": self.written, "found": self.found }).to_string())
    }
}

fn encryption(seen: &Seen) -> String {
    format!("{} {}", seen.encryption, seen.kms_key.as_deref().unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::authorized_keys::Mark;

    fn seen(kms_key: Option<&str>) -> Seen {
        let encryption = if kms_key.is_some() { "aws:kms" } else { "AES256" }.to_owned();
        Seen { etag: "1".to_owned(), version_id: None, encryption, kms_key: kms_key.map(ToOwned::to_owned), mark: Mark::Ours }
    }

    #[test]
    fn another_encryption_is_remembered_until_it_is_written_again() {
        let mut memory = Memory::of(&Memory::written(&seen(Some("a"))).keep());
        assert!(!memory.found(&seen(Some("a"))) && !memory.drifted());
        assert!(memory.found(&seen(Some("b"))));
        assert!(Memory::of(&memory.keep()).drifted());
        assert!(memory.found(&seen(None)));
        assert!(!memory.found(&seen(Some("a"))), "it was put back");
        assert!(!Memory::of(&Private(b"junk".to_vec())).found(&seen(None)), "what was never noted cannot differ");
    }
}
