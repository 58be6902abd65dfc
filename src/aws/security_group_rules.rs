//! The rules of one security group: named wants, one call an entry to add, one a direction to remove, and never a rule of somebody else's.
//!
//! [`create`] and [`update`] make what is wanted, [`look`] tells how what is there compares, [`remove`] takes away what was made, [`depart`]
//! finishes what updates put off, and [`import`] begins with what is there. What decides is pure: the rules that are there and the rules
//! that are wanted lead to a plan of calls, and nothing but a rule that was seen is ever removed.
//!
//! **Whose rule is it?** Each user of a rule leaves a mark of its own on it: a tag whose key names the owner, and whose value the one object
//! of that owner. Whoever wants a rule that bears somebody's mark adds one. Leaving a rule means taking one's mark away; the last one to
//! leave removes the rule. An admission's mark counts for a time only. A rule without any mark is somebody else's: it satisfies the want, and is neither marked, changed nor removed.

mod admit;
mod calls;
mod depart;
mod ensure;
mod entry;
mod group;
mod handover;
mod id;
mod import;
mod leave;
mod leftovers;
mod look;
mod mark;
mod observe;
mod ours;
mod plan;
mod refuse;
mod remove;
mod rule;
mod traffic;
mod undo;
mod wire;

pub(super) use self::admit::{Entrance, close, ended, open, renew};
pub(super) use self::group::Groups;

pub use self::depart::depart;
pub use self::ensure::{DesiredRules, Ensured, Unfinished, create, update};
pub use self::entry::{Entry, Source, SourceError};
pub use self::id::{GroupId, IdError, PeerGroup, PrefixListId, SubnetId};
pub use self::import::{Imported, import};
pub use self::leftovers::{Claimed, Released, leftovers, release};
pub use self::look::{lets_out_beside, look};
pub use self::mark::{Claim, Mark, moment};
pub use self::observe::{Held, Observed};
pub use self::ours::{Identity, Ours};
pub use self::remove::{Removed, remove};
pub use self::rule::{DESCRIPTION_SIGNS, Direction, Key, LONGEST_DESCRIPTION, Peer, Rule};
pub use self::traffic::{Protocol, ProtocolError, Traffic, TrafficError};
