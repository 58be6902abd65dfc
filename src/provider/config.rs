//! The provider block. Empty so far: nothing here needs an account.

use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::Configuration;
use crate::tfplugin::model::model;
use crate::tfplugin::schema::Schema;

model! {
    /// `provider "bastion" {}`.
    pub struct ConfigModel {}
}

/// The provider's configuration.
pub struct Config;

impl Configuration for Config {
    type Model = ConfigModel;

    fn schema(&self) -> Schema {
        Schema {
            version: 0,
            description: "Makes the path from a data system through an SSH bastion to a private Postgres, and proves that it works.",
            attributes: Vec::new(),
        }
    }

    fn validate(&self, _config: &ConfigModel) -> Diagnostics {
        Diagnostics::new()
    }

    fn configure(&self, _config: ConfigModel, _terraform_version: &str) -> Diagnostics {
        Diagnostics::new()
    }
}
