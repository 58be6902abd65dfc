//! The canary of an authorized_keys file: a public key that whoever wrote the file can ask for, and nobody can log in with.
//!
//! sshd answers a publickey request without a signature (RFC 4252, 7) with whether the key is authorized. A key that stands in one version
//! of the file only tells whether sshd works with that version.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{Context, SHA256};

use super::public::PublicKey;

/// Sets the hash apart from any other use of SHA-256.
const DOMAIN: &[u8] = b"terraform-provider-bastion authorized_keys canary 1\0";

/// Every second hash is a point of the curve, so all of these fail once in 2^128 texts.
const TRIES: u8 = 128;

/// The canary of these lines at this place: an ed25519 public key, hashed from both, so that nobody knows its private half. The place
/// counts, because the same lines elsewhere have to reach the bastion anew.
#[must_use]
pub fn canary(place: &str, lines: &str) -> Option<PublicKey> {
    (0..TRIES).map(|counter| hash(&[DOMAIN, place.as_bytes(), b"\0", lines.as_bytes(), &[counter]])).find_map(|point| of_point(&point))
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// The key, if these bytes are one and it has no small order: with such a one a signature could be made up.
fn of_point(bytes: &[u8; 32]) -> Option<PublicKey> {
    let point = ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()?;
    if point.is_weak() { None } else { PublicKey::from_ed25519(bytes).ok() }
}

/// A version of a login's keys: what `bastion_authorized_keys.x.version` says and `keys` takes. Its text is `login:canary`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeysVersion {
    /// The login.
    pub user: String,
    /// What its file is known by.
    pub canary: PublicKey,
}

/// The text is not such a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a version of a login's keys; give `version` of a bastion_authorized_keys, such as \"neosync:hXzR…\"")]
pub struct KeysVersionError;

impl fmt::Display for KeysVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = self.canary.ed25519().unwrap_or_default();
        write!(f, "{}:{}", self.user, URL_SAFE_NO_PAD.encode(point))
    }
}

impl FromStr for KeysVersion {
    type Err = KeysVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (user, point) = text.trim().rsplit_once(':').filter(|(user, _)| !user.is_empty()).ok_or(KeysVersionError)?;
        let point: [u8; 32] = URL_SAFE_NO_PAD.decode(point).ok().and_then(|point| point.try_into().ok()).ok_or(KeysVersionError)?;
        let canary = of_point(&point).ok_or(KeysVersionError)?;
        Ok(Self { user: user.to_owned(), canary })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "restrict,port-forwarding ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ\n";
    const PLACE: &str = "my-bastion/public-keys/neosync.pub";

    /// Published with the texts that bear it: another derivation would be another version of every file there is.
    #[test]
    fn a_canary_is_that_of_its_lines_and_place_for_ever() {
        let known = canary(PLACE, LINES).unwrap();
        assert_eq!(known.to_string(), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGMmu+KEkFlswzVbon4Ek9iMfhF3LQm5qa/ZQkUORJbH");
        assert_eq!(canary(PLACE, LINES), Some(known.clone()));
        assert_ne!(canary(PLACE, &LINES.repeat(2)), Some(known.clone()));
        assert_ne!(canary("my-bastion/keys/neosync.pub", LINES), Some(known));
    }

    #[test]
    fn every_text_has_one_and_openssh_reads_it() {
        for number in 0..200 {
            let key = canary(PLACE, &number.to_string()).unwrap();
            assert_eq!(key.algorithm(), "ssh-ed25519");
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn a_version_leads_back_and_nothing_else_is_one() {
        let version = KeysVersion { user: "neosync".to_owned(), canary: canary(PLACE, LINES).unwrap() };
        assert_eq!(version.to_string().parse(), Ok(version.clone()));
        let text = version.to_string();
        let weak = format!("neosync:{}", URL_SAFE_NO_PAD.encode([0; 32]));
        for wrong in
            ["", "neosync", "neosync:", &text[..text.len() - 1], &text.replace("neosync", ""), &format!("{text}A"), &weak, "\"etag\""]
        {
            assert_eq!(wrong.parse::<KeysVersion>(), Err(KeysVersionError), "{wrong}");
        }
    }
}
