//! Secrets stay where they belong: not in state, plan, logs or output.

use crate::support::{Bench, PASSPHRASE};

#[test]
fn no_secret_in_state_plan_or_trace_logs() {
    let bench = Bench::new();
    let supplied = crate::support::quote(&bench.key.private_key);
    let tunnel = bench.tunnel();
    let other = bench.tunnel().named("supplied").without("key_pairs").set("supplied_key", format!("{{ private_key_wo = {supplied} }}"));
    let through = |name: &str| format!("bastion_ssh_tunnel_connection.{name}.tunnel");
    bench.settle(&[&tunnel]);
    bench.authorize_from_state();
    let both: Vec<String> =
        serde_json::from_value(bench.attributes("bastion_ssh_tunnel_connection.bastion")["public_keys"].clone()).unwrap();
    bench.lab.bastion.authorize("neosync", &[&both[0], &both[1], &bench.key.public_key]).unwrap();
    let one = bench.connection().set("ssh_tunnel", through("bastion")).text("ssh_passphrase_wo", PASSPHRASE);
    let two = bench.connection().named("two").set("ssh_tunnel", through("supplied")).text("ssh_private_key_wo", &bench.key.private_key);
    let wrong = bench.connection().named("wrong").set("ssh_tunnel", through("supplied")).text("ssh_private_key_wo", &bench.key.private_key);
    let wrong = wrong.text("password_wo", "a wrong but secret password");
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
    let state = bench.terraform.state().unwrap();
    // A line from the middle of the key: its head is the same in all keys.
    let key = bench.key.private_key.lines().nth(2).unwrap();
    let secrets =
        [("password", bench.lab.password()), ("wrong password", "a wrong but secret password"), ("passphrase", PASSPHRASE), ("key", key)];
    for (what, secret) in secrets {
        // The configuration itself is part of a plan file, as the user wrote it; the planned values are not allowed to be.
        let planned: serde_json::Value = serde_json::from_str(plan.lines().find(|line| line.starts_with('{')).unwrap()).unwrap();
        for (place, text) in [
            ("logs", &said),
            ("state", &state),
            ("plan", &planned["planned_values"].to_string()),
            ("changes", &planned["resource_changes"].to_string()),
        ] {
            assert!(!text.contains(secret), "the {what} is in the {place}");
        }
    }
    assert!(state.contains("BEGIN OPENSSH PRIVATE KEY"), "the generated key is kept, encrypted");
}
