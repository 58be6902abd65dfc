//! Secrets stay where they belong: not in state, plan, logs or output.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::{Bench, PASSPHRASE};

/// A password that Postgres refuses: a failure quotes much.
const WRONG: &str = "a wrong but secret password";

/// A state's text, with what each resource keeps beside its attributes in clear.
fn with_private_bytes(state: &str) -> String {
    let parsed: Value = serde_json::from_str(state).unwrap();
    let instances = parsed["resources"].as_array().unwrap().iter().flat_map(|resource| resource["instances"].as_array().unwrap());
    let private = instances.filter_map(|instance| STANDARD.decode(instance["private"].as_str()?).ok());
    private.fold(state.to_owned(), |all, bytes| all + &String::from_utf8_lossy(&bytes))
}

#[test]
fn no_secret_in_state_plan_or_trace_logs() {
    let mut bench = Bench::new();
    // From variables: Terraform itself quotes the configuration's lines in its messages.
    let mut variables = String::new();
    let key = bench.key.private_key.clone();
    for (name, value) in [("password", bench.lab.password()), ("passphrase", PASSPHRASE), ("key", &key), ("wrong", WRONG)] {
        variables.push_str(&format!("variable {name:?} {{\n  type = string\n  sensitive = true\n  ephemeral = true\n}}\n"));
        bench.terraform.set(name, value);
    }
    bench.terraform.write("variables.tf", &variables).unwrap();
    let pairs = "{ passphrase_wo = var.passphrase, passphrase_wo_version = 1 }";
    let tunnel = bench.tunnel().set("key_pairs", pairs);
    let other = bench.tunnel().named("supplied").without("key_pairs").set("supplied_key", "{ private_key_wo = var.key }");
    let through = |name: &str| format!("bastion_ssh_tunnel_connection.{name}.tunnel");
    bench.settle(&[&tunnel]);
    bench.authorize_from_state();
    let both: Vec<String> =
        serde_json::from_value(bench.attributes("bastion_ssh_tunnel_connection.bastion")["public_keys"].clone()).unwrap();
    bench.lab.bastion.authorize("neosync", &[&both[0], &both[1], &bench.key.public_key]).unwrap();
    let connection = bench.connection().set("password_wo", "var.password");
    let one = connection.clone().set("ssh_tunnel", through("bastion")).set("ssh_passphrase_wo", "var.passphrase");
    let two = connection.named("two").set("ssh_tunnel", through("supplied")).set("ssh_private_key_wo", "var.key");
    let wrong = two.clone().named("wrong").set("password_wo", "var.wrong");
    bench.write(&[&tunnel, &other, &one, &two, &wrong]);

    let mut said = String::new();
    for arguments in
        [&["plan", "-no-color", "-input=false", "-out=secret.plan"][..], &["apply", "-no-color", "-input=false", "secret.plan"]]
    {
        let output = bench.terraform.command(arguments).env("TF_LOG_PROVIDER", "TRACE").output().unwrap();
        said.push_str(&String::from_utf8_lossy(&output.stdout));
        said.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    assert!(said.contains("stage passed") && said.contains("login/password-refused"), "the log shows no check:\n{said}");
    let plan = bench.terraform.run(&["show", "-json", "secret.plan"]).unwrap().ok().unwrap();
    let state = with_private_bytes(&bench.terraform.state().unwrap());
    // A line from the middle of the key: its head is the same in all keys.
    let key = bench.key.private_key.lines().nth(2).unwrap();
    let secrets = [("password", bench.lab.password()), ("wrong password", WRONG), ("passphrase", PASSPHRASE), ("key", key)];
    for (what, secret) in secrets {
        // The configuration itself is part of a plan file, as the user wrote it; the planned values are not allowed to be.
        let planned: serde_json::Value = serde_json::from_str(plan.lines().find(|line| line.starts_with('{')).unwrap()).unwrap();
        for (place, text) in [
            ("logs", &said),
            ("state", &state),
            ("plan", &planned["planned_values"].to_string()),
            ("changes", &planned["resource_changes"].to_string()),
            ("prior state", &planned["prior_state"].to_string()),
        ] {
            assert!(!text.contains(secret), "the {what} is in the {place}");
        }
    }
    assert!(state.contains("BEGIN OPENSSH PRIVATE KEY"), "the generated key is kept, encrypted");
}
