//! Numbers and texts as msgpack, wherever they stand.

use bigdecimal::BigDecimal;
use rmp::encode::{self as write, ByteBuf};

use super::codec_error::Problem;
use super::number::{self, Form};
use super::token::Token;
use crate::tfplugin::schema::Type;

pub(super) fn text(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_not_text| Problem::NotUtf8)
}

pub(super) fn decimal(token: &Token<'_>) -> Result<BigDecimal, Problem> {
    match token {
        Token::Int(int) => Ok((*int).into()),
        Token::Uint(uint) => Ok((*uint).into()),
        Token::Float(float) => number::from_float(*float),
        Token::Str(bytes) => number::parse(text(bytes)?),
        token => Err(Problem::Mismatch { needed: Type::Number.kind(), found: token.kind() }),
    }
}

pub(super) fn length(length: usize) -> Result<u32, Problem> {
    u32::try_from(length).map_err(|_too_long| Problem::TooLong)
}

pub(super) fn put_raw(bytes: &mut ByteBuf, raw: &[u8]) {
    bytes.as_mut_vec().extend_from_slice(raw);
}

pub(super) fn put_text(bytes: &mut ByteBuf, text: &str) -> Result<(), Problem> {
    let Ok(_) = write::write_str_len(bytes, length(text.len())?);
    put_raw(bytes, text.as_bytes());
    Ok(())
}

pub(super) fn put_number(bytes: &mut ByteBuf, number: &BigDecimal) -> Result<(), Problem> {
    match number::form(number)? {
        Form::Int(int) => {
            let Ok(_) = write::write_sint(bytes, int);
        }
        Form::Float(float) => {
            let Ok(()) = write::write_f64(bytes, float);
        }
        Form::Text(digits) => put_text(bytes, &digits)?,
    }
    Ok(())
}
