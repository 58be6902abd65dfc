//! Pauses between tries: growing, jittered, never below a floor.

use std::time::Duration;

/// A jittered exponential backoff.
///
/// Each pause is drawn evenly from `[ceiling / 2, ceiling]`, the ceiling doubling from `first` to `longest`, and never less than `floor`.
/// Half of each pause is jitter, so that many clients that failed together do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    floor: Duration,
    ceiling: Duration,
    longest: Duration,
}

impl Backoff {
    /// Starts over.
    #[must_use]
    pub const fn new(floor: Duration, first: Duration, longest: Duration) -> Self {
        Self { floor, ceiling: first, longest }
    }

    /// The next pause. `dice` is a number drawn evenly from all `u32`.
    pub fn next_pause(&mut self, dice: u32) -> Duration {
        let half = self.ceiling / 2;
        let jitter = half.mul_f64(f64::from(dice) / f64::from(u32::MAX));
        self.ceiling = (self.ceiling * 2).min(self.longest);
        (half + jitter).max(self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_ceiling_and_keep_a_floor() {
        let (floor, first, longest) = (Duration::from_secs(6), Duration::from_secs(8), Duration::from_secs(20));
        let mut lowest = Backoff::new(floor, first, longest);
        let mut highest = lowest.clone();
        let low: Vec<_> = (0..4).map(|_| lowest.next_pause(0).as_secs()).collect();
        let high: Vec<_> = (0..4).map(|_| highest.next_pause(u32::MAX).as_secs()).collect();
        assert_eq!(low, [6, 8, 10, 10]);
        assert_eq!(high, [8, 16, 20, 20]);
    }
}
