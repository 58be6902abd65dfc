//! Terraform's proposal for a new state, copied so that tests can plan without terraform.

use crate::tfplugin::schema::{Attribute, Nesting, Presence, Schema, Shape, object_type};
use crate::tfplugin::value::Value;

/// Merges a configuration into the prior state: configured values, else what the provider computed before, else null.
#[must_use]
pub fn propose(schema: &Schema, prior: Option<&Value>, config: &Value) -> Value {
    propose_object(&schema.attributes, prior.unwrap_or(&Value::Null), config)
}

fn propose_object(attributes: &[Attribute], prior: &Value, config: &Value) -> Value {
    let Value::Map(given) = config else { return config.clone() };
    let proposed = attributes.iter().map(|attribute| {
        let config = given.get(attribute.name).unwrap_or(&Value::Null);
        let prior = prior.field(attribute.name);
        let value = match (&attribute.shape, attribute.presence) {
            (_, Presence::Computed | Presence::OptionalComputed) if config.is_null() => prior.clone(),
            (Shape::Nested(nesting, inner), _) => propose_nested(*nesting, inner, prior, config),
            _ => config.clone(),
        };
        (attribute.name.to_owned(), value)
    });
    Value::Map(proposed.collect())
}

fn propose_nested(nesting: Nesting, inner: &[Attribute], prior: &Value, config: &Value) -> Value {
    let priors = if let Value::List(priors) = prior { priors.as_slice() } else { &[] };
    match (nesting, config) {
        (Nesting::Single, config) => propose_object(inner, prior, config),
        (Nesting::List, Value::List(configs)) => {
            let priors = priors.iter().chain(std::iter::repeat(&Value::Null));
            Value::List(configs.iter().zip(priors).map(|(config, prior)| propose_object(inner, prior, config)).collect())
        }
        (Nesting::Map, Value::Map(configs)) => {
            Value::Map(configs.iter().map(|(key, config)| (key.clone(), propose_object(inner, prior.field(key), config))).collect())
        }
        (Nesting::Set, Value::List(configs)) => {
            let proposed = configs.iter().map(|config| {
                let matching = priors.iter().find(|prior| propose_object(inner, prior, config).equals(prior, &object_type(inner)));
                propose_object(inner, matching.unwrap_or(&Value::Null), config)
            });
            Value::List(proposed.collect())
        }
        (_, config) => config.clone(),
    }
}
