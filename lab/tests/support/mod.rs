//! What the tests of the lab share.

use std::time::Duration;

/// Long enough for a loaded machine; nothing that is awaited takes more than a second on an idle one.
pub const LIMIT: Duration = Duration::from_secs(15);
