//! Amazon's side of the path: the bucket from which a bastion takes its keys, and the security group in front of it.

mod account;
mod answer;
pub mod authorized_keys;
mod http;
pub mod security_group_rules;
mod settings;

pub use self::account::Account;
pub use self::settings::{Addressing, AssumeRole, Endpoints, Settings};
