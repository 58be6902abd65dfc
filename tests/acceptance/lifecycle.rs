//! Interrupts and crashes: terraform is told the truth, and nothing is left running.

use std::process::Stdio;
use std::time::{Duration, Instant};

use lab::{wait_for, wait_until};

use crate::support::{Bench, attributes, planned};

/// Starts an apply that waits for a key which never comes, and returns once it waits.
fn waiting_apply(bench: &Bench) -> std::process::Child {
    bench.lab.bastion.revoke("neosync").unwrap();
    bench.write(&[&bench.connection().set("verify", "{ timeout = \"5m\" }")]);
    let mut command = bench.terraform.command(&["apply", "-auto-approve", "-no-color", "-input=false"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the first refusal", Duration::from_secs(30), || !bench.lab.bastion.failed_logins().is_empty()).unwrap();
    child
}

fn signal(name: &str, pid: u32) {
    assert!(std::process::Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// The processes whose parent is or was this one, and that run our provider.
fn providers(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((name, rest)) = stat.rsplit_once(')') else { continue };
        let of_parent = rest.split_whitespace().nth(1) == Some(parent.to_string().as_str());
        if of_parent && name.contains("terraform-provi") {
            found.push(pid);
        }
    }
    found
}

#[test]
fn an_interrupted_apply_ends_within_two_seconds_with_nothing_made() {
    let bench = Bench::new();
    let child = waiting_apply(&bench);
    let interrupted = Instant::now();
    signal("-INT", child.id());
    let output = child.wait_with_output().unwrap();
    let took = interrupted.elapsed();
    assert!(!output.status.success());
    assert!(took < Duration::from_secs(4), "terraform itself needs a moment, the provider two seconds: {took:?}");
    assert!(attributes(&bench.terraform, "bastion_postgres_connection.orders").is_none());
    bench.lab.bastion.authorize("neosync", &[&bench.key.public_key]).unwrap();
    assert_eq!(planned(&bench.terraform)["bastion_postgres_connection.orders"], ["create"]);
    bench.settle(&[&bench.connection()]);
}

#[test]
fn when_terraform_is_killed_the_provider_is_gone_within_a_second() {
    let bench = Bench::new();
    let mut child = waiting_apply(&bench);
    let providers =
        wait_for("the provider", Duration::from_secs(5), || Ok(Some(providers(child.id())).filter(|found| !found.is_empty()))).unwrap();
    signal("-KILL", child.id());
    child.wait().unwrap();
    wait_until("the provider to be gone", Duration::from_secs(2), || {
        providers.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    })
    .unwrap();
    wait_until("its sessions to be closed", Duration::from_secs(2), || bench.lab.bastion.open_sessions() == 0).unwrap();
}

#[test]
fn destroy_works_without_the_bastion_and_the_database() {
    let bench = Bench::new();
    bench.settle(&[&bench.tunnel(), &bench.connection()]);
    bench.lab.bastion.stop().unwrap();
    bench.lab.logical.stop().unwrap();
    bench.terraform.run(&["destroy", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
    assert!(bench.terraform.state().unwrap().contains("\"resources\": []"));
}
