//! Whose a rule or an object is: an id of its own, never derived from content, so that two users of one thing are never taken for one.

use std::fmt;
use std::str::FromStr;

use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};

/// The longest owner, in characters: with what stands before it, it is a tag's key, of which EC2 takes 128.
const LONGEST: usize = 64;

/// What an owner may hold besides letters and digits: what both a tag's key and a line of authorized_keys take.
const SIGNS: &str = "._/=+@-";

/// How many hexadecimal digits a drawn id has: 64 bits, of the few that one group or bucket ever sees.
const DIGITS: usize = 16;

/// What the owner of an admission begins with: one process that lets its machine in.
const ADMISSION: &str = "admission/";

/// Who uses a rule or an object: a stable name such as `neosync/prod`, or drawn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(String);

/// A text is not an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an owner has 1 to {LONGEST} letters, digits and signs of `{SIGNS}`, such as neosync/prod")]
pub struct OwnerError;

impl Owner {
    /// An owner that nobody else has.
    ///
    /// # Errors
    ///
    /// The system gives no random numbers.
    pub fn draw() -> Result<Self, Unspecified> {
        digits().map(Self)
    }

    /// One for the admissions of a process.
    ///
    /// # Errors
    ///
    /// The system gives no random numbers.
    pub fn draw_for_admission() -> Result<Self, Unspecified> {
        digits().map(|digits| Self(format!("{ADMISSION}{digits}")))
    }

    /// Whether it is that of a process's admissions.
    #[must_use]
    pub fn is_admission(&self) -> bool {
        self.0.strip_prefix(ADMISSION).is_some_and(is_digits)
    }

    /// As it was given or drawn.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it looks like one that was drawn, and not like a name that somebody gave.
    #[must_use]
    pub fn is_drawn(&self) -> bool {
        is_digits(&self.0)
    }
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |c: char| c.is_ascii_alphanumeric() || SIGNS.contains(c);
        if (1..=LONGEST).contains(&text.len()) && text.chars().all(plain) { Ok(Self(text.to_owned())) } else { Err(OwnerError) }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One object of Terraform's, drawn when it is created. An owner's newer object takes a thing over from its older one by writing its own
/// claim where the other's stood; the older one then leaves the thing alone when it is destroyed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimId(String);

/// A text is not the id of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a claim is {DIGITS} hexadecimal digits")]
pub struct ClaimIdError;

impl ClaimId {
    /// An id that no other object has.
    ///
    /// # Errors
    ///
    /// The system gives no random numbers.
    pub fn draw() -> Result<Self, Unspecified> {
        digits().map(Self)
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClaimId {
    type Err = ClaimIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_digits(text) { Ok(Self(text.to_owned())) } else { Err(ClaimIdError) }
    }
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn digits() -> Result<String, Unspecified> {
    let mut bits = [0; DIGITS / 2];
    SystemRandom::new().fill(&mut bits)?;
    Ok(bits.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn is_digits(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_name_or_drawn() {
        for name in ["neosync/prod", "a", "team=data+x@y.z_1-2", &"x".repeat(LONGEST)] {
            assert!(!name.parse::<Owner>().unwrap().is_drawn(), "{name}");
        }
        for bad in ["", " a", "a b", "ä", "a\n", "a\"", "a,b", &"x".repeat(LONGEST + 1)] {
            assert_eq!(bad.parse::<Owner>(), Err(OwnerError), "{bad:?}");
        }
        let drawn = Owner::draw().unwrap();
        assert!(drawn.is_drawn() && drawn.as_str().parse() == Ok(drawn.clone()) && drawn != Owner::draw().unwrap());
    }

    #[test]
    fn a_claim_is_drawn() {
        let drawn = ClaimId::draw().unwrap();
        assert!(drawn.as_str().parse() == Ok(drawn.clone()) && drawn != ClaimId::draw().unwrap());
        for bad in ["", "0123456789ABCDEF", "0123456789abcde", "neosync/prod"] {
            assert_eq!(bad.parse::<ClaimId>(), Err(ClaimIdError), "{bad:?}");
        }
    }
}
