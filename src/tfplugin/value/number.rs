//! Exact numbers between Terraform's forms and decimals, bounded so that a short text cannot become a huge number.

use std::str::FromStr;

use bigdecimal::{BigDecimal, ToPrimitive};

use super::codec_error::Problem;

/// How many digits a number may have when written out. Terraform keeps 512 bits (155 digits) and an f64 needs at the most 1,075 places;
/// beyond some ten thousand, reading a decimal takes noticeable time.
pub const MAX_DIGITS: usize = 8_192;

/// The digits of the largest exponent that can matter, that of [`MAX_DIGITS`].
const MAX_EXPONENT_DIGITS: usize = 4;

/// How a number travels.
#[derive(PartialEq)]
pub(super) enum Form {
    Int(i64),
    Float(f64),
    Text(String),
}

/// Reads a decimal text such as `-1.5e3`.
pub(super) fn parse(text: &str) -> Result<BigDecimal, Problem> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let exponent_digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if ![whole, fraction, exponent_digits].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(Problem::NotDecimal);
    }
    // Before the parse: an exponent of ten digits parses, and only the first arithmetic on it would need gigabytes.
    if text.len() > MAX_DIGITS * 2 || exponent_digits.trim_start_matches('0').len() > MAX_EXPONENT_DIGITS {
        return Err(Problem::NumberTooLong);
    }
    let number = BigDecimal::from_str(text).map_err(|_unparsable| Problem::NotDecimal)?;
    if written_digits(&number) > MAX_DIGITS { Err(Problem::NumberTooLong) } else { Ok(number) }
}

/// The exact value of a float.
pub(super) fn from_float(float: f64) -> Result<BigDecimal, Problem> {
    BigDecimal::try_from(float).map_err(|_not_finite| Problem::NotFinite)
}

/// An integer where 64 bits hold it, a float where that is exact, else the decimal digits: what Terraform itself sends.
pub(super) fn form(number: &BigDecimal) -> Result<Form, Problem> {
    if let Some(int) = to_i64(number)? {
        return Ok(Form::Int(int));
    }
    // Terraform sends a whole number beyond 64 bits as text even where a float would be exact.
    let float = if number.is_integer() { None } else { number.to_f64() };
    match float.filter(|float| BigDecimal::try_from(*float).is_ok_and(|back| back == *number)) {
        Some(float) => Ok(Form::Float(float)),
        None => Ok(Form::Text(plain(number))),
    }
}

/// The number as an integer, if it is one and fits.
pub(in crate::tfplugin) fn to_i64(number: &BigDecimal) -> Result<Option<i64>, Problem> {
    if written_digits(number) > MAX_DIGITS {
        return Err(Problem::NumberTooLong);
    }
    // to_i64 rounds towards zero by itself.
    Ok(if number.is_integer() { number.to_i64() } else { None })
}

/// All digits, without an exponent. The number must be no longer than [`MAX_DIGITS`].
pub(super) fn plain(number: &BigDecimal) -> String {
    number.normalized().to_plain_string()
}

/// The length of the number without an exponent, counted without writing it.
fn written_digits(number: &BigDecimal) -> usize {
    let scale = number.fractional_digit_count();
    let places = usize::try_from(scale.unsigned_abs()).unwrap_or(usize::MAX);
    let digits = usize::try_from(number.decimal_digit_count()).unwrap_or(usize::MAX);
    if scale > 0 { digits.max(places) } else { digits.saturating_add(places) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(text: &str) -> Form {
        form(&parse(text).unwrap()).unwrap_or_else(|problem| panic!("{text}: {problem}"))
    }

    #[test]
    fn the_forms_are_the_ones_that_terraform_sends() {
        assert!(forms("22") == Form::Int(22));
        assert!(forms("-9223372036854775808") == Form::Int(i64::MIN));
        assert!(forms("1.0") == Form::Int(1));
        assert!(forms("1e3") == Form::Int(1000));
        assert!(forms("1.5") == Form::Float(1.5));
        assert!(forms("-0.25") == Form::Float(-0.25));
        assert!(forms("0.1") == Form::Text("0.1".to_owned()));
        assert!(forms("9223372036854775808") == Form::Text("9223372036854775808".to_owned()));
        assert!(forms("1e100") == Form::Text(format!("1{}", "0".repeat(100))));
        assert!(forms("-1.50e-3") == Form::Text("-0.0015".to_owned()));
    }

    #[test]
    fn a_short_text_cannot_become_a_huge_number() {
        for text in ["1e999999999", "1e-999999999", "1e9999999999999999999999", "1e8192", "1e00000000000000008192"] {
            assert_eq!(parse(text).unwrap_err(), Problem::NumberTooLong, "{text}");
        }
        assert_eq!(parse(&"9".repeat(100_000)).unwrap_err(), Problem::NumberTooLong);
        assert!(parse("1e8000").is_ok());
        assert!(parse("1e-8000").is_ok());
    }

    #[test]
    fn a_huge_number_of_the_providers_own_is_refused_before_it_is_written_out() {
        let huge = BigDecimal::new(1.into(), -1_000_000_000_000);
        assert!(matches!(form(&huge), Err(Problem::NumberTooLong)));
        assert!(matches!(form(&BigDecimal::new(1.into(), i64::MIN)), Err(Problem::NumberTooLong)));
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in ["", "-", ".", "1.", ".5", "1e", "e5", "0x10", "1_000", "NaN", "inf", " 1", "1 ", "1.2.3", "--1", "1e5.5", "é", "1e+-5"]
        {
            assert_eq!(parse(text).unwrap_err(), Problem::NotDecimal, "{text:?}");
        }
    }

    #[test]
    fn floats_keep_their_exact_value() {
        assert_eq!(from_float(0.1).unwrap().to_plain_string(), "0.1000000000000000055511151231257827021181583404541015625");
        assert_eq!(from_float(f64::NAN).unwrap_err(), Problem::NotFinite);
        assert_eq!(from_float(f64::NEG_INFINITY).unwrap_err(), Problem::NotFinite);
        for float in [5e-324, f64::MAX, f64::MIN_POSITIVE, 1.0 / 3.0] {
            assert_eq!(from_float(float).unwrap().to_f64(), Some(float));
        }
    }
}
