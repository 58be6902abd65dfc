//! The wire to Terraform: protocol 6 over gRPC, values, schemas. What a resource *is* lives elsewhere and never sees this.

pub mod adapter;
mod adapter_read;
pub mod attribute_path;
pub mod convert;
pub mod diagnostic;
pub mod erased;
pub mod fault;
pub mod handshake;
pub mod kind;
pub mod listen;
pub mod log;
pub mod model;
pub mod mutual_tls;
pub mod parent;
pub mod proto;
pub mod schema;
pub mod serve;
pub mod server;
pub mod services;
pub mod transform;
pub mod value;
