//! The text of a login's object: one line for each key, and never none.

use std::collections::BTreeMap;

use super::object::LONGEST;
use crate::key::{Expiry, LineOptions, PublicKey, authorized_keys_line, canary};

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
}

/// What may be done with a canary: nothing, if anybody could log in with it.
const CANARY: &str = "restrict";

/// The whole authorized_keys file of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    text: String,
    keys: Vec<PublicKey>,
    canary: Option<PublicKey>,
}

impl Content {
    /// One [line](authorized_keys_line) for each key, in an order of its own: the order of a set means nothing, and a key that is given
    /// twice counts once.
    ///
    /// # Errors
    ///
    /// No key, or too long a text.
    pub fn new(keys: &[PublicKey], options: &LineOptions) -> Result<Self, ContentError> {
        let keys: BTreeMap<_, _> = keys.iter().map(|key| (key.to_string(), key.clone())).collect();
        let text: String = keys.values().map(|key| authorized_keys_line(key, options) + "\n").collect();
        match text.len() {
            0 => Err(ContentError::Empty),
            length if length > LONGEST_LINES => Err(ContentError::TooLong(length)),
            _ => Ok(Self { text, keys: keys.into_values().collect(), canary: None }),
        }
    }

    /// The same with one more line, the [`canary`] of the others at this place: `bucket/key`.
    #[must_use]
    pub fn with_canary(self, place: &str) -> Self {
        let canary = canary(place, &self.text);
        let line = canary.as_ref().map_or_else(String::new, |canary| format!("{CANARY} {canary}\n"));
        Self { text: self.text + &line, canary, ..self }
    }

    /// The login's keys, without the canary.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
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
    /// What each line grants. A comment that not all of them have is none.
    pub options: LineOptions,
    /// The canary, of whatever text.
    pub canary: Option<PublicKey>,
}

/// A line of a text: its options, key and comment.
type Line<'a> = (&'a str, PublicKey, &'a str);

impl Found {
    /// Reads the text at this place, `bucket/key`, back. None if it is of another form, or its lines differ in their options.
    #[must_use]
    pub fn read(place: &str, text: &str) -> Option<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut lines: Vec<Line<'_>> = lines.map(parse).collect::<Option<_>>()?;
        let canary = canary_in(place, text, &lines).map(|at| lines.remove(at).1);
        let (first, _, comment) = lines.first().cloned()?;
        if lines.iter().any(|(options, ..)| *options != first) {
            return None;
        }
        let is_shared = lines.iter().all(|(.., other)| *other == comment);
        let comment = if is_shared { comment.parse().ok() } else { None };
        let options = LineOptions { comment, ..options(first)? };
        Some(Self { keys: lines.into_iter().map(|(_, key, _)| key).collect(), options, canary })
    }
}

fn parse(line: &str) -> Option<Line<'_>> {
    let (options, key) = line.split_once(' ')?;
    let comment = key.splitn(3, ' ').nth(2).unwrap_or_default();
    Some((options, key.parse().ok()?, comment))
}

/// Which of the lines is a canary. Where nothing may be forwarded to, those of the login's keys look like it.
fn canary_in(place: &str, text: &str, lines: &[Line<'_>]) -> Option<usize> {
    let at = lines.iter().rposition(|(options, _, comment)| *options == CANARY && comment.is_empty())?;
    let before = text.trim_end().rsplit_once('\n').map_or(String::new(), |(before, _)| format!("{before}\n"));
    let derived = || canary(place, &before).as_ref() == lines.get(at).map(|(_, key, _)| key);
    (lines.iter().any(|(options, ..)| *options != CANARY) || derived()).then_some(at)
}

/// What a line's options grant, if there are none but ours.
fn options(text: &str) -> Option<LineOptions> {
    let mut rest = text.strip_prefix("restrict")?;
    let forwarding = rest.strip_prefix(",port-forwarding");
    rest = forwarding.unwrap_or(rest);
    let mut found = LineOptions::default();
    let mut targets = Vec::new();
    while !rest.is_empty() {
        let (name, more) = rest.strip_prefix(',')?.split_once("=\"")?;
        let (value, more) = more.split_once('"')?;
        match name {
            "from" if found.from.is_empty() => found.from = value.split(',').map(str::parse).collect::<Result<_, _>>().ok()?,
            "expiry-time" if found.expires.is_none() => found.expires = Some(Expiry::from_stamp(value)?),
            "permitopen" => targets.push(value.parse().ok()?),
            _ => return None,
        }
        rest = more;
    }
    found.permit_open = match (forwarding, targets.is_empty()) {
        (Some(_), true) => None,
        (Some(_), false) | (None, true) => Some(targets),
        // sshd forwards nothing then, and the next write would.
        (None, false) => return None,
    };
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PrivateKey;

    const PLACE: &str = "b/public-keys/a.pub";

    fn keys() -> Vec<PublicKey> {
        (0..3).map(|_| PrivateKey::generate_ed25519().unwrap().public()).collect()
    }

    fn permitting<const N: usize>(targets: [&str; N]) -> LineOptions {
        LineOptions { permit_open: Some(targets.map(|target| target.parse().unwrap()).into()), ..LineOptions::default() }
    }

    #[test]
    fn a_text_has_a_line_for_each_key_and_leads_back() {
        let keys = keys();
        let all = LineOptions {
            from: ["54.69.79.83/32", "2001:db8::/32"].map(|from| from.parse().unwrap()).into(),
            expires: Some("2030-01-01T00:00:00Z".parse().unwrap()),
            comment: Some("of neosync, for orders".parse().unwrap()),
            ..permitting(["db.internal:5432"])
        };
        for options in [LineOptions::default(), permitting([]), permitting(["[::1]:5432", "db.internal:5432"]), all] {
            let content = Content::new(&keys, &options).unwrap();
            assert_eq!(content.as_str().lines().count(), 3);
            assert!(content.as_str().lines().all(|line| line.starts_with("restrict")));
            let reversed: Vec<_> = keys.iter().rev().cloned().collect();
            assert_eq!(Content::new(&reversed, &options).unwrap(), content, "the order of a set means nothing");
            let found = Found::read(PLACE, content.as_str()).unwrap();
            assert_eq!((&found.options, &found.canary), (&options, &None));
            assert_eq!(Content::new(&found.keys, &found.options).unwrap(), content);
            let watched = content.clone().with_canary(PLACE);
            assert_eq!(Found::read(PLACE, watched.as_str()), Some(Found { canary: watched.canary().cloned(), ..found }));
            let last = format!("restrict {}\n", watched.canary().unwrap());
            assert_eq!(watched.as_str(), format!("{}{last}", content.as_str()));
        }
    }

    #[test]
    fn a_text_is_never_empty_too_long_or_with_a_key_twice() {
        let options = LineOptions::default();
        assert_eq!(Content::new(&[], &options), Err(ContentError::Empty));
        let key = PrivateKey::generate_ed25519().unwrap().public();
        let twice = Content::new(&[key.clone(), key.clone()], &options);
        assert_eq!(twice, Content::new(std::slice::from_ref(&key), &options));
        let many = (0..9000).map(|port| format!("database-{port:05}.internal:5432").parse().unwrap()).collect();
        let many = LineOptions { permit_open: Some(many), ..options };
        assert!(matches!(Content::new(std::slice::from_ref(&key), &many), Err(ContentError::TooLong(_))));
    }

    #[test]
    fn a_text_of_another_form_is_not_read() {
        let key = PrivateKey::generate_ed25519().unwrap().public();
        let options = ["no-pty", "restrict,port-forwarding,pty", "restrict,permitopen=\"a:1\"", "restrict,from=\"!10.0.0.1\""];
        for text in ["", "# nothing\n", "garbage", &format!("{key}\n")] {
            assert_eq!(Found::read(PLACE, text), None, "{text}");
        }
        for options in options {
            assert_eq!(Found::read(PLACE, &format!("{options} {key}")), None, "{options}");
        }
        let mixed = format!("restrict,port-forwarding {key}\nrestrict,port-forwarding,permitopen=\"a:1\" {key}");
        assert_eq!(Found::read(PLACE, &mixed), None);
        let windows = format!("# mine\r\nrestrict,port-forwarding {key} one\r\nrestrict,port-forwarding {key} two\r\n");
        let found = Found::read(PLACE, &windows).unwrap();
        assert_eq!((found.keys.len(), found.options), (2, LineOptions::default()));
    }
}
