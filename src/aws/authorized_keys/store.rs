//! Stores that only look like S3: whether they honour the conditions of a write is found out before they are trusted with somebody's keys.
//!
//! Amazon's own endpoints are trusted. Any other is looked at before each write, until a write that had to be refused was refused: our own
//! text once more, over what is there already, so that a store that ignores the condition writes what it has.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::claims::{Claim, Claims};
use super::namesakes::Newest;
use super::object::{AuthorizedKeys, Condition, Text};
use crate::path::heard::Heard;
use crate::path::refusal::{BucketReason, Reason, Refusal};

/// The ends of the names of Amazon's endpoints, of all partitions.
const AMAZONS: [&str; 4] = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"];

/// What no object's ETag is.
const NEVER: &str = "00000000000000000000000000000000";

/// The answers of a store that honours a condition that does not hold: failed, in conflict, not there.
const REFUSED: [u16; 3] = [412, 409, 404];

/// What this process knows of the objects it has to do with, and of where they are.
#[derive(Default)]
pub(in crate::aws) struct Process {
    /// Addresses and conditions that were seen to be honoured.
    honoured: Mutex<HashSet<(String, Kind)>>,
    /// Claims that were made.
    made: Mutex<HashSet<Claim>>,
    /// Claims that are being taken off, or were.
    leaving: watch::Sender<HashSet<Claim>>,
    /// Claims that followed another one of the same owner.
    succeeded: Mutex<HashSet<Claim>>,
    /// The newest objects of a bucket's prefix, as they were when they were first asked for.
    pub(super) newest: Mutex<HashMap<String, Newest>>,
}

/// The condition of a write.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Absent,
    Still,
}

impl Process {
    pub(super) fn note(&self, claim: &Claim) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(claim.clone());
    }

    /// Notes that a claim has followed another one of the same owner.
    pub(super) fn succeed(&self, claim: &Claim) {
        self.succeeded.lock().unwrap_or_else(PoisonError::into_inner).insert(claim.clone());
    }

    pub(super) fn has_succeeded(&self, claim: &Claim) -> bool {
        self.succeeded.lock().unwrap_or_else(PoisonError::into_inner).contains(claim)
    }

    /// Says that a claim is being taken off.
    pub(super) fn leave(&self, claims: &Claims) {
        self.leaving.send_modify(|leaving| leaving.extend(claims.iter().cloned()));
    }

    /// Waits until this very process takes all of these claims off. `false`: it does not by the deadline.
    pub(super) async fn leaves(&self, claims: &Claims, deadline: Instant) -> bool {
        let mut leaving = self.leaving.subscribe();
        let all = leaving.wait_for(|leaving| claims.iter().all(|claim| leaving.contains(claim)));
        tokio::time::timeout_at(deadline, all).await.is_ok_and(|waited| waited.is_ok())
    }

    /// Whether this very process made the claim, so that nobody needs to be told of it.
    pub(super) fn made(&self, claim: &Claim) -> bool {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).contains(claim)
    }
}

impl AuthorizedKeys {
    /// The store's address, as long as it was not seen to honour such a condition.
    pub(super) async fn doubted(&self, kind: Kind) -> Result<Option<String>, Refusal> {
        let Some(url) = self.account.s3_endpoint().await? else { return Ok(None) };
        let host = host(&url);
        let known = self.account.objects().honoured.lock().unwrap_or_else(PoisonError::into_inner).contains(&(host.to_owned(), kind));
        let amazons = AMAZONS.iter().any(|end| host.split(':').next().is_some_and(|name| name.ends_with(end)));
        Ok((!known && !amazons).then(|| host.to_owned()))
    }

    /// Repeats a write of what is there under a condition that does not hold.
    ///
    /// # Errors
    ///
    /// [`BucketReason::Unconditional`]: it was done nevertheless.
    pub(super) async fn probe(&self, store: String, text: &Text<'_>, kind: Kind) -> Result<(), Refusal> {
        let condition = match kind {
            Kind::Absent => Condition::Absent,
            Kind::Still => Condition::Still(NEVER),
        };
        match self.put(text, condition).await? {
            Ok(_) => {
                let reason = Reason::Bucket(BucketReason::Unconditional { store });
                Err(Refusal { reason, heard: Heard::default(), action: "s3:PutObject" })
            }
            Err(answer) if REFUSED.contains(&answer.status) => {
                self.account.objects().honoured.lock().unwrap_or_else(PoisonError::into_inner).insert((store, kind));
                Ok(())
            }
            // It says nothing about conditions, and the write itself will say what it is.
            Err(_) => Ok(()),
        }
    }

    /// Finds out whether the store honours the condition under which what is there is about to be replaced.
    pub(super) async fn trust(&self, claims: &Claims, lines: Option<&str>, kms_key_id: Option<&str>) -> Result<(), Refusal> {
        match (self.doubted(Kind::Still).await?, lines) {
            // What bears no claim is not ours to repeat.
            (Some(store), Some(lines)) if !claims.is_empty() => self.probe(store, &Text { claims, lines, kms_key_id }, Kind::Still).await,
            _ => Ok(()),
        }
    }
}

/// Name and port in a URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host() {
        for (url, expected) in [("http://127.0.0.1:9000/", "127.0.0.1:9000"), ("https://s3.example.com/a/b", "s3.example.com"), ("x", "x")]
        {
            assert_eq!(host(url), expected);
        }
    }
}
