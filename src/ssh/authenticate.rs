//! From a trusted server to a session: the user's key.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::HashAlg;
use russh::keys::{PrivateKeyWithHashAlg, ssh_key};
use russh::{MethodSet, SendError, Signer};
use tokio::time::timeout;

use super::client::{Client, Events, words};
use super::error::AuthenticateError;
use super::handshake::Trusted;
use super::session::Session;
use crate::key::{PrivateKey, PublicKey};

impl Trusted {
    /// Whether a login may use a key, without a signature and so without its private half (RFC 4252, 7: sshd answers USERAUTH_PK_OK if its
    /// authorized_keys has it). A refusal counts towards MaxAuthTries.
    ///
    /// # Errors
    ///
    /// [`AuthenticateError`]; [`TooManyTries`](AuthenticateError::TooManyTries) if the refusal was one too many.
    pub async fn authorizes(&mut self, user: &str, key: &PublicKey, within: Duration) -> Result<bool, AuthenticateError> {
        let Self { handle, events, .. } = self;
        let asked = timeout(within, ask(handle, events, user, key)).await;
        asked.unwrap_or(Err(AuthenticateError::Silent))
    }

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
                Ok(Session::new(handle, events, hold, transcript))
            }
            Err(error) => {
                // The same goodbye as for a session.
                drop(Session::new(handle, events, hold, transcript));
                Err(error)
            }
        }
    }
}

async fn log_in(handle: &mut Handle<Client>, events: &Events, user: &str, key: &PrivateKey) -> Result<(), AuthenticateError> {
    let key = Arc::new(key.as_russh().clone());
    let mut refused = Vec::new();
    for hash in hashes(handle, &key).await {
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

async fn ask(handle: &mut Handle<Client>, events: &Events, user: &str, key: &PublicKey) -> Result<bool, AuthenticateError> {
    match handle.authenticate_publickey_with(user, key.as_russh(), None, &mut Unsigned).await {
        Err(Answer::Authorized) => Ok(true),
        Ok(AuthResult::Failure { remaining_methods, .. }) if !remaining_methods.is_empty() => Ok(false),
        Ok(_) | Err(Answer::Gone) => Err(ended(handle, events).await),
    }
}

/// Has no private key. russh asks for a signature once the server has said that the key would do: that is all there is to know.
struct Unsigned;

/// How a question without a signature ends.
enum Answer {
    Authorized,
    Gone,
}

impl From<SendError> for Answer {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl Signer for Unsigned {
    type Error = Answer;

    async fn auth_sign(&mut self, _key: &AgentIdentity, _hash: Option<HashAlg>, _to_sign: Vec<u8>) -> Result<Vec<u8>, Answer> {
        Err(Answer::Authorized)
    }
}

/// How the key may sign. A server that says what it takes is asked once: each offer counts towards its MaxAuthTries.
async fn hashes(handle: &Handle<Client>, key: &ssh_key::PrivateKey) -> Vec<Option<HashAlg>> {
    if !key.algorithm().is_rsa() {
        return vec![None];
    }
    fitting(handle.best_supported_rsa_hash().await.unwrap_or_default())
}

/// The hashes to be tried, by what the server said of them.
fn fitting(told: Option<Option<HashAlg>>) -> Vec<Option<HashAlg>> {
    match told {
        Some(Some(hash)) => vec![Some(hash)],
        _ => vec![Some(HashAlg::Sha512), Some(HashAlg::Sha256)],
    }
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
    match result {
        // The server takes no method at all, or none that is known.
        Err(russh::Error::NoAuthMethod) => AuthenticateError::Denied { methods: Vec::new() },
        _ if heard.as_str().contains("Too many authentication failures") => AuthenticateError::TooManyTries { heard },
        _ => AuthenticateError::Closed { heard },
    }
}

#[cfg(test)]
mod tests {
    use russh::server::Auth;
    use russh::{MethodKind, MethodSet};

    use super::*;
    use crate::path::heard::Heard;
    use crate::ssh::handshake::handshake;
    use crate::ssh::testing::{LONG, SHORT, Server, connected, log_in, pinned, rsa_key, wait_until};

    fn key() -> PrivateKey {
        PrivateKey::generate_ed25519().unwrap()
    }

    fn reject(methods: &[MethodKind], partial_success: bool) -> Auth {
        Auth::Reject { proceed_with_methods: Some(MethodSet::from(methods)), partial_success }
    }

    #[tokio::test]
    async fn an_accepted_key_is_a_session() {
        let server = Server::start().await;
        let session = server.log_in("tf", &key()).await.ok().unwrap();
        assert!(session.is_alive() && session.ended().is_empty());
        assert_eq!(server.notes.count("accepted tf ssh-ed25519"), 1);
    }

    #[tokio::test]
    async fn a_key_is_asked_for_without_its_private_half_and_another_logs_in_after_it() {
        let judges: [(crate::ssh::testing::Judge, bool); 2] =
            [(|_, _| Auth::Accept, true), (|_, _| reject(&[MethodKind::PublicKey], false), false)];
        for (judge, known) in judges {
            let server = Server::with(judge, |_| ()).await;
            let mut trusted = handshake(connected(server.port()).await, &pinned(&server.host_key), LONG).await.ok().unwrap();
            assert_eq!(trusted.authorizes("tf", &key().public(), LONG).await, Ok(known));
            assert_eq!(server.notes.count("accepted tf ssh-ed25519"), 0, "nobody signed");
            assert_eq!(trusted.authenticate("tf", &key(), LONG).await.is_ok(), known);
        }
    }

    #[tokio::test]
    async fn a_refused_key_is_offered_once_and_leaves_no_connection() {
        let server = Server::with(|_, _| reject(&[MethodKind::PublicKey, MethodKind::Password], false), |_| ()).await;
        let refused = server.log_in("tf", &key()).await.err().unwrap();
        let AuthenticateError::Denied { methods } = refused else { panic!("{refused}") };
        assert!(methods.contains(&"publickey".to_owned()) && methods.contains(&"password".to_owned()), "{methods:?}");
        server.notes.until("ended", 1).await;
        assert_eq!(server.notes.count("offered tf"), 1);
    }

    #[tokio::test]
    async fn a_second_factor_is_not_a_refusal() {
        let server = Server::with(|_, _| reject(&[MethodKind::KeyboardInteractive], true), |_| ()).await;
        let partial = server.log_in("tf", &key()).await.err().unwrap();
        assert_eq!(partial, AuthenticateError::Partial { methods: vec!["keyboard-interactive".to_owned()] });
    }

    #[tokio::test]
    async fn an_rsa_key_is_offered_as_the_server_takes_it_and_never_with_sha_1() {
        let key = rsa_key();
        // One that says it is asked once: each offer counts towards its MaxAuthTries.
        let tells = Server::with(|_, _| reject(&[MethodKind::PublicKey], false), |_| ()).await;
        assert!(matches!(tells.log_in("tf", &key).await, Err(AuthenticateError::Denied { .. })));
        assert_eq!(tells.notes.count("offered tf"), 1);
        assert_eq!(fitting(Some(Some(HashAlg::Sha256))), [Some(HashAlg::Sha256)]);
        // Without a word of what it takes, or where it takes none of them, both are tried.
        for told in [None, Some(None)] {
            assert_eq!(fitting(told), [Some(HashAlg::Sha512), Some(HashAlg::Sha256)]);
        }
    }

    #[tokio::test]
    async fn a_server_without_a_method_does_not_hang_up_without_a_reason() {
        let server = Server::with(|_, _| reject(&[], false), |_| ()).await;
        assert_eq!(server.log_in("tf", &key()).await.err(), Some(AuthenticateError::Denied { methods: Vec::new() }));
    }

    #[tokio::test]
    async fn an_end_without_verdict_is_no_refusal() {
        let server = Server::with(|_, _| Auth::reject(), |config| config.auth_rejection_time = LONG).await;
        let relay = lab::Relay::start(([127, 0, 0, 1], server.port())).unwrap();
        let key = key();
        let (closed, ()) = tokio::join!(log_in(relay.port(), &server.host_key, "tf", &key), async {
            server.notes.until("offered tf", 1).await;
            relay.cut();
        });
        assert_eq!(closed.err(), Some(AuthenticateError::Closed { heard: Heard::from_text("the connection was closed") }));
    }

    /// A relay that stops passing anything on is a bastion that fell silent.
    #[tokio::test]
    async fn silence_is_bounded_and_leaves_no_connection() {
        let server = Server::start().await;
        let relay = lab::Relay::start(([127, 0, 0, 1], server.port())).unwrap();
        let trusted = handshake(connected(relay.port()).await, &pinned(&server.host_key), LONG).await.ok().unwrap();
        relay.freeze();
        assert_eq!(trusted.authenticate("tf", &key(), SHORT).await.err().unwrap(), AuthenticateError::Silent);
        relay.forward();
        server.notes.until("ended", 1).await;
    }

    #[tokio::test]
    async fn a_login_that_is_given_up_leaves_no_connection() {
        let server = Server::start().await;
        let relay = lab::Relay::start(([127, 0, 0, 1], server.port())).unwrap();
        for round in 1..4 {
            relay.forward();
            let trusted = handshake(connected(relay.port()).await, &pinned(&server.host_key), LONG).await.ok().unwrap();
            relay.freeze();
            assert!(timeout(SHORT, trusted.authenticate("tf", &key(), LONG)).await.is_err());
            relay.forward();
            wait_until("the end of the connection", || server.notes.count("ended") == round).await;
        }
    }
}
