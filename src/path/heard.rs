//! What a peer said, made fit to be shown: bounded, printable, one line.

use std::fmt;

/// The longest quote shown, in characters: two terminal lines. What matters in a refusal stands at its start.
const LONGEST: usize = 160;

/// Words of a peer. A peer is hostile until parsed, so whatever could move a cursor or flood a screen is gone once a `Heard` exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard(String);

impl Heard {
    /// Quotes bytes off the wire.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // One character is at most four bytes, so more input cannot change the quote.
        let window = bytes.get(..LONGEST * 4 + 4).unwrap_or(bytes);
        Self::from_text(&String::from_utf8_lossy(window))
    }

    /// Quotes text off the wire.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self::verbatim(text.trim())
    }

    /// Quotes an argument: blanks around it may be what is wrong with it.
    #[must_use]
    pub fn verbatim(text: &str) -> Self {
        let mut quote = String::new();
        for (position, character) in text.chars().enumerate() {
            if position == LONGEST {
                quote.push('…');
                break;
            }
            quote.push(shown(character));
        }
        Self(quote)
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

    /// The same quote with every occurrence of a secret blotted out, for a peer that echoes what it was sent.
    #[must_use]
    pub fn without(self, secret: &str) -> Self {
        // A very short secret would blot out half the language and still be guessable; nobody's real password is one character.
        if secret.chars().count() < 3 || !self.0.contains(secret) {
            return self;
        }
        Self(self.0.replace(secret, "(secret)"))
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

const fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
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
        assert_eq!(Heard::from_bytes(b"\x1b[2Jhi\r\nthere\0").as_str(), "\u{fffd}[2Jhi  there\u{fffd}");
        assert_eq!(Heard::from_text("pay \u{202e}em").as_str(), "pay \u{fffd}em");
        assert!(Heard::from_bytes(b"\r\n").is_empty());
    }

    #[test]
    fn an_echoed_secret_is_blotted_out() {
        assert_eq!(Heard::from_text("bad password hunter2!").without("hunter2").as_str(), "bad password (secret)!");
        assert_eq!(Heard::from_text("abc").without("").as_str(), "abc");
    }
}
