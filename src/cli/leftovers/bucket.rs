//! The claims on the logins' objects of a bucket.

use tokio_util::sync::CancellationToken;

use super::{Done, Marked, Outcome};
use crate::aws::authorized_keys::{BucketName, Left, ObjectKey, Prefix, leftovers, release};
use crate::aws::{Account, Owner};
use crate::path::refusal::Refusal;

pub(super) async fn list(
    bucket: &BucketName,
    prefix: &Prefix,
    account: &Account,
    cancelled: &CancellationToken,
) -> Result<Vec<Marked>, Refusal> {
    let found = leftovers(account, bucket, prefix, cancelled).await?;
    let marked = found.into_iter().map(|leftover| Marked {
        id: leftover.key.to_string(),
        what: format!("login {}", leftover.key.user().as_str()),
        owners: leftover.claims.owners(),
    });
    Ok(marked.collect())
}

/// Takes an owner's claims off all objects that it claims.
pub(super) async fn take_off(
    bucket: &BucketName,
    account: &Account,
    owner: &Owner,
    marked: &[Marked],
    done: &mut Done,
    cancelled: &CancellationToken,
) -> Result<(), Refusal> {
    for one in marked.iter().filter(|one| one.owners.contains(owner)) {
        // It was a key when it was listed.
        let Ok(key) = one.id.parse::<ObjectKey>() else { continue };
        let outcome = match release(account, bucket, &key, owner, cancelled).await? {
            Left::Gone => Outcome::Removed,
            Left::Shared(others) => Outcome::Kept(others),
            // Somebody else has taken the claim away meanwhile.
            Left::HandedOver | Left::Foreign => continue,
        };
        done.push((owner.clone(), one.id.clone(), outcome));
    }
    Ok(())
}
