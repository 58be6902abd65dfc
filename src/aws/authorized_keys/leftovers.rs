//! What claims there are in a bucket, and how those that no state knows any more are taken off.

use aws_sdk_s3::Client;
use tokio_util::sync::CancellationToken;

use super::claims::Claims;
use super::name::{BucketName, ObjectKey, Prefix};
use super::object::{AuthorizedKeys, Seen, call};
use super::ownership::Left;
use super::refusal::unreadable;
use crate::aws::Account;
use crate::aws::answer::Answer;
use crate::aws::owner::Owner;
use crate::path::heard::Heard;
use crate::path::refusal::{AccountReason, BucketReason, Reason, Refusal};

const ACTION: &str = "s3:ListBucket";

/// The most pages of a listing, of S3's thousand objects each: a hundred times what a bastion has logins.
const PAGES: usize = 20;

/// A login's object and who claims it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its key.
    pub key: ObjectKey,
    /// Never empty.
    pub claims: Claims,
}

/// All logins' objects under a prefix that anybody claims, in the order of their keys. Which of the claims are left over, only those who
/// keep the states can tell.
///
/// # Errors
///
/// S3's refusal; [`BucketReason::Unlisted`] for a listing that would not end; [`AccountReason::Interrupted`].
pub async fn leftovers(
    account: &Account,
    bucket: &BucketName,
    prefix: &Prefix,
    cancelled: &CancellationToken,
) -> Result<Vec<Leftover>, Refusal> {
    let look = async {
        let mut claimed = Vec::new();
        for key in keys(account, bucket, prefix).await? {
            let object = AuthorizedKeys::new(account, bucket.clone(), key.clone(), None, None);
            let claims = claims(&object).await?;
            if !claims.is_empty() {
                claimed.push(Leftover { key, claims });
            }
        }
        Ok(claimed)
    };
    raced(cancelled, ACTION, look).await
}

/// Takes an owner's claims off an object, and removes the object with the last claim.
///
/// # Errors
///
/// S3's refusal, or [`AccountReason::Interrupted`].
pub async fn release(
    account: &Account,
    bucket: &BucketName,
    key: &ObjectKey,
    owner: &Owner,
    cancelled: &CancellationToken,
) -> Result<Left, Refusal> {
    let object = AuthorizedKeys::new(account, bucket.clone(), key.clone(), None, None);
    raced(cancelled, "s3:DeleteObject", object.release(owner)).await
}

/// The keys of logins' objects under a prefix; what no bastion would take for one is left out.
async fn keys(account: &Account, bucket: &BucketName, prefix: &Prefix) -> Result<Vec<ObjectKey>, Refusal> {
    let (mut keys, mut from) = (Vec::new(), None);
    for _ in 0..PAGES {
        let list = |client: Client| {
            let list = client.list_objects_v2().bucket(bucket.as_str()).prefix(prefix.as_str());
            list.set_continuation_token(from.clone()).send()
        };
        let page = call(account, bucket, list).await?.map_err(|answer| refused(bucket, &answer))?;
        keys.extend(page.contents().iter().filter_map(|object| object.key()?.parse::<ObjectKey>().ok()));
        from = page.next_continuation_token().map(ToOwned::to_owned);
        match (page.is_truncated(), &from) {
            (Some(true), Some(_)) => {}
            (Some(true), None) => break,
            _ => return Ok(keys),
        }
    }
    Err(Refusal { reason: Reason::Bucket(BucketReason::Unlisted { bucket: bucket.to_string() }), heard: Heard::default(), action: ACTION })
}

/// Who claims an object; nobody where there is none, or where what bears no mark may not be read.
async fn claims(object: &AuthorizedKeys) -> Result<Claims, Refusal> {
    match object.look().await? {
        None => Ok(Claims::default()),
        Some(Seen { claims: Some(claims), .. }) => Ok(claims),
        Some(_) => match object.fetch().await {
            Ok(fetched) => Ok(fetched.map(|fetched| fetched.claims).unwrap_or_default()),
            Err(refusal) if unreadable(&refusal) => Ok(Claims::default()),
            Err(refusal) => Err(refusal),
        },
    }
}

pub(super) fn refused(bucket: &BucketName, answer: &Answer) -> Refusal {
    match (answer.code.as_str(), answer.status) {
        ("NoSuchBucket", _) => answer.refusal(ACTION, Reason::Bucket(BucketReason::Missing { bucket: bucket.to_string() })),
        ("AccessDenied", _) => {
            answer.refusal(ACTION, Reason::Bucket(BucketReason::Denied { object: bucket.to_string(), denial: answer.denial() }))
        }
        _ => answer.refusal_of_account(ACTION),
    }
}

async fn raced<T>(
    cancelled: &CancellationToken,
    action: &'static str,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let interrupted = Refusal { reason: Reason::Account(AccountReason::Interrupted), heard: Heard::default(), action };
    cancelled.run_until_cancelled(work).await.unwrap_or(Err(interrupted))
}
