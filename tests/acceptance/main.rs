//! Acceptance: the real terraform with the built provider against the lab's real sshd and Postgres. One promise a test.
#![cfg(test)]

mod account;
mod admit;
mod arguments;
mod authorized_keys;
mod authorized_keys_handover;
mod authorized_keys_lines;
mod authorized_keys_localstack;
mod authorized_keys_ownership;
mod authorized_keys_stores;
mod bucket_path;
mod client;
mod cloud;
mod connection;
mod data_sources;
mod denials;
mod ephemeral;
mod examples;
mod faults;
mod functions;
mod kills;
mod lifecycle;
mod mocks;
mod permissions;
mod planned;
mod rotation;
mod rotation_phases;
mod secrets;
mod security_group_client;
mod security_group_faults;
mod security_group_handover;
mod security_group_owners;
mod security_group_rules;
mod sslmode;
mod support;
mod tunnel;
