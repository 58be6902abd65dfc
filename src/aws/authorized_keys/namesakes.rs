//! Which other objects of the bucket hold one of the same keys: a run that was killed before its login was corrected leaves such.

use std::sync::{Arc, PoisonError};

use aws_sdk_s3::Client;
use tokio::sync::OnceCell;

use super::claims::Claim;
use super::content::{Content, Found};
use super::leftovers::{Leftover, refused};
use super::name::ObjectKey;
use super::object::{AuthorizedKeys, call};
use crate::key::PublicKey;
use crate::path::refusal::Refusal;

/// How many of a prefix's newest objects are read, once in a process: what a killed run left is among them when the next run comes.
const NEWEST: usize = 20;

/// Objects with their keys.
type Known = Vec<(Leftover, Vec<PublicKey>)>;

/// The same, read when it is first asked for.
pub(super) type Newest = Arc<OnceCell<Arc<Known>>>;

impl AuthorizedKeys {
    /// Claimed objects beside this one that let one of the same keys in, if this process has made none of their claims.
    ///
    /// # Errors
    ///
    /// S3's refusal of the listing; an object that cannot be read is left out.
    pub async fn namesakes(&self, content: &Content) -> Result<Vec<Leftover>, Refusal> {
        let objects = self.account.objects();
        let known = self.known().await?;
        let namesakes = known.iter().filter(|(other, keys)| {
            let stranger = other.claims.iter().all(|claim| !objects.made(claim));
            stranger && other.key != self.key && keys.iter().any(|key| content.keys().contains(key))
        });
        Ok(namesakes.map(|(other, _)| other.clone()).collect())
    }

    /// Whether a create of this process took the object over from another object of the same owner.
    #[must_use]
    pub fn has_succeeded(&self, claim: &Claim) -> bool {
        self.account.objects().has_succeeded(claim)
    }

    /// Other objects that bear this very claim: a run that was killed while the login moved leaves such.
    ///
    /// # Errors
    ///
    /// S3's refusal of the listing.
    pub async fn strays(&self, claim: &Claim) -> Result<Vec<Self>, Refusal> {
        let known = self.known().await?;
        let strays = known.iter().filter(|(other, _)| other.key != self.key && other.claims.holds(claim));
        Ok(strays.map(|(other, _)| Self { key: other.key.clone(), ..self.clone() }).collect())
    }

    async fn known(&self) -> Result<Arc<Known>, Refusal> {
        let place = format!("{}/{}", self.bucket, self.key.prefix().as_str());
        let newest: Newest = self.account.objects().newest.lock().unwrap_or_else(PoisonError::into_inner).entry(place).or_default().clone();
        newest.get_or_try_init(|| async { Ok(Arc::new(self.newest().await?)) }).await.cloned()
    }

    async fn newest(&self) -> Result<Known, Refusal> {
        let list = |client: Client| client.list_objects_v2().bucket(self.bucket.as_str()).prefix(self.key.prefix().as_str()).send();
        let page = call(&self.account, &self.bucket, list).await?.map_err(|answer| refused(&self.bucket, &answer))?;
        let mut keys: Vec<_> = page
            .contents()
            .iter()
            .filter_map(|object| Some((object.last_modified().copied(), object.key()?.parse::<ObjectKey>().ok()?)))
            .collect();
        keys.sort_by(|(this, _), (that, _)| that.cmp(this));
        let mut newest = Vec::new();
        for (_, key) in keys.into_iter().filter(|(_, key)| *key != self.key).take(NEWEST) {
            let other = Self { key: key.clone(), ..self.clone() };
            let Ok(Some(there)) = other.fetch().await else { continue };
            if let Some(found) = Found::read(&other.place(), &there.lines).filter(|_| !there.claims.is_empty()) {
                newest.push((Leftover { key, claims: there.claims }, found.keys));
            }
        }
        Ok(newest)
    }
}
