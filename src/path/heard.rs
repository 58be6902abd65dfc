//! What a peer said, made fit to be shown: bounded, printable, one line.

use std::fmt;

/// The longest quote shown, in characters: two terminal lines.
const LONGEST: usize = 160;

/// How much of a longer quote is left of its start and of its end: what was refused stands at the one, why at the other.
const END: usize = LONGEST / 2;

/// The shortest secret that is blotted out, in characters: a shorter one would blot out half the language and still be guessable, and nobody's
/// real password is one character.
const SHORTEST: usize = 3;

/// Stands for a secret.
const BLOT: &str = "(secret)";

/// Stands where something was cut out.
const CUT: char = '…';

/// Words of a peer. A peer is hostile until parsed, so whatever could move a cursor or flood a screen is gone once a `Heard` exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard(String);

impl Heard {
    /// Quotes bytes off the wire.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // One character is at most four bytes, so what lies between such windows cannot change the quote.
        const WINDOW: usize = LONGEST * 4 + 4;
        match (bytes.first_chunk::<WINDOW>(), bytes.last_chunk::<WINDOW>()) {
            (Some(start), Some(end)) if bytes.len() > 2 * WINDOW => {
                Self::from_text(&(String::from_utf8_lossy(start) + &*String::from_utf8_lossy(end)))
            }
            _ => Self::from_text(&String::from_utf8_lossy(bytes)),
        }
    }

    /// Quotes text off the wire.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self::verbatim(text.trim())
    }

    /// Quotes a peer that may echo a secret that it was sent: each occurrence is blotted out, before the quote is cut, or a cut could leave half
    /// of one; and a text that was cut off itself may end in its beginning.
    #[must_use]
    pub fn without(text: &str, secret: &str) -> Self {
        let (text, secret) = (printable(text), printable(secret));
        if secret.chars().count() < SHORTEST {
            return Self::from_text(&text);
        }
        let text = text.replace(&secret, BLOT);
        let beginnings = (SHORTEST..secret.len()).rev().filter_map(|length| secret.get(..length));
        let whole = beginnings.into_iter().find_map(|beginning| text.strip_suffix(beginning)).unwrap_or(&text);
        Self::from_text(whole)
    }

    /// What the operating system says, without its number for it. Empty for an error that a library made: its words are no peer's.
    #[must_use]
    pub fn from_system(error: &std::io::Error) -> Self {
        let text = error.raw_os_error().map(|_| error.to_string()).unwrap_or_default();
        Self::from_text(text.split(" (os error").next().unwrap_or_default())
    }

    /// Quotes an argument: blanks around it may be what is wrong with it.
    #[must_use]
    pub fn verbatim(text: &str) -> Self {
        let length = text.chars().count();
        if length <= LONGEST {
            return Self(printable(text));
        }
        let start = text.chars().take(END).map(shown);
        let end = text.chars().skip(length - END).map(shown);
        Self(start.chain([CUT]).chain(end).collect())
    }

    /// The quote, without quotation marks; empty if nothing was heard.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the peer said nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Text of a person's own, such as a name, made fit to be shown in whole.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// A character as it is shown.
fn shown(character: char) -> char {
    match character {
        '\r' | '\n' | '\t' => ' ',
        // Bidirectional controls and other invisible characters can make a quote read as something else.
        c if c.is_control() || is_invisible(c) => '\u{fffd}',
        c => c,
    }
}

/// Unicode's format characters (category Cf), its line and paragraph separators, and what fonts draw as nothing.
const fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_controls_are_gone() {
        let heard = Heard::from_bytes(&[b'a'; 100_000]);
        assert_eq!(heard.as_str().chars().count(), LONGEST + 1);
        let both = Heard::from_bytes(&[b"start".as_slice(), &[b'a'; 100_000], "é end".as_bytes()].concat());
        assert!(both.as_str().starts_with("start") && both.as_str().ends_with("aé end"), "{both}");
        assert_eq!(both.as_str().chars().count(), LONGEST + 1);
        assert_eq!(Heard::from_bytes(b"\x1b[2Jhi\r\nthere\0").as_str(), "\u{fffd}[2Jhi  there\u{fffd}");
        for hidden in "\u{ad}\u{61c}\u{200b}\u{202e}\u{2028}\u{2029}\u{2066}\u{feff}\u{fe0f}\u{e0041}\u{e0100}".chars() {
            assert_eq!(Heard::from_text(&format!("pay {hidden}em")).as_str(), "pay \u{fffd}em", "{hidden:?}");
        }
        assert_eq!(Heard::from_text("données — 数据库 👋").as_str(), "données — 数据库 👋");
        assert!(Heard::from_bytes(b"\r\n").is_empty());
    }

    #[test]
    fn no_part_of_an_echoed_secret_is_quoted() {
        let quoted = |text: &str, secret: &str| Heard::without(text, secret).to_string();
        assert_eq!(quoted("bad password hunter2!", "hunter2"), "bad password (secret)!");
        assert_eq!(quoted("abc", ""), "abc");
        assert_eq!(quoted("ab", "ab"), "ab");
        assert_eq!(quoted("you said correct\nhorse, and correct hor", "correct horse"), "you said (secret), and");
        assert_eq!(quoted("ünï", "ünïcödé"), "");
        let secret = "correct-horse-battery-staple";
        for before in 0..200 {
            let heard = quoted(&format!("{}{secret}{}", "x".repeat(before), "y".repeat(200 - before)), secret);
            let pieces = |length: usize| (0..=secret.len() - length).map(move |at| &secret[at..at + length]);
            assert!(!pieces(4).any(|piece| heard.contains(piece)), "{before}: {heard}");
        }
    }
}
