//! Rust types for configurations: three-state attributes and the conversion from and to [`Value`].

use super::attribute_path::AttributePath;
use super::value::Value;

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

/// A value does not fit the type it should have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ModelError {
    /// Where.
    pub path: AttributePath,
    /// What was expected.
    pub message: String,
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
