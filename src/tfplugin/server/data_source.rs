//! Data sources.

use tokio_util::sync::CancellationToken;

use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::erased::{ErasedDataSource, Registry};
use crate::tfplugin::proto::tfplugin6::{read_data_source, validate_data_resource_config};
use crate::tfplugin::server::convert;

fn find<'a>(registry: &'a Registry, type_name: &str) -> Result<&'a dyn ErasedDataSource, Diagnostics> {
    registry.data_sources.get(type_name).map(AsRef::as_ref).ok_or_else(|| super::unheard_of("data source", type_name))
}

pub(super) fn validate(registry: &Registry, request: &validate_data_resource_config::Request) -> validate_data_resource_config::Response {
    let judged = find(registry, &request.type_name).and_then(|data_source| {
        let config = convert::decode_block(request.config.as_ref(), &data_source.schema().block_type())?;
        let mut diagnostics = data_source.schema().judge(&config);
        if !diagnostics.has_errors() {
            diagnostics.append(data_source.validate(config));
        }
        Ok(diagnostics)
    });
    validate_data_resource_config::Response { diagnostics: convert::diagnostics(judged.unwrap_or_else(|refused| refused)) }
}

pub(super) async fn read(registry: &Registry, token: CancellationToken, request: &read_data_source::Request) -> read_data_source::Response {
    match try_read(registry, token, request).await {
        Ok(response) => response,
        Err(diagnostics) => read_data_source::Response { diagnostics: convert::diagnostics(diagnostics), ..Default::default() },
    }
}

async fn try_read(
    registry: &Registry,
    token: CancellationToken,
    request: &read_data_source::Request,
) -> Result<read_data_source::Response, Diagnostics> {
    let data_source = find(registry, &request.type_name)?;
    let block = data_source.schema().block_type();
    let config = convert::decode_block(request.config.as_ref(), &block)?;
    let (state, warnings) = data_source.read(token, config).await?;
    Ok(read_data_source::Response {
        state: Some(convert::encode(&state, &block)?),
        diagnostics: convert::diagnostics(warnings),
        deferred: None,
    })
}
