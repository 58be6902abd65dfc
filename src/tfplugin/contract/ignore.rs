//! What `ignore_changes` makes of a configuration, copied so that tests can plan without terraform.

use crate::tfplugin::value::Value;

/// The argument of `ignore_changes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// `all`.
    All,
    /// The names of attributes.
    Attributes(Vec<String>),
}

/// The configuration that a plan gets: what is ignored is as it was, write-only values absent. Apply gets the configuration as it is written.
#[must_use]
pub fn ignore_changes(ignored: &Ignored, prior: Option<&Value>, config: &Value) -> Value {
    match (ignored, prior, config) {
        (Ignored::All, Some(prior), _) => prior.clone(),
        (Ignored::Attributes(names), Some(prior), Value::Map(fields)) => {
            let field = |(name, field): (&String, &Value)| {
                let field = if names.contains(name) { prior.field(name) } else { field };
                (name.clone(), field.clone())
            };
            Value::Map(fields.iter().map(field).collect())
        }
        (_, _, config) => config.clone(),
    }
}
