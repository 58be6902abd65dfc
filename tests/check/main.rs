//! What the check promises about sessions, retries, time and cancellation, against a real sshd and a real Postgres.
#![cfg(test)]

mod endings;
mod hops;
mod retries;
mod sessions;
mod soak;
mod support;
mod sync;
mod tunnel;
mod verdicts;
