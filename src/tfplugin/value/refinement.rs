//! What is known of an unknown value, as the payload of msgpack's extension 12.

use rmp::encode::{self as write, ByteBuf};

use bigdecimal::BigDecimal;

use super::codec_error::Problem;
use super::scalar::{decimal, put_number};
use super::token::{Reader, Token};
use super::{Refinement, Value};

// Keys of the payload's map (cty's format).
const NULLNESS: i64 = 1;
const PREFIX: i64 = 2;
const LOWER: i64 = 3;
const UPPER: i64 = 4;
const MIN_LENGTH: i64 = 5;
const MAX_LENGTH: i64 = 6;

/// An unknown value with what is known of it. Keys of a later format are passed over: knowing less is always right.
pub(super) fn read(payload: &[u8]) -> Result<Value, Problem> {
    let mut reader = Reader::new(payload);
    let Token::Map(count) = reader.token()? else { return Err(Problem::NotRefinement) };
    let mut known = Refinement::default();
    let mut is_null = false;
    for _ in 0..count {
        let Token::Int(key) = reader.token()? else { return Err(Problem::NotRefinement) };
        match key {
            NULLNESS => match reader.token()? {
                Token::Bool(null) => (is_null, known.not_null) = (null, !null),
                _ => return Err(Problem::NotRefinement),
            },
            PREFIX => known.prefix = Some(prefix(&reader.token()?)?),
            LOWER => known.lower = Some(bound(&mut reader)?),
            UPPER => known.upper = Some(bound(&mut reader)?),
            MIN_LENGTH => known.min_length = Some(length(&reader.token()?)?),
            MAX_LENGTH => known.max_length = Some(length(&reader.token()?)?),
            _ => reader.skip()?,
        }
    }
    match (reader.is_empty(), is_null) {
        (false, _) => Err(Problem::NotRefinement),
        // An unknown that is certainly null is null.
        (true, true) => Ok(Value::Null),
        (true, false) if known == Refinement::default() => Ok(Value::Unknown(None)),
        (true, false) => Ok(Value::Unknown(Some(Box::new(known)))),
    }
}

fn prefix(token: &Token<'_>) -> Result<String, Problem> {
    match token {
        Token::Str(bytes) => String::from_utf8(bytes.to_vec()).map_err(|_not_text| Problem::NotUtf8),
        _ => Err(Problem::NotRefinement),
    }
}

fn bound(reader: &mut Reader<'_>) -> Result<(BigDecimal, bool), Problem> {
    let Token::Array(2) = reader.token()? else { return Err(Problem::NotRefinement) };
    let limit = decimal(&reader.token()?)?;
    match reader.token()? {
        Token::Bool(inclusive) => Ok((limit, inclusive)),
        _ => Err(Problem::NotRefinement),
    }
}

fn length(token: &Token<'_>) -> Result<u64, Problem> {
    match token {
        Token::Int(length) => u64::try_from(*length).map_err(|_negative| Problem::NotRefinement),
        Token::Uint(length) => Ok(*length),
        _ => Err(Problem::NotRefinement),
    }
}

/// The payload; `None` if nothing is known, which must travel as a plain unknown.
pub(super) fn payload(known: &Refinement) -> Result<Option<Vec<u8>>, Problem> {
    let Refinement { not_null, prefix, lower, upper, min_length, max_length } = known;
    let mut bytes = ByteBuf::new();
    let mut count = 0;
    let mut key = |bytes: &mut ByteBuf, key| {
        count += 1;
        let Ok(_) = write::write_sint(bytes, key);
    };
    if *not_null {
        key(&mut bytes, NULLNESS);
        let Ok(()) = write::write_bool(&mut bytes, false);
    }
    if let Some(prefix) = prefix {
        key(&mut bytes, PREFIX);
        let Ok(()) = write::write_str(&mut bytes, prefix);
    }
    for (number, limit) in [(LOWER, lower), (UPPER, upper)] {
        if let Some((limit, inclusive)) = limit {
            key(&mut bytes, number);
            let Ok(_) = write::write_array_len(&mut bytes, 2);
            put_number(&mut bytes, limit)?;
            let Ok(()) = write::write_bool(&mut bytes, *inclusive);
        }
    }
    for (number, length) in [(MIN_LENGTH, min_length), (MAX_LENGTH, max_length)] {
        if let Some(length) = length {
            key(&mut bytes, number);
            let Ok(_) = write::write_uint(&mut bytes, *length);
        }
    }
    if count == 0 {
        return Ok(None);
    }
    let mut whole = ByteBuf::new();
    let Ok(_) = write::write_map_len(&mut whole, count);
    whole.as_mut_vec().extend_from_slice(bytes.as_slice());
    Ok(Some(whole.into_vec()))
}
