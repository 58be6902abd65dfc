//! Keys: parse, generate, fingerprint, encrypt, and the authorized_keys line. Pure: no I/O, no tokio.

mod authorized;
mod canary;
mod pem;
mod private;
mod public;

pub use authorized::{Comment, CommentError, Expiry, ExpiryError, LineOptions, PermitOpen, PermitOpenError, authorized_keys_line};
pub use canary::{KeysVersion, KeysVersionError, canary};
pub use private::{KeyError, MIN_RSA_BITS, PrivateKey, is_encrypted, public_half};
pub(crate) use public::is_key_name;
pub use public::{PublicKey, PublicKeyError};

/// Which host keys are taken for the bastion's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostKeys {
    /// One of these, and none of the revoked ones.
    Pinned {
        /// Accepted.
        accepted: Vec<PublicKey>,
        /// Refused even if accepted too.
        revoked: Vec<PublicKey>,
    },
    /// Whatever is presented. Whoever sits in between is not noticed.
    Any,
}
