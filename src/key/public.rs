//! A public key as it stands in a `.pub` file or a known_hosts line.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::ssh_key;

/// The longest base64 blob read. An RSA key of 16384 bits, the largest OpenSSH makes, takes some 2,800 characters.
const LONGEST: usize = 16 * 1024;

/// A public key of any kind OpenSSH knows, without its comment. Equal if the key is the same.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    /// The key's name and its blob in base64, with one blank between them.
    text: String,
    data: ssh_key::public::KeyData,
}

/// Why a text is not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// Nothing, or only blanks.
    #[error("a public key is needed here, in the form \"ssh-ed25519 AAAA…\"")]
    Empty,
    /// A private key where the public half belongs.
    #[error("this is a private key; give its public half, the line in the .pub file")]
    Private,
    /// An OpenSSH certificate.
    #[error("this is a certificate; give the plain public key that it certifies")]
    Certificate,
    /// More than one line.
    #[error("this is more than one line; give one public key")]
    SeveralLines,
    /// Not of the form "type base64".
    #[error("this is not a public key in the form \"ssh-ed25519 AAAA…\"; ssh-keygen -y prints one, ssh-keygen -i converts other formats")]
    Form,
    /// The form is right, the content is cut off or altered.
    #[error("the public key is cut off or altered; copy the whole line again")]
    Damaged,
    /// A kind of key that this program does not know.
    #[error("this kind of public key is not known here; use ssh-ed25519, ecdsa-sha2-nistp256, -384, -521 or ssh-rsa")]
    Kind,
}

impl PublicKey {
    /// The key's kind, by its SSH name: `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, …
    #[must_use]
    pub fn algorithm(&self) -> &str {
        self.text.split_once(' ').map_or(&self.text, |(algorithm, _)| algorithm)
    }

    /// The fingerprint as `ssh-keygen -l` prints it: `SHA256:` and 43 characters.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.data.fingerprint(ssh_key::HashAlg::Sha256).to_string()
    }

    /// The length of an RSA modulus in bits; nothing for other kinds, whose length is their kind.
    pub(crate) fn rsa_bits(&self) -> Option<u32> {
        self.data.rsa().map(ssh_key::public::RsaPublicKey::key_size)
    }

    /// The key of a point on the curve, in its 32 bytes (RFC 8709, 4).
    pub(super) fn from_ed25519(point: &[u8; 32]) -> Result<Self, PublicKeyError> {
        Self::from_russh(&ssh_key::PublicKey::from(ssh_key::public::Ed25519PublicKey(*point)))
    }

    /// That point, if it is an ed25519 key.
    pub(super) fn ed25519(&self) -> Option<[u8; 32]> {
        self.data.ed25519().map(|key| key.0)
    }

    pub(crate) fn as_russh(&self) -> ssh_key::PublicKey {
        self.data.clone().into()
    }

    pub(crate) fn from_russh(key: &ssh_key::PublicKey) -> Result<Self, PublicKeyError> {
        let blob = key.to_bytes().map_err(|_| PublicKeyError::Damaged)?;
        Self::from_blob(&blob)
    }

    fn from_blob(blob: &[u8]) -> Result<Self, PublicKeyError> {
        let name = blob_name(blob).ok_or(PublicKeyError::Damaged)?;
        // Refused before the blob is parsed: certificates nest, and a crafted one recurses deeply.
        if name.contains("-cert-v01@") {
            return Err(PublicKeyError::Certificate);
        }
        let key = russh::keys::key::parse_public_key(blob).map_err(|_| PublicKeyError::Damaged)?;
        if matches!(key.key_data(), ssh_key::public::KeyData::Other(_)) {
            return Err(PublicKeyError::Kind);
        }
        // What is left over behind the key would be dropped in silence, and the text would no longer be what was given.
        if key.to_bytes().map_err(|_| PublicKeyError::Damaged)? != blob {
            return Err(PublicKeyError::Damaged);
        }
        let text = format!("{name} {}", STANDARD.encode(blob));
        Ok(Self { text, data: key.key_data().clone() })
    }
}

/// The name at the head of a key blob: a length of four bytes, then the name (RFC 4253, 6.6).
fn blob_name(blob: &[u8]) -> Option<&str> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    std::str::from_utf8(rest.get(..length)?).ok()
}

/// Whether a word is the name of a kind of key, as it opens a `.pub` file.
pub(crate) fn is_key_name(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-"].iter().any(|prefix| word.starts_with(prefix))
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Err(PublicKeyError::Empty);
        }
        if text.contains("PRIVATE KEY") || text.starts_with("PuTTY-User-Key-File-") {
            return Err(PublicKeyError::Private);
        }
        if text.contains(['\n', '\r']) {
            return Err(if is_key_name(text) { PublicKeyError::SeveralLines } else { PublicKeyError::Form });
        }
        let mut words = text.split_ascii_whitespace();
        let (Some(name), Some(base64)) = (words.next(), words.next()) else {
            return Err(if is_key_name(text) { PublicKeyError::Damaged } else { PublicKeyError::Form });
        };
        if name.contains("-cert-v01@") {
            return Err(PublicKeyError::Certificate);
        }
        if !is_key_name(name) {
            return Err(PublicKeyError::Form);
        }
        if base64.len() > LONGEST {
            return Err(PublicKeyError::Damaged);
        }
        let blob = STANDARD.decode(base64).map_err(|_| PublicKeyError::Damaged)?;
        let key = Self::from_blob(&blob)?;
        if key.algorithm() == name { Ok(key) } else { Err(PublicKeyError::Damaged) }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm(), self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn a_key_is_read_printed_and_named() {
        let key: PublicKey = format!("  {ED25519}  me@laptop with words \r\n").parse().unwrap();
        assert_eq!(key.to_string(), ED25519);
        assert_eq!(key.algorithm(), "ssh-ed25519");
        assert_eq!(key.fingerprint(), "SHA256:T7SvZ2cslqpPj6nKzitCBHHlpVF3r3MvLwmFL0fk0IE");
        assert_eq!(key, ED25519.parse().unwrap());
        assert_eq!(key.rsa_bits(), None);
        assert_eq!(format!("{key:?}"), "ssh-ed25519 SHA256:T7SvZ2cslqpPj6nKzitCBHHlpVF3r3MvLwmFL0fk0IE");
    }

    #[test]
    fn what_is_no_public_key_is_told_apart() {
        let cut = ED25519.strip_suffix("9OIeZJ").unwrap();
        let renamed = ED25519.replace("ssh-ed25519 ", "ssh-rsa ");
        let twice = format!("{ED25519}\n{ED25519}");
        let table = [
            ("", PublicKeyError::Empty),
            ("\n \t", PublicKeyError::Empty),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", PublicKeyError::Private),
            ("PuTTY-User-Key-File-3: ssh-ed25519\n", PublicKeyError::Private),
            ("ssh-ed25519-cert-v01@openssh.com AAAA", PublicKeyError::Certificate),
            ("-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----", PublicKeyError::Form),
            ("hello world", PublicKeyError::Form),
            ("ssh-ed25519", PublicKeyError::Damaged),
            ("ssh-ed25519 !!!!", PublicKeyError::Damaged),
            ("ssh-ed25519 AAAA", PublicKeyError::Damaged),
            (cut, PublicKeyError::Damaged),
            (&renamed, PublicKeyError::Damaged),
            (&twice, PublicKeyError::SeveralLines),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<PublicKey>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_certificate_behind_a_plain_name_and_bytes_behind_a_key_are_refused() {
        let mut blob = STANDARD.decode(ED25519.split_once(' ').unwrap().1).unwrap();
        blob.push(0);
        assert_eq!(PublicKey::from_blob(&blob), Err(PublicKeyError::Damaged));
        let name = b"ssh-ed25519-cert-v01@openssh.com";
        let mut blob = u32::try_from(name.len()).unwrap().to_be_bytes().to_vec();
        blob.extend(name);
        assert_eq!(PublicKey::from_blob(&blob), Err(PublicKeyError::Certificate));
    }
}
