//! A real sshd and real Postgres clusters on loopback, started and stopped by code.
mod process;
mod scratch;
mod server;
mod wait;
pub use wait::{wait_for, wait_until};
