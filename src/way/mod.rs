//! The way through hops, to be used by whoever has something to say at its end: `open(address)` gives a stream, and remakes what broke.
//!
//! Sessions are shared by everybody who uses the same [`Sessions`], and a bastion's patience with them. A [`Way`] has sessions of its own
//! beside those of the checks, so that nobody waits for a reader that does not read.

mod admission;
mod dialer;
mod failure;
mod lanes;
mod open;
mod patience;
mod sessions;
mod steps;
mod stream;
mod sync;
mod tunnel;

pub(crate) use admission::Door;
pub(crate) use dialer::{Dialer, unpinned};
pub(crate) use failure::{Failure, Told, of_connect, of_handshake, of_hold};
pub use open::Way;
pub use patience::Patience;
pub(crate) use patience::dice;
pub use sessions::Sessions;
pub(crate) use steps::{Failing, Steps};
pub use stream::Stream;
pub use tunnel::Tunnel;
