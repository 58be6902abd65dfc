//! A real sshd and real Postgres clusters on loopback, started and stopped by code.
mod bastion;
mod certificates;
mod forward;
mod lab;
mod port;
mod postgres;
mod process;
mod scratch;
mod server;
mod tools;
mod wait;
pub use bastion::*;
pub use certificates::*;
pub use forward::Forward;
pub use lab::*;
pub use port::free_port;
pub use postgres::{Flavour, Postgres, PostgresBuilder, Tls};
pub use wait::{wait_for, wait_until};
