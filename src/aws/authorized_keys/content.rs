//! The text of a login's object: one line for each key, and never none.

use std::collections::{BTreeMap, BTreeSet};

use super::object::LONGEST;
use crate::key::{PermitOpenError, PublicKey, authorized_keys_line, canary};

/// The longest text, in bytes: what is read back, less some 160 claims.
const LONGEST_LINES: usize = LONGEST - 16 * 1024;

/// Why there can be no such text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// It would be empty.
    #[error("an empty object would make the bastion delete the login; give at least one key")]
    Empty,
    /// It could not be read back.
    #[error("the object would have {0} bytes, and {LONGEST_LINES} are the most; give fewer keys or targets")]
    TooLong(usize),
    /// A target that sshd would not understand.
    #[error(transparent)]
    PermitOpen(#[from] PermitOpenError),
}

/// What may be done with a canary: nothing, if anybody could log in with it.
const CANARY: &str = "restrict";

/// The whole authorized_keys file of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    text: String,
    canary: Option<PublicKey>,
}

impl Content {
    /// One line for each key, `restrict,port-forwarding[,permitopen="…"]… type base64`, in an order of its own: the order of a set means
    /// nothing, and a key that is given twice counts once. Without a target any may be forwarded to.
    ///
    /// # Errors
    ///
    /// No key, too long a text, or a target that is not `host:port`.
    pub fn new(keys: &[PublicKey], permit_open: &BTreeSet<String>) -> Result<Self, ContentError> {
        let targets: Vec<String> = permit_open.iter().cloned().collect();
        let mut lines = BTreeMap::new();
        for key in keys {
            lines.insert(key.to_string(), authorized_keys_line(key, &targets, "")? + "\n");
        }
        let text: String = lines.into_values().collect();
        match text.len() {
            0 => Err(ContentError::Empty),
            length if length > LONGEST_LINES => Err(ContentError::TooLong(length)),
            _ => Ok(Self { text, canary: None }),
        }
    }

    /// The same with one more line, the [`canary`] of the others at this place: `bucket/key`.
    #[must_use]
    pub fn with_canary(self, place: &str) -> Self {
        let canary = canary(place, &self.text);
        let line = canary.as_ref().map_or_else(String::new, |canary| format!("{CANARY} {canary}\n"));
        Self { text: self.text + &line, canary }
    }

    /// The key that tells that a bastion works with this text.
    #[must_use]
    pub const fn canary(&self) -> Option<&PublicKey> {
        self.canary.as_ref()
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// What a text says, if [`Content::new`] could have written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The keys.
    pub keys: Vec<PublicKey>,
    /// Where they may forward to; empty: anywhere.
    pub permit_open: BTreeSet<String>,
    /// The canary, of whatever text.
    pub canary: Option<PublicKey>,
}

impl Found {
    /// Reads a text back. None if it is of another form, or its lines differ in their targets.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut found: Option<Self> = None;
        let mut canary = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (options, key) = line.split_once(' ')?;
            let key = key.parse().ok()?;
            if options == CANARY && canary.is_none() {
                canary = Some(key);
                continue;
            }
            let permit_open = targets(options)?;
            let all = found.get_or_insert_with(|| Self { keys: Vec::new(), permit_open: permit_open.clone(), canary: None });
            if all.permit_open != permit_open {
                return None;
            }
            all.keys.push(key);
        }
        found.map(|found| Self { canary, ..found })
    }
}

/// The targets in a line's options, if it has none but ours.
fn targets(options: &str) -> Option<BTreeSet<String>> {
    let mut rest = options.strip_prefix("restrict,port-forwarding")?;
    let mut targets = BTreeSet::new();
    while !rest.is_empty() {
        let (target, more) = rest.strip_prefix(",permitopen=\"")?.split_once('"')?;
        targets.insert(target.to_owned());
        rest = more;
    }
    Some(targets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PrivateKey;

    #[test]
    fn a_text_has_a_line_for_each_key_and_leads_back() {
        let keys: Vec<PublicKey> = (0..3).map(|_| PrivateKey::generate_ed25519().unwrap().public()).collect();
        for permit_open in [BTreeSet::new(), ["db.internal:5432".to_owned(), "[::1]:5432".to_owned()].into()] {
            let content = Content::new(&keys, &permit_open).unwrap();
            assert_eq!(content.as_str().lines().count(), 3);
            assert!(content.as_str().lines().all(|line| line.starts_with("restrict,port-forwarding")));
            let reversed: Vec<_> = keys.iter().rev().cloned().collect();
            assert_eq!(Content::new(&reversed, &permit_open).unwrap(), content, "the order of a set means nothing");
            let found = Found::read(content.as_str()).unwrap();
            assert_eq!((&found.permit_open, &found.canary), (&permit_open, &None));
            assert_eq!(Content::new(&found.keys, &found.permit_open).unwrap(), content);
            let watched = content.clone().with_canary("b/public-keys/a.pub");
            assert_eq!(Found::read(watched.as_str()), Some(Found { canary: watched.canary().cloned(), ..found }));
            let last = format!("restrict {}\n", watched.canary().unwrap());
            assert_eq!(watched.as_str(), format!("{}{last}", content.as_str()));
        }
    }

    #[test]
    fn a_text_is_never_empty_too_long_or_with_a_key_twice() {
        assert_eq!(Content::new(&[], &BTreeSet::new()), Err(ContentError::Empty));
        let key = PrivateKey::generate_ed25519().unwrap().public();
        let twice = Content::new(&[key.clone(), key.clone()], &BTreeSet::new());
        assert_eq!(twice, Content::new(std::slice::from_ref(&key), &BTreeSet::new()));
        let many: BTreeSet<_> = (0..9000).map(|port| format!("database-{port:05}.internal:5432")).collect();
        assert!(matches!(Content::new(std::slice::from_ref(&key), &many), Err(ContentError::TooLong(_))));
        let target = ["db\",command=\"x:1".to_owned()].into();
        assert!(matches!(Content::new(&[key], &target), Err(ContentError::PermitOpen(_))));
    }

    #[test]
    fn a_text_of_another_form_is_not_read() {
        let key = PrivateKey::generate_ed25519().unwrap().public();
        for text in
            ["", "# nothing\n", "garbage", &format!("{key}\n"), &format!("no-pty {key}"), &format!("restrict,port-forwarding,pty {key}")]
        {
            assert_eq!(Found::read(text), None, "{text}");
        }
        let mixed = format!("restrict,port-forwarding {key}\nrestrict,port-forwarding,permitopen=\"a:1\" {key}");
        assert_eq!(Found::read(&mixed), None);
        let windows = format!("# mine\r\nrestrict,port-forwarding {key}\r\n");
        assert_eq!(Found::read(&windows).unwrap().keys, [key]);
    }
}
