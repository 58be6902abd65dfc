//! Amazon's side of the path: the bucket from which a bastion takes its keys, and the security group in front of it.

mod account;
mod address;
mod admission;
mod answer;
mod arrivals;
pub mod authorized_keys;
mod http;
mod log;
mod owner;
pub mod security_group_rules;
mod settings;

pub use self::account::Account;
pub use self::admission::{SecurityGroupAdmission, shut};
pub use self::owner::{ClaimId, ClaimIdError, Owner, OwnerError};
pub use self::settings::{Addressing, AssumeRole, Endpoints, Settings};
