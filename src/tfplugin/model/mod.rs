//! Rust types for configurations: three-state attributes, and structs that are objects.

mod types;

use std::collections::BTreeMap;

use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::value::Value;

/// An attribute's value in a plan: absent, not known yet, or known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attr<T> {
    /// Not given.
    #[default]
    Null,
    /// Apply will tell.
    Unknown,
    /// This.
    Known(T),
}

impl<T> Attr<T> {
    /// The value, if it is there.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// The value, if it is there.
    pub fn into_known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// Whether it was not given.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether only apply will tell.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Borrows the value.
    pub const fn as_ref(&self) -> Attr<&T> {
        match self {
            Self::Null => Attr::Null,
            Self::Unknown => Attr::Unknown,
            Self::Known(value) => Attr::Known(value),
        }
    }

    /// Changes a known value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Attr<U> {
        match self {
            Self::Null => Attr::Null,
            Self::Unknown => Attr::Unknown,
            Self::Known(value) => Attr::Known(change(value)),
        }
    }

    /// This, or the default if it was not given. What is unknown stays unknown.
    #[must_use]
    pub fn or(self, default: T) -> Self {
        match self {
            Self::Null => Self::Known(default),
            given => given,
        }
    }
}

impl<T> From<T> for Attr<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl From<&str> for Attr<String> {
    fn from(value: &str) -> Self {
        Self::Known(value.to_owned())
    }
}

/// A value does not fit the type it should have. Never quotes the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", prefix(path))]
pub struct ModelError {
    /// Where.
    pub path: AttributePath,
    /// What was expected.
    pub message: String,
}

fn prefix(path: &AttributePath) -> String {
    if path.steps().is_empty() { String::new() } else { format!("{path}: ") }
}

impl ModelError {
    /// `message` is a fragment: "a string is needed, but this is a list".
    pub fn new(path: &AttributePath, message: impl Into<String>) -> Self {
        Self { path: path.clone(), message: message.into() }
    }

    /// Another kind of value than the one that is needed.
    #[must_use]
    pub fn mismatch(path: &AttributePath, needed: &str, found: &Value) -> Self {
        Self::new(path, format!("{needed} is needed, but this is {}", found.kind()))
    }
}

/// Reads a Rust value out of a Terraform value.
pub trait FromValue: Sized {
    /// `path` is where the value stands, for the error.
    fn from_value(value: Value, path: &AttributePath) -> Result<Self, ModelError>;
}

/// Turns a Rust value into a Terraform value.
pub trait IntoValue {
    /// The value.
    fn into_value(self) -> Value;
}

/// The attributes of one object while a struct takes them one by one. For [`model!`].
#[doc(hidden)]
pub struct Fields<'a> {
    left: BTreeMap<String, Value>,
    path: &'a AttributePath,
}

impl<'a> Fields<'a> {
    /// The attributes of an object; anything else is an error.
    pub fn open(value: Value, path: &'a AttributePath) -> Result<Self, ModelError> {
        match value {
            Value::Map(left) => Ok(Self { left, path }),
            other => Err(ModelError::mismatch(path, "an object", &other)),
        }
    }

    /// One attribute; one that is not there is null.
    pub fn take<T: FromValue>(&mut self, field: &str) -> Result<T, ModelError> {
        let name = attribute_name(field);
        T::from_value(self.left.remove(name).unwrap_or(Value::Null), &self.path.clone().attribute(name))
    }

    /// Nothing may be left.
    pub fn finish(&self) -> Result<(), ModelError> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => Err(ModelError::new(&self.path.clone().attribute(name), "there is no such attribute")),
        }
    }
}

/// A field called `r#type` is the attribute `type`. For [`model!`].
#[doc(hidden)]
#[must_use]
pub fn attribute_name(field: &str) -> &str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// Structs whose fields are the attributes of an object: each gets `Clone`, `PartialEq`, `Default`, [`FromValue`] and [`IntoValue`], and no
/// `Debug`, because it may hold secrets.
///
/// ```
/// use bastion::secret::Secret;
/// use bastion::tfplugin::model::{Attr, model};
///
/// model! {
///     /// A tunnel.
///     pub struct Tunnel {
///         /// What it is called.
///         pub name: Attr<String>,
///         /// How its keys are kept.
///         pub key_pairs: Attr<KeyPairs>,
///     }
///
///     /// Its keys.
///     pub struct KeyPairs {
///         /// Never in state.
///         pub passphrase_wo: Attr<Secret<String>>,
///     }
/// }
///
/// let tunnel = Tunnel { name: "neosync".into(), ..Tunnel::default() };
/// assert!(tunnel.key_pairs.is_null());
/// ```
#[macro_export]
#[doc(hidden)]
macro_rules! __model {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident : $type:ty),* $(,)?
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Default)]
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type),*
        }

        impl $crate::tfplugin::model::FromValue for $name {
            fn from_value(
                value: $crate::tfplugin::value::Value,
                path: &$crate::tfplugin::attribute_path::AttributePath,
            ) -> ::std::result::Result<Self, $crate::tfplugin::model::ModelError> {
                let fields = &mut $crate::tfplugin::model::Fields::open(value, path)?;
                let model = Self { $($field: fields.take(::std::stringify!($field))?),* };
                fields.finish()?;
                ::std::result::Result::Ok(model)
            }
        }

        impl $crate::tfplugin::model::IntoValue for $name {
            fn into_value(self) -> $crate::tfplugin::value::Value {
                $crate::tfplugin::value::Value::Map(::std::collections::BTreeMap::from([$((
                    $crate::tfplugin::model::attribute_name(::std::stringify!($field)).to_owned(),
                    $crate::tfplugin::model::IntoValue::into_value(self.$field),
                )),*]))
            }
        }
    )+};
}

#[doc(inline)]
pub use crate::__model as model;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    model! {
        /// A tunnel.
        #[derive(Eq)]
        pub struct Tunnel {
            /// What it is called.
            pub name: Attr<String>,
            /// Where it goes.
            pub port: Attr<i64>,
            key_pairs: Attr<KeyPairs>,
            r#type: Attr<String>,
        }

        #[derive(Eq)]
        struct KeyPairs {
            passphrase_wo: Attr<Secret<String>>,
            rotation: i64,
        }

        #[derive(Eq)]
        struct Nothing {}
    }

    fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
        Value::Map(fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect())
    }

    fn error(value: Value) -> String {
        match Tunnel::from_value(value, &AttributePath::root()) {
            Ok(_) => panic!("no error"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_struct_is_an_object_and_back() {
        let pairs = object([("passphrase_wo", "hunter2".into()), ("rotation", 1.into())]);
        let value = object([("name", "neosync".into()), ("port", Value::UNKNOWN), ("key_pairs", pairs), ("type", "ssh".into())]);
        let tunnel = Tunnel::from_value(value.clone(), &AttributePath::root()).unwrap();
        assert_eq!(tunnel.name, Attr::from("neosync"));
        assert!(tunnel.port.is_unknown());
        assert_eq!(tunnel.r#type.known().map(String::as_str), Some("ssh"));
        assert_eq!(tunnel.key_pairs.known().map(|pairs| pairs.rotation), Some(1));
        assert!(tunnel.clone().into_value() == value);
        assert!(Nothing {}.into_value() == object([]));
    }

    #[test]
    fn absent_attributes_are_null_where_null_may_be() {
        let tunnel = Tunnel::from_value(object([]), &AttributePath::root()).unwrap();
        assert!(tunnel == Tunnel::default());
        assert_eq!(error(object([("key_pairs", object([]))])), "key_pairs.rotation: a number is needed, but this is null");
    }

    #[test]
    fn errors_name_the_attribute_and_never_the_value() {
        assert_eq!(error(object([("surprise", "hunter2".into())])), "surprise: there is no such attribute");
        assert_eq!(error(object([("name", 4711.into())])), "name: a string is needed, but this is a number");
        assert_eq!(
            error(object([("key_pairs", object([("rotation", "x".into())]))])),
            "key_pairs.rotation: a number is needed, but this is a string"
        );
        assert_eq!(error(Value::Null), "an object is needed, but this is null");
        assert_eq!(error(object([("key_pairs", Value::List(vec![]))])), "key_pairs: an object is needed, but this is a list");
    }

    #[test]
    fn the_default_stands_in_for_null_only() {
        assert_eq!(Attr::Null.or(5432), Attr::Known(5432));
        assert_eq!(Attr::Unknown.or(5432), Attr::Unknown);
        assert_eq!(Attr::Known(1).or(5432), Attr::Known(1));
        assert_eq!(Attr::Known(2).map(|number| number + 1).as_ref().into_known(), Some(&3));
    }
}
