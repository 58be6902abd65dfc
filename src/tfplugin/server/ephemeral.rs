//! Ephemeral resources: opened in each walk, perhaps renewed, perhaps never closed.

use tokio_util::sync::CancellationToken;

use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::erased::{ErasedEphemeral, Registry};
use crate::tfplugin::kind::Private;
use crate::tfplugin::proto::tfplugin6::{
    close_ephemeral_resource, open_ephemeral_resource, renew_ephemeral_resource, validate_ephemeral_resource_config,
};
use crate::tfplugin::server::convert;

fn find<'a>(registry: &'a Registry, type_name: &str) -> Result<&'a dyn ErasedEphemeral, Diagnostics> {
    registry.ephemerals.get(type_name).map(AsRef::as_ref).ok_or_else(|| super::unheard_of("ephemeral resource type", type_name))
}

pub(super) fn validate(
    registry: &Registry,
    request: &validate_ephemeral_resource_config::Request,
) -> validate_ephemeral_resource_config::Response {
    let judged = find(registry, &request.type_name).and_then(|ephemeral| {
        let config = convert::decode_block(request.config.as_ref(), &ephemeral.schema().block_type())?;
        let mut diagnostics = ephemeral.schema().judge(&config);
        if !diagnostics.has_errors() {
            diagnostics.append(ephemeral.validate(config));
        }
        Ok(diagnostics)
    });
    validate_ephemeral_resource_config::Response { diagnostics: convert::diagnostics(judged.unwrap_or_else(|refused| refused)) }
}

pub(super) async fn open(
    registry: &Registry,
    token: CancellationToken,
    request: &open_ephemeral_resource::Request,
) -> open_ephemeral_resource::Response {
    match try_open(registry, token, request).await {
        Ok(response) => response,
        Err(diagnostics) => open_ephemeral_resource::Response { diagnostics: convert::diagnostics(diagnostics), ..Default::default() },
    }
}

async fn try_open(
    registry: &Registry,
    token: CancellationToken,
    request: &open_ephemeral_resource::Request,
) -> Result<open_ephemeral_resource::Response, Diagnostics> {
    let ephemeral = find(registry, &request.type_name)?;
    let block = ephemeral.schema().block_type();
    let config = convert::decode_block(request.config.as_ref(), &block)?;
    let opened = ephemeral.open(token, config).await?;
    match convert::encode(&opened.result, &block) {
        Ok(result) => Ok(open_ephemeral_resource::Response {
            result: Some(result),
            private: Some(opened.private.0),
            renew_at: opened.renew_at.map(convert::timestamp),
            ..Default::default()
        }),
        // Terraform will not close what it never got.
        Err(mut misfit) => {
            misfit.append(ephemeral.close(opened.private).await.err().unwrap_or_default());
            Err(misfit)
        }
    }
}

pub(super) async fn renew(registry: &Registry, request: &renew_ephemeral_resource::Request) -> renew_ephemeral_resource::Response {
    let private = Private(request.private.clone().unwrap_or_default());
    let renewed = match find(registry, &request.type_name) {
        Ok(ephemeral) => ephemeral.renew(private).await,
        Err(diagnostics) => Err(diagnostics),
    };
    let (renew_at, diagnostics) = match renewed {
        Ok(renew_at) => (renew_at, Diagnostics::new()),
        Err(diagnostics) => (None, diagnostics),
    };
    renew_ephemeral_resource::Response {
        diagnostics: convert::diagnostics(diagnostics),
        renew_at: renew_at.map(convert::timestamp),
        // Terraform closes with what open said, OpenTofu with what the last renewal said: the same bytes serve both.
        private: request.private.clone(),
    }
}

pub(super) async fn close(registry: &Registry, request: &close_ephemeral_resource::Request) -> close_ephemeral_resource::Response {
    let private = Private(request.private.clone().unwrap_or_default());
    let closed = match find(registry, &request.type_name) {
        Ok(ephemeral) => ephemeral.close(private).await,
        Err(diagnostics) => Err(diagnostics),
    };
    close_ephemeral_resource::Response { diagnostics: convert::diagnostics(closed.err().unwrap_or_default()) }
}
