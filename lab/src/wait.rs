//! Waiting for something that a server does in its own time, never longer than said.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long to pause between two looks: short against what is awaited (a start takes 30 to 200 ms), long against a look (some 20 µs).
const PAUSE: Duration = Duration::from_millis(5);

/// Looks until `look` gives a value, at most for `limit`; `what` ends the sentence "waited 3 s in vain for …".
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        if Instant::now() >= end {
            bail!("waited {} s in vain for {what}", limit.as_secs_f32());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Looks until `look` is true, at most for `limit`.
pub fn wait_until(what: &str, limit: Duration, mut look: impl FnMut() -> bool) -> Result<()> {
    wait_for(what, limit, || Ok(look().then_some(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_up_at_the_limit_and_says_what_it_waited_for() {
        let error = wait_until("the moon", Duration::from_millis(20), || false).unwrap_err();
        assert_eq!(error.to_string(), "waited 0.02 s in vain for the moon");
    }

    #[test]
    fn looks_once_even_without_time() {
        assert_eq!(wait_for("nothing", Duration::ZERO, || Ok(Some(7))).unwrap(), 7);
    }
}
