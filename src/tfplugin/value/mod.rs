//! Values as Terraform means them: null, unknown or known, of any type.

pub mod codec_error;
pub mod json;
pub mod msgpack;
pub mod number;
mod refinement;
mod scalar;
mod token;
mod type_json;

use std::collections::BTreeMap;
use std::fmt;

use bigdecimal::BigDecimal;

use crate::tfplugin::schema::Type;

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

impl Value {
    /// An unknown value about which nothing is known.
    pub const UNKNOWN: Self = Self::Unknown(None);

    /// What it is, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Unknown(_) => "unknown",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Dynamic(_) => "a value with its own type",
        }
    }

    /// Whether there is no value.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether nothing in it is unknown.
    #[must_use]
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Unknown(_) => false,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => true,
            Self::List(elements) => elements.iter().all(Self::is_wholly_known),
            Self::Map(elements) => elements.values().all(Self::is_wholly_known),
            Self::Dynamic(typed) => typed.1.is_wholly_known(),
        }
    }

    /// An attribute of an object or an element of a map; null where there is none.
    #[must_use]
    pub fn field(&self, name: &str) -> &Self {
        match self {
            Self::Map(fields) => fields.get(name).unwrap_or(&Self::Null),
            _ => &Self::Null,
        }
    }

    /// Whether both are the same value of the type: the order of sets means nothing, an absent attribute of an object is null, and what
    /// is known of unknown values does not count. (`==` compares the representation.)
    #[must_use]
    pub fn equals(&self, other: &Self, r#type: &Type) -> bool {
        match (r#type, self, other) {
            (_, Self::Unknown(_), Self::Unknown(_)) => true,
            (Type::List(inner), Self::List(these), Self::List(those)) => {
                these.len() == those.len() && these.iter().zip(those).all(|(this, that)| this.equals(that, inner))
            }
            (Type::Tuple(types), Self::List(these), Self::List(those)) => {
                these.len() == those.len()
                    && these.len() == types.len()
                    && these.iter().zip(those).zip(types).all(|((this, that), inner)| this.equals(that, inner))
            }
            (Type::Set(inner), Self::List(these), Self::List(those)) => paired(these, those, |this, that| this.equals(that, inner)),
            (Type::Map(inner), Self::Map(these), Self::Map(those)) => {
                these.len() == those.len()
                    && these.iter().zip(those).all(|((key, this), (other_key, that))| key == other_key && this.equals(that, inner))
            }
            (Type::Object(types), Self::Map(these), Self::Map(those)) => types
                .iter()
                .all(|(name, inner)| these.get(name).unwrap_or(&Self::Null).equals(those.get(name).unwrap_or(&Self::Null), inner)),
            (Type::Dynamic, Self::Dynamic(this), Self::Dynamic(that)) => this.0 == that.0 && this.1.equals(&that.1, &this.0),
            (_, this, that) => this == that,
        }
    }
}

/// Whether each element of one side has a partner of its own on the other. Quick where the order is the same, as it is in most plans.
fn paired<T>(these: &[T], those: &[T], fits: impl Fn(&T, &T) -> bool) -> bool {
    let mut free: Vec<&T> = those.iter().collect();
    these.len() == those.len()
        && these.iter().all(|this| match free.iter().position(|that| fits(this, that)) {
            Some(at) => {
                free.remove(at);
                true
            }
            None => false,
        })
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Number(int.into())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

/// The shape, never the content: an attribute's name and kind, not what it holds.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(elements) => f.debug_list().entries(elements).finish(),
            Self::Map(fields) => f.debug_map().entries(fields).finish(),
            Self::Dynamic(typed) => write!(f, "{:?} as {}", typed.1, typed.0.to_json()),
            value => f.write_str(value.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tfplugin::schema::Type;

    fn list(elements: &[i64]) -> Value {
        Value::List(elements.iter().copied().map(Value::from).collect())
    }

    #[test]
    fn sets_are_equal_in_any_order_and_lists_are_not() {
        let set = Type::Set(Box::new(Type::Number));
        assert!(list(&[1, 2, 3]).equals(&list(&[3, 1, 2]), &set));
        assert!(!list(&[1, 2, 3]).equals(&list(&[3, 1, 2]), &Type::List(Box::new(Type::Number))));
        assert!(!list(&[1, 1, 2]).equals(&list(&[1, 2, 2]), &set));
        assert!(!list(&[1, 2]).equals(&list(&[1, 2, 3]), &set));
        let sets = Type::Set(Box::new(set));
        assert!(Value::List(vec![list(&[1, 2]), list(&[3])]).equals(&Value::List(vec![list(&[3]), list(&[2, 1])]), &sets));
    }

    #[test]
    fn an_absent_attribute_is_null_and_numbers_are_equal_by_value() {
        let object = Type::Object(BTreeMap::from([("a".to_owned(), Type::Number), ("b".to_owned(), Type::String)]));
        let this = Value::Map(BTreeMap::from([("a".to_owned(), Value::Number("1.0".parse().unwrap()))]));
        let that = Value::Map(BTreeMap::from([("a".to_owned(), Value::from(1)), ("b".to_owned(), Value::Null)]));
        assert!(this.equals(&that, &object));
        assert!(!this.equals(&Value::Null, &object));
    }

    #[test]
    fn debug_shows_the_shape_and_never_the_content() {
        let secrets = Value::List(vec!["hunter2".into(), 4711.into(), true.into(), Value::UNKNOWN, Value::Null]);
        let value = Value::Map(BTreeMap::from([
            ("password".to_owned(), secrets),
            ("any".to_owned(), Value::Dynamic(Box::new((Type::String, "hunter2".into())))),
        ]));
        let shown = format!("{value:?}");
        assert_eq!(shown, r#"{"any": a string as "string", "password": [a string, a number, a bool, unknown, null]}"#);
    }
}
