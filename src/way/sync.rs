//! Whether a bastion works with the wanted version of a login's keys: its canary is asked for in the connection that then logs in.

use std::time::Duration;

use super::failure::{Told, of_authenticate};
use crate::key::PrivateKey;
use crate::path::cause::Cause;
use crate::path::heard::Heard;
use crate::path::route::Hop;
use crate::path::walked::Status;
use crate::ssh::error::AuthenticateError;
use crate::ssh::handshake::Trusted;

/// What is known of the version before the login.
pub(super) enum Asked {
    /// No version is wanted.
    Nothing,
    /// The bastion works with it.
    Synced,
    /// It does not.
    Refused,
    /// Nothing can be told from this server.
    Untold(&'static str),
}

/// Asks for the canary, once: each refusal counts towards MaxAuthTries.
pub(super) async fn ask(trusted: &mut Trusted, hop: &Hop, key: &PrivateKey, within: Duration) -> Result<Asked, Told> {
    let (Some(canary), Some(user)) = (&hop.canary, &hop.user) else { return Ok(Asked::Nothing) };
    let authorized = trusted.authorizes(user, canary, within).await.map_err(|error| match error {
        // With `MaxAuthTries 1` the canary was the one try.
        AuthenticateError::TooManyTries { heard } => (Cause::NotSynced, heard),
        error => of_authenticate(error),
    })?;
    let facts = trusted.facts();
    if !authorized {
        // Whoever may not use curve25519 may not use ed25519 either (FIPS); russh does not tell what the server said of its signatures.
        let curve = facts.kex.contains("25519") || key.public().algorithm() == canary.algorithm();
        return Ok(if curve { Asked::Refused } else { Asked::Untold("not told: this server takes no ed25519 keys") });
    }
    if facts.server_version.starts_with("OpenSSH") {
        return Ok(Asked::Synced);
    }
    // Servers that ask for the signature first and look for the key afterwards say yes to every key.
    let (Ok(unknown), Some(user)) = (PrivateKey::generate_ed25519(), &hop.user) else { return Ok(Asked::Synced) };
    let gullible = trusted.authorizes(user, &unknown.public(), within).await.map_err(of_authenticate)?;
    Ok(if gullible { Asked::Untold("not told: this server says yes to every key") } else { Asked::Synced })
}

impl Asked {
    /// What is told of it after a login.
    pub(super) fn told(self) -> Option<Result<(Status, &'static str), Told>> {
        match self {
            Self::Nothing => None,
            Self::Synced => Some(Ok((Status::Passed, "the wanted version of the keys"))),
            Self::Refused => Some(Err((Cause::NotSynced, Heard::default()))),
            Self::Untold(why) => Some(Ok((Status::Skipped, why))),
        }
    }
}
