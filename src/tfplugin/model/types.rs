//! The Rust types that an attribute may have.

use std::collections::{BTreeMap, BTreeSet};

use bigdecimal::BigDecimal;

use super::{Attr, FromValue, IntoValue, ModelError};
use crate::secret::Secret;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::value::Value;
use crate::tfplugin::value::number;

impl FromValue for Value {
    fn from_value(value: Value, _path: &AttributePath) -> Result<Self, ModelError> {
        Ok(value)
    }
}

impl IntoValue for Value {
    fn into_value(self) -> Value {
        self
    }
}

impl<T: FromValue> FromValue for Attr<T> {
    fn from_value(value: Value, path: &AttributePath) -> Result<Self, ModelError> {
        match value {
            Value::Null => Ok(Self::Null),
            Value::Unknown(_) => Ok(Self::Unknown),
            known => T::from_value(known, path).map(Self::Known),
        }
    }
}

impl<T: IntoValue> IntoValue for Attr<T> {
    fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Unknown => Value::UNKNOWN,
            Self::Known(value) => value.into_value(),
        }
    }
}

/// For what is never unknown.
impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value, path: &AttributePath) -> Result<Self, ModelError> {
        match value {
            Value::Null => Ok(None),
            known => T::from_value(known, path).map(Some),
        }
    }
}

impl<T: IntoValue> IntoValue for Option<T> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, T::into_value)
    }
}

impl FromValue for String {
    fn from_value(value: Value, path: &AttributePath) -> Result<Self, ModelError> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(ModelError::mismatch(path, "a string", &other)),
        }
    }
}

impl IntoValue for String {
    fn into_value(self) -> Value {
        Value::String(self)
    }
}

impl FromValue for Secret<String> {
    fn from_value(value: Value, path: &AttributePath) -> Result<Self, ModelError> {
        String::from_value(value, path).map(Self::new)
    }
}

impl IntoValue for Secret<String> {
    fn into_value(self) -> Value {
        Value::String(self.expose().clone())
    }
}

impl FromValue for bool {
    fn from_value(value: Value, path: &AttributePath) -> Result<Self, ModelError> {
        match value {
            Value::Bool(truth) => Ok(truth),
            other => Err(ModelError::mismatch(path, "a bool", &other)),
        }
    }
}

impl IntoValue for bool {
    fn into_value(self) -> Value {
        Value::Bool(self)
    }
}

impl FromValue for BigDecimal {
    fn from_value(value: Value, path: &AttributePath) -> Result<Self, ModelError> {
        match value {
            Value::Number(number) => Ok(number),
            other => Err(ModelError::mismatch(path, "a number", &other)),
        }
    }
}

impl IntoValue for BigDecimal {
    fn into_value(self) -> Value {
        Value::Number(self)
    }
}

macro_rules! whole_numbers {
    ($($int:ty),*) => {$(
        impl FromValue for $int {
            fn from_value(value: Value, path: &AttributePath) -> Result<Self, ModelError> {
                let number = BigDecimal::from_value(value, path)?;
                match number::to_i64(&number) {
                    Ok(None) if !number.is_integer() => Err(ModelError::new(path, "a whole number is needed")),
                    Ok(Some(whole)) => Self::try_from(whole).map_err(|_out_of_range| out_of_range(path, Self::MIN.into(), Self::MAX.into())),
                    _ => Err(out_of_range(path, Self::MIN.into(), Self::MAX.into())),
                }
            }
        }

        impl IntoValue for $int {
            fn into_value(self) -> Value {
                Value::Number(self.into())
            }
        }
    )*};
}

whole_numbers!(i64, u32, u16);

fn out_of_range(path: &AttributePath, lowest: i64, highest: i64) -> ModelError {
    ModelError::new(path, format!("a whole number from {lowest} to {highest} is needed"))
}

fn elements(value: Value, needed: &str, path: &AttributePath) -> Result<Vec<Value>, ModelError> {
    match value {
        Value::List(elements) => Ok(elements),
        other => Err(ModelError::mismatch(path, needed, &other)),
    }
}

/// A list. Use `Attr<Vec<Attr<T>>>` where single elements may be unknown.
impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value, path: &AttributePath) -> Result<Self, ModelError> {
        let elements = elements(value, "a list", path)?.into_iter();
        (0_i64..).zip(elements).map(|(at, element)| T::from_value(element, &path.clone().index(at))).collect()
    }
}

impl<T: IntoValue> IntoValue for Vec<T> {
    fn into_value(self) -> Value {
        Value::List(self.into_iter().map(T::into_value).collect())
    }
}

/// A set of known, different elements. Use `Attr<Vec<Attr<T>>>` where single elements may be unknown: two unknowns are two elements.
impl<T: FromValue + Ord> FromValue for BTreeSet<T> {
    fn from_value(value: Value, path: &AttributePath) -> Result<Self, ModelError> {
        elements(value, "a set", path)?
            .into_iter()
            .map(|element| T::from_value(element, path))
            .map(|element| element.map_err(|error| at_set(error, path)))
            .collect()
    }
}

/// What is inside a set's element has no address: the path ends at the set.
fn at_set(error: ModelError, path: &AttributePath) -> ModelError {
    ModelError { path: path.clone(), ..error }
}

impl<T: IntoValue> IntoValue for BTreeSet<T> {
    fn into_value(self) -> Value {
        Value::List(self.into_iter().map(T::into_value).collect())
    }
}

impl<T: FromValue> FromValue for BTreeMap<String, T> {
    fn from_value(value: Value, path: &AttributePath) -> Result<Self, ModelError> {
        match value {
            Value::Map(elements) => elements
                .into_iter()
                .map(|(key, element)| {
                    let element = T::from_value(element, &path.clone().key(&key))?;
                    Ok((key, element))
                })
                .collect(),
            other => Err(ModelError::mismatch(path, "a map", &other)),
        }
    }
}

impl<T: IntoValue> IntoValue for BTreeMap<String, T> {
    fn into_value(self) -> Value {
        Value::Map(self.into_iter().map(|(key, element)| (key, element.into_value())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tfplugin::schema::Type;

    fn read<T: FromValue>(value: Value) -> Result<T, String> {
        T::from_value(value, &AttributePath::of("x")).map_err(|error| error.to_string())
    }

    fn number(text: &str) -> Value {
        Value::Number(text.parse().unwrap())
    }

    #[test]
    fn whole_numbers_are_whole_and_in_range() {
        assert_eq!(read::<i64>(number("22")), Ok(22));
        assert_eq!(read::<i64>(number("2.0e1")), Ok(20));
        assert_eq!(read::<i64>(number("1.5")).unwrap_err(), "x: a whole number is needed");
        assert_eq!(read::<i64>(number("1e-30")).unwrap_err(), "x: a whole number is needed");
        assert_eq!(read::<u16>(number("65536")).unwrap_err(), "x: a whole number from 0 to 65535 is needed");
        assert_eq!(read::<u16>(number("-1")).unwrap_err(), "x: a whole number from 0 to 65535 is needed");
        assert_eq!(
            read::<i64>(number("9223372036854775808")).unwrap_err(),
            "x: a whole number from -9223372036854775808 to 9223372036854775807 is needed"
        );
        assert_eq!(read::<u32>("5".into()).unwrap_err(), "x: a number is needed, but this is a string");
    }

    #[test]
    fn unknowns_stand_where_the_type_lets_them() {
        let mixed = || Value::List(vec!["a".into(), Value::UNKNOWN, Value::Null]);
        assert_eq!(read::<Attr<Vec<Attr<String>>>>(mixed()), Ok(Attr::Known(vec!["a".into(), Attr::Unknown, Attr::Null])));
        assert_eq!(read::<Vec<String>>(mixed()).unwrap_err(), "x[1]: a string is needed, but this is unknown");
        assert_eq!(read::<BTreeSet<String>>(mixed()).unwrap_err(), "x: a string is needed, but this is unknown");
        assert_eq!(read::<Attr<Vec<String>>>(Value::UNKNOWN), Ok(Attr::Unknown));
        assert_eq!(read::<Option<bool>>(Value::Null), Ok(None));
        assert_eq!(read::<Option<bool>>(Value::UNKNOWN).unwrap_err(), "x: a bool is needed, but this is unknown");
    }

    #[test]
    fn every_type_comes_back_as_it_was() {
        fn there_and_back<T: FromValue + IntoValue + Clone + PartialEq>(this: T) {
            assert!(T::from_value(this.clone().into_value(), &AttributePath::root()).is_ok_and(|back| back == this));
        }
        there_and_back("text".to_owned());
        there_and_back(true);
        there_and_back(-1_i64);
        there_and_back(u16::MAX);
        there_and_back(Secret::from("hunter2"));
        there_and_back(vec![Attr::Known(1_i64), Attr::Unknown, Attr::Null]);
        there_and_back(BTreeSet::from(["b".to_owned(), "a".to_owned()]));
        there_and_back(BTreeMap::from([("k".to_owned(), vec![true])]));
        there_and_back(Some("x".to_owned()));
        there_and_back(Value::Dynamic(Box::new((Type::Bool, true.into()))));
    }

    #[test]
    fn errors_inside_maps_name_the_key() {
        let map = Value::Map(BTreeMap::from([("a b".to_owned(), Value::List(vec![1.into()]))]));
        assert_eq!(read::<BTreeMap<String, Vec<String>>>(map).unwrap_err(), r#"x["a b"][0]: a string is needed, but this is a number"#);
    }
}
