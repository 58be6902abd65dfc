//! From a typed kind to an erased one: values become models and back, a panic becomes a diagnostic and loses nothing that was made.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use super::{ErasedApplied, ErasedApply, ErasedChange, ErasedKept, ErasedPlanned, ErasedResource};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::{Diagnostic, Diagnostics, Severity, sentence};
use crate::tfplugin::fault;
use crate::tfplugin::kind::{Applied, Apply, Boxed, Call, Change, Function, FunctionError, Kept, Model, Resource, Signature};
use crate::tfplugin::model::{IntoValue, ModelError};
use crate::tfplugin::schema::Schema;
use crate::tfplugin::schema::transform::{
    mark_computed_unknown, null_unknowns, restore_unknown_elements, strip_write_only, unknown_at, with_write_only,
};
use crate::tfplugin::value::Value;

/// One kind and its schema, read once.
pub struct Adapter<T> {
    pub(super) schema: Schema,
    pub(super) inner: T,
}

impl<T> Adapter<T> {
    /// `schema` is the kind's own.
    pub const fn new(schema: Schema, inner: T) -> Self {
        Self { schema, inner }
    }
}

/// What the user wrote does not fit.
pub(super) fn unsuitable(error: ModelError) -> Diagnostics {
    Diagnostic {
        severity: Severity::Error,
        summary: "Unsuitable value".to_owned(),
        detail: sentence(&error.message),
        attribute: error.path,
    }
    .into()
}

/// What the provider itself made earlier does not fit its model.
fn misfit(error: ModelError) -> Diagnostics {
    fault::noticed(error.path, &format!("It cannot read back what it planned or kept: {}.", error.message)).into()
}

pub(super) fn configured<M: Model>(value: Value) -> Result<M, Diagnostics> {
    M::from_value(value, &AttributePath::root()).map_err(unsuitable)
}

fn stored<M: Model>(value: Value) -> Result<M, Diagnostics> {
    M::from_value(value, &AttributePath::root()).map_err(misfit)
}

fn stored_option<M: Model>(value: Option<Value>) -> Result<Option<M>, Diagnostics> {
    value.filter(|value| *value != Value::Null).map(stored).transpose()
}

/// A refusal must say why, or Terraform takes it for success.
pub(super) fn refusal(verb: &str, type_name: &str, mut diagnostics: Diagnostics) -> Diagnostics {
    if !diagnostics.has_errors() {
        diagnostics.push(fault::noticed(AttributePath::root(), &format!("`{verb}` of `{type_name}` failed and did not say why.")));
    }
    diagnostics
}

/// The other way round: an answer whose "warnings" hold an error is a refusal.
pub(super) fn answer<T>(value: T, warnings: &Diagnostics) -> Result<T, Diagnostics> {
    if warnings.has_errors() { Err(warnings.clone()) } else { Ok(value) }
}

/// Runs one verb that answers with a `Result`.
pub(super) async fn guard<T>(verb: &str, type_name: &str, work: impl Future<Output = Result<T, Diagnostics>>) -> Result<T, Diagnostics> {
    match fault::catch_async(verb, type_name, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(diagnostics)) => Err(refusal(verb, type_name, diagnostics)),
        Err(panic) => Err(panic.into()),
    }
}

/// Judges a configuration; conversion errors are the user's.
pub(super) fn judge<M: Model>(type_name: &str, config: Value, validate: impl FnOnce(&M) -> Diagnostics) -> Diagnostics {
    let judged = fault::catch("validate", type_name, || match configured::<M>(config) {
        Ok(model) => validate(&model),
        Err(diagnostics) => diagnostics,
    });
    judged.unwrap_or_else(Diagnostics::from)
}

/// A value that must hold no unknowns by now.
pub(super) fn known(verb: &str, type_name: &str, schema: &Schema, value: Value) -> Result<Value, Diagnostics> {
    match unknown_at(&value, &schema.block_type()) {
        None => Ok(value),
        Some(path) => Err(still_unknown(verb, type_name, path).into()),
    }
}

fn still_unknown(verb: &str, type_name: &str, path: AttributePath) -> Diagnostic {
    let what = format!("`{verb}` of `{type_name}` left `{path}` unknown.");
    fault::noticed(path, &what)
}

impl<R: Resource> Adapter<R> {
    fn erase(&self, kept: Kept<R::Model>) -> ErasedKept {
        ErasedKept { state: strip_write_only(&self.schema, kept.model.into_value()), private: kept.private }
    }

    fn erase_known(&self, verb: &str, kept: Kept<R::Model>) -> Result<ErasedKept, Diagnostics> {
        let kept = self.erase(kept);
        Ok(ErasedKept { state: known(verb, self.inner.type_name(), &self.schema, kept.state)?, private: kept.private })
    }

    /// State that was reached for real is never dropped for a fault in it, or its object would be an orphan.
    fn landed(&self, verb: &str, kept: Kept<R::Model>, mut diagnostics: Diagnostics) -> ErasedApplied {
        let mut kept = self.erase(kept);
        if let Some(path) = unknown_at(&kept.state, &self.schema.block_type()) {
            diagnostics.push(still_unknown(verb, self.inner.type_name(), path));
            kept.state = null_unknowns(kept.state);
        }
        ErasedApplied { state: Some(kept.state), private: kept.private, diagnostics }
    }

    fn typed(&self, apply: ErasedApply) -> Result<Apply<R::Model>, Diagnostics> {
        let planned = with_write_only(&self.schema, apply.planned, &apply.config);
        Ok(Apply { prior: stored_option(apply.prior)?, planned: stored(planned)?, private: apply.private })
    }

    async fn make(&self, verb: Verb, cancelled: CancellationToken, apply: ErasedApply) -> ErasedApplied {
        let type_name = self.inner.type_name();
        let prior = apply.prior.clone().filter(|prior| *prior != Value::Null);
        let private = apply.private.clone();
        let nothing = |diagnostics| ErasedApplied { state: prior, private, diagnostics };
        let call = Call::new(cancelled);
        let work = async {
            let apply = self.typed(apply)?;
            Ok::<_, Diagnostics>(match verb {
                Verb::Create => self.inner.create(&call, apply).await,
                Verb::Update => self.inner.update(&call, apply).await,
            })
        };
        match fault::catch_async(verb.name(), type_name, work).await {
            Ok(Ok(Applied::Done(kept, diagnostics))) => self.landed(verb.name(), kept, diagnostics),
            Ok(Ok(Applied::Partial(kept, diagnostics))) => self.landed(verb.name(), kept, refusal(verb.name(), type_name, diagnostics)),
            Ok(Ok(Applied::Nothing(diagnostics)) | Err(diagnostics)) => nothing(refusal(verb.name(), type_name, diagnostics)),
            Err(panic) => match call.kept() {
                Some(kept) => self.landed(verb.name(), kept, with(panic, KEPT).into()),
                None => nothing(with(panic, NOT_KEPT).into()),
            },
        }
    }
}

/// After a panic past a checkpoint.
const KEPT: &str = "What it had made by its last checkpoint is in state.";
/// After a panic before any.
const NOT_KEPT: &str = "It had noted nothing as made, so the state is as before; something may exist that Terraform does not know.";

fn with(mut fault: Diagnostic, more: &str) -> Diagnostic {
    fault.detail = format!("{}\n{more}", fault.detail);
    fault
}

#[derive(Clone, Copy)]
enum Verb {
    Create,
    Update,
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
        }
    }
}

impl<R: Resource> ErasedResource for Adapter<R> {
    fn type_name(&self) -> &'static str {
        self.inner.type_name()
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: Value) -> Diagnostics {
        judge(self.inner.type_name(), config, |model| self.inner.validate(model))
    }

    fn plan(&self, cancelled: CancellationToken, change: ErasedChange) -> Boxed<'_, Result<ErasedPlanned, Diagnostics>> {
        Box::pin(guard("plan", self.inner.type_name(), async move {
            let call = Call::new(cancelled);
            let prior = stored_option(change.prior)?;
            let mut proposed = strip_write_only(&self.schema, change.proposed);
            if prior.is_none() {
                proposed = mark_computed_unknown(&self.schema, proposed, &change.config);
            }
            let given = proposed.clone();
            let change = Change { prior, config: configured(change.config)?, proposed: configured(proposed)?, private: change.private };
            let mut warnings = self.inner.judge(&change.config);
            answer((), &warnings)?;
            let planned = self.inner.plan(&call, change).await?;
            warnings.append(planned.warnings);
            answer((), &warnings)?;
            let model = strip_write_only(&self.schema, planned.model.into_value());
            Ok(ErasedPlanned {
                planned: restore_unknown_elements(&self.schema.block_type(), model, &given),
                private: planned.private,
                requires_replace: planned.requires_replace,
                warnings,
            })
        }))
    }

    fn create(&self, cancelled: CancellationToken, apply: ErasedApply) -> Boxed<'_, ErasedApplied> {
        Box::pin(self.make(Verb::Create, cancelled, apply))
    }

    fn read(&self, cancelled: CancellationToken, kept: ErasedKept) -> Boxed<'_, Result<Option<ErasedKept>, Diagnostics>> {
        Box::pin(guard("read", self.inner.type_name(), async move {
            let call = Call::new(cancelled);
            let kept = Kept { model: stored(kept.state)?, private: kept.private };
            let found = self.inner.read(&call, kept).await?;
            found.map(|kept| self.erase_known("read", kept)).transpose()
        }))
    }

    fn update(&self, cancelled: CancellationToken, apply: ErasedApply) -> Boxed<'_, ErasedApplied> {
        Box::pin(self.make(Verb::Update, cancelled, apply))
    }

    fn delete(&self, cancelled: CancellationToken, kept: ErasedKept) -> Boxed<'_, Result<Diagnostics, Diagnostics>> {
        Box::pin(guard("delete", self.inner.type_name(), async move {
            let call = Call::new(cancelled);
            let kept = Kept { model: stored(kept.state)?, private: kept.private };
            let warnings = self.inner.delete(&call, kept).await?;
            answer((), &warnings)?;
            Ok(warnings)
        }))
    }

    fn import(&self, cancelled: CancellationToken, id: String) -> Boxed<'_, Result<(ErasedKept, Diagnostics), Diagnostics>> {
        Box::pin(guard("import", self.inner.type_name(), async move {
            let call = Call::new(cancelled);
            let (kept, warnings) = self.inner.import(&call, &id).await?;
            answer((), &warnings)?;
            Ok((self.erase_known("import", kept)?, warnings))
        }))
    }
}

/// A function whose panics are answers.
pub struct Guarded<F>(pub F);

impl<F: Function> Function for Guarded<F> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn signature(&self) -> Signature {
        self.0.signature()
    }

    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        fault::catch("call", self.0.name(), || self.0.call(arguments))
            .unwrap_or_else(|panic| Err(FunctionError { text: format!("{}. {}", panic.summary, panic.detail), argument: None }))
    }
}

#[cfg(test)]
pub(super) mod tests;
