//! What a resource, a data source, an ephemeral resource and a function are: the verbs that Terraform asks of each.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::attribute_path::AttributePath;
use super::diagnostic::Diagnostics;
use super::model::{FromValue, IntoValue};
use super::schema::{Schema, Type};
use super::value::Value;

/// A configuration's Rust type.
pub trait Model: FromValue + IntoValue + Clone + Send + Sync + 'static {}
impl<T: FromValue + IntoValue + Clone + Send + Sync + 'static> Model for T {}

/// Bytes that Terraform keeps beside a resource's state and shows to nobody. In state in plain text, so nothing secret unless encrypted.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Private(pub Vec<u8>);

/// What Terraform keeps of one object.
#[derive(Clone)]
pub struct Kept<M> {
    /// Its attributes; write-only ones are taken out before they reach Terraform.
    pub model: M,
    /// Its private bytes.
    pub private: Private,
}

/// One call's surroundings.
pub struct Call<M> {
    /// Cancelled when Terraform was told to stop: finish within two seconds with what is true by then.
    pub cancelled: CancellationToken,
    checkpoint: Mutex<Option<Kept<M>>>,
}

impl<M> Call<M> {
    /// Surroundings for one call.
    #[must_use]
    pub const fn new(cancelled: CancellationToken) -> Self {
        Self { cancelled, checkpoint: Mutex::new(None) }
    }

    /// Notes what exists by now: this is what stays in state if the rest of the call panics.
    pub fn keep(&self, made: Kept<M>) {
        *self.checkpoint.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(made);
    }

    /// What was noted last.
    pub fn kept(&self) -> Option<Kept<M>> {
        self.checkpoint.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

/// A create or an update to be planned.
pub struct Change<M> {
    /// Absent: create.
    pub prior: Option<M>,
    /// As written by the user, write-only values included; may hold unknowns.
    pub config: M,
    /// Terraform's merge of the two: configured values, else prior computed ones; on create, computed values are unknown.
    /// Without the write-only values.
    pub proposed: M,
    /// What was kept beside the prior state.
    pub private: Private,
}

/// An answer to a [`Change`].
pub struct Planned<M> {
    /// What will be, unknowns where only apply can tell.
    pub model: M,
    /// What apply gets back beside it.
    pub private: Private,
    /// Attributes whose change means a new object.
    pub requires_replace: Vec<AttributePath>,
    /// Warnings; errors are the `Err` side.
    pub warnings: Diagnostics,
}

impl<M> Planned<M> {
    /// A plan that changes in place and warns of nothing.
    pub const fn new(model: M, private: Private) -> Self {
        Self { model, private, requires_replace: Vec::new(), warnings: Diagnostics::new() }
    }
}

/// A planned change to be made. There is no configuration in it on purpose: with `ignore_changes` it differs from what was planned, and only
/// what was planned may be made.
pub struct Apply<M> {
    /// Absent: create.
    pub prior: Option<M>,
    /// What was planned, with the write-only values that the configuration gives in the objects that were planned.
    pub planned: M,
    /// What plan left.
    pub private: Private,
}

/// What an apply leaves behind. Terraform forgets whatever is not in here.
pub enum Applied<M> {
    /// All of it was made; warnings only.
    Done(Kept<M>, Diagnostics),
    /// This much was made, then it failed. After a create, Terraform marks the object as tainted.
    Partial(Kept<M>, Diagnostics),
    /// Nothing was made or changed: a create leaves no object, an update keeps the prior state. Its private bytes are then what plan left,
    /// so what plan leaves has to fit the prior state too.
    Nothing(Diagnostics),
}

/// A managed resource. One file each: schema, validation and the five verbs.
pub trait Resource: Send + Sync + 'static {
    /// The shape of its configuration and state.
    type Model: Model;

    /// `bastion_…`
    fn type_name(&self) -> &'static str;

    /// What can be written.
    fn schema(&self) -> Schema;

    /// Judges what is given together, and what nobody computes, without any I/O. Terraform asks this of a mocked provider too
    /// (`mock_provider` of `terraform test`), with whatever the mock made up for another resource's attributes.
    fn validate(&self, config: &Self::Model) -> Diagnostics;

    /// Judges the values themselves, without any I/O, before a plan: they are real then. What is unknown is not judged.
    fn judge(&self, _config: &Self::Model) -> Diagnostics {
        Diagnostics::new()
    }

    /// Says what a change would make. May refuse; must not change anything.
    fn plan(
        &self,
        call: &Call<Self::Model>,
        change: Change<Self::Model>,
    ) -> impl Future<Output = Result<Planned<Self::Model>, Diagnostics>> + Send;

    /// Makes a new object.
    fn create(&self, call: &Call<Self::Model>, apply: Apply<Self::Model>) -> impl Future<Output = Applied<Self::Model>> + Send;

    /// Looks at the object. `None`: it is gone.
    fn read(
        &self,
        call: &Call<Self::Model>,
        kept: Kept<Self::Model>,
    ) -> impl Future<Output = Result<Option<Kept<Self::Model>>, Diagnostics>> + Send;

    /// Changes an object in place.
    fn update(&self, call: &Call<Self::Model>, apply: Apply<Self::Model>) -> impl Future<Output = Applied<Self::Model>> + Send;

    /// Removes an object. Removing one that is gone already is no error. The first value holds warnings: what was left in place, and why.
    fn delete(&self, call: &Call<Self::Model>, kept: Kept<Self::Model>) -> impl Future<Output = Result<Diagnostics, Diagnostics>> + Send;

    /// Takes an existing object over by its id. The second value holds warnings: what could not be imported.
    fn import(
        &self,
        call: &Call<Self::Model>,
        id: &str,
    ) -> impl Future<Output = Result<(Kept<Self::Model>, Diagnostics), Diagnostics>> + Send;
}

/// A data source: read, never changed.
pub trait DataSource: Send + Sync + 'static {
    /// The shape of its configuration and result.
    type Model: Model;

    /// `bastion_…`
    fn type_name(&self) -> &'static str;

    /// What can be written.
    fn schema(&self) -> Schema;

    /// Judges what is given together, and what nobody computes, without any I/O; as [`Resource::validate`]. Values are judged when they
    /// are used.
    fn validate(&self, config: &Self::Model) -> Diagnostics;

    /// Reads. The second value holds warnings.
    fn read(
        &self,
        call: &Call<Self::Model>,
        config: Self::Model,
    ) -> impl Future<Output = Result<(Self::Model, Diagnostics), Diagnostics>> + Send;
}

/// An opened ephemeral resource.
pub struct Opened<M> {
    /// Configured values unchanged, computed ones filled.
    pub model: M,
    /// Handed back to renew and close.
    pub private: Private,
    /// When to renew; absent: never.
    pub renew_at: Option<SystemTime>,
}

/// Something that exists while Terraform runs and is never stored.
pub trait Ephemeral: Send + Sync + 'static {
    /// The shape of its configuration and result.
    type Model: Model;

    /// `bastion_…`
    fn type_name(&self) -> &'static str;

    /// What can be written.
    fn schema(&self) -> Schema;

    /// Judges what is given together, and what nobody computes, without any I/O; as [`Resource::validate`]. Values are judged when they
    /// are used.
    fn validate(&self, config: &Self::Model) -> Diagnostics;

    /// Opens it.
    fn open(&self, call: &Call<Self::Model>, config: Self::Model) -> impl Future<Output = Result<Opened<Self::Model>, Diagnostics>> + Send;

    /// Keeps it alive; answers when to renew next.
    fn renew(&self, private: &Private) -> impl Future<Output = Result<Option<SystemTime>, Diagnostics>> + Send;

    /// Closes it. May never be called; what must end also ends with the process.
    fn close(&self, private: &Private) -> impl Future<Output = Result<(), Diagnostics>> + Send;
}

/// One argument of a function.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name, for messages and docs.
    pub name: &'static str,
    /// Its type.
    pub r#type: Type,
    /// What it means.
    pub description: &'static str,
    /// Whether null may be passed.
    pub allow_null: bool,
}

/// How a function is called.
#[derive(Clone, Debug)]
pub struct Signature {
    /// One line.
    pub summary: &'static str,
    /// Markdown.
    pub description: &'static str,
    /// In order.
    pub parameters: Vec<Parameter>,
    /// Any number of further arguments.
    pub variadic: Option<Parameter>,
    /// What it returns.
    pub returns: Type,
}

/// Why a function cannot answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// For the user.
    pub text: String,
    /// Which argument is at fault, from 0.
    pub argument: Option<i64>,
}

/// A pure function, `provider::bastion::NAME(…)`.
pub trait Function: Send + Sync + 'static {
    /// Its name, without the provider.
    fn name(&self) -> &'static str;

    /// Its parameters and result.
    fn signature(&self) -> Signature;

    /// Answers. Arguments are known and of the declared types; variadic ones come last, one by one.
    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError>;
}

/// The provider's own configuration block.
pub trait Configuration: Send + Sync + 'static {
    /// Its shape.
    type Model: Model;

    /// What can be written.
    fn schema(&self) -> Schema;

    /// Judges a configuration that may hold unknowns, without any I/O.
    fn validate(&self, config: &Self::Model) -> Diagnostics;

    /// Takes it. Must not connect anywhere: unknown values stay unknown and fail late.
    fn configure(&self, config: Self::Model, terraform_version: &str) -> Diagnostics;

    /// Ends what was put off until no further change can come. Terraform waits for it before it lets the process go.
    fn finish(&self, _cancelled: &CancellationToken) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// A future that the server can hold without knowing its type.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
