//! Values as msgpack, the form in which Terraform and a provider exchange them; the schema says what each byte means.

use std::collections::BTreeMap;

use rmp::encode::{self as write, ByteBuf};

use super::Value;
use super::codec_error::{DecodeError, EncodeError, MAX_DEPTH, Problem, Trouble, quoted};
use super::refinement;
use super::scalar::{decimal, length, put_number, put_raw, put_text, text};
use super::token::{Reader, Token};
use crate::tfplugin::schema::Type;

/// The extension of an unknown value about which more is known. Extension 0 is a plain one, and any other is read as that.
pub(super) const EXT_REFINED: i8 = 12;
/// What Terraform sends for a plain unknown value.
const UNKNOWN: [u8; 3] = [0xd4, 0, 0];

/// Reads a value of the type. Sets keep the order of the message.
///
/// # Errors
///
/// On bytes that are not exactly one value of the type; the path says where. A list of nulls, the worst there is, takes some 150 times its bytes while it grows.
pub fn decode(bytes: &[u8], r#type: &Type) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader, r#type, MAX_DEPTH)?;
    if reader.is_empty() { Ok(value) } else { Err(Trouble::from(Problem::Trailing).into()) }
}

/// Writes a value of the type. Absent attributes of objects are written as null.
///
/// # Errors
///
/// On a value that is not of the type; the path says where.
pub fn encode(value: &Value, r#type: &Type) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = ByteBuf::new();
    put(&mut bytes, value, r#type, MAX_DEPTH)?;
    Ok(bytes.into_vec())
}

fn read(reader: &mut Reader<'_>, r#type: &Type, depth: usize) -> Result<Value, Trouble> {
    let depth = depth.checked_sub(1).ok_or(Problem::TooDeep)?;
    match (r#type, reader.token()?) {
        (_, Token::Nil) => Ok(Value::Null),
        (_, Token::Ext(EXT_REFINED, payload)) => Ok(refinement::read(payload)?),
        (_, Token::Ext(..)) => Ok(Value::Unknown(None)),
        (Type::String, Token::Str(bytes)) => Ok(Value::String(text(bytes)?.to_owned())),
        (Type::Bool, Token::Bool(truth)) => Ok(Value::Bool(truth)),
        (Type::Number, token) => Ok(Value::Number(decimal(&token)?)),
        (Type::List(inner), Token::Array(count)) => {
            read_elements(count, |at| read(reader, inner, depth).map_err(|trouble| trouble.in_index(at)))
        }
        (Type::Set(inner), Token::Array(count)) => read_elements(count, |_| read(reader, inner, depth).map_err(Trouble::in_set)),
        (Type::Tuple(types), Token::Array(count)) if types.len() == count => {
            let elements = types.iter().enumerate().map(|(at, inner)| read(reader, inner, depth).map_err(|trouble| trouble.in_index(at)));
            Ok(Value::List(elements.collect::<Result<_, _>>()?))
        }
        (Type::Tuple(types), Token::Array(count)) => Err(Problem::Length { needed: types.len(), found: count }.into()),
        (Type::Map(inner), Token::Map(count)) => read_map(reader, count, inner, depth),
        (Type::Object(types), Token::Map(count)) => read_object(reader, count, types, depth),
        (Type::Dynamic, Token::Array(2)) => read_dynamic(reader, depth),
        (Type::Dynamic, _) => Err(Problem::NotTyped.into()),
        (_, token) => Err(Problem::Mismatch { needed: r#type.kind(), found: token.kind() }.into()),
    }
}

fn read_elements(count: usize, mut read_one: impl FnMut(usize) -> Result<Value, Trouble>) -> Result<Value, Trouble> {
    // The reader has seen at least `count` more bytes; growing step by step keeps memory in proportion to what was really read.
    let mut elements = Vec::new();
    for at in 0..count {
        elements.push(read_one(at)?);
    }
    Ok(Value::List(elements))
}

fn read_key<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Problem> {
    match reader.token()? {
        Token::Str(bytes) => text(bytes),
        token => Err(Problem::Mismatch { needed: "a string as a key", found: token.kind() }),
    }
}

fn read_map(reader: &mut Reader<'_>, count: usize, inner: &Type, depth: usize) -> Result<Value, Trouble> {
    let mut elements = BTreeMap::new();
    for _ in 0..count {
        let key = read_key(reader)?;
        let element = read(reader, inner, depth).map_err(|trouble| trouble.in_key(key))?;
        if elements.insert(key.to_owned(), element).is_some() {
            return Err(Problem::DuplicateKey(quoted(key)).into());
        }
    }
    Ok(Value::Map(elements))
}

fn read_object(reader: &mut Reader<'_>, count: usize, types: &BTreeMap<String, Type>, depth: usize) -> Result<Value, Trouble> {
    let mut fields = BTreeMap::new();
    for _ in 0..count {
        let name = read_key(reader)?;
        let inner = types.get(name).ok_or_else(|| Problem::NoSuchAttribute(quoted(name)))?;
        let field = read(reader, inner, depth).map_err(|trouble| trouble.in_attribute(name))?;
        if fields.insert(name.to_owned(), field).is_some() {
            return Err(Problem::DuplicateKey(quoted(name)).into());
        }
    }
    match types.keys().find(|name| !fields.contains_key(*name)) {
        None => Ok(Value::Map(fields)),
        Some(missing) => Err(Problem::MissingAttribute(missing.clone()).into()),
    }
}

fn read_dynamic(reader: &mut Reader<'_>, depth: usize) -> Result<Value, Trouble> {
    let (Token::Bin(constraint) | Token::Str(constraint)) = reader.token()? else { return Err(Problem::NotTyped.into()) };
    match Type::parse(constraint)? {
        Type::Dynamic => Err(Problem::NotTyped.into()),
        inner => {
            let value = read(reader, &inner, depth)?;
            Ok(Value::Dynamic(Box::new((inner, value))))
        }
    }
}

fn put(bytes: &mut ByteBuf, value: &Value, r#type: &Type, depth: usize) -> Result<(), Trouble> {
    let depth = depth.checked_sub(1).ok_or(Problem::TooDeep)?;
    match (r#type, value) {
        (_, Value::Null) => {
            let Ok(()) = write::write_nil(bytes);
        }
        (_, Value::Unknown(None)) => put_raw(bytes, &UNKNOWN),
        (_, Value::Unknown(Some(refinement))) => match refinement::payload(refinement)? {
            None => put_raw(bytes, &UNKNOWN),
            Some(payload) => {
                let Ok(_) = write::write_ext_meta(bytes, length(payload.len())?, EXT_REFINED);
                put_raw(bytes, &payload);
            }
        },
        (Type::String, Value::String(text)) => put_text(bytes, text)?,
        (Type::Bool, Value::Bool(truth)) => {
            let Ok(()) = write::write_bool(bytes, *truth);
        }
        (Type::Number, Value::Number(number)) => put_number(bytes, number)?,
        (Type::List(inner), Value::List(elements)) => {
            put_elements(bytes, elements, |bytes, at, element| put(bytes, element, inner, depth).map_err(|trouble| trouble.in_index(at)))?;
        }
        (Type::Set(inner), Value::List(elements)) => {
            put_elements(bytes, elements, |bytes, _, element| put(bytes, element, inner, depth).map_err(Trouble::in_set))?;
        }
        (Type::Tuple(types), Value::List(elements)) => put_tuple(bytes, elements, types, depth)?,
        (Type::Map(inner), Value::Map(elements)) => {
            let Ok(_) = write::write_map_len(bytes, length(elements.len())?);
            for (key, element) in elements {
                put_text(bytes, key)?;
                put(bytes, element, inner, depth).map_err(|trouble| trouble.in_key(key))?;
            }
        }
        (Type::Object(types), Value::Map(fields)) => put_object(bytes, fields, types, depth)?,
        (Type::Dynamic, Value::Dynamic(typed)) if typed.0 != Type::Dynamic => {
            let Ok(_) = write::write_array_len(bytes, 2);
            let constraint = typed.0.to_json();
            let Ok(_) = write::write_bin_len(bytes, length(constraint.len())?);
            put_raw(bytes, constraint.as_bytes());
            put(bytes, &typed.1, &typed.0, depth)?;
        }
        (Type::Dynamic, _) => return Err(Problem::NotTyped.into()),
        (r#type, value) => return Err(Problem::Mismatch { needed: r#type.kind(), found: value.kind() }.into()),
    }
    Ok(())
}

fn put_elements(
    bytes: &mut ByteBuf,
    elements: &[Value],
    mut put_one: impl FnMut(&mut ByteBuf, usize, &Value) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let Ok(_) = write::write_array_len(bytes, length(elements.len())?);
    elements.iter().enumerate().try_for_each(|(at, element)| put_one(bytes, at, element))
}

fn put_tuple(bytes: &mut ByteBuf, elements: &[Value], types: &[Type], depth: usize) -> Result<(), Trouble> {
    if types.len() != elements.len() {
        return Err(Problem::Length { needed: types.len(), found: elements.len() }.into());
    }
    let Ok(_) = write::write_array_len(bytes, length(elements.len())?);
    for (at, (element, inner)) in elements.iter().zip(types).enumerate() {
        put(bytes, element, inner, depth).map_err(|trouble| trouble.in_index(at))?;
    }
    Ok(())
}

fn put_object(bytes: &mut ByteBuf, fields: &BTreeMap<String, Value>, types: &BTreeMap<String, Type>, depth: usize) -> Result<(), Trouble> {
    if let Some(stranger) = fields.keys().find(|name| !types.contains_key(*name)) {
        return Err(Problem::NoSuchAttribute(quoted(stranger)).into());
    }
    let Ok(_) = write::write_map_len(bytes, length(types.len())?);
    for (name, inner) in types {
        put_text(bytes, name)?;
        put(bytes, fields.get(name).unwrap_or(&Value::Null), inner, depth).map_err(|trouble| trouble.in_attribute(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
