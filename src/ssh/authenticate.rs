//! From a trusted server to a session: the user's key.

use std::sync::Arc;
use std::time::Duration;

use russh::MethodSet;
use russh::client::{AuthResult, Handle};
use russh::keys::ssh_key::HashAlg;
use russh::keys::{PrivateKeyWithHashAlg, ssh_key};
use tokio::time::timeout;

use super::client::{Client, Events, words};
use super::error::AuthenticateError;
use super::handshake::Trusted;
use super::session::Session;
use crate::key::PrivateKey;

impl Trusted {
    /// Logs in with a public key. RSA keys sign with SHA-512, and with SHA-256 where that is refused; never with SHA-1.
    ///
    /// # Errors
    ///
    /// [`AuthenticateError`], by what sshd says.
    pub async fn authenticate(self, user: &str, key: &PrivateKey, within: Duration) -> Result<Session, AuthenticateError> {
        let Self { mut handle, events, transcript, hold, .. } = self;
        let logged_in = timeout(within, log_in(&mut handle, &events, user, key)).await.unwrap_or(Err(AuthenticateError::Silent));
        match logged_in {
            Ok(()) => {
                transcript.logged_in();
                Ok(Session::new(handle, events, hold))
            }
            Err(error) => {
                // The same goodbye as for a session.
                drop(Session::new(handle, events, hold));
                Err(error)
            }
        }
    }
}

async fn log_in(handle: &mut Handle<Client>, events: &Events, user: &str, key: &PrivateKey) -> Result<(), AuthenticateError> {
    let key = Arc::new(key.as_russh().clone());
    let mut refused = Vec::new();
    for hash in hashes(&key) {
        let answer = handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(Arc::clone(&key), hash)).await;
        match answer {
            Ok(AuthResult::Success) => return Ok(()),
            Ok(AuthResult::Failure { remaining_methods, partial_success: true }) => {
                return Err(AuthenticateError::Partial { methods: names(&remaining_methods) });
            }
            // russh reports the end of a session as a refusal without methods, possibly before it reports why.
            Ok(AuthResult::Failure { remaining_methods, .. }) if remaining_methods.is_empty() => return Err(ended(handle, events).await),
            Ok(AuthResult::Failure { remaining_methods, .. }) => refused = names(&remaining_methods),
            Err(_) => return Err(ended(handle, events).await),
        }
    }
    Err(AuthenticateError::Denied { methods: refused })
}

fn hashes(key: &ssh_key::PrivateKey) -> Vec<Option<HashAlg>> {
    if key.algorithm().is_rsa() { vec![Some(HashAlg::Sha512), Some(HashAlg::Sha256)] } else { vec![None] }
}

fn names(methods: &MethodSet) -> Vec<String> {
    methods.iter().map(|method| <&str>::from(method).to_owned()).collect()
}

/// The session ended: says why, once the reason has arrived.
async fn ended(handle: &mut Handle<Client>, events: &Events) -> AuthenticateError {
    // The session's own task ends by itself here; it notes the reason just before, unless the socket broke under it.
    let result = handle.await;
    let noted = events.ended();
    let heard = match &result {
        Err(error) if noted.is_empty() && !matches!(error, russh::Error::Disconnect) => words(error),
        _ => noted,
    };
    if heard.as_str().contains("Too many authentication failures") {
        AuthenticateError::TooManyTries { heard }
    } else {
        AuthenticateError::Closed { heard }
    }
}
