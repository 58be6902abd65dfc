//! The data sources: a path that fails is a result, and what a bastion presents can be read.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Bench, Block, assert_says, attributes, quote, terraform, write};

const CHECK: &str = "data.bastion_postgres_check.orders";
const SCAN: &str = "data.bastion_host_keys.bastion";

/// The connection's arguments in a data source.
fn check(bench: &Bench) -> Block {
    bench
        .connection()
        .without("name")
        .without("password_wo")
        .without("password_wo_version")
        .text("password", bench.lab.password())
        .set("verify", "{ timeout = \"20s\" }")
}

/// A block as a data source.
fn data(kind: &str, block: &Block) -> String {
    let (_, rest) = block.to_string().split_once("\" ").map(|(head, rest)| (head.to_owned(), rest.to_owned())).unwrap();
    format!("data {kind:?} {rest}")
}

/// Applies data sources and more; the attributes of one of them.
fn read(bench: &Bench, text: &str, address: &str) -> Value {
    bench.write(&[]);
    bench.terraform.write("data.tf", text).unwrap();
    bench.terraform.apply().unwrap().ok().unwrap();
    let state: Value = serde_json::from_str(&bench.terraform.state().unwrap()).unwrap();
    assert!(!state["resources"].as_array().unwrap().is_empty(), "nothing was read");
    bench.attributes(address)
}

fn stages(attributes: &Value) -> Vec<(String, String)> {
    let text = |hop: &Value, field: &str| hop[field].as_str().unwrap().to_owned();
    attributes["path"].as_array().unwrap().iter().map(|hop| (text(hop, "stage"), text(hop, "status"))).collect()
}

#[test]
fn a_path_that_holds_is_told_and_no_secret_is_kept() {
    let bench = Bench::new();
    let verify = "{ timeout = \"20s\", replication = true, publication = \"mz_source\", tables = [\"public.orders\"] }";
    let found = read(&bench, &data("bastion_postgres_check", &check(&bench).set("verify", verify)), CHECK);
    assert_eq!(found["ok"], true, "{found}");
    assert_eq!((&found["failed_stage"], &found["code"]), (&Value::Null, &Value::Null));
    assert_eq!(found["summary"], "The path is proven");
    assert_eq!(found["remedies"], Value::Array(Vec::new()));
    assert_eq!(stages(&found).len(), 11);
    assert!(stages(&found).iter().all(|(_, status)| status == "passed"), "{found}");
    assert!(found["server_version"].as_str().unwrap().starts_with(|c: char| c.is_ascii_digit()));
    let state = bench.terraform.state().unwrap();
    assert!(!state.contains(bench.lab.password()), "the password is in state");
    assert!(!state.contains(bench.key.private_key.lines().nth(2).unwrap()), "the private key is in state");
    assert!(bench.terraform.settled().unwrap(), "the second plan is not empty");
}

#[test]
fn a_path_that_fails_is_a_result() {
    let bench = Bench::new();
    bench.lab.bastion.reconfigure(&["AllowTcpForwarding no"]).unwrap();
    let found = read(&bench, &data("bastion_postgres_check", &check(&bench)), CHECK);
    assert_eq!(found["ok"], false);
    assert_eq!((&found["failed_stage"], &found["code"]), (&"forward".into(), &"forward/prohibited".into()));
    assert_eq!(found["summary"], "The bastion refuses to forward to the database");
    assert!(found["remedies"].as_array().unwrap().len() > 1 && found["remedies"].to_string().contains("PermitOpen"), "{found}");
    let walked = stages(&found);
    assert_eq!(walked.last().unwrap(), &("forward".to_owned(), "failed".to_owned()));
    assert!(walked.iter().rev().skip(1).all(|(_, status)| status == "passed"), "{walked:?}");
    assert_eq!(found["server_version"], Value::Null);
}

#[test]
fn a_refused_key_is_told_without_a_wait() {
    let bench = Bench::new();
    bench.lab.bastion.revoke("neosync").unwrap();
    let block = check(&bench).without("verify");
    let began = std::time::Instant::now();
    let found = read(&bench, &data("bastion_postgres_check", &block), CHECK);
    assert_eq!(found["code"], "authenticate/key-refused", "{found}");
    assert!(began.elapsed() < std::time::Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn a_check_block_shows_what_is_wrong_and_stops_nothing() {
    let bench = Bench::new();
    let data = data("bastion_postgres_check", &check(&bench).text("password", "wrong"));
    let text = format!(
        "check \"orders\" {{\n{data}\n  assert {{\n    condition = {CHECK}.ok\n    \
         error_message = \"${{{CHECK}.summary}}: ${{join(\"; \", {CHECK}.remedies)}}\"\n  }}\n}}\n"
    );
    bench.write(&[]);
    bench.terraform.write("check.tf", &text).unwrap();
    let said = bench.terraform.apply().unwrap().ok().unwrap();
    assert_says(&said, &["Warning: Check block assertion failed", "The database refuses the password: "]);
}

#[test]
fn bad_arguments_are_errors_and_unknown_ones_wait() {
    let bench = Bench::new();
    let refused = |block: Block, words: &[&str]| {
        bench.write(&[]);
        bench.terraform.write("data.tf", &data("bastion_postgres_check", &block)).unwrap();
        assert_says(&bench.terraform.run(&["plan", "-no-color"]).unwrap().failed().unwrap(), words);
    };
    refused(check(&bench).text("sslmode", "maybe"), &["The sslmode is not one of libpq's"]);
    refused(check(&bench).without("sslrootcert"), &["The certificate's authority is not given"]);
    refused(check(&bench).text("ssh_private_key", "x"), &["The tunnel has a private key already", "`ssh_private_key` is for"]);
    refused(check(&bench).text("sslcert", "x"), &["Half of the client certificate is missing", "`sslkey`"]);
    refused(check(&bench).set("verify", "{ timeout = \"soon\" }"), &["This is not a duration", "`verify.timeout`"]);
    let unknown = data("bastion_postgres_check", &check(&bench).set("host", "terraform_data.host.output"));
    let host = format!("resource \"terraform_data\" \"host\" {{\n  input = {}\n}}\n", quote(lab::DATABASE_HOST));
    let found = read(&bench, &(host + &unknown), CHECK);
    assert_eq!(found["ok"], true, "{found}");
}

#[test]
fn a_key_opened_by_a_passphrase() {
    let bench = Bench::new();
    let tunnel = bench.tunnel();
    bench.apply(&[&tunnel]).ok().unwrap();
    bench.authorize_from_state();
    let block =
        check(&bench).set("ssh_tunnel", "bastion_ssh_tunnel_connection.bastion.tunnel").text("ssh_passphrase", crate::support::PASSPHRASE);
    bench.terraform.write("data.tf", &data("bastion_postgres_check", &block)).unwrap();
    bench.terraform.apply().unwrap().ok().unwrap();
    assert_eq!(bench.attributes(CHECK)["ok"], true);
    assert!(!bench.terraform.state().unwrap().contains(crate::support::PASSPHRASE), "the passphrase is in state");
}

fn scan(host: &str, port: u16) -> String {
    let block = Block::new("bastion_host_keys", "bastion").text("host", host).set("port", port.to_string()).text("timeout", "5s");
    data("bastion_host_keys", &block)
}

#[test]
fn the_keys_that_a_bastion_presents_can_be_read_and_pinned() {
    let bench = Bench::new();
    bench.lab.bastion.set_host_keys(&[lab::KeyType::Rsa, lab::KeyType::Ecdsa, lab::KeyType::Ed25519]).unwrap();
    bench.write(&[]);
    bench.terraform.write("data.tf", &scan(bench.lab.bastion.host(), bench.lab.bastion.port())).unwrap();
    let said = bench.terraform.apply().unwrap().ok().unwrap();
    assert_says(&said, &["Warning: A scan proves nothing by itself"]);
    let found = bench.attributes(SCAN);
    let keys: Vec<String> = serde_json::from_value(found["host_keys"].clone()).unwrap();
    let plain = |line: &String| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let expected: BTreeSet<_> = bench.lab.bastion.host_public_keys().unwrap().iter().map(plain).collect();
    assert_eq!(keys.iter().cloned().collect::<BTreeSet<_>>(), expected);
    let kinds: Vec<_> = keys.iter().map(|key| key.split(['-', ' ']).nth(1).unwrap()).collect();
    assert_eq!(kinds, ["ed25519", "sha2", "rsa"]);
    let line = format!("[127.0.0.1]:{} {}", bench.lab.bastion.port(), keys[0]);
    assert_eq!(found["known_hosts"][0], line.as_str());
    assert!(found["fingerprints"][0].as_str().unwrap().starts_with("SHA256:"));
    assert!(bench.lab.bastion.logins().is_empty() && bench.lab.bastion.failed_logins().is_empty(), "somebody logged in");
}

#[test]
fn an_unreachable_bastion_is_an_error_that_says_why() {
    let terraform = terraform();
    write(&terraform, &[]);
    terraform.write("data.tf", &scan("127.0.0.1", lab::free_port().unwrap())).unwrap();
    let said = terraform.run(&["plan", "-no-color"]).unwrap().failed().unwrap();
    assert_says(&said, &["Error: The bastion refuses the connection", "here -x- 127.0.0.1:", "connect/refused"]);
    assert!(attributes(&terraform, SCAN).is_none());
}
