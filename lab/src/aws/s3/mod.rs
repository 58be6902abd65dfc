//! The storage service: a client of it.

pub(crate) mod client;
