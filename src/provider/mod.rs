//! What Terraform wants: the resources.

use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::erased::Registry;
use crate::tfplugin::kind::Configuration;
use crate::tfplugin::model::{FromValue, IntoValue, ModelError};
use crate::tfplugin::schema::Schema;
use crate::tfplugin::value::Value;

/// All that this provider offers.
#[must_use]
pub fn registry() -> Registry {
    Registry::new(Bare)
}

struct Bare;

#[derive(Clone)]
struct Empty;

impl FromValue for Empty {
    fn from_value(_: Value, _: &AttributePath) -> Result<Self, ModelError> {
        Ok(Self)
    }
}

impl IntoValue for Empty {
    fn into_value(self) -> Value {
        Value::Map(std::collections::BTreeMap::new())
    }
}

impl Configuration for Bare {
    type Model = Empty;

    fn schema(&self) -> Schema {
        Schema { version: 0, description: "The path from here through a bastion to a private Postgres.", attributes: Vec::new() }
    }

    fn validate(&self, _: &Empty) -> Diagnostics {
        Diagnostics::new()
    }

    fn configure(&self, _: Empty, _: &str) -> Diagnostics {
        Diagnostics::new()
    }
}
