//! `--admit GROUP[=ADDRESS]`: the security group that lets this machine in for the time of a walk.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use crate::aws::security_group_rules::{GroupId, IdError};
use crate::aws::{Account, SecurityGroupAdmission, Settings, shut};
use crate::path::admission::Admission;

/// A group and this machine's address.
#[derive(Clone)]
pub(super) struct Admit {
    group: GroupId,
    address: Option<IpAddr>,
}

/// Why a text is not that.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdmitError {
    /// The part before the equals sign.
    #[error(transparent)]
    Group(#[from] IdError),
    /// The part behind it.
    #[error("the part after `=` is one IP address of this machine, such as 203.0.113.7")]
    Address,
}

impl FromStr for Admit {
    type Err = AdmitError;

    fn from_str(text: &str) -> Result<Self, AdmitError> {
        let (group, address) = text.split_once('=').map_or((text, None), |(group, address)| (group, Some(address)));
        let address = address.map(|text| text.parse().map_err(|_| AdmitError::Address)).transpose()?;
        let admit = Self { group: group.parse()?, address };
        // Judged here, where it can be said.
        admit.admission(&Account::new(Settings::default())).map(|_| admit).ok_or(AdmitError::Address)
    }
}

impl Admit {
    fn admission(&self, account: &Account) -> Option<SecurityGroupAdmission> {
        SecurityGroupAdmission::new(account.clone(), self.group.clone(), self.address)
    }
}

/// Walks with whoever lets this machine in, and shuts the door afterwards.
pub(super) async fn admitted<T>(admit: Option<&Admit>, walk: impl AsyncFnOnce(Option<Arc<dyn Admission>>) -> T) -> T {
    let account = Account::new(Settings::default());
    let admission = admit.and_then(|admit| admit.admission(&account)).map(|admission| -> Arc<dyn Admission> { Arc::new(admission) });
    let walked = walk(admission).await;
    shut(&account).await;
    walked
}
