//! Keys: parse, generate, fingerprint, encrypt, and the authorized_keys line.

/// A public key of any kind OpenSSH knows, without its comment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey(String);

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
