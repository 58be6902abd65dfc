//! Walks over values along a schema: write-only values out, computed ones unknown, and where an unknown hides.

use std::collections::BTreeMap;

use super::{Attribute, Nesting, Presence, Schema, Shape, Type};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::value::Value;

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

/// What was planned, with the write-only values of the configuration in the objects that were planned. Nothing else of the configuration: what
/// `ignore_changes` names differs between the two. A set holds no write-only values, and a configured element without a planned one is none.
#[must_use]
pub fn with_write_only(schema: &Schema, planned: Value, config: &Value) -> Value {
    give_object(&schema.attributes, planned, config)
}

fn give_object(attributes: &[Attribute], planned: Value, config: &Value) -> Value {
    let Value::Map(mut fields) = planned else { return planned };
    for attribute in attributes {
        let given = config.field(attribute.name);
        if attribute.write_only {
            fields.insert(attribute.name.to_owned(), given.clone());
        } else if let Shape::Nested(nesting, inner) = &attribute.shape
            && let Some(field) = fields.get_mut(attribute.name)
        {
            let old = std::mem::replace(field, Value::Null);
            *field = give_nested(*nesting, inner, old, given);
        }
    }
    Value::Map(fields)
}

fn give_nested(nesting: Nesting, inner: &[Attribute], planned: Value, config: &Value) -> Value {
    match (nesting, planned) {
        (Nesting::Single, planned) => give_object(inner, planned, config),
        (Nesting::List, Value::List(objects)) => {
            Value::List(objects.into_iter().enumerate().map(|(at, object)| give_object(inner, object, element(config, at))).collect())
        }
        (Nesting::Map, Value::Map(objects)) => {
            Value::Map(objects.into_iter().map(|(key, object)| (key.clone(), give_object(inner, object, config.field(&key)))).collect())
        }
        (_, planned) => planned,
    }
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
        let given = config.field(attribute.name);
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
                let given = config.field(&key);
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

fn element(value: &Value, at: usize) -> &Value {
    match value {
        Value::List(elements) => elements.get(at).unwrap_or(&Value::Null),
        _ => &Value::Null,
    }
}

/// Where the first unknown value of the type stands, in steps that Terraform can follow; `None` if all is known.
#[must_use]
pub fn unknown_at(value: &Value, r#type: &Type) -> Option<AttributePath> {
    find_below(value, Some(r#type), AttributePath::root())
}

fn find_below(value: &Value, r#type: Option<&Type>, path: AttributePath) -> Option<AttributePath> {
    match (value, r#type) {
        (Value::Unknown(_), _) => Some(path),
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => None,
        // Elements of sets have no address.
        (Value::List(_), Some(Type::Set(_))) => (!value.is_wholly_known()).then_some(path),
        (Value::List(elements), r#type) => (0_i64..).zip(elements).enumerate().find_map(|(place, (at, element))| {
            let inner = match r#type {
                Some(Type::List(inner)) => Some(&**inner),
                Some(Type::Tuple(types)) => types.get(place),
                _ => None,
            };
            find_below(element, inner, path.clone().index(at))
        }),
        (Value::Map(elements), Some(Type::Map(inner))) => {
            elements.iter().find_map(|(key, element)| find_below(element, Some(inner), path.clone().key(key)))
        }
        (Value::Map(fields), r#type) => fields.iter().find_map(|(name, field)| {
            let inner = match r#type {
                Some(Type::Object(types)) => types.get(name),
                _ => None,
            };
            find_below(field, inner, path.clone().attribute(name))
        }),
        (Value::Dynamic(typed), _) => find_below(&typed.1, Some(&typed.0), path),
    }
}

/// A plan in which each set with unknown elements is again as it was proposed. A Rust set cannot hold two unknown elements; Terraform's
/// sets can, and what is configured has to be planned as it is.
#[must_use]
pub fn restore_unknown_elements(r#type: &Type, planned: Value, proposed: &Value) -> Value {
    match (r#type, planned, proposed) {
        (Type::Set(_), planned @ (Value::Unknown(_) | Value::List(_)), Value::List(_))
            if !planned.is_wholly_known() && !proposed.is_wholly_known() =>
        {
            proposed.clone()
        }
        (Type::Object(types), Value::Map(fields), proposed) => {
            let restored = fields.into_iter().map(|(name, field)| {
                let field = match types.get(&name) {
                    Some(inner) => restore_unknown_elements(inner, field, proposed.field(&name)),
                    None => field,
                };
                (name, field)
            });
            Value::Map(restored.collect())
        }
        (Type::Map(inner), Value::Map(elements), proposed) => {
            let restored = elements.into_iter().map(|(key, element)| {
                let element = restore_unknown_elements(inner, element, proposed.field(&key));
                (key, element)
            });
            Value::Map(restored.collect())
        }
        (Type::List(inner), Value::List(elements), proposed) => {
            let restored =
                elements.into_iter().enumerate().map(|(at, value)| restore_unknown_elements(inner, value, element(proposed, at)));
            Value::List(restored.collect())
        }
        (_, planned, _) => planned,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tfplugin::schema::{map_of, nested_list, nested_map, nested_set, nested_single, set_of, string};

    fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
        Value::Map(fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect())
    }

    fn inner() -> Vec<Attribute> {
        vec![
            Attribute::optional("given", string(), ""),
            Attribute::computed("made", string(), ""),
            Attribute::optional("secret_wo", string(), "").write_only(),
        ]
    }

    fn schema() -> Schema {
        let without_secret = vec![Attribute::optional("given", string(), ""), Attribute::computed("made", string(), "")];
        Schema::new(
            "",
            vec![
                Attribute::computed("id", string(), ""),
                Attribute::optional_computed("port", string(), ""),
                Attribute::optional("secret_wo", string(), "").write_only(),
                Attribute::optional("one", nested_single(inner()), ""),
                Attribute::optional("list", nested_list(inner()), ""),
                Attribute::optional("map", nested_map(inner()), ""),
                Attribute::optional("set", nested_set(without_secret), ""),
                Attribute::optional("tags", map_of(Type::String), ""),
                Attribute::optional("names", set_of(Type::String), ""),
            ],
        )
    }

    fn element(made: Value, secret: Value) -> Value {
        object([("given", "g".into()), ("made", made), ("secret_wo", secret)])
    }

    #[test]
    fn write_only_values_go_at_every_depth() {
        let with = |secret: &dyn Fn() -> Value| {
            let element = || element("m".into(), secret());
            object([
                ("id", "i".into()),
                ("secret_wo", secret()),
                ("one", element()),
                ("list", Value::List(vec![element(), Value::UNKNOWN, Value::Null])),
                ("map", object([("k", element())])),
                ("set", Value::Null),
            ])
        };
        assert!(strip_write_only(&schema(), with(&|| "hunter2".into())) == with(&|| Value::Null));
        assert!(strip_write_only(&schema(), Value::Null) == Value::Null);
        assert!(strip_write_only(&schema(), object([("secret_wo", Value::UNKNOWN)])) == object([("secret_wo", Value::Null)]));
    }

    #[test]
    fn apply_gets_what_was_planned_and_only_the_secrets_of_the_configuration() {
        let with = |given: &str, secret: &dyn Fn() -> Value| {
            let element = || object([("given", given.into()), ("made", "m".into()), ("secret_wo", secret())]);
            object([
                ("id", "i".into()),
                ("secret_wo", secret()),
                ("one", element()),
                ("list", Value::List(vec![element()])),
                ("map", object([("k", element())])),
                ("set", Value::Null),
            ])
        };
        let (planned, config) = (with("planned", &|| Value::Null), with("ignored", &|| "hunter2".into()));
        assert!(with_write_only(&schema(), planned, &config) == with("planned", &|| "hunter2".into()));
        let absent = object([("one", Value::Null), ("map", object([])), ("secret_wo", Value::Null)]);
        assert!(with_write_only(&schema(), absent.clone(), &with("ignored", &|| Value::Null)) == absent, "no object is made up");
    }

    #[test]
    fn what_the_provider_gives_is_unknown_on_create_unless_given() {
        let with = |made: &dyn Fn() -> Value, port: Value| {
            let in_set = object([("given", "g".into()), ("made", made())]);
            object([
                ("id", made()),
                ("port", port),
                ("one", element(made(), Value::Null)),
                ("list", Value::List(vec![element(made(), Value::Null)])),
                ("map", object([("k", element(made(), Value::Null))])),
                ("set", Value::List(vec![in_set])),
                ("tags", Value::Null),
            ])
        };
        let null = || Value::Null;
        let marked = mark_computed_unknown(&schema(), with(&null, "22".into()), &with(&null, "22".into()));
        assert!(marked == with(&|| Value::UNKNOWN, "22".into()), "{marked:?}");
        let marked = mark_computed_unknown(&schema(), with(&null, Value::Null), &with(&null, Value::Null));
        assert!(marked == with(&|| Value::UNKNOWN, Value::UNKNOWN), "{marked:?}");
        let absent = mark_computed_unknown(&schema(), object([("one", Value::Null)]), &Value::Null);
        assert!(absent == object([("one", Value::Null)]), "an object that is not there stays so");
    }

    #[test]
    fn unknowns_are_found_by_steps_that_terraform_can_follow() {
        let found = |value: Value| unknown_at(&value, &schema().block_type()).map(|path| path.to_string());
        let hidden = || element(Value::UNKNOWN, Value::Null);
        assert_eq!(found(object([("id", "x".into())])), None);
        assert_eq!(found(object([("id", Value::UNKNOWN)])).as_deref(), Some("id"));
        assert_eq!(
            found(object([("list", Value::List(vec![element("m".into(), Value::Null), hidden()]))])).as_deref(),
            Some("list[1].made")
        );
        assert_eq!(found(object([("map", object([("k", hidden())]))])).as_deref(), Some(r#"map["k"].made"#));
        assert_eq!(found(object([("tags", object([("t", Value::UNKNOWN)]))])).as_deref(), Some(r#"tags["t"]"#));
        assert_eq!(found(object([("names", Value::List(vec![Value::UNKNOWN]))])).as_deref(), Some("names"));
        assert_eq!(found(Value::UNKNOWN).as_deref(), Some(""));
    }

    #[test]
    fn a_set_with_unknown_elements_is_planned_as_proposed() {
        let sets = |set: &Value| {
            let names = || object([("names", set.clone())]);
            object([("one", names()), ("list", Value::List(vec![names()])), ("map", object([("k", names())]))])
        };
        let inner = || vec![Attribute::optional("names", set_of(Type::String), "")];
        let schema = Schema::new(
            "",
            vec![
                Attribute::optional("one", nested_single(inner()), ""),
                Attribute::optional("list", nested_list(inner()), ""),
                Attribute::optional("map", nested_map(inner()), ""),
            ],
        );
        let planned = |planned: &Value, proposed: Value| restore_unknown_elements(&schema.block_type(), sets(planned), &sets(&proposed));
        let given = Value::List(vec![Value::UNKNOWN, "a".into(), Value::UNKNOWN]);
        assert!(planned(&Value::UNKNOWN, given.clone()) == sets(&given));
        assert!(planned(&Value::UNKNOWN, Value::List(vec!["a".into()])) == sets(&Value::UNKNOWN), "the provider says that it will change");
        assert!(planned(&Value::Null, given.clone()) == sets(&Value::Null), "the provider takes it away");
        assert!(restore_unknown_elements(&schema.block_type(), sets(&given), &Value::Null) == sets(&given));
    }

    #[test]
    fn unknowns_become_null_and_the_rest_stays() {
        let value = object([("id", Value::UNKNOWN), ("names", Value::List(vec!["a".into(), Value::UNKNOWN]))]);
        assert!(null_unknowns(value) == object([("id", Value::Null), ("names", Value::List(vec!["a".into(), Value::Null]))]));
    }
}
