//! The services that the plugin launcher expects beside the provider, and the way from a request's path to its service.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, BoxStream, Service, http};
use tonic::server::NamedService;
use tonic::{Request, Response, Status, Streaming};

use crate::tfplugin::proto::health::health_check_response::ServingStatus;
use crate::tfplugin::proto::health::health_server::{Health, HealthServer};
use crate::tfplugin::proto::health::{HealthCheckRequest, HealthCheckResponse};
use crate::tfplugin::proto::plugin::grpc_broker_server::{GrpcBroker, GrpcBrokerServer};
use crate::tfplugin::proto::plugin::grpc_controller_server::{GrpcController, GrpcControllerServer};
use crate::tfplugin::proto::plugin::grpc_stdio_server::{GrpcStdio, GrpcStdioServer};
use crate::tfplugin::proto::plugin::{ConnInfo, Empty, StdioData};
use crate::tfplugin::proto::tfplugin6::provider_server::ProviderServer;
use crate::tfplugin::server::{MAX_MESSAGE, Server};

/// The name that the launcher's ping asks the health service for.
const PLUGIN: &str = "plugin";

/// All services of one process.
#[derive(Clone)]
pub struct Services {
    provider: ProviderServer<Server>,
    controller: GrpcControllerServer<Launcher>,
    broker: GrpcBrokerServer<Launcher>,
    stdio: GrpcStdioServer<Launcher>,
    health: HealthServer<Launcher>,
}

impl Services {
    /// `ended` is cancelled when the launcher has asked the process to leave and what was put off is done; it ends the open streams whoever
    /// cancels it.
    #[must_use]
    pub fn new(server: Arc<Server>, ended: CancellationToken) -> Self {
        let launcher = Arc::new(Launcher { ended, server: Arc::clone(&server) });
        Self {
            provider: ProviderServer::from_arc(server).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE),
            controller: GrpcControllerServer::from_arc(Arc::clone(&launcher)),
            broker: GrpcBrokerServer::from_arc(Arc::clone(&launcher)),
            stdio: GrpcStdioServer::from_arc(Arc::clone(&launcher)),
            health: HealthServer::from_arc(launcher),
        }
    }
}

impl Service<http::Request<Body>> for Services {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        fn name_of<S: NamedService>(_: &S) -> &'static str {
            S::NAME
        }
        match request.uri().path().split('/').nth(1).unwrap_or_default() {
            name if name == name_of(&self.provider) => self.provider.call(request),
            name if name == name_of(&self.controller) => self.controller.call(request),
            name if name == name_of(&self.broker) => self.broker.call(request),
            name if name == name_of(&self.stdio) => self.stdio.call(request),
            name if name == name_of(&self.health) => self.health.call(request),
            _ => Box::pin(ready(Ok(Status::unimplemented("no such service").into_http()))),
        }
    }
}

/// What the launcher talks to.
struct Launcher {
    ended: CancellationToken,
    server: Arc<Server>,
}

impl Launcher {
    /// The launcher opens its side channels and listens for ever. Whatever were sent there, Terraform would warn of; and a stream that
    /// ended would look like a crash.
    fn silent<T: Send + 'static, Held: Send + 'static>(&self, held: Held) -> BoxStream<T> {
        let ended = self.ended.clone();
        let wait = async move {
            ended.cancelled().await;
            drop(held);
        };
        Box::pin(stream::once(wait).filter_map(|()| ready(None)))
    }
}

#[tonic::async_trait]
impl GrpcController for Launcher {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.server.finish().await;
        self.ended.cancel();
        Ok(Response::new(Empty {}))
    }
}

#[tonic::async_trait]
impl GrpcBroker for Launcher {
    async fn start_stream(&self, request: Request<Streaming<ConnInfo>>) -> Result<Response<BoxStream<ConnInfo>>, Status> {
        Ok(Response::new(self.silent(request.into_inner())))
    }
}

#[tonic::async_trait]
impl GrpcStdio for Launcher {
    async fn stream_stdio(&self, _: Request<()>) -> Result<Response<BoxStream<StdioData>>, Status> {
        Ok(Response::new(self.silent(())))
    }
}

#[tonic::async_trait]
impl Health for Launcher {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match status_of(&request.get_ref().service) {
            ServingStatus::Serving => Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() })),
            _ => Err(Status::not_found("no such service")),
        }
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<BoxStream<HealthCheckResponse>>, Status> {
        let now = HealthCheckResponse { status: status_of(&request.get_ref().service).into() };
        Ok(Response::new(Box::pin(stream::iter([Ok(now)]).chain(self.silent(())))))
    }
}

fn status_of(service: &str) -> ServingStatus {
    if service.is_empty() || service == PLUGIN { ServingStatus::Serving } else { ServingStatus::ServiceUnknown }
}
