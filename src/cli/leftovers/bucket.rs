//! The claims on the logins' objects of a bucket.

use tokio_util::sync::CancellationToken;

use super::{Done, Marked, Outcome};
use crate::aws::authorized_keys::{BucketName, Left, ObjectKey, Prefix, leftovers, release};
use crate::aws::{Account, Owner};
use crate::path::refusal::Refusal;

/// A bucket, and where in it the logins' objects are.
pub(super) struct Bucket {
    pub(super) bucket: BucketName,
    pub(super) prefix: Prefix,
}

impl Bucket {
    pub(super) async fn list(&self, account: &Account, cancelled: &CancellationToken) -> Result<Vec<Marked>, Refusal> {
        let found = leftovers(account, &self.bucket, &self.prefix, cancelled).await?;
        let marked = found.into_iter().map(|leftover| Marked {
            id: leftover.key.to_string(),
            what: format!("the login {}", leftover.key.user().as_str()),
            owners: leftover.claims.owners(),
        });
        Ok(marked.collect())
    }

    /// Takes an owner's claims off all that it claims.
    pub(super) async fn release(
        &self,
        account: &Account,
        owner: &Owner,
        marked: &[Marked],
        done: &mut Done,
        cancelled: &CancellationToken,
    ) -> Result<(), Refusal> {
        for one in marked.iter().filter(|one| one.owners.contains(owner)) {
            // It was a key when it was listed.
            let Ok(key) = one.id.parse::<ObjectKey>() else { continue };
            let outcome = match release(account, &self.bucket, &key, owner, cancelled).await? {
                Left::Gone => Outcome::Removed,
                Left::Shared(others) => Outcome::Kept(others),
                Left::HandedOver | Left::Foreign => continue,
            };
            done.push((owner.clone(), one.id.clone(), outcome));
        }
        Ok(())
    }
}
