//! The life of a provider process: how Terraform starts it, finds it, hears from it and gets rid of it.

pub mod handshake;
pub mod listen;
pub mod log;
pub mod mutual_tls;
pub mod parent;
pub mod serve;
pub mod services;
