//! Terraform's own judgement of a provider's answers, copied so that "inconsistent result" shows in a test and not before a user.

pub mod ignore;
pub mod propose;

use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::schema::transform::{strip_write_only, unknown_at};
use crate::tfplugin::schema::{Attribute, Nesting, Presence, Schema, Shape, Type, object_type};
use crate::tfplugin::value::msgpack;
use crate::tfplugin::value::{Refinement, Value};

/// What Terraform would reject in a planned create or update ("Provider produced invalid plan"). Empty: nothing. Names places, not values.
#[must_use]
pub fn assert_plan_valid(schema: &Schema, prior: Option<&Value>, config: &Value, planned: &Value) -> Vec<String> {
    let mut faults = unfit(schema, planned);
    if !matches!(planned, Value::Map(_)) {
        faults.push("the planned value is not an object".to_owned());
        return faults;
    }
    plan_attributes(&schema.attributes, prior.unwrap_or(&Value::Null), config, planned, &AttributePath::root(), &mut faults);
    faults
}

/// What Terraform would reject in an applied value ("Provider produced inconsistent result after apply", "invalid object").
#[must_use]
pub fn assert_apply_compatible(schema: &Schema, planned: &Value, actual: &Value) -> Vec<String> {
    let mut faults = assert_storable(schema, actual);
    compatible(&schema.block_type(), planned, actual, &AttributePath::root(), &mut faults);
    faults
}

/// What Terraform would reject in the plan that apply asks for once more, when more is known ("inconsistent final plan").
#[must_use]
pub fn assert_second_plan_consistent(schema: &Schema, first: &Value, second: &Value) -> Vec<String> {
    let mut faults = unfit(schema, second);
    compatible(&schema.block_type(), first, second, &AttributePath::root(), &mut faults);
    faults
}

/// What Terraform would reject in state that came from read, import or upgrade ("Provider produced invalid object").
#[must_use]
pub fn assert_storable(schema: &Schema, state: &Value) -> Vec<String> {
    let mut faults = unfit(schema, state);
    if let Some(path) = unknown_at(state, &schema.block_type()) {
        faults.push(format!("`{path}` is still unknown"));
    }
    faults
}

/// What a user would see as a change in a plan that should be empty: drift, or a plan that churns.
#[must_use]
pub fn assert_no_change(schema: &Schema, prior: &Value, planned: &Value) -> Vec<String> {
    let changed = schema.attributes.iter().filter(|attribute| {
        let (before, after) = (prior.field(attribute.name), planned.field(attribute.name));
        !before.equals(after, &attribute.shape.value_type())
    });
    changed.map(|attribute| format!("`{}` would change", attribute.name)).collect()
}

/// Values that are not of the schema's type, or that hold what must never be kept.
fn unfit(schema: &Schema, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if let Err(error) = msgpack::encode(value, &schema.block_type()) {
        faults.push(error.to_string());
    }
    if strip_write_only(schema, value.clone()) != *value {
        faults.push("a write-only value is not null".to_owned());
    }
    faults
}

const fn computed(attribute: &Attribute) -> bool {
    matches!(attribute.presence, Presence::Computed | Presence::OptionalComputed)
}

fn plan_attributes(
    attributes: &[Attribute],
    prior: &Value,
    config: &Value,
    planned: &Value,
    path: &AttributePath,
    faults: &mut Vec<String>,
) {
    for attribute in attributes {
        let path = path.clone().attribute(attribute.name);
        let [prior, config, planned] = [prior, config, planned].map(|value| value.field(attribute.name));
        plan_attribute(attribute, prior, config, planned, &path, faults);
    }
}

fn plan_attribute(attribute: &Attribute, prior: &Value, config: &Value, planned: &Value, path: &AttributePath, faults: &mut Vec<String>) {
    let r#type = attribute.shape.value_type();
    // `unfit` has looked at write-only values already.
    if attribute.write_only || planned.equals(config, &r#type) {
        return;
    }
    // The same thing in another spelling, as the provider sees it.
    if !prior.is_null() && !config.is_null() && planned.equals(prior, &r#type) {
        return;
    }
    match &attribute.shape {
        _ if config.is_null() && computed(attribute) => {}
        _ if config.is_null() => faults.push(format!("`{path}` is planned, but it is neither configured nor computed")),
        Shape::Nested(nesting, inner) => plan_nested(*nesting, inner, [prior, config, planned], path, faults),
        Shape::Type(_) => faults.push(format!("`{path}` is planned neither as configured nor as it was")),
    }
}

fn plan_nested(nesting: Nesting, inner: &[Attribute], values: [&Value; 3], path: &AttributePath, faults: &mut Vec<String>) {
    let [prior, config, planned] = values;
    match (nesting, config, planned) {
        (_, Value::Unknown(_), _) => {}
        (_, _, Value::Null) => faults.push(format!("`{path}` is configured, but planned to be absent")),
        (_, _, Value::Unknown(_)) => faults.push(format!("`{path}` is configured, but planned as unknown")),
        (Nesting::Single, ..) => plan_attributes(inner, prior, config, planned, path, faults),
        (Nesting::List, Value::List(configs), Value::List(plans)) if configs.len() == plans.len() => {
            let priors = if let Value::List(priors) = prior { priors.as_slice() } else { &[] };
            let priors = priors.iter().chain(std::iter::repeat(&Value::Null));
            for (at, ((config, planned), prior)) in (0_i64..).zip(configs.iter().zip(plans).zip(priors)) {
                plan_element(inner, [prior, config, planned], &path.clone().index(at), faults);
            }
        }
        (Nesting::Map, Value::Map(configs), Value::Map(plans)) if configs.keys().eq(plans.keys()) => {
            for ((key, config), planned) in configs.iter().zip(plans.values()) {
                plan_element(inner, [prior.field(key), config, planned], &path.clone().key(key), faults);
            }
        }
        (Nesting::Set, Value::List(configs), Value::List(plans)) => {
            // Nothing says which prior element belongs to which, so Terraform compares without.
            let fits = |planned: &Value, config: &Value| {
                let mut faults = Vec::new();
                plan_element(inner, [&Value::Null, config, planned], path, &mut faults);
                faults.is_empty()
            };
            if plans.len() != configs.len() || !mutual(plans, configs, fits) {
                faults.push(format!("`{path}` is planned with other elements than configured"));
            }
        }
        _ => faults.push(format!("`{path}` is planned with other elements than configured")),
    }
}

fn plan_element(inner: &[Attribute], values: [&Value; 3], path: &AttributePath, faults: &mut Vec<String>) {
    let [prior, config, planned] = values;
    if !planned.equals(config, &object_type(inner)) {
        plan_nested(Nesting::Single, inner, [prior, config, planned], path, faults);
    }
}

/// Whether what was known before is the same now, and what was unknown has become something that was promised.
fn compatible(r#type: &Type, before: &Value, after: &Value, path: &AttributePath, faults: &mut Vec<String>) {
    match (r#type, before, after) {
        (_, Value::Unknown(_), Value::Unknown(_)) | (_, Value::Unknown(None), _) => {}
        (_, Value::Unknown(Some(promise)), after) => {
            if !keeps(promise, after) {
                faults.push(format!("`{path}` is not what was promised of it"));
            }
        }
        (_, _, Value::Unknown(_)) => faults.push(format!("`{path}` was known and is unknown now")),
        (_, Value::Null, Value::Null) => {}
        (_, Value::Null, _) => faults.push(format!("`{path}` was null and is not now")),
        (_, _, Value::Null) => faults.push(format!("`{path}` was there and is null now")),
        (Type::List(inner), Value::List(these), Value::List(those)) if these.len() == those.len() => {
            for (at, (this, that)) in (0_i64..).zip(these.iter().zip(those)) {
                compatible(inner, this, that, &path.clone().index(at), faults);
            }
        }
        (Type::Tuple(types), Value::List(these), Value::List(those)) if these.len() == those.len() => {
            for (at, ((this, that), inner)) in (0_i64..).zip(these.iter().zip(those).zip(types)) {
                compatible(inner, this, that, &path.clone().index(at), faults);
            }
        }
        (Type::Set(inner), Value::List(these), Value::List(those)) => {
            let fits = |this: &Value, that: &Value| {
                let mut faults = Vec::new();
                compatible(inner, this, that, path, &mut faults);
                faults.is_empty()
            };
            // Unknown elements may turn out to be one, so a set may shrink; it never grows.
            if !mutual(these, those, fits) || those.len() > these.len() {
                faults.push(format!("`{path}` has other elements than planned"));
            }
        }
        (Type::Map(inner), Value::Map(these), Value::Map(those)) if these.keys().eq(those.keys()) => {
            for ((key, this), that) in these.iter().zip(those.values()) {
                compatible(inner, this, that, &path.clone().key(key), faults);
            }
        }
        (Type::Object(types), Value::Map(_), Value::Map(_)) => {
            for (name, inner) in types {
                compatible(inner, before.field(name), after.field(name), &path.clone().attribute(name), faults);
            }
        }
        (r#type, before, after) if before.equals(after, r#type) => {}
        _ => faults.push(format!("`{path}` is not as planned")),
    }
}

/// Terraform's test for elements that nothing tells apart: each has one on the other side that fits, maybe not one of its own, since two
/// unknown elements may turn out to be one.
fn mutual(these: &[Value], those: &[Value], fits: impl Fn(&Value, &Value) -> bool) -> bool {
    these.iter().all(|this| those.iter().any(|that| fits(this, that))) && those.iter().all(|that| these.iter().any(|this| fits(this, that)))
}

fn keeps(promise: &Refinement, value: &Value) -> bool {
    let length = |elements: usize| {
        let elements = u64::try_from(elements).unwrap_or(u64::MAX);
        promise.min_length.is_none_or(|least| elements >= least) && promise.max_length.is_none_or(|most| elements <= most)
    };
    match value {
        Value::Null => !promise.not_null,
        Value::String(text) => promise.prefix.as_deref().is_none_or(|prefix| text.starts_with(prefix)),
        Value::Number(number) => {
            promise.lower.as_ref().is_none_or(|(least, inclusive)| number > least || (*inclusive && number == least))
                && promise.upper.as_ref().is_none_or(|(most, inclusive)| number < most || (*inclusive && number == most))
        }
        Value::List(elements) => length(elements.len()),
        Value::Map(elements) => length(elements.len()),
        Value::Unknown(_) | Value::Bool(_) | Value::Dynamic(_) => true,
    }
}

#[cfg(test)]
mod tests;
