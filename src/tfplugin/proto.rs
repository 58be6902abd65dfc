//! The generated Rust of `proto/`.

/// Terraform's provider protocol.
#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::as_conversions,
    clippy::too_many_lines,
    reason = "generated; the proto file has the comments"
)]
pub mod tfplugin6 {
    tonic::include_proto!("tfplugin6");
}

/// The plugin launcher's own services.
#[expect(missing_docs, clippy::allow_attributes, clippy::as_conversions, reason = "generated; the proto file has the comments")]
pub mod plugin {
    tonic::include_proto!("plugin");
}

/// The standard gRPC health service.
#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::as_conversions,
    clippy::too_many_lines,
    reason = "generated; the proto file has the comments"
)]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}
