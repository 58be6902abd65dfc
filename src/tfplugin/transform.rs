//! Walks over values along a schema: write-only values out, computed ones unknown, and where an unknown hides.

use std::collections::BTreeMap;

use super::attribute_path::AttributePath;
use super::schema::{Attribute, Nesting, Presence, Schema, Shape};
use super::value::Value;

/// The value with every write-only attribute null, at any nesting.
#[must_use]
pub fn strip_write_only(schema: &Schema, value: Value) -> Value {
    strip_object(&schema.attributes, value)
}

fn strip_object(attributes: &[Attribute], value: Value) -> Value {
    let Value::Map(mut fields) = value else { return value };
    for attribute in attributes {
        if let Some(field) = fields.get_mut(attribute.name) {
            let old = std::mem::replace(field, Value::Null);
            *field = match &attribute.shape {
                _ if attribute.write_only => Value::Null,
                Shape::Nested(nesting, inner) => each_object(*nesting, old, |object| strip_object(inner, object)),
                Shape::Type(_) => old,
            };
        }
    }
    Value::Map(fields)
}

fn each_object(nesting: Nesting, value: Value, mut change: impl FnMut(Value) -> Value) -> Value {
    match (nesting, value) {
        (Nesting::Single, value) => change(value),
        (Nesting::List | Nesting::Set, Value::List(objects)) => Value::List(objects.into_iter().map(change).collect()),
        (Nesting::Map, Value::Map(objects)) => Value::Map(objects.into_iter().map(|(key, object)| (key, change(object))).collect()),
        (_, value) => value,
    }
}

/// A plan's starting point on create: each attribute that the provider gives, and that neither the user nor Terraform has given,
/// is unknown. Looks into nested objects that are there.
#[must_use]
pub fn mark_computed_unknown(schema: &Schema, proposed: Value, config: &Value) -> Value {
    mark_object(&schema.attributes, proposed, config)
}

fn mark_object(attributes: &[Attribute], proposed: Value, config: &Value) -> Value {
    let Value::Map(mut fields) = proposed else { return proposed };
    for attribute in attributes {
        let given = field(config, attribute.name);
        let Some(place) = fields.get_mut(attribute.name) else { continue };
        let old = std::mem::replace(place, Value::Null);
        *place = match (&attribute.shape, attribute.presence) {
            (_, Presence::Computed | Presence::OptionalComputed) if old == Value::Null && *given == Value::Null => Value::Unknown(None),
            (Shape::Nested(nesting, inner), _) => mark_nested(*nesting, inner, old, given),
            _ => old,
        };
    }
    Value::Map(fields)
}

fn mark_nested(nesting: Nesting, inner: &[Attribute], proposed: Value, config: &Value) -> Value {
    match (nesting, proposed) {
        (Nesting::Single, proposed) => mark_object(inner, proposed, config),
        (Nesting::List, Value::List(objects)) => {
            let marked = objects.into_iter().enumerate().map(|(at, object)| mark_object(inner, object, element(config, at)));
            Value::List(marked.collect())
        }
        (Nesting::Map, Value::Map(objects)) => {
            let marked = objects.into_iter().map(|(key, object)| {
                let given = field(config, &key);
                let object = mark_object(inner, object, given);
                (key, object)
            });
            Value::Map(marked.collect::<BTreeMap<_, _>>())
        }
        // An element of a set has no name by which its configuration could be found; its own null says that nobody gave it.
        (Nesting::Set, Value::List(objects)) => {
            Value::List(objects.into_iter().map(|object| mark_object(inner, object, &Value::Null)).collect())
        }
        (_, proposed) => proposed,
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    match value {
        Value::Map(fields) => fields.get(name).unwrap_or(&Value::Null),
        _ => &Value::Null,
    }
}

fn element(value: &Value, at: usize) -> &Value {
    match value {
        Value::List(elements) => elements.get(at).unwrap_or(&Value::Null),
        _ => &Value::Null,
    }
}

/// Where the first unknown value stands; `None` if all is known.
#[must_use]
pub fn find_unknown(value: &Value) -> Option<AttributePath> {
    find_below(value, AttributePath::root())
}

fn find_below(value: &Value, path: AttributePath) -> Option<AttributePath> {
    match value {
        Value::Unknown(_) => Some(path),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        Value::List(elements) => (0_i64..).zip(elements).find_map(|(at, element)| find_below(element, path.clone().index(at))),
        Value::Map(fields) => fields.iter().find_map(|(name, field)| find_below(field, path.clone().attribute(name))),
        Value::Dynamic(typed) => find_below(&typed.1, path),
    }
}

/// The value with each unknown replaced by null.
#[must_use]
pub fn null_unknowns(value: Value) -> Value {
    match value {
        Value::Unknown(_) => Value::Null,
        Value::List(elements) => Value::List(elements.into_iter().map(null_unknowns).collect()),
        Value::Map(fields) => Value::Map(fields.into_iter().map(|(name, field)| (name, null_unknowns(field))).collect()),
        Value::Dynamic(typed) => Value::Dynamic(Box::new((typed.0, null_unknowns(typed.1)))),
        value => value,
    }
}
