//! The real Terraform drives the sample provider through a whole life: what core checks of every answer holds for this server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail anywhere")]

#[cfg(test)]
mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bastion::tfplugin::process::handshake;
use bastion::tfplugin::process::listen::{self, Clients};
use bastion::tfplugin::process::services::Services;
use bastion::tfplugin::server::Server;
use support::sample::{Seen, registry};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

const ADDRESS: &str = "registry.terraform.io/bastion/sample";

const CONFIGURATION: &str = r#"
terraform {
  required_providers {
    sample = { source = "bastion/sample" }
  }
}
variable "text" { default = "first" }
provider "sample" { region = "here" }
resource "sample_thing" "a" {
  name        = "a"
  text        = var.text
  password_wo = "hunter2"
  key         = { passphrase_wo = "hunter2", kind = "k" }
}
resource "sample_thing" "b" {
  name = provider::sample::join("-", sample_thing.a.id, "b")
}
data "sample_lookup" "l" { key = sample_thing.b.id }
ephemeral "sample_port" "p" { host = "db" }
output "answer" { value = data.sample_lookup.l.answer }
"#;

async fn terraform(dir: &Path, reattach: &str, arguments: &[&str]) -> (Output, String) {
    let mut command = Command::new("terraform");
    command.current_dir(dir).args(arguments).env("TF_REATTACH_PROVIDERS", reattach).env("TF_CLI_CONFIG_FILE", dir.join("rc"));
    command.env_remove("TF_LOG").env("TF_IN_AUTOMATION", "1").env("CHECKPOINT_DISABLE", "1");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().expect("terraform is on the PATH");
    let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    (output, text)
}

#[tokio::test]
async fn terraform_accepts_every_answer() {
    let seen = Seen::default();
    let (listener, address, leftovers) = listen::bind(None).await.unwrap();
    let connections = listen::admit(listener, None, tokio::sync::watch::channel(Clients::default()).0);
    let ended = CancellationToken::new();
    let services = Services::new(Arc::new(Server::new(registry(&seen))), ended.clone());
    let serving = tonic::transport::Server::builder().serve_with_incoming_shutdown(
        services,
        ReceiverStream::new(connections),
        ended.clone().cancelled_owned(),
    );
    tokio::spawn(serving);
    let reattach = handshake::reattach(ADDRESS, &address, std::process::id());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("main.tf"), CONFIGURATION).unwrap();
    std::fs::write(dir.path().join("rc"), "").unwrap();

    for (arguments, code) in [
        (&["init", "-no-color"][..], 0),
        (&["validate", "-no-color"], 0),
        (&["apply", "-no-color", "-auto-approve"], 0),
        (&["plan", "-no-color", "-detailed-exitcode"], 0),
        (&["plan", "-no-color", "-detailed-exitcode", "-var=text=second"], 2),
        (&["apply", "-no-color", "-auto-approve", "-var=text=second"], 0),
        (&["plan", "-no-color", "-detailed-exitcode", "-var=text=second"], 0),
        (&["state", "rm", "-no-color", "sample_thing.b"], 0),
        (&["import", "-no-color", "-var=text=second", "sample_thing.b", "id-id-a-b"], 0),
        (&["plan", "-no-color", "-detailed-exitcode", "-var=text=second"], 0),
        (&["destroy", "-no-color", "-auto-approve"], 0),
    ] {
        let (output, text) = terraform(dir.path(), &reattach, arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(!text.contains("hunter2"), "{arguments:?}: {text}");
        if arguments[0] == "apply" {
            assert!(text.contains("answer to id-id-a-b"), "{text}");
            let state = std::fs::read_to_string(dir.path().join("terraform.tfstate")).unwrap();
            assert!(state.contains("id-id-a-b") && !state.contains("hunter2"));
        }
    }
    assert_eq!(seen.creating.load(Ordering::SeqCst), 2);
    assert!(seen.closed.load(Ordering::SeqCst) > 0);
    ended.cancel();
    leftovers.remove();
}
