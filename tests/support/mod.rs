//! A client that talks to the provider as Terraform does: the real binary with the real handshake, or a server in this process.
#![expect(dead_code, reason = "each test file uses a part of it")]

pub mod certificate;
pub mod process;
pub mod sample;
pub mod wire;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bastion::tfplugin::erased::Registry;
use bastion::tfplugin::process::services::Services;
use bastion::tfplugin::proto::tfplugin6::provider_client::ProviderClient;
use bastion::tfplugin::server::{MAX_MESSAGE, Server};
use futures_util::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// No step of a test takes longer, on the slowest machine that runs them.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The provider service's client, with Terraform's message limits.
pub fn provider(channel: Channel) -> ProviderClient<Channel> {
    ProviderClient::new(channel).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE)
}

/// A gRPC channel over one connection that is open already.
pub async fn channel_over<IO>(stream: IO) -> anyhow::Result<Channel>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = tower::service_fn(move |_| {
        let stream = once.lock().unwrap().take();
        async move { stream.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the only connection is gone")) }
    });
    Ok(Endpoint::from_static("http://localhost").connect_with_connector(connector).await?)
}

/// A server in this process, over a pipe in memory.
pub async fn serve(registry: Registry) -> (Channel, CancellationToken) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let ended = CancellationToken::new();
    let services = Services::new(Arc::new(Server::new(registry)), ended.clone());
    let incoming = stream::iter([Ok::<_, std::io::Error>(server)]).chain(stream::pending());
    tokio::spawn(tonic::transport::Server::builder().serve_with_incoming_shutdown(services, incoming, ended.clone().cancelled_owned()));
    (channel_over(client).await.unwrap(), ended)
}

/// Looks again and again, for [`PATIENCE`] at the most.
pub async fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
