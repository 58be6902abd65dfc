//! Acceptance: the real terraform with the built provider against the lab's real sshd and Postgres. One promise a test.
#![cfg(test)]

mod arguments;
mod connection;
mod data_sources;
mod ephemeral;
mod examples;
mod faults;
mod functions;
mod lifecycle;
mod rotation;
mod secrets;
mod sslmode;
mod support;
mod tunnel;
