//! The rules for schemas that Terraform enforces only when a user meets them, so that a test meets them first.

use std::collections::BTreeSet;

use super::{Attribute, Nesting, Presence, Schema, Shape, Type};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::erased::Registry;

/// Names that mean something to Terraform itself at the root of a resource, data source or ephemeral resource.
const RESERVED: [&str; 7] = ["count", "for_each", "depends_on", "provider", "lifecycle", "connection", "provisioner"];
/// The same at the root of the provider's configuration.
const RESERVED_IN_PROVIDER: [&str; 2] = ["alias", "version"];

impl Schema {
    /// Checks the rules for a resource, data source or ephemeral resource.
    ///
    /// # Errors
    ///
    /// One sentence about the first attribute that breaks a rule.
    pub fn check(&self) -> Result<(), String> {
        self.check_reserving(&RESERVED)
    }

    /// Checks the rules for the provider's configuration.
    ///
    /// # Errors
    ///
    /// One sentence about the first attribute that breaks a rule.
    pub fn check_configuration(&self) -> Result<(), String> {
        self.check_reserving(&RESERVED_IN_PROVIDER)?;
        match self.attributes.iter().find(|attribute| attribute.presence != Presence::Required && attribute.presence != Presence::Optional)
        {
            Some(attribute) => Err(format!("`{}`: a provider's configuration computes nothing", attribute.name)),
            None => Ok(()),
        }
    }

    fn check_reserving(&self, reserved: &[&str]) -> Result<(), String> {
        if self.version < 0 {
            return Err("the version is negative".to_owned());
        }
        if let Some(attribute) = self.attributes.iter().find(|attribute| reserved.contains(&attribute.name)) {
            return Err(format!("`{}` is a name of Terraform's own", attribute.name));
        }
        check_attributes(&self.attributes, &AttributePath::root())
    }
}

fn check_attributes(attributes: &[Attribute], path: &AttributePath) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for attribute in attributes {
        let path = path.clone().attribute(attribute.name);
        if !names.insert(attribute.name) {
            return Err(format!("`{path}` is there twice"));
        }
        check_attribute(attribute, &path)?;
    }
    Ok(())
}

fn check_attribute(attribute: &Attribute, path: &AttributePath) -> Result<(), String> {
    if !is_name(attribute.name) {
        return Err(format!("`{path}`: a name starts with a lower-case letter and goes on with those, digits and underscores"));
    }
    if attribute.write_only && !matches!(attribute.presence, Presence::Optional | Presence::Required) {
        return Err(format!("`{path}`: a write-only attribute is given by the user, never computed"));
    }
    if attribute.deprecated == Some("") {
        return Err(format!("`{path}`: a deprecation says why"));
    }
    match &attribute.shape {
        Shape::Type(plain) if set_of_dynamic(plain) => Err(format!("`{path}`: a set must not hold values of any type")),
        Shape::Type(_) => Ok(()),
        Shape::Nested(nesting, inner) => {
            if *nesting == Nesting::Set {
                check_set_element(inner, path)?;
            }
            check_attributes(inner, path)
        }
    }
}

fn check_set_element(attributes: &[Attribute], path: &AttributePath) -> Result<(), String> {
    for attribute in attributes {
        if attribute.write_only {
            return Err(format!("`{path}.{}`: a nested set must not hold write-only attributes", attribute.name));
        }
        match &attribute.shape {
            Shape::Type(plain) if holds_dynamic(plain) => {
                return Err(format!("`{path}.{}`: a nested set must not hold values of any type", attribute.name));
            }
            Shape::Type(_) => {}
            Shape::Nested(_, inner) => check_set_element(inner, &path.clone().attribute(attribute.name))?,
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

fn holds_dynamic(r#type: &Type) -> bool {
    match r#type {
        Type::Dynamic => true,
        Type::String | Type::Number | Type::Bool => false,
        Type::List(inner) | Type::Set(inner) | Type::Map(inner) => holds_dynamic(inner),
        Type::Object(types) => types.values().any(holds_dynamic),
        Type::Tuple(types) => types.iter().any(holds_dynamic),
    }
}

fn set_of_dynamic(r#type: &Type) -> bool {
    match r#type {
        Type::Dynamic | Type::String | Type::Number | Type::Bool => false,
        Type::Set(inner) => holds_dynamic(inner),
        Type::List(inner) | Type::Map(inner) => set_of_dynamic(inner),
        Type::Object(types) => types.values().any(set_of_dynamic),
        Type::Tuple(types) => types.iter().any(set_of_dynamic),
    }
}

impl Registry {
    /// Checks every schema, and that each type's name starts with `prefix` and an underscore.
    ///
    /// # Errors
    ///
    /// One sentence about the first that breaks a rule.
    pub fn check(&self, prefix: &str) -> Result<(), String> {
        self.configuration.schema().check_configuration().map_err(|broken| format!("the provider's configuration: {broken}"))?;
        let resources = self.resources.iter().map(|(name, kind)| (*name, kind.schema()));
        let data_sources = self.data_sources.iter().map(|(name, kind)| (*name, kind.schema()));
        let ephemerals = self.ephemerals.iter().map(|(name, kind)| (*name, kind.schema()));
        for (name, schema) in resources.chain(data_sources).chain(ephemerals) {
            if !name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).is_some_and(is_name) {
                return Err(format!("{name}: the name must be `{prefix}_` and a lower-case name"));
            }
            schema.check().map_err(|broken| format!("{name}: {broken}"))?;
        }
        match self.functions.keys().find(|name| !is_name(name)) {
            Some(name) => Err(format!("{name}: not a name for a function")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tfplugin::schema::{boolean, dynamic, list_of, nested_list, nested_set, nested_single, object, set_of, string};

    fn broken(attributes: Vec<Attribute>) -> String {
        Schema::new("", attributes).check().unwrap_err()
    }

    #[test]
    fn a_usual_schema_is_fine() {
        let schema = Schema::new(
            "A tunnel.",
            vec![
                Attribute::required("name", string(), ""),
                Attribute::optional("version", string(), "").deprecated("It means nothing."),
                Attribute::optional("tables", set_of(Type::String), ""),
                Attribute::optional("any", dynamic(), ""),
                Attribute::optional("key", nested_single(vec![Attribute::optional("passphrase_wo", string(), "").write_only()]), ""),
                Attribute::optional("rules", nested_set(vec![Attribute::required("peers", set_of(Type::String), "")]), ""),
                Attribute::computed("path", list_of(Type::object([("stage", Type::String)])), ""),
            ],
        );
        assert_eq!(schema.check(), Ok(()));
        assert_eq!(
            schema.check_configuration().unwrap_err(),
            "`version` is a name of Terraform's own",
            "what is free in a resource is not free in the provider's configuration"
        );
    }

    #[test]
    fn names_are_lower_case_unique_and_not_terraforms_own() {
        let named = |name| vec![Attribute::required(name, string(), "")];
        for name in ["", "Name", "9lives", "_x", "a-b", "ä", "a b"] {
            assert!(broken(named(name)).contains("lower-case letter"), "{name:?}");
        }
        for name in RESERVED {
            assert_eq!(broken(named(name)), format!("`{name}` is a name of Terraform's own"));
        }
        let nested = Attribute::optional("outer", nested_list([named("a"), named("a")].concat()), "");
        assert_eq!(broken(vec![nested]), "`outer.a` is there twice");
        let fine = Attribute::optional("outer", nested_list(named("count")), "");
        assert_eq!(Schema::new("", vec![fine]).check(), Ok(()), "reserved names are reserved at the root only");
    }

    #[test]
    fn what_is_write_only_is_given_by_the_user() {
        let computed = Attribute::computed("a", string(), "").write_only();
        assert!(broken(vec![computed]).contains("never computed"));
        let either = Attribute::optional_computed("a", string(), "").write_only();
        assert!(broken(vec![either]).contains("never computed"));
    }

    #[test]
    fn sets_hold_nothing_dynamic_and_nothing_write_only() {
        let deep = nested_single(vec![Attribute::optional("secret", string(), "").write_only()]);
        let set = nested_set(vec![Attribute::optional("deep", deep, "")]);
        assert_eq!(broken(vec![Attribute::optional("s", set, "")]), "`s.deep.secret`: a nested set must not hold write-only attributes");
        let set = nested_set(vec![Attribute::optional("any", list_of(Type::Dynamic), "")]);
        assert!(broken(vec![Attribute::optional("s", set, "")]).contains("`s.any`"));
        let plain = object([("x", Type::set(Type::Dynamic)), ("y", Type::Bool)]);
        assert!(broken(vec![Attribute::optional("s", plain, ""), Attribute::optional("b", boolean(), "")]).contains("`s`"));
    }
}
