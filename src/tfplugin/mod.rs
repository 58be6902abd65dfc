//! The wire to Terraform: protocol 6 over gRPC, values, schemas. What a resource *is* lives elsewhere and never sees this.

pub mod adapter;
mod adapter_read;
pub mod attribute_path;
pub mod codec_error;
pub mod contract;
pub mod diagnostic;
pub mod erased;
pub mod fault;
pub mod json;
pub mod kind;
pub mod model;
mod model_types;
pub mod msgpack;
pub mod number;
pub mod propose;
mod refinement;
pub mod schema;
mod schema_check;
mod token;
pub mod transform;
mod type_json;
pub mod value;
