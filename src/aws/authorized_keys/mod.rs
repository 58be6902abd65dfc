//! The object in a bastion's bucket that becomes one login's authorized_keys.
//!
//! The bastion copies whole objects every few minutes (Guimove/bastion/aws: `public-keys/<login>.pub`), so all keys of a login stand in one
//! object, and an empty one would remove the login.

mod content;
mod name;
mod object;
mod refusal;

pub use self::content::{Content, ContentError, Found};
pub use self::name::{BastionUser, BucketName, NameError, ObjectKey, PREFIX, Prefix};
pub use self::object::{AuthorizedKeys, Fetched, Mark, Seen, Stranger};
