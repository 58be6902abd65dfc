//! Amazon's services on loopback.

mod moto;
pub(crate) mod s3;

pub use moto::Moto;
