//! The program `bastion`, as it is built, against the lab's real sshd and Postgres.
#![cfg(test)]

mod check;
mod keys;
#[cfg(feature = "aws")]
mod leftovers;
mod scan;
mod support;
