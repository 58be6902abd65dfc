//! The rules of one security group: named wants, one call a direction to add, one to revoke, and never a rule of somebody else's.
//!
//! [`ensure`] makes what is wanted, [`look`] tells how what is there compares, [`remove`] takes away what was made, and [`take_over`] begins
//! with what somebody else made. What decides is pure:
//! the rules that are there and the rules that are wanted lead to a plan of calls, and nothing but a rule that was seen is ever revoked.
//!
//! **Whose rule is it?** A rule is ours if it bears our mark (tags that are set within the call that makes it) with our [`Owner`], or if it
//! was recorded as ours. The owner is made of the group and of what was wanted at first, so a run that was killed before anything was
//! recorded finds its own rules again. Any other rule with the same protocol, ports and peer satisfies the want: it is recorded, never
//! changed, never revoked.

mod calls;
mod ensure;
mod entry;
mod group;
mod id;
mod look;
mod mark;
mod plan;
mod refuse;
mod remove;
mod rule;
mod see;
mod traffic;

pub use self::group::Claims;
pub(super) use self::group::Groups;

pub use self::ensure::{Intent, Unfinished, ensure};
pub use self::entry::{Entry, Source, SourceError};
pub use self::id::{GroupId, IdError, PrefixListId, SubnetId};
pub use self::look::{look, take_over};
pub use self::mark::Owner;
pub use self::remove::remove;
pub use self::rule::{Direction, Key, Peer, Rule};
pub use self::see::{Held, Ours, Seen};
pub use self::traffic::{Protocol, ProtocolError, Traffic, TrafficError};
