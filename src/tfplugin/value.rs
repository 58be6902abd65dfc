//! Values as Terraform means them: null, unknown or known, of any type.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;

use super::schema::Type;

/// What is known of a value that is not known yet. All of it is optional; the default says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refinement {
    /// It will not be null.
    pub not_null: bool,
    /// It is a string that starts so.
    pub prefix: Option<String>,
    /// It is a number at least so large (and whether the bound itself is possible).
    pub lower: Option<(BigDecimal, bool)>,
    /// It is a number at most so large (and whether the bound itself is possible).
    pub upper: Option<(BigDecimal, bool)>,
    /// It is a collection of at least so many elements.
    pub min_length: Option<u64>,
    /// It is a collection of at most so many elements.
    pub max_length: Option<u64>,
}

/// A value of any type. Can hold secrets, so it shows its shape only.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A value that apply will tell.
    Unknown(Option<Box<Refinement>>),
    /// A truth value.
    Bool(bool),
    /// An exact number.
    Number(BigDecimal),
    /// Text, normalised to NFC by Terraform.
    String(String),
    /// The elements of a list, set or tuple.
    List(Vec<Value>),
    /// The elements of a map, or the attributes of an object.
    Map(BTreeMap<String, Value>),
    /// A value whose type travels with it.
    Dynamic(Box<(Type, Value)>),
}
