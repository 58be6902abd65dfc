//! Who may give which value: what Terraform leaves to the provider. Core takes a null for a required argument, and any value for a computed one.

use super::{Attribute, Nesting, Presence, Schema, Shape};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::value::Value;

impl Schema {
    /// Judges a configuration by who may give each value. Unknown values are not judged.
    #[must_use]
    pub fn judge(&self, config: &Value) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        judge(&self.attributes, config, &AttributePath::root(), &mut diagnostics);
        diagnostics
    }
}

fn judge(attributes: &[Attribute], object: &Value, path: &AttributePath, diagnostics: &mut Diagnostics) {
    let Value::Map(fields) = object else { return };
    for attribute in attributes {
        let value = fields.get(attribute.name).unwrap_or(&Value::Null);
        let path = path.clone().attribute(attribute.name);
        match (attribute.presence, value) {
            (Presence::Required, Value::Null) => {
                let detail = format!("`{}` is null, and has to have a value.", attribute.name);
                diagnostics.error(path.clone(), "A required argument is missing", detail);
            }
            (Presence::Computed, value) if *value != Value::Null => {
                let detail = format!("`{}` is computed: leave it out.", attribute.name);
                diagnostics.error(path.clone(), "The argument cannot be set", detail);
            }
            _ => {}
        }
        if let Shape::Nested(nesting, inner) = &attribute.shape {
            elements(*nesting, value, &path).into_iter().for_each(|(element, path)| judge(inner, element, &path, diagnostics));
        }
    }
}

/// The objects in a nested attribute's value, each with the furthest path that Terraform can follow.
fn elements<'a>(nesting: Nesting, value: &'a Value, path: &AttributePath) -> Vec<(&'a Value, AttributePath)> {
    match (nesting, value) {
        (Nesting::Single, object) => vec![(object, path.clone())],
        (Nesting::List, Value::List(elements)) => (0_i64..).zip(elements).map(|(at, element)| (element, path.clone().index(at))).collect(),
        (Nesting::Set, Value::List(elements)) => elements.iter().map(|element| (element, path.clone())).collect(),
        (Nesting::Map, Value::Map(elements)) => elements.iter().map(|(key, element)| (element, path.clone().key(key))).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{nested_list, nested_single, string};
    use super::*;

    fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
        Value::Map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn nulls_and_presents_are_refused_where_they_stand() {
        let inner = || vec![Attribute::required("name", string(), "…"), Attribute::computed("made", string(), "…")];
        let schema = Schema::new(
            "…",
            vec![
                Attribute::required("host", string(), "…"),
                Attribute::computed("id", string(), "…"),
                Attribute::optional("one", nested_single(inner()), "…"),
                Attribute::optional("many", nested_list(inner()), "…"),
            ],
        );
        let wrong = map([
            ("host", Value::Null),
            ("id", Value::from("mine")),
            ("one", map([("name", Value::Null), ("made", Value::Null)])),
            ("many", Value::List(vec![map([("name", Value::from("a")), ("made", Value::from("b"))])])),
        ]);
        let paths: Vec<_> = schema.judge(&wrong).iter().map(|diagnostic| diagnostic.attribute.to_string()).collect();
        assert_eq!(paths, ["host", "id", "one.name", "many[0].made"]);
        let right = map([("host", Value::UNKNOWN), ("id", Value::Null), ("one", Value::Null), ("many", Value::UNKNOWN)]);
        assert_eq!(schema.judge(&right), Diagnostics::new());
    }
}
