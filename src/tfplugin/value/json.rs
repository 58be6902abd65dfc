//! Values as JSON, the form in which Terraform stores state.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value as Json};

use super::Value;
use super::codec_error::{DecodeError, EncodeError, MAX_DEPTH, Problem, Trouble, quoted};
use super::number;
use crate::tfplugin::schema::Type;

/// What to do with objects whose attributes are not exactly those of the type.
#[derive(Clone, Copy)]
enum Objects {
    /// Refuse them.
    Exact,
    /// Missing attributes are null, unknown ones are dropped.
    Lenient,
}

/// Reads a value of the type.
///
/// # Errors
///
/// On bytes that are not exactly one value of the type; the path says where.
pub fn decode_json(bytes: &[u8], r#type: &Type) -> Result<Value, DecodeError> {
    decode(bytes, r#type, Objects::Exact)
}

/// Reads a value that an older or newer schema wrote: attributes that are missing become null, attributes that are gone are dropped.
///
/// # Errors
///
/// On bytes that are not JSON, and on attributes that are still there but of another type.
pub fn decode_json_lenient(bytes: &[u8], r#type: &Type) -> Result<Value, DecodeError> {
    decode(bytes, r#type, Objects::Lenient)
}

/// Writes a value of the type. Absent attributes of objects are written as null.
///
/// # Errors
///
/// On a value that is not of the type or not wholly known; the path says where.
pub fn encode_json(value: &Value, r#type: &Type) -> Result<Vec<u8>, EncodeError> {
    Ok(put(value, r#type, MAX_DEPTH)?.to_string().into_bytes())
}

fn decode(bytes: &[u8], r#type: &Type, objects: Objects) -> Result<Value, DecodeError> {
    let json = serde_json::from_slice(bytes).map_err(|error| {
        Trouble::from(match error.classify() {
            serde_json::error::Category::Eof => Problem::Truncated,
            _ => Problem::NotJson,
        })
    })?;
    Ok(read(json, r#type, objects, MAX_DEPTH)?)
}

fn read(json: Json, r#type: &Type, objects: Objects, depth: usize) -> Result<Value, Trouble> {
    let depth = depth.checked_sub(1).ok_or(Problem::TooDeep)?;
    match (r#type, json) {
        (_, Json::Null) => Ok(Value::Null),
        (Type::String, Json::String(text)) => Ok(Value::String(text)),
        (Type::Bool, Json::Bool(truth)) => Ok(Value::Bool(truth)),
        (Type::Number, Json::Number(number)) => Ok(Value::Number(number::parse(number.as_str())?)),
        // What does not fit a float is stored as a string.
        (Type::Number, Json::String(text)) => Ok(Value::Number(number::parse(&text)?)),
        (Type::List(inner), Json::Array(elements)) => {
            let elements = elements.into_iter().enumerate();
            let read = elements.map(|(at, element)| read(element, inner, objects, depth).map_err(|trouble| trouble.in_index(at)));
            Ok(Value::List(read.collect::<Result<_, _>>()?))
        }
        (Type::Set(inner), Json::Array(elements)) => {
            let read = elements.into_iter().map(|element| read(element, inner, objects, depth).map_err(Trouble::in_set));
            Ok(Value::List(read.collect::<Result<_, _>>()?))
        }
        (Type::Tuple(types), Json::Array(elements)) if types.len() == elements.len() => {
            let elements = elements.into_iter().zip(types).enumerate();
            let read = elements.map(|(at, (element, inner))| read(element, inner, objects, depth).map_err(|trouble| trouble.in_index(at)));
            Ok(Value::List(read.collect::<Result<_, _>>()?))
        }
        (Type::Tuple(types), Json::Array(elements)) => Err(Problem::Length { needed: types.len(), found: elements.len() }.into()),
        (Type::Map(inner), Json::Object(elements)) => {
            let read = elements.into_iter().map(|(key, element)| match read(element, inner, objects, depth) {
                Ok(element) => Ok((key, element)),
                Err(trouble) => Err(trouble.in_key(&key)),
            });
            Ok(Value::Map(read.collect::<Result<_, Trouble>>()?))
        }
        (Type::Object(types), Json::Object(fields)) => read_object(fields, types, objects, depth),
        (Type::Dynamic, Json::Object(fields)) => read_dynamic(fields, objects, depth),
        (Type::Dynamic, _) => Err(Problem::NotTyped.into()),
        (_, json) => Err(Problem::Mismatch { needed: r#type.kind(), found: kind(&json) }.into()),
    }
}

fn read_object(mut fields: Map<String, Json>, types: &BTreeMap<String, Type>, objects: Objects, depth: usize) -> Result<Value, Trouble> {
    let mut read_fields = BTreeMap::new();
    for (name, inner) in types {
        let field = match (fields.remove(name), objects) {
            (Some(field), _) => read(field, inner, objects, depth).map_err(|trouble| trouble.in_attribute(name))?,
            (None, Objects::Lenient) => Value::Null,
            (None, Objects::Exact) => return Err(Problem::MissingAttribute(name.clone()).into()),
        };
        read_fields.insert(name.clone(), field);
    }
    match (fields.keys().next(), objects) {
        (Some(stranger), Objects::Exact) => Err(Problem::NoSuchAttribute(quoted(stranger)).into()),
        _ => Ok(Value::Map(read_fields)),
    }
}

fn read_dynamic(mut fields: Map<String, Json>, objects: Objects, depth: usize) -> Result<Value, Trouble> {
    let (Some(constraint), Some(value), true) = (fields.remove("type"), fields.remove("value"), fields.is_empty()) else {
        return Err(Problem::NotTyped.into());
    };
    match Type::from_value(constraint)? {
        Type::Dynamic => Err(Problem::NotTyped.into()),
        inner => {
            let value = read(value, &inner, objects, depth)?;
            Ok(Value::Dynamic(Box::new((inner, value))))
        }
    }
}

const fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a bool",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "a map",
    }
}

fn put(value: &Value, r#type: &Type, depth: usize) -> Result<Json, Trouble> {
    let depth = depth.checked_sub(1).ok_or(Problem::TooDeep)?;
    match (r#type, value) {
        (_, Value::Null) => Ok(Json::Null),
        (_, Value::Unknown(_)) => Err(Problem::UnknownInJson.into()),
        (Type::String, Value::String(text)) => Ok(text.as_str().into()),
        (Type::Bool, Value::Bool(truth)) => Ok((*truth).into()),
        (Type::Number, Value::Number(number)) => {
            // Checks the length first: writing it out is what costs.
            number::form(number)?;
            Ok(Json::Number(Number::from_string_unchecked(number::plain(number))))
        }
        (Type::List(inner), Value::List(elements)) => {
            let put = elements.iter().enumerate().map(|(at, element)| put(element, inner, depth).map_err(|trouble| trouble.in_index(at)));
            Ok(Json::Array(put.collect::<Result<_, _>>()?))
        }
        (Type::Set(inner), Value::List(elements)) => {
            let put = elements.iter().map(|element| put(element, inner, depth).map_err(Trouble::in_set));
            Ok(Json::Array(put.collect::<Result<_, _>>()?))
        }
        (Type::Tuple(types), Value::List(elements)) if types.len() == elements.len() => {
            let elements = elements.iter().zip(types).enumerate();
            let put = elements.map(|(at, (element, inner))| put(element, inner, depth).map_err(|trouble| trouble.in_index(at)));
            Ok(Json::Array(put.collect::<Result<_, _>>()?))
        }
        (Type::Tuple(types), Value::List(elements)) => Err(Problem::Length { needed: types.len(), found: elements.len() }.into()),
        (Type::Map(inner), Value::Map(elements)) => {
            let put = elements.iter().map(|(key, element)| match put(element, inner, depth) {
                Ok(element) => Ok((key.clone(), element)),
                Err(trouble) => Err(trouble.in_key(key)),
            });
            Ok(Json::Object(put.collect::<Result<_, Trouble>>()?))
        }
        (Type::Object(types), Value::Map(fields)) => put_object(fields, types, depth),
        (Type::Dynamic, Value::Dynamic(typed)) if typed.0 != Type::Dynamic => {
            let pair = [("type".to_owned(), typed.0.json()), ("value".to_owned(), put(&typed.1, &typed.0, depth)?)];
            Ok(Json::Object(pair.into_iter().collect()))
        }
        (Type::Dynamic, _) => Err(Problem::NotTyped.into()),
        (r#type, value) => Err(Problem::Mismatch { needed: r#type.kind(), found: value.kind() }.into()),
    }
}

fn put_object(fields: &BTreeMap<String, Value>, types: &BTreeMap<String, Type>, depth: usize) -> Result<Json, Trouble> {
    if let Some(stranger) = fields.keys().find(|name| !types.contains_key(*name)) {
        return Err(Problem::NoSuchAttribute(quoted(stranger)).into());
    }
    let put = types.iter().map(|(name, inner)| match put(fields.get(name).unwrap_or(&Value::Null), inner, depth) {
        Ok(field) => Ok((name.clone(), field)),
        Err(trouble) => Err(trouble.in_attribute(name)),
    });
    Ok(Json::Object(put.collect::<Result<_, Trouble>>()?))
}

#[cfg(test)]
mod tests;
