//! A private key: generated, or read in whatever form it was pasted.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::{self, Algorithm, Cipher, Kdf, LineEnding};
use russh::keys::{Error as LoadError, decode_secret_key};
use zeroize::Zeroizing;

use super::pem::{self, Pem};
use super::public::{PublicKey, is_key_name};
use crate::secret::Secret;

/// The shortest RSA modulus taken, in bits: what NIST SP 800-57 asks for beyond 2030.
pub const MIN_RSA_BITS: u32 = 3072;

/// bcrypt rounds for keys written here: ssh-keygen's default, some 100 ms a guess.
const ROUNDS: u32 = 16;

/// A private key that can log in. Its `Debug` shows the fingerprint alone.
#[derive(Clone)]
pub struct PrivateKey {
    key: ssh_key::PrivateKey,
    public: PublicKey,
}

/// Why a text is not a usable private key. The text itself is never quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A public key where the private half belongs.
    #[error("this is a public key; give its private half, the file without .pub")]
    PublicKey,
    /// Not a private key in a known format.
    #[error("this is not a private key; give the whole file, from -----BEGIN … PRIVATE KEY----- to its END line")]
    NotAKey,
    /// Right at the start, then cut off or altered.
    #[error("the private key is cut off or altered; give the whole file again")]
    Damaged,
    /// Encrypted, and no passphrase was given.
    #[error("the private key is encrypted; give its passphrase")]
    PassphraseMissing,
    /// The passphrase does not open it.
    #[error("the passphrase does not open the private key")]
    WrongPassphrase,
    /// Encrypted in an outdated way.
    #[error("the private key is encrypted in a way that is not read here; write it anew with `ssh-keygen -p -f FILE`, which keeps the key")]
    UnsupportedEncryption,
    /// DSA.
    #[error("this is a DSA key, which no current sshd accepts; use ed25519")]
    Dsa,
    /// A key on a security key.
    #[error("this key lives on a security key (sk-…), which has to be touched; use a plain ed25519 key")]
    SecurityKey,
    /// Another kind.
    #[error("this kind of key is not known here; use ed25519, ECDSA or RSA")]
    Kind,
    /// RSA, too short.
    #[error("this RSA key has {bits} bits; use at least {MIN_RSA_BITS}, or ed25519")]
    TooWeak {
        /// Its length.
        bits: u32,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

impl PrivateKey {
    /// Makes a new ed25519 key.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoRandomness`].
    pub fn generate_ed25519() -> Result<Self, KeyError> {
        let seed = Zeroizing::new(random::<32>()?);
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
        Self::from_ssh(ssh_key::PrivateKey::new(pair, "").map_err(|_| KeyError::Damaged)?)
    }

    /// Reads a private key in OpenSSH, PKCS#1, PKCS#8, SEC1 or PuTTY format. The passphrase of a key that has none is not looked at.
    /// Opening an encrypted key takes some 100 ms of computing.
    ///
    /// # Errors
    ///
    /// [`KeyError`], fit for the user.
    pub fn parse(text: &Secret<String>, passphrase: Option<&Secret<String>>) -> Result<Self, KeyError> {
        let form = Form::of(text.expose())?;
        let passphrase = passphrase.map(|passphrase| passphrase.expose().as_str()).filter(|passphrase| !passphrase.is_empty());
        let passphrase = match (form.lock(), passphrase) {
            (Lock::Unknown, _) => return Err(KeyError::UnsupportedEncryption),
            (Lock::Known, None) => return Err(KeyError::PassphraseMissing),
            (Lock::Known, passphrase) => passphrase,
            (Lock::Open, _) => None,
        };
        let loaded = decode_secret_key(form.text(), passphrase);
        Self::from_ssh(loaded.map_err(|error| of_load(&error, passphrase.is_some()))?)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public.clone()
    }

    /// In OpenSSH format, in plain text.
    ///
    /// # Errors
    ///
    /// [`KeyError::Damaged`], if the key cannot be written.
    pub fn to_openssh(&self) -> Result<Secret<String>, KeyError> {
        write(&self.key)
    }

    /// In OpenSSH format, encrypted as ssh-keygen does it: aes256-ctr, bcrypt. Takes some 100 ms of computing.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoRandomness`], or [`KeyError::Damaged`] if the key cannot be written.
    pub fn to_openssh_encrypted(&self, passphrase: &Secret<String>) -> Result<Secret<String>, KeyError> {
        let kdf = Kdf::Bcrypt { salt: random::<16>()?.to_vec(), rounds: ROUNDS };
        let check = u32::from_le_bytes(random::<4>()?);
        let sealed = self.key.encrypt_with(Cipher::Aes256Ctr, kdf, check, passphrase.expose());
        write(&sealed.map_err(|_| KeyError::Damaged)?)
    }

    /// The key in the SSH library's own type.
    pub(crate) const fn as_russh(&self) -> &ssh_key::PrivateKey {
        &self.key
    }

    fn from_ssh(key: ssh_key::PrivateKey) -> Result<Self, KeyError> {
        match key.algorithm() {
            Algorithm::Dsa => return Err(KeyError::Dsa),
            Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => return Err(KeyError::SecurityKey),
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => {}
            _ => return Err(KeyError::Kind),
        }
        let public = PublicKey::from_russh(key.public_key()).map_err(|_| KeyError::Damaged)?;
        match public.rsa_bits() {
            Some(bits) if bits < MIN_RSA_BITS => Err(KeyError::TooWeak { bits }),
            _ => Ok(Self { key, public }),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public.fingerprint())
    }
}

/// Whether a private key's text is encrypted. `false` for what is no private key at all.
#[must_use]
pub fn is_encrypted(text: &Secret<String>) -> bool {
    Form::of(text.expose()).is_ok_and(|form| !matches!(form.lock(), Lock::Open))
}

/// The public half of a private key's text, where it can be had without a passphrase: of a key that is not encrypted, and of one in OpenSSH's
/// own format.
#[must_use]
pub fn public_half(text: &Secret<String>) -> Option<PublicKey> {
    match Form::of(text.expose()).ok()? {
        Form::Pem(pem) if pem.label == "OPENSSH PRIVATE KEY" => {
            PublicKey::from_russh(ssh_key::PrivateKey::from_openssh(&pem.text).ok()?.public_key()).ok()
        }
        _ => PrivateKey::parse(text, None).ok().map(|key| key.public()),
    }
}

/// What a text looks like, before any passphrase.
enum Form {
    Pem(Pem),
    Putty(Zeroizing<String>),
}

/// How a text is encrypted.
enum Lock {
    Open,
    /// In a way that is read here.
    Known,
    Unknown,
}

impl Form {
    fn of(text: &str) -> Result<Self, KeyError> {
        let start = text.trim_start();
        if start.starts_with("PuTTY-User-Key-File-") {
            return Ok(Self::Putty(Zeroizing::new(start.to_owned())));
        }
        if let Some(pem) = pem::find(text) {
            return Ok(Self::Pem(pem));
        }
        let public = start.split_whitespace().next().is_some_and(is_key_name) || text.contains("PUBLIC KEY-----");
        Err(if public { KeyError::PublicKey } else { KeyError::NotAKey })
    }

    fn text(&self) -> &str {
        match self {
            Self::Pem(pem) => &pem.text,
            Self::Putty(text) => text,
        }
    }

    fn lock(&self) -> Lock {
        match self {
            Self::Putty(text) if text.lines().any(|line| line.trim() == "Encryption: none") => Lock::Open,
            Self::Putty(_) => Lock::Known,
            Self::Pem(pem) => match pem.label.as_str() {
                "OPENSSH PRIVATE KEY" => openssh_lock(&pem.text),
                "ENCRYPTED PRIVATE KEY" => Lock::Known,
                label => match pem.headers.iter().find_map(|header| header.strip_prefix("DEK-Info: ")) {
                    None => Lock::Open,
                    Some(cipher) if label == "RSA PRIVATE KEY" && cipher.starts_with("AES-128-CBC,") => Lock::Known,
                    Some(_) => Lock::Unknown,
                },
            },
        }
    }
}

fn openssh_lock(pem: &str) -> Lock {
    match ssh_key::PrivateKey::from_openssh(pem) {
        Ok(key) if key.is_encrypted() && key.cipher() == Cipher::TdesCbc => Lock::Unknown,
        Ok(key) if key.is_encrypted() => Lock::Known,
        // What cannot be parsed is told when it is opened.
        _ => Lock::Open,
    }
}

/// Four libraries report a wrong passphrase in four ways; with an old format it can also look like garbage inside.
fn of_load(error: &LoadError, with_passphrase: bool) -> KeyError {
    match error {
        LoadError::KeyIsEncrypted => KeyError::PassphraseMissing,
        LoadError::UnsupportedKeyType { .. } | LoadError::UnknownAlgorithm(_) => KeyError::Kind,
        // One wrong passphrase in some hundred decrypts to what looks padded, and is no ASN.1 then.
        LoadError::Pkcs8(error) if with_passphrase && is_about_the_cipher(&error.to_string()) => KeyError::UnsupportedEncryption,
        LoadError::Der(_) if with_passphrase => KeyError::UnsupportedEncryption,
        _ if with_passphrase => KeyError::WrongPassphrase,
        _ => KeyError::Damaged,
    }
}

/// Whether the PKCS#5 layer complains of anything but the decryption itself.
fn is_about_the_cipher(error: &str) -> bool {
    error.contains("PKCS#5") && !error.contains("decrypt")
}

fn write(key: &ssh_key::PrivateKey) -> Result<Secret<String>, KeyError> {
    let text = key.to_openssh(LineEnding::LF).map_err(|_| KeyError::Damaged)?;
    Ok(Secret::from(text.as_str()))
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A key made by ssh-keygen or openssl.
    fn made(program: &str, arguments: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let arguments =
            arguments.iter().map(|argument| if *argument == "FILE" { file.display().to_string() } else { (*argument).to_owned() });
        let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program} is needed here: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(file).unwrap()
    }

    fn keygen(arguments: &[&str], passphrase: &str) -> String {
        made("ssh-keygen", &[&["-q", "-N", passphrase, "-f", "FILE"], arguments].concat())
    }

    fn parse(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, KeyError> {
        PrivateKey::parse(&Secret::from(text), passphrase.map(Secret::from).as_ref())
    }

    #[test]
    fn generated_keys_come_back_from_both_forms() {
        let key = PrivateKey::generate_ed25519().unwrap();
        let plain = key.to_openssh().unwrap();
        assert!(!is_encrypted(&plain));
        assert_eq!(PrivateKey::parse(&plain, None).unwrap().public(), key.public());
        let passphrase = Secret::from("open sesame");
        let sealed = key.to_openssh_encrypted(&passphrase).unwrap();
        assert!(is_encrypted(&sealed));
        assert_eq!(PrivateKey::parse(&sealed, Some(&passphrase)).unwrap().public(), key.public());
        assert_eq!(PrivateKey::parse(&sealed, None).unwrap_err(), KeyError::PassphraseMissing);
        assert_eq!(PrivateKey::parse(&sealed, Some(&"other".into())).unwrap_err(), KeyError::WrongPassphrase);
        assert_ne!(PrivateKey::generate_ed25519().unwrap().public(), key.public());
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }

    #[test]
    fn every_format_opens_plain_and_encrypted() {
        let kinds: [&[&str]; 7] = [
            &["-t", "ed25519"],
            &["-t", "ecdsa", "-b", "256"],
            &["-t", "ecdsa", "-b", "384"],
            &["-t", "ecdsa", "-b", "521"],
            &["-t", "rsa", "-b", "3072"],
            &["-t", "rsa", "-b", "3072", "-m", "PKCS8"],
            &["-t", "ecdsa", "-m", "PKCS8"],
        ];
        for kind in kinds {
            parse(&keygen(kind, ""), None).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            // A passphrase that is not needed is not looked at.
            parse(&keygen(kind, ""), Some("needless")).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            let sealed = keygen(kind, "open sesame");
            parse(&sealed, Some("open sesame")).unwrap_or_else(|error| panic!("{kind:?} encrypted: {error}"));
            assert_eq!(parse(&sealed, None).unwrap_err(), KeyError::PassphraseMissing, "{kind:?}");
            assert_eq!(parse(&sealed, Some("")).unwrap_err(), KeyError::PassphraseMissing, "{kind:?}");
            assert_eq!(parse(&sealed, Some("wrong")).unwrap_err(), KeyError::WrongPassphrase, "{kind:?}");
        }
        for plain in [&["-t", "rsa", "-b", "3072", "-m", "PEM"][..], &["-t", "ecdsa", "-m", "PEM"]] {
            parse(&keygen(plain, ""), None).unwrap_or_else(|error| panic!("{plain:?}: {error}"));
        }
    }

    #[test]
    fn outdated_encryption_says_how_to_write_the_key_anew() {
        for cipher in ["-aes256", "-des3"] {
            let old = made("openssl", &["genrsa", cipher, "-traditional", "-passout", "pass:open sesame", "-out", "FILE", "3072"]);
            assert_eq!(parse(&old, Some("open sesame")).unwrap_err(), KeyError::UnsupportedEncryption, "{cipher}");
        }
        let known = made("openssl", &["genrsa", "-aes128", "-traditional", "-passout", "pass:open sesame", "-out", "FILE", "3072"]);
        parse(&known, Some("open sesame")).unwrap();
        assert_eq!(parse(&known, Some("wrong")).unwrap_err(), KeyError::WrongPassphrase);
    }

    #[test]
    fn pasted_keys_are_put_right() {
        use base64::Engine as _;
        let text = keygen(&["-t", "ed25519"], "");
        let key = parse(&text, None).unwrap().public();
        let pasted = [
            text.lines().map(|line| format!("    {line}\n")).collect::<String>(),
            text.replace('\n', "\\n"),
            text.replace('\n', " "),
            text.replace('\n', "\r\n"),
            text.trim_end().to_owned(),
            format!("\n\n{text}"),
            base64::engine::general_purpose::STANDARD.encode(&text),
        ];
        for pasted in pasted {
            assert_eq!(parse(&pasted, None).unwrap_or_else(|error| panic!("{error}: {pasted}")).public(), key);
        }
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let public = PrivateKey::generate_ed25519().unwrap().public().to_string();
        let whole = keygen(&["-t", "ed25519"], "");
        let cut: String = whole.lines().take(3).map(|line| format!("{line}\n")).collect();
        let cases = [
            (public, KeyError::PublicKey),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----".to_owned(), KeyError::PublicKey),
            (String::new(), KeyError::NotAKey),
            ("hunter2".to_owned(), KeyError::NotAKey),
            (cut, KeyError::Damaged),
            (keygen(&["-t", "rsa", "-b", "2048"], ""), KeyError::TooWeak { bits: 2048 }),
        ];
        for (text, error) in cases {
            assert_eq!(parse(&text, None).unwrap_err(), error);
        }
    }
}
