//! The wire to Terraform: protocol 6 over gRPC, values, schemas. What a resource *is* lives elsewhere and never sees this.
//!
//! Inwards from the wire:
//!
//! | room | what it holds |
//! |---|---|
//! | [`process`] | the life of a provider process: handshake, TLS, serving, logs, every way out |
//! | [`server`] | one answer for each RPC of the protocol |
//! | [`erased`] | kinds as the server sees them: verbs over plain values, where panics end |
//! | [`kind`] | what a resource, data source, ephemeral resource and function are: the verbs |
//! | [`model`] | Rust structs for configurations |
//! | [`schema`] | what a configuration may hold, the rules for that, and walks along it |
//! | [`value`] | values of any type, as msgpack and as JSON |
//! | [`contract`] | Terraform's judgement of a provider's answers, for tests |
//!
//! Whoever writes a resource needs [`kind`], [`model`] and [`schema`], and for what they tell the user [`diagnostic`] and
//! [`attribute_path`].

pub mod attribute_path;
pub mod contract;
pub mod diagnostic;
pub mod erased;
pub mod fault;
pub mod kind;
pub mod model;
pub mod process;
pub mod proto;
pub mod schema;
pub mod server;
pub mod value;
