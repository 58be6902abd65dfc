//! The provider's start as terraform does it, with mutual TLS, and the memory that it takes.

#[path = "../../tests/support/certificate.rs"]
#[expect(clippy::unwrap_used, reason = "shared with the tests, where a loud end is a good end")]
mod certificate;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bastion::tfplugin::proto::tfplugin6::get_provider_schema::Request;
use bastion::tfplugin::proto::tfplugin6::provider_client::ProviderClient;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use self::certificate::Identity;
use super::table::{Amount, Figure, Target, median};

/// Terraform starts a provider three to five times a command, so this is paid that often.
const SLOWEST_START: Duration = Duration::from_millis(5);
/// Idle, after the handshake line. From prototypes.
const LARGEST_MEMORY: Amount = Amount::Mebibytes(12.0);
/// Starts; each takes a few milliseconds, and more than that when the machine is busy otherwise.
const STARTS: usize = 50;

/// A started provider, killed when dropped.
struct Provider {
    process: Child,
    line: String,
    took: Duration,
}

impl Provider {
    fn start(binary: &Path, identity: &Identity, tmp: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TF_")) {
            command.env_remove(name);
        }
        command.env("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");
        command.env("PLUGIN_PROTOCOL_VERSIONS", "5,6").env("PLUGIN_CLIENT_CERT", identity.pem()).env("TMPDIR", tmp);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let began = Instant::now();
        let mut provider = Self { process: command.spawn()?, line: String::new(), took: Duration::ZERO };
        let stdout = provider.process.stdout.take().context("no pipe from the provider")?;
        BufReader::new(stdout).read_line(&mut provider.line)?;
        provider.took = began.elapsed();
        Ok(provider)
    }

    /// What is resident, by the kernel's account.
    fn memory(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the provider is gone")?;
        let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes / 1024.0)
    }

    /// A gRPC channel as terraform opens it.
    async fn connect(&self, identity: &Identity) -> Result<Channel> {
        let fields: Vec<_> = self.line.trim().split('|').collect();
        let ["1", "6", "unix", socket, "grpc", certificate] = fields[..] else { bail!("not a handshake: {}", self.line) };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(STANDARD_NO_PAD.decode(certificate)?))?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(identity.clone()));
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = UnixStream::connect(socket).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost")?, stream).await?;
        let once = Arc::new(Mutex::new(Some(stream)));
        let connector = tower::service_fn(move |_| {
            let stream = once.lock().ok().and_then(|mut once| once.take());
            async move { stream.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the only connection is gone")) }
        });
        Ok(Endpoint::from_static("http://localhost").connect_with_connector(connector).await?)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Starts the provider again and again.
pub fn measure(binary: &Path) -> Result<Vec<Figure>> {
    let (identity, tmp) = (Identity::generate(), tempfile::tempdir()?);
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let provider = Provider::start(binary, &identity, tmp.path())?;
        memory.push(provider.memory()?);
        starts.push(provider.took);
    }
    let after_schema = after_schema(&Provider::start(binary, &identity, tmp.path())?, &identity)?;
    let figure = |name: &str, ours, target| Figure { name: name.to_owned(), ours, peer: None, target };
    Ok(vec![
        figure("start to handshake line", Amount::Time(median(starts).context("no start")?), Target::Below(Amount::Time(SLOWEST_START))),
        figure("resident then", Amount::Mebibytes(median(memory).context("no start")?), Target::Below(LARGEST_MEMORY)),
        figure("resident after GetProviderSchema", Amount::Mebibytes(after_schema), Target::Below(LARGEST_MEMORY)),
    ])
}

fn after_schema(provider: &Provider, identity: &Identity) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let answer = ProviderClient::new(provider.connect(identity).await?).get_provider_schema(Request {}).await?;
        answer.into_inner().provider.context("an answer without the provider's schema")?;
        provider.memory()
    })
}
