//! Where on a path something is: on which leg, at which stage.

use std::cmp::Ordering;
use std::fmt;

use super::stage::Stage;

/// A stage of one leg. Leg 0 is the first hop; the last leg is the target. The order is that of the walk; the text is the stage's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Counted from 0.
    pub leg: usize,
    /// What of it.
    pub stage: Stage,
}

impl Position {
    /// Before anything is walked.
    pub const START: Self = Self { leg: 0, stage: Stage::Configure };

    /// That stage of that leg.
    #[must_use]
    pub const fn new(leg: usize, stage: Stage) -> Self {
        Self { leg, stage }
    }

    /// The place of the stage within its leg.
    const fn rank(self) -> u8 {
        match self.stage {
            Stage::Configure => 0,
            Stage::Admit => 1,
            Stage::Resolve => 2,
            Stage::Connect => 3,
            Stage::Forward => 4,
            Stage::Dial => 5,
            Stage::Handshake => 6,
            Stage::HostKey => 7,
            Stage::Authenticate => 8,
            Stage::Sync => 9,
            Stage::Tls => 10,
            Stage::Login => 11,
            Stage::Open => 12,
            Stage::Ready => 13,
            Stage::Hold => 14,
        }
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.leg, self.rank()).cmp(&(other.leg, other.rank()))
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stage.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::route::tests::route;

    #[test]
    fn the_order_is_that_of_the_walk() {
        let route = route("db");
        let walked: Vec<_> = Stage::ALL.into_iter().map(|stage| route.position(stage).unwrap()).collect();
        assert!(walked.is_sorted(), "{walked:?}");
        assert!(Position::new(0, Stage::Authenticate) < Position::new(1, Stage::Forward), "each leg follows the one before");
        assert!(Position::new(1, Stage::Dial) < Position::new(1, Stage::Handshake), "a hop is dialled before it is spoken to");
    }
}
