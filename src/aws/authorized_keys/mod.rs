//! The object in a bastion's bucket that becomes one login's authorized_keys.
//!
//! The bastion copies whole objects every few minutes (Guimove/bastion/aws: `public-keys/<login>.pub`), so all keys of a login stand in one
//! object, and an empty one would remove the login.
//!
//! An object belongs to all who claim it ([`Claims`]): the same lines may be wanted by many, and the last one to leave removes them.

mod claims;
mod content;
mod leftovers;
mod name;
mod namesakes;
mod object;
mod ownership;
mod refusal;
mod store;

pub use self::claims::{Claim, Claims};
pub use self::content::{Content, ContentError, Found};
pub use self::leftovers::{Leftover, leftovers, release};
pub use self::name::{BastionUser, BucketName, NameError, ObjectKey, PREFIX, Prefix};
pub use self::object::{AuthorizedKeys, Fetched, Seen};
pub use self::ownership::{Held, Left, Stranger, Wanted};
pub use self::refusal::unreadable;
pub(super) use self::store::Process;
