//! What happens on a walk, as it happens: displays listen, the walk does not know them.

use std::time::Duration;

use super::heard::Heard;
use super::position::Position;
use super::walked::Status;

/// One thing that happened while a path was walked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A stage begins.
    Started {
        /// Which.
        at: Position,
    },
    /// A stage is passed, or skipped because it was not asked for.
    Passed {
        /// Which.
        at: Position,
        /// How.
        status: Status,
        /// What is known now, such as the host key's fingerprint.
        note: String,
        /// How long this stage took, its retries included.
        took: Duration,
    },
    /// A stage failed in a way that can heal; it is tried again.
    Waiting {
        /// Which.
        at: Position,
        /// How many tries have failed so far, from 1.
        tries: u32,
        /// When the next one starts, from now.
        next_try_in: Duration,
        /// What the peer said.
        heard: Heard,
    },
    /// A stage failed for good. The diagnosis is the walk's result.
    Failed {
        /// Which.
        at: Position,
    },
}

/// Listens to a walk. Called in order, from the walk's own task: it must not block.
pub trait Observer: Send + Sync {
    /// One event.
    fn event(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> Observer for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

/// Nobody listens.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: &Event) {}
}
