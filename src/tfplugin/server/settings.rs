//! The provider block.

use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::erased::Registry;
use crate::tfplugin::proto::tfplugin6::{DynamicValue, configure_provider, validate_provider_config};
use crate::tfplugin::server::convert;
use crate::tfplugin::value::Value;

fn read(registry: &Registry, config: Option<&DynamicValue>) -> Result<Value, Diagnostics> {
    convert::decode_block(config, &registry.configuration.schema().block_type())
}

pub(super) fn validate(registry: &Registry, request: &validate_provider_config::Request) -> validate_provider_config::Response {
    let diagnostics = match read(registry, request.config.as_ref()) {
        Ok(config) => registry.configuration.validate(config),
        Err(diagnostics) => diagnostics,
    };
    validate_provider_config::Response { diagnostics: convert::diagnostics(diagnostics) }
}

pub(super) fn configure(registry: &Registry, request: &configure_provider::Request) -> configure_provider::Response {
    let diagnostics = match read(registry, request.config.as_ref()) {
        Ok(config) => registry.configuration.configure(config, &request.terraform_version),
        Err(diagnostics) => diagnostics,
    };
    configure_provider::Response { diagnostics: convert::diagnostics(diagnostics) }
}
