//! The provider block.

#[cfg(feature = "aws")]
use tokio_util::sync::CancellationToken;

use super::Shared;
#[cfg(feature = "aws")]
use super::aws::{self, AwsModel};
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::Configuration;
#[cfg(feature = "aws")]
use crate::tfplugin::model::Attr;
use crate::tfplugin::model::model;
use crate::tfplugin::schema::Schema;

#[cfg(feature = "aws")]
model! {
    /// `provider "bastion" {}`.
    pub struct ConfigModel {
        /// The AWS account.
        pub aws: Attr<AwsModel>,
    }
}

#[cfg(not(feature = "aws"))]
model! {
    /// `provider "bastion" {}`.
    pub struct ConfigModel {}
}

/// The provider's configuration.
pub struct Config {
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "there is nothing to configure then"))]
    shared: Shared,
}

impl Config {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { shared: shared.clone() }
    }
}

impl Configuration for Config {
    type Model = ConfigModel;

    fn schema(&self) -> Schema {
        Schema {
            version: 0,
            description: "Makes the path from a data system through an SSH bastion to a private Postgres, and proves that it works.",
            attributes: vec![
                #[cfg(feature = "aws")]
                aws::attribute(),
            ],
        }
    }

    #[cfg_attr(not(feature = "aws"), expect(unused_variables, unused_mut, reason = "there is nothing to configure then"))]
    fn validate(&self, config: &ConfigModel) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        #[cfg(feature = "aws")]
        aws::validate(&config.aws, &mut diagnostics);
        diagnostics
    }

    #[cfg_attr(not(feature = "aws"), expect(unused_variables, reason = "there is nothing to configure then"))]
    fn configure(&self, config: ConfigModel, _terraform_version: &str) -> Diagnostics {
        #[cfg(feature = "aws")]
        self.shared.aws.set(&config.aws);
        Diagnostics::new()
    }

    #[cfg(feature = "aws")]
    async fn finish(&self, cancelled: &CancellationToken) {
        if let Some(account) = self.shared.aws.account() {
            let (depart, shut) = (crate::aws::security_group_rules::depart(&account, cancelled), crate::aws::shut(&account));
            tokio::join!(depart, shut);
        }
    }
}
