//! One at a time: changes of one security group wait for each other, or they would plan against what the other is changing.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use super::id::GroupId;

/// The groups that this process changes.
#[derive(Default)]
pub(in crate::aws) struct Groups(Mutex<HashMap<GroupId, Arc<tokio::sync::Mutex<()>>>>);

impl Groups {
    /// Waits for a group.
    pub(super) async fn lock(&self, group: &GroupId) -> OwnedMutexGuard<()> {
        let lock = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(group.clone()).or_default());
        lock.lock_owned().await
    }
}

/// Rules that were made or taken over by one hand and must not be removed by another that recorded them too: whoever renames an object,
/// or makes the new one before the old one goes, hands its rules over without a gap.
#[derive(Default)]
pub struct Claims(Mutex<BTreeSet<String>>);

impl Claims {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Claims rules by their ids.
    pub(super) fn claim(&self, ids: impl IntoIterator<Item = String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
    }

    /// Gives them up: who has them recorded may remove them.
    pub fn release<'a>(&self, ids: impl IntoIterator<Item = &'a String>) {
        let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            claimed.remove(id);
        }
    }

    pub(super) fn claimed(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }
}
