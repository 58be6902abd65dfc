//! The verbs of a managed resource. Whatever an apply does not answer, Terraform forgets, so each way out says what is true.

use tokio_util::sync::CancellationToken;

use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::erased::{ErasedApplied, ErasedApply, ErasedChange, ErasedKept, ErasedResource, Registry};
use crate::tfplugin::kind::Private;
use crate::tfplugin::proto::tfplugin6::{
    DynamicValue, apply_resource_change, plan_resource_change, read_resource, validate_resource_config,
};
use crate::tfplugin::schema::transform::null_unknowns;
use crate::tfplugin::schema::{Attribute, Nesting, Schema, Shape, Type};
use crate::tfplugin::server::convert;
use crate::tfplugin::value::Value;

pub(super) fn find<'a>(registry: &'a Registry, type_name: &str) -> Result<&'a dyn ErasedResource, Diagnostics> {
    registry.resources.get(type_name).map(AsRef::as_ref).ok_or_else(|| super::unheard_of("resource type", type_name))
}

pub(super) fn validate(registry: &Registry, request: &validate_resource_config::Request) -> validate_resource_config::Response {
    let write_only_allowed = request.client_capabilities.is_some_and(|client| client.write_only_attributes_allowed);
    let judged = find(registry, &request.type_name).and_then(|resource| {
        let config = convert::decode_block(request.config.as_ref(), &resource.schema().block_type())?;
        let mut diagnostics = if write_only_allowed { Diagnostics::new() } else { refuse_write_only(resource.schema(), &config) };
        diagnostics.append(resource.schema().judge(&config));
        if !diagnostics.has_errors() {
            diagnostics.append(resource.validate(config));
        }
        Ok(diagnostics)
    });
    validate_resource_config::Response { diagnostics: convert::diagnostics(judged.unwrap_or_else(|refused| refused)) }
}

/// A Terraform that does not know write-only arguments would keep them in its state.
fn refuse_write_only(schema: &Schema, config: &Value) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    refuse_below(&schema.attributes, config, &AttributePath::root(), &mut diagnostics);
    diagnostics
}

fn refuse_below(attributes: &[Attribute], object: &Value, path: &AttributePath, diagnostics: &mut Diagnostics) {
    let Value::Map(fields) = object else { return };
    for attribute in attributes {
        let Some(field) = fields.get(attribute.name).filter(|field| **field != Value::Null) else { continue };
        let path = path.clone().attribute(attribute.name);
        match (&attribute.shape, field) {
            _ if attribute.write_only => diagnostics.error(
                path,
                "Write-only argument not supported",
                format!("`{}` is never stored, and only Terraform 1.11 or later keeps it out of its state.", attribute.name),
            ),
            (Shape::Nested(Nesting::Single, inner), field) => refuse_below(inner, field, &path, diagnostics),
            (Shape::Nested(Nesting::List, inner), Value::List(elements)) => {
                for (at, element) in (0_i64..).zip(elements) {
                    refuse_below(inner, element, &path.clone().index(at), diagnostics);
                }
            }
            (Shape::Nested(Nesting::Map, inner), Value::Map(elements)) => {
                for (key, element) in elements {
                    refuse_below(inner, element, &path.clone().key(key), diagnostics);
                }
            }
            // Sets hold no write-only arguments.
            _ => {}
        }
    }
}

pub(super) async fn read(registry: &Registry, token: CancellationToken, request: &read_resource::Request) -> read_resource::Response {
    match try_read(registry, token, request).await {
        Ok(response) => response,
        // What could not be looked at stays as it was.
        Err(diagnostics) => read_resource::Response {
            new_state: request.current_state.clone(),
            private: request.private.clone(),
            diagnostics: convert::diagnostics(diagnostics),
            ..Default::default()
        },
    }
}

async fn try_read(
    registry: &Registry,
    token: CancellationToken,
    request: &read_resource::Request,
) -> Result<read_resource::Response, Diagnostics> {
    let resource = find(registry, &request.type_name)?;
    let block = resource.schema().block_type();
    let state = convert::decode_block(request.current_state.as_ref(), &block)?;
    let found = resource.read(token, ErasedKept { state, private: Private(request.private.clone()) }).await?;
    let (state, private) = found.map_or((Value::Null, Vec::new()), |kept| (kept.state, kept.private.0));
    Ok(read_resource::Response { new_state: Some(convert::encode(&state, &block)?), private, ..Default::default() })
}

pub(super) async fn plan(
    registry: &Registry,
    token: CancellationToken,
    request: &plan_resource_change::Request,
) -> plan_resource_change::Response {
    match try_plan(registry, token, request).await {
        Ok(response) => response,
        Err(diagnostics) => plan_resource_change::Response { diagnostics: convert::diagnostics(diagnostics), ..Default::default() },
    }
}

async fn try_plan(
    registry: &Registry,
    token: CancellationToken,
    request: &plan_resource_change::Request,
) -> Result<plan_resource_change::Response, Diagnostics> {
    let resource = find(registry, &request.type_name)?;
    let block = resource.schema().block_type();
    let proposed = convert::decode(request.proposed_new_state.as_ref(), &block)?;
    if proposed == Value::Null {
        return Ok(plan_resource_change::Response {
            planned_state: Some(convert::encode(&Value::Null, &block)?),
            planned_private: request.prior_private.clone(),
            ..Default::default()
        });
    }
    let prior = given(request.prior_state.as_ref(), &block)?;
    let config = convert::decode_block(request.config.as_ref(), &block)?;
    let change = ErasedChange { prior, config, proposed, private: Private(request.prior_private.clone()) };
    let planned = resource.plan(token, change).await?;
    Ok(plan_resource_change::Response {
        planned_state: Some(convert::encode(&planned.planned, &block)?),
        requires_replace: planned.requires_replace.iter().map(convert::path).collect(),
        planned_private: planned.private.0,
        diagnostics: convert::diagnostics(planned.warnings),
        ..Default::default()
    })
}

fn given(value: Option<&DynamicValue>, block: &Type) -> Result<Option<Value>, Diagnostics> {
    Ok(Some(convert::decode(value, block)?).filter(|value| *value != Value::Null))
}

pub(super) async fn apply(
    registry: &Registry,
    token: CancellationToken,
    request: &apply_resource_change::Request,
) -> apply_resource_change::Response {
    let (state, private, diagnostics) = match try_apply(registry, token, request).await {
        Ok(done) => done,
        // Nothing was begun: the object is as it was, or still absent.
        Err(diagnostics) => (request.prior_state.clone(), request.planned_private.clone(), diagnostics),
    };
    apply_resource_change::Response { new_state: state, private, diagnostics: convert::diagnostics(diagnostics), ..Default::default() }
}

type Left = (Option<DynamicValue>, Vec<u8>, Diagnostics);

async fn try_apply(registry: &Registry, token: CancellationToken, request: &apply_resource_change::Request) -> Result<Left, Diagnostics> {
    let resource = find(registry, &request.type_name)?;
    let block = resource.schema().block_type();
    let prior = given(request.prior_state.as_ref(), &block)?;
    let planned = given(request.planned_state.as_ref(), &block)?;
    let private = Private(request.planned_private.clone());
    let done = match (prior, planned) {
        (None, None) => ErasedApplied { state: None, private, diagnostics: Diagnostics::new() },
        (Some(state), None) => {
            let diagnostics = resource.delete(token, ErasedKept { state, private }).await?;
            ErasedApplied { state: None, private: Private::default(), diagnostics }
        }
        (prior, Some(planned)) => {
            let config = convert::decode_block(request.config.as_ref(), &block)?;
            let creates = prior.is_none();
            let change = ErasedApply { prior, planned, config, private };
            if creates { resource.create(token, change).await } else { resource.update(token, change).await }
        }
    };
    Ok(left(&done, &block, request))
}

/// What was done cannot be undone by failing to say it: if the new state does not fit the schema, the object is kept by its plan.
fn left(done: &ErasedApplied, block: &Type, request: &apply_resource_change::Request) -> Left {
    let mut diagnostics = done.diagnostics.clone();
    match convert::encode(done.state.as_ref().unwrap_or(&Value::Null), block) {
        Ok(state) => (Some(state), done.private.0.clone(), diagnostics),
        Err(misfit) => {
            diagnostics.append(misfit);
            let known = convert::decode(request.planned_state.as_ref(), block)
                .map(null_unknowns)
                .and_then(|planned| convert::encode(&planned, block));
            (known.ok(), done.private.0.clone(), diagnostics)
        }
    }
}
