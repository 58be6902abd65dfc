//! What is recorded of a walk: its stages, and how each ended.

use super::position::Position;
use super::route::Route;

/// A stage that was walked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Walked {
    /// Which, on which leg.
    pub at: Position,
    /// Where that leg leads, such as `bastion.example.com:22`.
    pub hop: String,
    /// How.
    pub status: Status,
    /// What is known of it. Never a time, so that equal paths compare equal.
    pub note: String,
}

impl Walked {
    /// A stage of a route.
    pub(crate) fn new(route: &Route, at: Position, status: Status, note: String) -> Self {
        let hop = route.address(at.leg).map_or_else(String::new, ToString::to_string);
        Self { at, hop, status, note }
    }
}

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It holds.
    Passed,
    /// It was not asked for.
    Skipped,
    /// It broke the path. Never in a proven one.
    Failed,
}

impl Status {
    /// `passed`, `skipped` or `failed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}
