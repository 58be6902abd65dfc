//! The path from here through an SSH bastion to a private Postgres: made, walked stage by stage, and diagnosed.

pub mod backoff;
pub mod check;
pub mod key;
pub mod path;
pub mod postgres;
pub mod provider;
pub mod secret;
pub mod ssh;
pub mod tfplugin;
