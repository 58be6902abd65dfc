//! What was planned is what is applied: ignored, unknown and removed arguments of the tunnel and the connection.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lab::{Terraform, wait_until};
use serde_json::{Value, json};

use crate::support::{Bench, Block, PASSPHRASE, assert_says, planned, quote};

const TUNNEL: &str = "bastion_ssh_tunnel_connection.bastion";
const CONNECTION: &str = "bastion_postgres_connection.orders";

/// Its output is unknown whenever its input is about to change.
fn late(input: &str) -> Block {
    Block::new("terraform_data", "late").set("input", input)
}

fn pairs(passphrase: &str, more: &str) -> String {
    format!("{{ passphrase_wo = {passphrase:?}, passphrase_wo_version = 1{more} }}")
}

fn ignoring(block: Block, what: &str) -> Block {
    block.raw(&format!("lifecycle {{ ignore_changes = {what} }}"))
}

fn destroy(terraform: &Terraform) {
    terraform.run(&["destroy", "-auto-approve", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    assert!(terraform.state().unwrap().contains("\"resources\": []"));
}

#[test]
fn ignored_keys_are_neither_rotated_nor_asked_for_their_passphrase() {
    let bench = Bench::new();
    bench.settle(&[&bench.tunnel()]);
    let before = bench.attributes(TUNNEL);
    let renamed = bench.tunnel().text("name", "renamed").set("key_pairs", pairs(PASSPHRASE, ", rotation = 2"));
    bench.settle(&[&ignoring(renamed, "[key_pairs]")]);
    let after = bench.attributes(TUNNEL);
    assert_eq!(after["name"], "renamed");
    for kept in ["public_keys", "private_key", "private_key_2", "key_pairs"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    // All of it ignored, with secrets that open nothing.
    let lost = bench.tunnel().set("key_pairs", pairs("lost", ", rotation = 3"));
    bench.write(&[&ignoring(lost, "all")]);
    assert!(bench.terraform.settled().unwrap());
    destroy(&bench.terraform);
}

#[test]
fn an_ignored_port_is_neither_proven_nor_stored() {
    let bench = Bench::new();
    // Nobody listens on port 1 of the bastion, and nothing is proven yet.
    let dead = bench.connection().set("port", "1").set("verify", "{ enabled = false }");
    bench.settle(&[&dead]);
    let alive = ignoring(bench.connection().set("verify", "{ timeout = \"5s\" }"), "[port]");
    let said = bench.apply(&[&alive]).failed().unwrap();
    assert_says(&said, &["db.internal:1 "]);
    assert_eq!(bench.attributes(CONNECTION)["path"], json!([]), "no proof of another port is stored");
    // A connection that is ignored altogether wants none of its secrets.
    bench.settle(&[&bench.connection()]);
    bench.write(&[&ignoring(bench.connection().text("password_wo", "lost").set("port", "1"), "all")]);
    assert!(bench.terraform.settled().unwrap());
}

#[test]
fn a_verify_that_is_unknown_plans_a_proof() {
    let bench = Bench::new();
    let connection = |verify: &str| bench.connection().set("verify", verify.to_owned());
    bench.settle(&[&late("{ enabled = false, timeout = \"30s\" }"), &bench.connection().without("verify")]);
    for input in ["{ enabled = true, timeout = \"30s\" }", "{ enabled = false, timeout = \"31s\" }"] {
        bench.settle(&[&late(input), &connection("terraform_data.late.output")]);
        let proven = bench.attributes(CONNECTION)["server_version"].is_string();
        assert_eq!(proven, input.contains("true"), "{input}");
    }
}

#[test]
fn a_supplied_key_that_is_unknown_plans_unknown_keys() {
    let bench = Bench::new();
    let block = bench.tunnel().without("key_pairs").set("supplied_key", "terraform_data.late.output");
    bench.settle(&[&late(&format!("{{ private_key_wo = {} }}", quote(&bench.key.private_key))), &block]);
    assert_eq!(bench.attributes(TUNNEL)["public_keys"].as_array().unwrap().len(), 1);
}

#[test]
fn a_lost_passphrase_stops_only_what_it_is_needed_for() {
    let bench = Bench::new();
    let tunnel = |more: &str| bench.tunnel().set("key_pairs", pairs("lost", more));
    let connection = bench
        .connection()
        .set("ssh_tunnel", "bastion_ssh_tunnel_connection.bastion.tunnel")
        .set("verify", "{ enabled = false }")
        .text("ssh_passphrase_wo", "lost");
    bench.settle(&[&bench.tunnel().set("key_pairs", pairs(PASSPHRASE, ", rotation = 3"))]);
    let before = bench.attributes(TUNNEL);
    bench.write(&[&tunnel(", rotation = 3")]);
    assert!(bench.terraform.settled().unwrap(), "nothing is to be encrypted");
    let said = bench.apply(&[&tunnel(", rotation = 4")]).failed().unwrap();
    assert_says(&said, &["The passphrase is wrong", "`rotation` (in state: 3)", "terraform apply -replace=ADDRESS"]);
    // The way out that it names.
    bench.write(&[&tunnel(", rotation = 3")]);
    let replace = ["apply", "-auto-approve", "-no-color", "-input=false", "-replace=bastion_ssh_tunnel_connection.bastion"];
    bench.terraform.run(&replace).unwrap().ok().unwrap();
    let after = bench.attributes(TUNNEL);
    assert!(after["public_key_1"] != before["public_key_1"] && after["public_key_1"] != before["public_key_2"]);
    // Without a rotation, and with another passphrase: the classic destroy job.
    bench.settle(&[&tunnel(", rotation = 3"), &connection]);
    bench.write(&[&bench.tunnel().set("key_pairs", pairs("lost too", "")), &connection.text("ssh_passphrase_wo", "lost too")]);
    destroy(&bench.terraform);
}

#[test]
fn a_destroy_needs_no_passphrase_at_all() {
    let bench = Bench::new();
    bench.settle(&[&bench.tunnel()]);
    let without = bench.tunnel().set("key_pairs", "{ passphrase_wo = null, passphrase_wo_version = 1 }");
    bench.write(&[&without]);
    assert!(bench.terraform.settled().unwrap(), "nothing is to be encrypted");
    let said = bench.apply(&[&without.clone().set("key_pairs", "{ passphrase_wo_version = 2 }")]).failed().unwrap();
    assert_says(&said, &["No passphrase for the private keys"]);
    bench.write(&[&without]);
    destroy(&bench.terraform);
}

#[test]
fn keys_survive_a_provider_that_dies_while_it_rotates() {
    let bench = Bench::new();
    bench.settle(&[&bench.tunnel()]);
    let before = bench.attributes(TUNNEL);
    let rotated = bench.tunnel().set("key_pairs", pairs(PASSPHRASE, ", rotation = 2"));
    bench.write(&[&rotated]);
    let log = bench.terraform.work().join("apply.log");
    let mut command = bench.terraform.command(&["apply", "-auto-approve", "-no-color", "-input=false"]);
    let mut apply = command.stdout(std::fs::File::create(&log).unwrap()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the rotation", Duration::from_secs(30), || std::fs::read_to_string(&log).unwrap().contains("Modifying...")).unwrap();
    let killed = std::process::Command::new("pkill").args(["-KILL", "-P", &apply.id().to_string(), "terraform-provi"]).status().unwrap();
    let ended = apply.wait().unwrap();
    // Whether the provider was hit before or after it had rotated, the next apply goes on from what state says.
    assert!(killed.success() || ended.success(), "no provider was found");
    bench.settle(&[&rotated]);
    let after = bench.attributes(TUNNEL);
    assert_eq!((&after["public_key_1"], after["private_key_2"].is_string()), (&before["public_key_2"], true));
    bench.settle(&[&bench.tunnel().set("key_pairs", pairs(PASSPHRASE, ", rotation = 3"))]);
    assert_eq!(bench.attributes(TUNNEL)["public_key_1"], after["public_key_2"]);
}

/// Writes the state as earlier versions left it: key 2 beside the attributes.
fn as_before(terraform: &Terraform) {
    let mut state: Value = serde_json::from_str(&terraform.state().unwrap()).unwrap();
    let resources = state["resources"].as_array_mut().unwrap();
    let instance = &mut resources.iter_mut().find(|resource| resource["type"] == "bastion_ssh_tunnel_connection").unwrap()["instances"][0];
    let attributes = instance["attributes"].as_object_mut().unwrap();
    let standby = attributes.remove("private_key_2").unwrap();
    for later in ["previous_public_key", "previous_fingerprint", "phase", "keys_version"] {
        attributes.remove(later).unwrap();
    }
    for later in ["keep_previous", "retire"] {
        attributes["key_pairs"].as_object_mut().unwrap().remove(later).unwrap();
    }
    instance["private"] = STANDARD.encode(json!({ "private_key_2": standby }).to_string()).into();
    terraform.write("terraform.tfstate", &state.to_string()).unwrap();
}

#[test]
fn a_state_of_an_earlier_version_is_taken_over_as_it_is() {
    let bench = Bench::new();
    bench.settle(&[&bench.tunnel()]);
    let before = bench.attributes(TUNNEL);
    as_before(&bench.terraform);
    assert!(bench.terraform.settled().unwrap(), "the first plan after an upgrade is empty");
    let rotated = bench.tunnel().set("key_pairs", pairs(PASSPHRASE, ", rotation = 2"));
    bench.write(&[&rotated]);
    bench.terraform.run(&["apply", "-refresh=false", "-auto-approve", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    assert_eq!(bench.attributes(TUNNEL)["public_key_1"], before["public_key_2"]);
    bench.settle(&[&rotated]);
}

#[test]
fn a_removed_argument_is_one_that_was_never_given() {
    let bench = Bench::new();
    let full = bench
        .tunnel()
        .set("port", "2222")
        .set("insecure_ignore_host_key", "true")
        .without("host_keys")
        .set("key_pairs", pairs(PASSPHRASE, ", rotation = 1"));
    bench.settle(&[&full]);
    let lean = bench.tunnel().without("port").set("key_pairs", format!("{{ passphrase_wo = {PASSPHRASE:?} }}"));
    bench.settle(&[&lean]);
    let tunnel = bench.attributes(TUNNEL);
    assert_eq!((&tunnel["port"], &tunnel["insecure_ignore_host_key"], &tunnel["tunnel"]["port"]), (&json!(22), &Value::Null, &json!(22)));

    let full = bench.connection().set("triggers", "{ a = \"b\" }").set("verify", "{ enabled = false }");
    let full = full.set("port", "1").text("sslmode", "disable");
    bench.settle(&[&lean, &full]);
    for argument in ["port", "sslmode", "sslrootcert", "ssh_tunnel", "triggers", "password_wo_version"] {
        bench.settle(&[&lean, &full.clone().without(argument)]);
        let removed = bench.attributes(CONNECTION);
        bench.settle(&[&lean]);
        bench.settle(&[&lean, &full.clone().without(argument)]);
        assert_eq!(removed, bench.attributes(CONNECTION), "{argument}");
        bench.settle(&[&lean, &full]);
    }
    // Without `verify` the connection is proven.
    let live = bench.connection();
    bench.settle(&[&lean, &live.clone().set("verify", "{ enabled = false }")]);
    bench.write(&[&lean, &live.clone().without("verify")]);
    assert_eq!(planned(&bench.terraform)[CONNECTION], ["update"]);
    bench.settle(&[&lean, &live.without("verify")]);
    assert!(bench.attributes(CONNECTION)["server_version"].is_string());
}
