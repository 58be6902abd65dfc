//! Rounds of a test: one, or, under `make soak`, as many as there is time for.

use std::time::{Duration, Instant};

/// How many seconds each of the tests that can be lengthened repeats itself.
const VARIABLE: &str = "BASTION_SOAK";

/// The longest soak: all tests of `make soak`, one binary after the other, then end within a quarter of an hour.
const LONGEST: Duration = Duration::from_secs(180);

/// The rounds of one test, which says at its end how many there were.
pub struct Soak {
    what: &'static str,
    began: Instant,
    lasts: Duration,
    rounds: u64,
}

impl Soak {
    /// The rounds of what is done in each.
    pub fn of(what: &'static str) -> Soak {
        let seconds = std::env::var(VARIABLE).ok().map_or(0, |text| text.parse().expect("BASTION_SOAK is a number of seconds"));
        Soak { what, began: Instant::now(), lasts: Duration::from_secs(seconds).min(LONGEST), rounds: 0 }
    }
}

impl Iterator for Soak {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.rounds > 0 && self.began.elapsed() >= self.lasts {
            println!("soak: {}: {} rounds in {:.0} s", self.what, self.rounds, self.began.elapsed().as_secs_f32());
            return None;
        }
        self.rounds += 1;
        Some(self.rounds - 1)
    }
}
