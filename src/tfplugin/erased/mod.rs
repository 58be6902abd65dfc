//! Every kind as the server sees it: the same verbs over plain values, so that kinds of different models fit one table.

pub mod adapter;
mod adapter_read;

use std::collections::BTreeMap;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use self::adapter::{Adapter, Guarded};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::kind::{Boxed, Configuration, DataSource, Ephemeral, Function, Private, Resource};
use crate::tfplugin::schema::Schema;
use crate::tfplugin::value::Value;

/// What Terraform keeps of one object: [`Kept`](crate::tfplugin::kind::Kept) without its model.
#[derive(Clone)]
pub struct ErasedKept {
    /// Of the schema's type; never null. Write-only attributes are null.
    pub state: Value,
    /// Its private bytes.
    pub private: Private,
}

/// A create or an update to be planned: [`Change`](crate::tfplugin::kind::Change) without its model.
pub struct ErasedChange {
    /// Absent: create.
    pub prior: Option<Value>,
    /// As Terraform sent it.
    pub config: Value,
    /// As Terraform sent it. Before the resource sees it, write-only values are taken out and, on create, what the provider gives
    /// becomes unknown.
    pub proposed: Value,
    /// What was kept beside the prior state.
    pub private: Private,
}

/// An answer to an [`ErasedChange`].
pub struct ErasedPlanned {
    /// What will be. Write-only attributes are null.
    pub planned: Value,
    /// What apply gets back beside it.
    pub private: Private,
    /// Attributes whose change means a new object.
    pub requires_replace: Vec<AttributePath>,
    /// Warnings only.
    pub warnings: Diagnostics,
}

/// A planned change to be made: [`Apply`](crate::tfplugin::kind::Apply) without its model.
pub struct ErasedApply {
    /// Absent: create.
    pub prior: Option<Value>,
    /// What was planned.
    pub planned: Value,
    /// As Terraform sent it. Only its write-only values reach the resource.
    pub config: Value,
    /// What plan left.
    pub private: Private,
}

/// What an apply left behind.
pub struct ErasedApplied {
    /// Goes to Terraform as it is: wholly known, write-only attributes null. Absent: there is no object (only after a failed create).
    pub state: Option<Value>,
    /// The private bytes beside it.
    pub private: Private,
    /// Holds an error whenever less was done than planned.
    pub diagnostics: Diagnostics,
}

/// An opened ephemeral resource: [`Opened`](crate::tfplugin::kind::Opened) without its model.
pub struct ErasedOpened {
    /// Of the schema's type.
    pub result: Value,
    /// Handed back to renew and close.
    pub private: Private,
    /// When to renew; absent: never.
    pub renew_at: Option<SystemTime>,
}

/// A managed resource over values. No verb panics; an `Err` always holds an error.
pub trait ErasedResource: Send + Sync {
    /// `bastion_…`
    fn type_name(&self) -> &'static str;

    /// What can be written.
    fn schema(&self) -> &Schema;

    /// Judges a configuration that may hold unknowns.
    fn validate(&self, config: Value) -> Diagnostics;

    /// Says what a create or an update would make. A planned destroy needs no resource.
    fn plan(&self, cancelled: CancellationToken, change: ErasedChange) -> Boxed<'_, Result<ErasedPlanned, Diagnostics>>;

    /// Makes a new object.
    fn create(&self, cancelled: CancellationToken, apply: ErasedApply) -> Boxed<'_, ErasedApplied>;

    /// Looks at the object. `None`: it is gone.
    fn read(&self, cancelled: CancellationToken, kept: ErasedKept) -> Boxed<'_, Result<Option<ErasedKept>, Diagnostics>>;

    /// Changes an object in place.
    fn update(&self, cancelled: CancellationToken, apply: ErasedApply) -> Boxed<'_, ErasedApplied>;

    /// Removes an object. The first value holds warnings.
    fn delete(&self, cancelled: CancellationToken, kept: ErasedKept) -> Boxed<'_, Result<Diagnostics, Diagnostics>>;

    /// Takes an existing object over. The second value holds warnings.
    fn import(&self, cancelled: CancellationToken, id: String) -> Boxed<'_, Result<(ErasedKept, Diagnostics), Diagnostics>>;
}

/// A data source over values. No verb panics; an `Err` always holds an error.
pub trait ErasedDataSource: Send + Sync {
    /// `bastion_…`
    fn type_name(&self) -> &'static str;

    /// What can be written.
    fn schema(&self) -> &Schema;

    /// Judges a configuration that may hold unknowns.
    fn validate(&self, config: Value) -> Diagnostics;

    /// Reads. The second value holds warnings.
    fn read(&self, cancelled: CancellationToken, config: Value) -> Boxed<'_, Result<(Value, Diagnostics), Diagnostics>>;
}

/// An ephemeral resource over values. No verb panics; an `Err` always holds an error.
pub trait ErasedEphemeral: Send + Sync {
    /// `bastion_…`
    fn type_name(&self) -> &'static str;

    /// What can be written.
    fn schema(&self) -> &Schema;

    /// Judges a configuration that may hold unknowns.
    fn validate(&self, config: Value) -> Diagnostics;

    /// Opens it.
    fn open(&self, cancelled: CancellationToken, config: Value) -> Boxed<'_, Result<ErasedOpened, Diagnostics>>;

    /// Keeps it alive; answers when to renew next.
    fn renew(&self, private: Private) -> Boxed<'_, Result<Option<SystemTime>, Diagnostics>>;

    /// Closes it.
    fn close(&self, private: Private) -> Boxed<'_, Result<(), Diagnostics>>;
}

/// The provider's own configuration block over values. No verb panics.
pub trait ErasedConfiguration: Send + Sync {
    /// What can be written.
    fn schema(&self) -> &Schema;

    /// Judges a configuration that may hold unknowns.
    fn validate(&self, config: Value) -> Diagnostics;

    /// Takes it.
    fn configure(&self, config: Value, terraform_version: &str) -> Diagnostics;

    /// Ends what was put off.
    fn finish(&self, cancelled: CancellationToken) -> Boxed<'_, ()>;
}

/// All that one provider offers, by name.
pub struct Registry {
    /// The provider's own configuration.
    pub configuration: Box<dyn ErasedConfiguration>,
    /// By type name.
    pub resources: BTreeMap<&'static str, Box<dyn ErasedResource>>,
    /// By type name.
    pub data_sources: BTreeMap<&'static str, Box<dyn ErasedDataSource>>,
    /// By type name.
    pub ephemerals: BTreeMap<&'static str, Box<dyn ErasedEphemeral>>,
    /// By function name. A call never panics.
    pub functions: BTreeMap<&'static str, Box<dyn Function>>,
}

impl Registry {
    /// A provider with a configuration and nothing else yet.
    #[must_use]
    pub fn new(configuration: impl Configuration) -> Self {
        Self {
            configuration: Box::new(Adapter::new(configuration.schema(), configuration)),
            resources: BTreeMap::new(),
            data_sources: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            functions: BTreeMap::new(),
        }
    }

    /// Offers a resource.
    #[must_use]
    pub fn resource(mut self, resource: impl Resource) -> Self {
        self.resources.insert(resource.type_name(), Box::new(Adapter::new(resource.schema(), resource)));
        self
    }

    /// Offers a data source.
    #[must_use]
    pub fn data_source(mut self, data_source: impl DataSource) -> Self {
        self.data_sources.insert(data_source.type_name(), Box::new(Adapter::new(data_source.schema(), data_source)));
        self
    }

    /// Offers an ephemeral resource.
    #[must_use]
    pub fn ephemeral(mut self, ephemeral: impl Ephemeral) -> Self {
        self.ephemerals.insert(ephemeral.type_name(), Box::new(Adapter::new(ephemeral.schema(), ephemeral)));
        self
    }

    /// Offers a function.
    #[must_use]
    pub fn function(mut self, function: impl Function) -> Self {
        self.functions.insert(function.name(), Box::new(Guarded(function)));
        self
    }
}
