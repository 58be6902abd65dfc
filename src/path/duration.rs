//! Durations as users write them: `"30s"`, `"10m"`, `"1h30m"`.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a duration is a number above zero with a unit, such as \"30s\", \"10m\" or \"1h30m\"")]
pub struct DurationError;

/// Parses whole numbers with the units `h`, `m`, `s` and `ms`, one after the other. At most a year, so that adding it to a clock is safe.
///
/// # Errors
///
/// [`DurationError`] for anything else, and for no time at all.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at_checked(digits).ok_or(DurationError)?;
        let number: u64 = number.parse().map_err(|_| DurationError)?;
        let unit = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at_checked(unit).ok_or(DurationError)?;
        let milliseconds = match unit {
            "ms" => Some(number),
            "s" => number.checked_mul(1_000),
            "m" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
            _ => None,
        };
        let part = Duration::from_millis(milliseconds.ok_or(DurationError)?);
        total = total.checked_add(part).filter(|total| *total <= LONGEST).ok_or(DurationError)?;
        rest = tail;
    }
    if total.is_zero() { Err(DurationError) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "10", "m", "-1s", "1.5h", "0s", "1d", "10 m", "99999999999999999999s", "9999999h", "１s"] {
            assert_eq!(parse(bad), Err(DurationError), "{bad}");
        }
    }
}
