//! State that comes from elsewhere: an older version of the provider, an import, another resource type.

use tokio_util::sync::CancellationToken;

use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::erased::Registry;
use crate::tfplugin::proto::tfplugin6::{
    generate_resource_config, import_resource_state, move_resource_state, upgrade_resource_identity, upgrade_resource_state,
};
use crate::tfplugin::schema::transform::strip_write_only;
use crate::tfplugin::server::convert;
use crate::tfplugin::value::json::decode_json_lenient;

use super::resource::find;

fn refusal(summary: &str, detail: impl Into<String>) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    diagnostics.error(AttributePath::root(), summary, detail);
    diagnostics
}

pub(super) fn upgrade(registry: &Registry, request: &upgrade_resource_state::Request) -> upgrade_resource_state::Response {
    match try_upgrade(registry, request) {
        Ok(response) => response,
        Err(diagnostics) => upgrade_resource_state::Response { diagnostics: convert::diagnostics(diagnostics), ..Default::default() },
    }
}

fn try_upgrade(registry: &Registry, request: &upgrade_resource_state::Request) -> Result<upgrade_resource_state::Response, Diagnostics> {
    const SUMMARY: &str = "Unreadable state";
    let resource = find(registry, &request.type_name)?;
    let schema = resource.schema();
    if request.version > schema.version {
        let detail = format!(
            "It was written by a newer version of this provider (schema version {}; this one knows {}). Upgrade the provider.",
            request.version, schema.version
        );
        return Err(refusal(SUMMARY, detail));
    }
    let json = request.raw_state.as_ref().map(|state| state.json.as_slice()).unwrap_or_default();
    if json.is_empty() {
        return Err(refusal(SUMMARY, "It is not in the JSON form in which this provider's state has always been."));
    }
    let block = schema.block_type();
    let state = decode_json_lenient(json, &block).map_err(|error| {
        let mut diagnostics = Diagnostics::new();
        diagnostics.error(error.path.clone(), SUMMARY, format!("It does not fit the schema: {error}."));
        diagnostics
    })?;
    let upgraded = convert::encode(&strip_write_only(schema, state), &block)?;
    Ok(upgrade_resource_state::Response { upgraded_state: Some(upgraded), diagnostics: Vec::new() })
}

pub(super) fn upgrade_identity(registry: &Registry, request: &upgrade_resource_identity::Request) -> upgrade_resource_identity::Response {
    let diagnostics = match find(registry, &request.type_name) {
        Ok(_) => refusal("No resource identity", format!("`{}` has no identity in this provider.", request.type_name)),
        Err(diagnostics) => diagnostics,
    };
    upgrade_resource_identity::Response { diagnostics: convert::diagnostics(diagnostics), ..Default::default() }
}

pub(super) fn take_over(registry: &Registry, request: &move_resource_state::Request) -> move_resource_state::Response {
    let diagnostics = match find(registry, &request.target_type_name) {
        Ok(_) => refusal(
            "Move not supported",
            format!(
                "`{}` cannot take over the state of `{}`. Import the object instead, and remove the old resource with a `removed` block.",
                request.target_type_name, request.source_type_name
            ),
        ),
        Err(diagnostics) => diagnostics,
    };
    move_resource_state::Response { diagnostics: convert::diagnostics(diagnostics), ..Default::default() }
}

pub(super) fn generate(registry: &Registry, request: &generate_resource_config::Request) -> generate_resource_config::Response {
    let diagnostics = match find(registry, &request.type_name) {
        Ok(_) => refusal("No generated configuration", format!("The configuration of `{}` has to be written by hand.", request.type_name)),
        Err(diagnostics) => diagnostics,
    };
    generate_resource_config::Response { diagnostics: convert::diagnostics(diagnostics), ..Default::default() }
}

pub(super) async fn import(
    registry: &Registry,
    token: CancellationToken,
    request: &import_resource_state::Request,
) -> import_resource_state::Response {
    match try_import(registry, token, request).await {
        Ok(response) => response,
        Err(diagnostics) => import_resource_state::Response { diagnostics: convert::diagnostics(diagnostics), ..Default::default() },
    }
}

async fn try_import(
    registry: &Registry,
    token: CancellationToken,
    request: &import_resource_state::Request,
) -> Result<import_resource_state::Response, Diagnostics> {
    let resource = find(registry, &request.type_name)?;
    if request.id.is_empty() {
        return Err(refusal("Import without an id", format!("`{}` is imported by its id, and by nothing else.", request.type_name)));
    }
    let (kept, warnings) = resource.import(token, request.id.clone()).await?;
    let imported = import_resource_state::ImportedResource {
        type_name: request.type_name.clone(),
        state: Some(convert::encode(&kept.state, &resource.schema().block_type())?),
        private: kept.private.0,
        identity: None,
    };
    Ok(import_resource_state::Response { imported_resources: vec![imported], diagnostics: convert::diagnostics(warnings), deferred: None })
}
