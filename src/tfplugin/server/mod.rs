//! The provider service: each RPC of the protocol, answered from a [`Registry`]. Expected failures are diagnostics, never gRPC errors.

mod action;
pub mod convert;
mod data_source;
mod ephemeral;
mod function;
mod inventory;
mod resource;
mod settings;
mod state;

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::erased::Registry;
use crate::tfplugin::proto::tfplugin6::provider_server::Provider;
use crate::tfplugin::proto::tfplugin6::*;

/// Both ways. What Go's providers allow; a state with a few embedded files outgrows gRPC's usual 4 MiB.
pub const MAX_MESSAGE: usize = 256 * 1024 * 1024;

/// Terraform kills a provider that is still there two seconds after it was asked to leave; so work that was cancelled gets less.
pub const GRACE: Duration = Duration::from_millis(1_500);

/// How long the goodbye may take. Terraform itself sets no limit to it, and counts its two seconds from the answer on.
const FINISH: Duration = Duration::from_secs(10);

/// The provider, as Terraform talks to it.
pub struct Server {
    registry: Registry,
    work: Work,
}

/// What `StopProvider` cancels: the work of this walk. A server that outlives the walk starts the next one with a fresh token.
#[derive(Default)]
struct Work(Mutex<CancellationToken>);

impl Work {
    fn token(&self) -> CancellationToken {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn cancel(&self) {
        self.token().cancel();
    }

    /// Calls that were on their way when the stop came must not escape it, so only the first call of a new walk gets here.
    fn renew(&self) {
        let mut token = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if token.is_cancelled() {
            *token = CancellationToken::new();
        }
    }
}

impl Server {
    /// Serves what is in `registry`.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry, work: Work::default() }
    }

    /// Ends what was put off until no further change can come, within a time: a short one after a stop, when somebody waits at a terminal.
    pub async fn finish(&self) {
        let patience = if self.work.token().is_cancelled() { GRACE } else { FINISH };
        let cancelled = CancellationToken::new();
        let _guard = cancelled.clone().drop_guard();
        if tokio::time::timeout(patience, self.registry.configuration.finish(cancelled)).await.is_err() {
            tracing::warn!("not all that was put off could be done in time; the next plan shows it");
        }
    }

    /// Cancels the work in flight, as `StopProvider` does.
    pub fn cancel(&self) {
        self.work.cancel();
    }
}

/// Runs one RPC in a span of its own, which never holds a value.
async fn answer<T>(rpc: &'static str, about: &str, work: impl Future<Output = T>) -> Result<Response<T>, Status> {
    let span = tracing::debug_span!("rpc", tf_rpc = rpc, tf_type = about);
    let timed = async {
        let begun = Instant::now();
        let answer = work.await;
        tracing::debug!(elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), "answered");
        Response::new(answer)
    };
    Ok(timed.instrument(span).await)
}

/// The error for a name that Terraform should not have come up with.
fn unheard_of(kind: &str, name: &str) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    diagnostics.error(AttributePath::root(), format!("Unknown {kind}"), format!("The {kind} `{name}` does not exist in this provider."));
    diagnostics
}

#[tonic::async_trait]
impl Provider for Server {
    async fn get_metadata(&self, _: Request<get_metadata::Request>) -> Result<Response<get_metadata::Response>, Status> {
        answer("GetMetadata", "", async { inventory::metadata(&self.registry) }).await
    }

    async fn get_provider_schema(
        &self,
        _: Request<get_provider_schema::Request>,
    ) -> Result<Response<get_provider_schema::Response>, Status> {
        answer("GetProviderSchema", "", async { inventory::schemas(&self.registry) }).await
    }

    async fn get_resource_identity_schemas(
        &self,
        _: Request<get_resource_identity_schemas::Request>,
    ) -> Result<Response<get_resource_identity_schemas::Response>, Status> {
        // No resource has an identity, which is an answer, not an error.
        answer("GetResourceIdentitySchemas", "", async { get_resource_identity_schemas::Response::default() }).await
    }

    async fn get_functions(&self, _: Request<get_functions::Request>) -> Result<Response<get_functions::Response>, Status> {
        answer("GetFunctions", "", async { inventory::functions(&self.registry) }).await
    }

    async fn validate_provider_config(
        &self,
        request: Request<validate_provider_config::Request>,
    ) -> Result<Response<validate_provider_config::Response>, Status> {
        answer("ValidateProviderConfig", "", async { settings::validate(&self.registry, &request.into_inner()) }).await
    }

    async fn configure_provider(
        &self,
        request: Request<configure_provider::Request>,
    ) -> Result<Response<configure_provider::Response>, Status> {
        self.work.renew();
        answer("ConfigureProvider", "", async { settings::configure(&self.registry, &request.into_inner()) }).await
    }

    async fn validate_resource_config(
        &self,
        request: Request<validate_resource_config::Request>,
    ) -> Result<Response<validate_resource_config::Response>, Status> {
        let request = request.into_inner();
        answer("ValidateResourceConfig", &request.type_name, async { resource::validate(&self.registry, &request) }).await
    }

    async fn validate_data_resource_config(
        &self,
        request: Request<validate_data_resource_config::Request>,
    ) -> Result<Response<validate_data_resource_config::Response>, Status> {
        let request = request.into_inner();
        answer("ValidateDataResourceConfig", &request.type_name, async { data_source::validate(&self.registry, &request) }).await
    }

    async fn validate_ephemeral_resource_config(
        &self,
        request: Request<validate_ephemeral_resource_config::Request>,
    ) -> Result<Response<validate_ephemeral_resource_config::Response>, Status> {
        let request = request.into_inner();
        answer("ValidateEphemeralResourceConfig", &request.type_name, async { ephemeral::validate(&self.registry, &request) }).await
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<upgrade_resource_state::Request>,
    ) -> Result<Response<upgrade_resource_state::Response>, Status> {
        let request = request.into_inner();
        answer("UpgradeResourceState", &request.type_name, async { state::upgrade(&self.registry, &request) }).await
    }

    async fn upgrade_resource_identity(
        &self,
        request: Request<upgrade_resource_identity::Request>,
    ) -> Result<Response<upgrade_resource_identity::Response>, Status> {
        let request = request.into_inner();
        answer("UpgradeResourceIdentity", &request.type_name, async { state::upgrade_identity(&self.registry, &request) }).await
    }

    async fn move_resource_state(
        &self,
        request: Request<move_resource_state::Request>,
    ) -> Result<Response<move_resource_state::Response>, Status> {
        let request = request.into_inner();
        answer("MoveResourceState", &request.target_type_name, async { state::take_over(&self.registry, &request) }).await
    }

    async fn import_resource_state(
        &self,
        request: Request<import_resource_state::Request>,
    ) -> Result<Response<import_resource_state::Response>, Status> {
        let request = request.into_inner();
        let token = self.work.token();
        answer("ImportResourceState", &request.type_name, state::import(&self.registry, token, &request)).await
    }

    async fn read_resource(&self, request: Request<read_resource::Request>) -> Result<Response<read_resource::Response>, Status> {
        let request = request.into_inner();
        let token = self.work.token();
        answer("ReadResource", &request.type_name, resource::read(&self.registry, token, &request)).await
    }

    async fn plan_resource_change(
        &self,
        request: Request<plan_resource_change::Request>,
    ) -> Result<Response<plan_resource_change::Response>, Status> {
        let request = request.into_inner();
        let token = self.work.token();
        answer("PlanResourceChange", &request.type_name, resource::plan(&self.registry, token, &request)).await
    }

    async fn apply_resource_change(
        &self,
        request: Request<apply_resource_change::Request>,
    ) -> Result<Response<apply_resource_change::Response>, Status> {
        let request = request.into_inner();
        let token = self.work.token();
        answer("ApplyResourceChange", &request.type_name, resource::apply(&self.registry, token, &request)).await
    }

    async fn generate_resource_config(
        &self,
        request: Request<generate_resource_config::Request>,
    ) -> Result<Response<generate_resource_config::Response>, Status> {
        let request = request.into_inner();
        answer("GenerateResourceConfig", &request.type_name, async { state::generate(&self.registry, &request) }).await
    }

    async fn read_data_source(&self, request: Request<read_data_source::Request>) -> Result<Response<read_data_source::Response>, Status> {
        let request = request.into_inner();
        let token = self.work.token();
        answer("ReadDataSource", &request.type_name, data_source::read(&self.registry, token, &request)).await
    }

    async fn open_ephemeral_resource(
        &self,
        request: Request<open_ephemeral_resource::Request>,
    ) -> Result<Response<open_ephemeral_resource::Response>, Status> {
        let request = request.into_inner();
        let token = self.work.token();
        answer("OpenEphemeralResource", &request.type_name, ephemeral::open(&self.registry, token, &request)).await
    }

    async fn renew_ephemeral_resource(
        &self,
        request: Request<renew_ephemeral_resource::Request>,
    ) -> Result<Response<renew_ephemeral_resource::Response>, Status> {
        let request = request.into_inner();
        answer("RenewEphemeralResource", &request.type_name, ephemeral::renew(&self.registry, &request)).await
    }

    async fn close_ephemeral_resource(
        &self,
        request: Request<close_ephemeral_resource::Request>,
    ) -> Result<Response<close_ephemeral_resource::Response>, Status> {
        let request = request.into_inner();
        answer("CloseEphemeralResource", &request.type_name, ephemeral::close(&self.registry, &request)).await
    }

    async fn call_function(&self, request: Request<call_function::Request>) -> Result<Response<call_function::Response>, Status> {
        let request = request.into_inner();
        answer("CallFunction", &request.name, async { function::call(&self.registry, &request) }).await
    }

    async fn validate_list_resource_config(
        &self,
        request: Request<validate_list_resource_config::Request>,
    ) -> Result<Response<validate_list_resource_config::Response>, Status> {
        let request = request.into_inner();
        answer("ValidateListResourceConfig", &request.type_name, async { action::validate_list(&request.type_name) }).await
    }

    async fn list_resource(&self, request: Request<list_resource::Request>) -> Result<Response<BoxStream<list_resource::Event>>, Status> {
        let request = request.into_inner();
        answer("ListResource", &request.type_name, async { once(action::list(&request.type_name)) }).await
    }

    async fn validate_action_config(
        &self,
        request: Request<validate_action_config::Request>,
    ) -> Result<Response<validate_action_config::Response>, Status> {
        let request = request.into_inner();
        answer("ValidateActionConfig", &request.type_name, async { action::validate(&request.type_name) }).await
    }

    async fn plan_action(&self, request: Request<plan_action::Request>) -> Result<Response<plan_action::Response>, Status> {
        let request = request.into_inner();
        answer("PlanAction", &request.action_type, async { action::plan(&request.action_type) }).await
    }

    async fn invoke_action(&self, request: Request<invoke_action::Request>) -> Result<Response<BoxStream<invoke_action::Event>>, Status> {
        let request = request.into_inner();
        answer("InvokeAction", &request.action_type, async { once(action::invoke(&request.action_type)) }).await
    }

    async fn stop_provider(&self, _: Request<stop_provider::Request>) -> Result<Response<stop_provider::Response>, Status> {
        answer("StopProvider", "", async {
            self.work.cancel();
            stop_provider::Response::default()
        })
        .await
    }
}

fn once<T: Send + 'static>(event: T) -> BoxStream<T> {
    Box::pin(stream::iter([Ok(event)]))
}
