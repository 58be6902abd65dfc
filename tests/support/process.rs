//! The real binary, started as Terraform starts it.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::transport::Channel;

use super::certificate::Identity;
use super::{PATIENCE, channel_over, wait_until};

pub const BINARY: &str = env!("CARGO_BIN_EXE_terraform-provider-bastion");

pub const COOKIE: (&str, &str) = ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");

/// A command for the binary in an environment without Terraform's variables, whose temporary files go to `tmp`.
pub fn command(program: &str, tmp: &Path) -> Command {
    let mut command = Command::new(program);
    for name in ["TF_LOG", "TF_LOG_PROVIDER", COOKIE.0, "PLUGIN_CLIENT_CERT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR"] {
        command.env_remove(name);
    }
    command.env("TMPDIR", tmp).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// As [`command`], with Terraform's cookie and versions.
pub fn invited(program: &str, tmp: &Path) -> Command {
    let mut command = command(program, tmp);
    command.env(COOKIE.0, COOKIE.1).env("PLUGIN_PROTOCOL_VERSIONS", "5,6");
    command
}

/// A running process; killed when dropped.
pub struct Process {
    pub child: Child,
    pub tmp: TempDir,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
}

fn lines(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel();
    thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
    lines
}

impl Process {
    /// Starts what `make` makes for a fresh temporary folder.
    pub fn start(make: impl FnOnce(&Path) -> Command) -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let mut child = make(tmp.path()).spawn().unwrap();
        let (stdout, stderr) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { child, tmp, stdout, stderr }
    }

    /// The next line on stdout.
    pub fn line(&self) -> String {
        self.stdout.recv_timeout(PATIENCE).expect("a line on stdout")
    }

    /// The next line on stderr.
    pub fn complaint(&self) -> String {
        self.stderr.recv_timeout(PATIENCE).expect("a line on stderr")
    }

    /// Everything that is still to come on stdout and stderr, until both are closed.
    pub fn rest(&self) -> (String, String) {
        let all = |from: &mpsc::Receiver<String>| {
            let mut text = String::new();
            loop {
                match from.recv_timeout(PATIENCE) {
                    Ok(line) => text.extend([line.as_str(), "\n"]),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return text,
                    Err(mpsc::RecvTimeoutError::Timeout) => panic!("the process does not end"),
                }
            }
        };
        (all(&self.stdout), all(&self.stderr))
    }

    /// How long it took until nobody had stdout open any more: neither the process nor a child of it.
    pub fn gone_after(&self) -> Duration {
        let begun = Instant::now();
        self.rest();
        begun.elapsed()
    }

    /// Waits for the end.
    pub async fn end(&mut self) -> ExitStatus {
        wait_until("the process to end", || self.child.try_wait().unwrap()).await
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    /// What is in the temporary folder.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.tmp.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a signal by its name.
pub fn signal(name: &str, pid: u32) {
    assert!(Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap().success());
}

/// The handshake line, taken apart.
pub struct Handshake {
    pub network: String,
    pub location: String,
    pub certificate: Option<Vec<u8>>,
}

impl Handshake {
    /// Judges each field as the launcher does.
    pub fn parse(line: &str) -> Self {
        let fields = line.split('|').collect::<Vec<_>>();
        let ["1", "6", network, location, "grpc", certificate] = fields[..] else { panic!("not a handshake: {line}") };
        let certificate = (!certificate.is_empty()).then(|| STANDARD_NO_PAD.decode(certificate).unwrap());
        Self { network: network.to_owned(), location: location.to_owned(), certificate }
    }

    /// Connects without TLS.
    pub async fn connect_plain(&self) -> anyhow::Result<Channel> {
        match self.network.as_str() {
            "unix" => channel_over(UnixStream::connect(&self.location).await?).await,
            _ => channel_over(TcpStream::connect(&self.location).await?).await,
        }
    }

    /// Connects with TLS, trusting the announced certificate only, and showing `identity` if there is one.
    pub async fn connect_tls(&self, identity: Option<&Identity>) -> anyhow::Result<Channel> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.certificate.clone().expect("a certificate")))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(identity.clone())),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = UnixStream::connect(&self.location).await?;
        channel_over(TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost")?, socket).await?).await
    }
}
