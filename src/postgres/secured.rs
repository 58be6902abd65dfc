//! The stream that a login runs on: encrypted or not.

use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::tls::{Bounded, Encrypted, Secure};

use super::sslmode::Encryption;

/// The stream after [`negotiate`](super::negotiate): nothing of Postgres' own protocol has been spoken on it yet.
pub struct Secured<S> {
    pub(super) stream: Either<Bounded<S>, Box<TlsStream<Bounded<S>>>>,
    encrypted: Option<Encrypted>,
    channel_binding: Option<Vec<u8>>,
}

impl<S> Secured<S> {
    pub(super) const fn plain(stream: Bounded<S>) -> Self {
        Self { stream: Either::Left(stream), encrypted: None, channel_binding: None }
    }

    pub(super) fn tls(Secure { stream, encrypted, channel_binding, .. }: Secure<S>) -> Self {
        Self { stream: Either::Right(Box::new(stream)), encrypted: Some(encrypted), channel_binding }
    }

    /// Whether TLS is up.
    #[must_use]
    pub const fn encryption(&self) -> Encryption {
        if self.encrypted.is_some() { Encryption::Tls } else { Encryption::Plain }
    }

    /// What is known of TLS; `None` in the clear.
    #[must_use]
    pub const fn encrypted(&self) -> Option<&Encrypted> {
        self.encrypted.as_ref()
    }

    /// `tls-server-end-point` (RFC 5929); `None` in the clear, and for certificates whose signature has no hash, as Ed25519.
    #[must_use]
    pub fn channel_binding(&self) -> Option<&[u8]> {
        self.channel_binding.as_deref()
    }
}
