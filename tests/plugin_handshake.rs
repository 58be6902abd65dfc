//! How the provider process begins and ends: handshake, TLS, signals, and nothing left behind.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[cfg(test)]
mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use bastion::tfplugin::proto::health::HealthCheckRequest;
use bastion::tfplugin::proto::health::health_client::HealthClient;
use bastion::tfplugin::proto::plugin::grpc_broker_client::GrpcBrokerClient;
use bastion::tfplugin::proto::plugin::grpc_controller_client::GrpcControllerClient;
use bastion::tfplugin::proto::plugin::grpc_stdio_client::GrpcStdioClient;
use bastion::tfplugin::proto::plugin::{ConnInfo, Empty};
use bastion::tfplugin::proto::tfplugin6::get_provider_schema;
use bastion::tfplugin::server::GRACE;
use support::certificate::Identity;
use support::process::{BINARY, COOKIE, Handshake, Process, command, invited, signal};
use support::{provider, wait_until};
use tonic::transport::Channel;

/// What Terraform grants before it kills.
const TERRAFORMS_PATIENCE: Duration = Duration::from_secs(2);

fn plain() -> (Process, Handshake) {
    let process = Process::start(|tmp| invited(BINARY, tmp));
    let handshake = Handshake::parse(&process.line());
    (process, handshake)
}

async fn works(channel: &Channel) -> bool {
    let answer = provider(channel.clone()).get_provider_schema(get_provider_schema::Request {}).await;
    answer.is_ok_and(|answer| answer.into_inner().provider.is_some())
}

async fn shutdown(channel: &Channel) {
    GrpcControllerClient::new(channel.clone()).shutdown(Empty {}).await.unwrap();
}

#[tokio::test]
async fn the_line_is_golden_and_the_socket_private() {
    let identity = Identity::generate();
    let process = Process::start(|tmp| {
        let mut command = invited(BINARY, tmp);
        command.env("PLUGIN_CLIENT_CERT", identity.pem());
        command
    });
    let handshake = Handshake::parse(&process.line());
    assert_eq!(handshake.network, "unix");
    assert!(handshake.certificate.is_some_and(|der| der.len() > 50));
    let folder = Path::new(&handshake.location).parent().unwrap();
    assert_eq!(folder.parent().unwrap(), process.tmp.path());
    assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn without_the_cookie_it_says_what_it_is() {
    for cookie in [None, Some("wrong")] {
        let mut process = Process::start(|tmp| {
            let mut command = command(BINARY, tmp);
            command.envs(cookie.map(|value| (COOKIE.0, value)));
            command
        });
        let (stdout, stderr) = process.rest();
        assert_eq!(process.end().await.code(), Some(1));
        assert_eq!(stdout, "");
        assert!(stderr.contains("make install") && stderr.contains("dev_overrides"), "{stderr}");
        assert!(process.leftovers().is_empty());
    }
}

#[tokio::test]
async fn other_protocols_are_refused() {
    let mut process = Process::start(|tmp| {
        let mut command = invited(BINARY, tmp);
        command.env("PLUGIN_PROTOCOL_VERSIONS", "4,5");
        command
    });
    let (stdout, stderr) = process.rest();
    assert_eq!(process.end().await.code(), Some(1));
    assert_eq!(stdout, "");
    assert!(stderr.contains("\"4,5\"") && stderr.contains("protocol 6"), "{stderr}");
}

#[tokio::test]
async fn a_client_certificate_that_is_none_is_refused() {
    let mut process = Process::start(|tmp| {
        let mut command = invited(BINARY, tmp);
        command.env("PLUGIN_CLIENT_CERT", "garbage");
        command
    });
    let (stdout, stderr) = process.rest();
    assert_eq!((process.end().await.code(), stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("PLUGIN_CLIENT_CERT"), "{stderr}");
}

#[tokio::test]
async fn arguments() {
    let run = async |argument: &str| {
        let mut process = Process::start(|tmp| {
            let mut command = command(BINARY, tmp);
            command.arg(argument);
            command
        });
        let (stdout, stderr) = process.rest();
        (process.end().await.code().unwrap(), stdout, stderr)
    };
    let (code, stdout, _) = run("--version").await;
    assert_eq!((code, stdout.as_str()), (0, concat!("terraform-provider-bastion ", env!("CARGO_PKG_VERSION"), " (plugin protocol 6)\n")));
    let (code, stdout, _) = run("--help").await;
    assert!(code == 0 && stdout.contains("--debug"), "{stdout}");
    let (code, stdout, stderr) = run("--nonsense").await;
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("--help"), "{stderr}");
}

#[tokio::test]
async fn only_the_announced_client_is_admitted() {
    let (identity, stranger) = (Identity::generate(), Identity::generate());
    let mut process = Process::start(|tmp| {
        let mut command = invited(BINARY, tmp);
        command.env("PLUGIN_CLIENT_CERT", identity.pem());
        command
    });
    let handshake = Handshake::parse(&process.line());
    // In TLS 1.3 a client hears of its refusal only when it reads, so the proof is that no call goes through.
    for refused in [Some(&stranger), None] {
        match handshake.connect_tls(refused).await {
            Ok(channel) => assert!(!works(&channel).await, "admitted {refused:?}"),
            Err(error) => assert!(format!("{error:#}").contains("transport error"), "{error:#}"),
        }
    }
    match handshake.connect_plain().await {
        Ok(channel) => assert!(!works(&channel).await, "admitted without TLS"),
        Err(error) => assert!(format!("{error:#}").contains("transport error"), "{error:#}"),
    }
    let channel = handshake.connect_tls(Some(&identity)).await.unwrap();
    assert!(works(&channel).await);
    shutdown(&channel).await;
    assert!(process.end().await.success());
}

#[tokio::test]
async fn shutdown_ends_silent_streams_and_leaves_nothing() {
    let (mut process, handshake) = plain();
    assert!(handshake.certificate.is_none());
    let channel = handshake.connect_plain().await.unwrap();
    let mut stdio = GrpcStdioClient::new(channel.clone()).stream_stdio(()).await.unwrap().into_inner();
    let announced = futures_util::stream::pending::<ConnInfo>();
    let mut broker = GrpcBrokerClient::new(channel.clone()).start_stream(announced).await.unwrap().into_inner();
    let ping = HealthCheckRequest { service: "plugin".to_owned() };
    assert_eq!(HealthClient::new(channel.clone()).check(ping.clone()).await.unwrap().into_inner().status, 1);
    let mut watch = HealthClient::new(channel.clone()).watch(ping).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    let unknown = HealthCheckRequest { service: "other".to_owned() };
    assert_eq!(HealthClient::new(channel.clone()).check(unknown).await.unwrap_err().code(), tonic::Code::NotFound);

    assert!(works(&channel).await);
    let begun = std::time::Instant::now();
    shutdown(&channel).await;
    assert!(stdio.message().await.unwrap().is_none() && broker.message().await.unwrap().is_none());
    assert!(watch.message().await.unwrap().is_none());
    drop(channel);
    assert!(process.end().await.success());
    assert!(begun.elapsed() < GRACE, "ended by itself, not by the last resort: {:?}", begun.elapsed());
    assert!(process.leftovers().is_empty());
    assert_eq!(process.rest(), (String::new(), String::new()), "nothing more on stdout, and nothing on stderr without TF_LOG");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_client_that_stays() {
    let (mut process, handshake) = plain();
    let mute = tokio::net::UnixStream::connect(&handshake.location).await.unwrap();
    let channel = handshake.connect_plain().await.unwrap();
    let begun = std::time::Instant::now();
    shutdown(&channel).await;
    assert!(process.end().await.success());
    assert!(begun.elapsed() < TERRAFORMS_PATIENCE, "{:?}", begun.elapsed());
    assert!(process.leftovers().is_empty());
    drop((mute, channel));
}

#[tokio::test]
async fn interrupts_are_terraforms_and_termination_is_obeyed() {
    let (mut process, handshake) = plain();
    let channel = handshake.connect_plain().await.unwrap();
    process.signal("INT");
    assert!(works(&channel).await);
    process.signal("INT");
    assert!(works(&channel).await);
    process.signal("TERM");
    assert!(process.end().await.success());
    assert!(process.leftovers().is_empty());
}

#[tokio::test]
async fn a_lost_connection_ends_the_process() {
    let (mut process, handshake) = plain();
    let channel = handshake.connect_plain().await.unwrap();
    assert!(works(&channel).await);
    drop(channel);
    assert!(process.end().await.success());
    assert!(process.leftovers().is_empty());
}

#[tokio::test]
async fn a_killed_parent_takes_the_provider_along() {
    let mut shell = Process::start(|tmp| {
        let mut command = invited("sh", tmp);
        command.args(["-c", "\"$0\" & echo $! >&2; wait", BINARY]);
        command
    });
    let handshake = Handshake::parse(&shell.line());
    let pid = shell.complaint().parse::<u32>().unwrap();
    // The connection stays open, so it is the parent that is missed.
    let channel = handshake.connect_plain().await.unwrap();
    assert!(works(&channel).await);
    shell.child.kill().unwrap();
    shell.child.wait().unwrap();
    let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| shell.gone_after()));
    if gone.is_err() {
        signal("KILL", pid);
    }
    let gone = gone.expect("the provider outlives its parent");
    assert!(gone < Duration::from_secs(1), "{gone:?}");
    assert!(shell.leftovers().is_empty());
}

#[tokio::test]
async fn the_socket_folder_can_be_chosen() {
    let chosen = tempfile::tempdir().unwrap();
    let process = Process::start(|tmp| {
        let mut command = invited(BINARY, tmp);
        command.env("PLUGIN_UNIX_SOCKET_DIR", chosen.path());
        command
    });
    let handshake = Handshake::parse(&process.line());
    assert!(Path::new(&handshake.location).starts_with(chosen.path()));
    assert!(works(&handshake.connect_plain().await.unwrap()).await);
}

#[tokio::test]
async fn a_temporary_folder_with_a_long_path_makes_it_a_port() {
    let process = Process::start(|tmp| {
        let long = tmp.join("x".repeat(110));
        std::fs::create_dir(&long).unwrap();
        invited(BINARY, &long)
    });
    let handshake = Handshake::parse(&process.line());
    assert_eq!(handshake.network, "tcp");
    assert!(handshake.location.starts_with("127.0.0.1:"));
    assert!(works(&handshake.connect_plain().await.unwrap()).await);
}

#[tokio::test]
async fn debug_mode_serves_one_terraform_after_another() {
    let mut process = Process::start(|tmp| {
        let mut command = command(BINARY, tmp);
        command.arg("--debug");
        command
    });
    let line = wait_until("the line to copy", || Some(process.line()).filter(|line| line.contains("TF_REATTACH_PROVIDERS"))).await;
    let json = line.split('\'').nth(1).unwrap();
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    let (_, reattach) = value.as_object().unwrap().iter().next().unwrap();
    assert_eq!((&reattach["Protocol"], &reattach["ProtocolVersion"], &reattach["Test"]), (&"grpc".into(), &6.into(), &true.into()));
    assert_eq!(reattach["Pid"], process.child.id());
    let location = reattach["Addr"]["String"].as_str().unwrap().to_owned();
    let handshake = Handshake { network: reattach["Addr"]["Network"].as_str().unwrap().to_owned(), location, certificate: None };
    for _ in 0..2 {
        assert!(works(&handshake.connect_plain().await.unwrap()).await);
    }
    // Longer than a plugin without clients lives.
    assert!(tokio::time::timeout(Duration::from_millis(1_000), std::future::pending::<()>()).await.is_err());
    assert!(works(&handshake.connect_plain().await.unwrap()).await);
    process.signal("INT");
    assert!(process.end().await.success());
    assert!(process.leftovers().is_empty());
}
