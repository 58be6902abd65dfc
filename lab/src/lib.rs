//! A real sshd and real Postgres clusters on loopback, started and stopped by code: what tests, demo and bench of the path share.
//!
//! ```no_run
//! use lab::{KeyType, Lab};
//!
//! # fn main() -> anyhow::Result<()> {
//! let lab = Lab::start()?;
//! let key = lab.bastion.client_key(KeyType::Ed25519)?;
//! lab.bastion.authorize("neosync", &[&key.public_key])?;
//! println!("ssh -i {} -p {} neosync@127.0.0.1", key.path.display(), lab.bastion.port());
//! println!("then db.internal:{}, database orders, password {}", lab.ordinary.port(), lab.password());
//! # Ok(())
//! # }
//! ```
//!
//! It runs as root (the servers are then `nobody`) or as anybody, touches no account of the machine, and listens on 127.0.0.1 alone.
//! Every server ends, and every file goes, when its value is dropped or when the process that holds it dies, also by `kill -9`. Linux
//! only: it reads /proc, and the logins are libnss_wrapper's.

mod aws;
mod bastion;
mod certificates;
mod forward;
mod lab;
mod mischief;
mod namespace;
mod peer;
mod pooler;
mod port;
mod postgres;
mod process;
mod relay;
mod scratch;
mod server;
mod soak;
mod terraform;
mod tools;
mod wait;

pub use aws::{
    Allow, Aws, BucketOptions, Call, Deny, Direction, Elsewhere, Fault, Gate, Head, Moto, On, Pause, Policy, Rule, S3Answer, S3Call,
    S3Caller, S3Client,
};
pub use bastion::{Bastion, BastionBuilder, ClientKey, KeyBucket, KeyType, Login};
pub use certificates::{Authority, Certificate, Identity};
pub use forward::Forward;
pub use lab::{DATABASE, DATABASE_HOST, Lab, PUBLICATION, ROLE, TABLE};
pub use mischief::{Act, Mischief, Side, Spot};
pub use namespace::Namespace;
pub use peer::{Blackhole, Manners, Peer};
pub use pooler::Pooler;
pub use port::free_port;
pub use postgres::{Flavour, Postgres, PostgresBuilder, Tls};
pub use relay::Relay;
pub use scratch::base_folder;
pub use soak::Soak;
pub use terraform::{Found, Ran, SOURCE, Terraform};
pub use tools::postgres_folder;
pub use wait::{wait_for, wait_until};
