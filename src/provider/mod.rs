//! What Terraform wants: the resources.

use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::erased::Registry;
use crate::tfplugin::kind::Configuration;
use crate::tfplugin::model::model;
use crate::tfplugin::schema::Schema;

/// All that this provider offers.
#[must_use]
pub fn registry() -> Registry {
    Registry::new(Bare)
}

model! {
    /// A provider block without arguments.
    pub struct Nothing {}
}

struct Bare;

impl Configuration for Bare {
    type Model = Nothing;

    fn schema(&self) -> Schema {
        Schema { version: 0, description: "The path from here through a bastion to a private Postgres.", attributes: Vec::new() }
    }

    fn validate(&self, _: &Nothing) -> Diagnostics {
        Diagnostics::new()
    }

    fn configure(&self, _: Nothing, _: &str) -> Diagnostics {
        Diagnostics::new()
    }
}
