//! The SSH peer: from a name to a trusted session to a stream. Each state is a type of its own, so no step can be left out.

pub mod authenticate;
mod client;
pub mod connect;
pub mod error;
pub mod forward;
pub mod handshake;
pub mod known_hosts;
pub mod scan;
pub mod session;
#[cfg(test)]
mod testing;
mod wire;
