//! Amazon's services on loopback.

mod moto;

pub use moto::Moto;
