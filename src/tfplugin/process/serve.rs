//! The life of a provider process: argv, handshake, serving, and every way out.

use std::io::{self, Write as _};
use std::os::unix::process::parent_id;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::handshake::{self, Address, HandshakeError, Invitation};
use super::listen::{self, Clients, Leftovers};
use super::mutual_tls::{MutualTls, MutualTlsError, mutual_tls};
use super::services::Services;
use super::{log, parent};
use crate::tfplugin::erased::Registry;
use crate::tfplugin::server::{GRACE, Server};

/// How long a provider without any client waits for another one: Terraform opens one connection and keeps it, so a process whose
/// connection is gone has lost its Terraform, even where a wrapper script in between lives on.
const LINGER: Duration = Duration::from_millis(500);

/// What a wrong argument answers, by the custom of Unix.
const USAGE: u8 = 2;

/// Whose provider it is.
#[derive(Clone, Copy, Debug)]
pub struct ProviderInfo {
    /// Without `terraform-provider-`.
    pub name: &'static str,
    /// Without `v`.
    pub version: &'static str,
    /// In full: `host/namespace/name`.
    pub address: &'static str,
}

#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error(transparent)]
    MutualTls(#[from] MutualTlsError),
    #[error("could not start the runtime: {0}")]
    Runtime(io::Error),
    #[error("could not listen for Terraform: {0}")]
    Bind(io::Error),
    #[error("could not watch over the parent process: {0}")]
    Watch(io::Error),
    #[error("could not tell Terraform where to connect: {0}")]
    Announce(io::Error),
    #[error("could not serve: {0}")]
    Serve(#[from] tonic::transport::Error),
}

/// Serves `registry` to the Terraform that started this process, until it says goodbye or is gone. Reads argv and the environment.
#[must_use]
pub fn run(registry: Registry, info: ProviderInfo) -> ExitCode {
    let parent = parent_id();
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => finish(info, plugin(registry, parent)),
        ["--debug" | "-debug"] => finish(info, debug(registry, info)),
        ["--version" | "-V"] => say(
            &mut io::stdout(),
            &format!("terraform-provider-{} {} (plugin protocol {})\n", info.name, info.version, handshake::PROTOCOL_VERSION),
        ),
        ["--help" | "-h"] => say(&mut io::stdout(), &help(info)),
        _ => {
            say(&mut io::stderr(), "Usage: terraform-provider-");
            say(&mut io::stderr(), &format!("{} [--debug | --version | --help]\n", info.name));
            ExitCode::from(USAGE)
        }
    }
}

/// Text for a person; where nobody can read it, nothing can be done.
fn say(to: &mut impl io::Write, text: &str) -> ExitCode {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn finish(info: ProviderInfo, ended: Result<(), ServeError>) -> ExitCode {
    let Err(error) = ended else { return ExitCode::SUCCESS };
    let text = match error {
        ServeError::Handshake(HandshakeError::NotStartedByTerraform) => by_hand(info),
        error => format!("terraform-provider-{}: {error}\n", info.name),
    };
    say(&mut io::stderr(), &text);
    ExitCode::FAILURE
}

fn by_hand(ProviderInfo { name, version, address }: ProviderInfo) -> String {
    format!(
        "This is terraform-provider-{name} {version}, a plugin: Terraform or OpenTofu starts it, and so there is nothing to see here.\n\
         \n\
         To install it from a checkout, `make install`. To try a build in place, write into ~/.terraformrc:\n\
         \n\
         \x20   provider_installation {{\n\
         \x20     dev_overrides {{ \"{address}\" = \"/the/folder/of/this/program\" }}\n\
         \x20     direct {{}}\n\
         \x20   }}\n\
         \n\
         How to use it is in docs/ of the checkout. `--help` says what else this program does.\n"
    )
}

fn help(ProviderInfo { name, version, .. }: ProviderInfo) -> String {
    format!(
        "terraform-provider-{name} {version}, a Terraform provider (plugin protocol {protocol})\n\
         \n\
         Terraform starts it without arguments. By hand:\n\
         \x20 --debug    serve until Ctrl-C, and print the line that leads Terraform here (to attach a debugger)\n\
         \x20 --version  print the version\n\
         \x20 --help     print this\n\
         \n\
         Logs: TF_LOG_PROVIDER=TRACE|DEBUG|INFO|WARN|ERROR, else TF_LOG.\n",
        protocol = handshake::PROTOCOL_VERSION
    )
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// One thread does: the work is waiting for peers, and it starts and stays smaller than a pool.
fn block_on(work: impl Future<Output = Result<(), ServeError>>) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Runtime)?;
    let ended = runtime.block_on(work);
    // Not waiting for threads that still compute: Terraform has the last answer already.
    runtime.shutdown_background();
    ended
}

fn plugin(registry: Registry, parent: u32) -> Result<(), ServeError> {
    let invitation = Invitation::read(variable)?;
    log::install(variable);
    block_on(async move {
        let _ctrl_c = ignored_interrupts()?;
        let tls = invitation.client_certificate.as_deref().map(mutual_tls).transpose()?;
        let (listener, address, leftovers) = listen::bind(invitation.socket_dir.as_deref()).await.map_err(ServeError::Bind)?;
        let of_orphan = leftovers.clone();
        parent::watch(parent, move || leave(&of_orphan)).map_err(ServeError::Watch)?;
        let ended = ended_by(&[SignalKind::terminate(), SignalKind::hangup()])?;
        let (acceptor, certificate) = tls.map(|MutualTls { acceptor, certificate }| (acceptor, certificate)).unzip();
        announce(&handshake::line(&address, certificate.as_deref()))?;
        let (open, clients) = watch::channel(Clients::default());
        tokio::spawn(end_when_deserted(clients, ended.clone()));
        let connections = listen::admit(listener, acceptor, open);
        serve(registry, connections, ended, &leftovers).await
    })
}

fn debug(registry: Registry, info: ProviderInfo) -> Result<(), ServeError> {
    log::install(variable);
    block_on(async move {
        let (listener, address, leftovers) = listen::bind(None).await.map_err(ServeError::Bind)?;
        let ended = ended_by(&[SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()])?;
        announce(&attach_to(info, &address))?;
        let connections = listen::admit(listener, None, watch::channel(Clients::default()).0);
        serve(registry, connections, ended, &leftovers).await
    })
}

fn attach_to(info: ProviderInfo, address: &Address) -> String {
    let value = handshake::reattach(info.address, address, std::process::id());
    format!("Serving until Ctrl-C. In another shell, before terraform:\n\nexport TF_REATTACH_PROVIDERS='{value}'\n")
}

/// The last word on stdout: Terraform reads one line of it.
fn announce(text: &str) -> Result<(), ServeError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(ServeError::Announce)
}

async fn serve(
    registry: Registry,
    connections: tokio::sync::mpsc::Receiver<io::Result<listen::Connection>>,
    ended: CancellationToken,
    leftovers: &Leftovers,
) -> Result<(), ServeError> {
    let server = Arc::new(Server::new(registry));
    let services = Services::new(Arc::clone(&server), ended.clone());
    let end = async {
        ended.cancelled().await;
        server.cancel();
        leave_soon(leftovers.clone());
    };
    let served = tonic::transport::Server::builder().serve_with_incoming_shutdown(services, ReceiverStream::new(connections), end).await;
    leftovers.remove();
    Ok(served?)
}

/// Ctrl-C reaches the provider too, because it is in Terraform's process group; but what it means is Terraform's to say, by
/// `StopProvider`. Listening to a signal takes its deadly effect away for good.
fn ignored_interrupts() -> Result<Signal, ServeError> {
    signal(SignalKind::interrupt()).map_err(ServeError::Runtime)
}

fn ended_by(kinds: &[SignalKind]) -> Result<CancellationToken, ServeError> {
    let ended = CancellationToken::new();
    for kind in kinds {
        let mut received = signal(*kind).map_err(ServeError::Runtime)?;
        let ended = ended.clone();
        tokio::spawn(async move {
            received.recv().await;
            ended.cancel();
        });
    }
    Ok(ended)
}

async fn end_when_deserted(mut clients: watch::Receiver<Clients>, ended: CancellationToken) {
    loop {
        if clients.wait_for(|clients| clients.ever > 0 && clients.now == 0).await.is_err() {
            return;
        }
        if tokio::time::timeout(LINGER, clients.changed()).await.is_err() {
            return ended.cancel();
        }
    }
}

/// Whatever still hangs by then is left behind: Terraform would kill the process soon after, and nobody would remove the folder.
fn leave_soon(leftovers: Leftovers) {
    let late = thread::Builder::new().spawn(move || {
        thread::sleep(GRACE);
        leave(&leftovers);
    });
    // Without a thread there is still Terraform's own patience.
    drop(late);
}

fn leave(leftovers: &Leftovers) -> ! {
    leftovers.remove();
    std::process::exit(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: ProviderInfo = ProviderInfo { name: "sample", version: "1.2.3", address: "registry.terraform.io/ns/sample" };

    #[test]
    fn started_by_hand_it_says_what_it_is_and_how_to_install_it() {
        let text = by_hand(INFO);
        for part in
            ["terraform-provider-sample 1.2.3", "make install", "dev_overrides { \"registry.terraform.io/ns/sample\"", "docs/", "--help"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn the_debug_line_can_be_pasted() {
        let text = attach_to(INFO, &Address::Unix("/tmp/x/s".into()));
        let line = text.lines().last().unwrap();
        let json = line.strip_prefix("export TF_REATTACH_PROVIDERS='").unwrap().strip_suffix('\'').unwrap();
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(value["registry.terraform.io/ns/sample"]["Pid"], std::process::id());
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_without_clients_ends_but_not_before_the_first() {
        let (open, clients) = watch::channel(Clients::default());
        let ended = CancellationToken::new();
        tokio::spawn(end_when_deserted(clients, ended.clone()));
        assert!(tokio::time::timeout(LINGER * 20, ended.cancelled()).await.is_err());
        open.send_replace(Clients { now: 1, ever: 1 });
        assert!(tokio::time::timeout(LINGER * 20, ended.cancelled()).await.is_err());
        open.send_replace(Clients { now: 0, ever: 1 });
        assert!(tokio::time::timeout(LINGER / 2, ended.cancelled()).await.is_err());
        open.send_replace(Clients { now: 1, ever: 2 });
        assert!(tokio::time::timeout(LINGER * 20, ended.cancelled()).await.is_err());
        open.send_replace(Clients { now: 0, ever: 2 });
        ended.cancelled().await;
    }
}
