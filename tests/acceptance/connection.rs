//! The connection: proven, updated in place, imported, shared.

use std::time::Duration;

use crate::support::{Bench, Block, assert_says, planned, quote};

const ADDRESS: &str = "bastion_postgres_connection.orders";

/// One change of a configuration.
type Step<'a> = Box<dyn Fn(Block) -> Block + 'a>;

#[test]
fn create_proves_every_stage_and_the_second_plan_is_empty() {
    let bench = Bench::new();
    let verify = "{ timeout = \"30s\", replication = true, publication = \"mz_source\", tables = [\"public.orders\"] }";
    bench.settle(&[&bench.connection().set("verify", verify)]);
    let attributes = bench.attributes(ADDRESS);
    let stages: Vec<_> = attributes["path"].as_array().unwrap().iter().map(|hop| hop["stage"].as_str().unwrap().to_owned()).collect();
    let walk = ["resolve", "connect", "handshake", "host_key", "authenticate", "forward", "dial", "tls", "login", "open", "ready"];
    assert_eq!(stages, walk);
    assert!(attributes["path"].as_array().unwrap().iter().all(|hop| hop["status"] == "passed"), "{}", attributes["path"]);
    assert!(attributes["server_version"].as_str().unwrap().starts_with(|c: char| c.is_ascii_digit()));
}

#[test]
fn without_a_tunnel_it_connects_directly() {
    let bench = Bench::new();
    let direct = bench.connection().without("ssh_tunnel").text("host", "127.0.0.1").text("sslmode", "verify-ca");
    bench.settle(&[&direct]);
    assert_eq!(bench.lab.bastion.connections(), 0, "the bastion was used");
    let path = bench.attributes(ADDRESS)["path"].clone();
    let stages: Vec<_> = path.as_array().unwrap().iter().map(|hop| hop["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["resolve", "connect", "tls", "login", "open", "ready"]);
}

#[test]
fn every_argument_is_updated_in_place() {
    let bench = Bench::new();
    bench.lab.logical.create_role("second", "second password", "").unwrap();
    bench.lab.logical.sql("postgres", "CREATE DATABASE second").unwrap();
    let client = bench.lab.logical.client_certificate(lab::ROLE).unwrap();
    let mut block = bench.connection();
    bench.settle(&[&block]);
    let steps: Vec<(&str, Step<'_>)> = vec![
        ("name", Box::new(|block| block.text("name", "renamed"))),
        ("host", Box::new(|block| block.text("host", "orders.db.internal"))),
        ("port", Box::new(|block| block.set("port", bench.lab.ordinary.port().to_string()))),
        ("port back", Box::new(|block| block.set("port", bench.lab.logical.port().to_string()))),
        ("user", Box::new(|block| block.text("user", "second").text("password_wo", "second password").set("password_wo_version", "2"))),
        (
            "user back",
            Box::new(|block| block.text("user", lab::ROLE).text("password_wo", bench.lab.password()).set("password_wo_version", "3")),
        ),
        ("database", Box::new(|block| block.text("database", "second"))),
        ("database back", Box::new(|block| block.text("database", lab::DATABASE))),
        ("sslmode", Box::new(|block| block.text("sslmode", "require").without("sslrootcert"))),
        ("sslrootcert", Box::new(|block| block.text("sslrootcert", &bench.lab.authority.pem()))),
        ("sslcert", Box::new(|block| block.text("sslcert", &client.certificate).text("sslkey_wo", &client.private_key))),
        ("verify", Box::new(|block| block.set("verify", "{ timeout = \"20s\", replication = true }"))),
        ("tables", Box::new(|block| block.set("verify", "{ timeout = \"20s\", tables = [\"orders\"] }"))),
        ("not verified", Box::new(|block| block.set("verify", "{ enabled = false }"))),
        ("verified again", Box::new(|block| block.set("verify", "{ enabled = true }"))),
        ("triggers", Box::new(|block| block.set("triggers", "{ keys = \"etag\" }"))),
        ("direct", Box::new(|block| block.without("ssh_tunnel").text("host", "127.0.0.1"))),
        ("ssh_tunnel", Box::new(|block| block.set("ssh_tunnel", bench.hand_written()).text("host", lab::DATABASE_HOST))),
    ];
    for (what, change) in steps {
        block = change(block);
        bench.write(&[&block]);
        assert_eq!(planned(&bench.terraform)[ADDRESS], ["update"], "{what}");
        bench.settle(&[&block]);
    }
}

#[test]
fn a_change_that_proves_nothing_connects_nowhere() {
    let bench = Bench::new();
    bench.settle(&[&bench.connection()]);
    let before = bench.lab.bastion.connections();
    bench.settle(&[&bench.connection().text("name", "renamed").set("verify", "{ timeout = \"1m\", replication = false }")]);
    assert_eq!(bench.lab.bastion.connections(), before);
    assert_eq!(bench.attributes(ADDRESS)["name"], "renamed");
}

#[test]
fn import_by_id_and_what_it_cannot_bring() {
    let bench = Bench::new();
    let block = bench.connection();
    bench.settle(&[&block]);
    let id = bench.attributes(ADDRESS)["id"].as_str().unwrap().to_owned();
    assert!(!id.contains(bench.lab.password()));
    bench.terraform.run(&["state", "rm", ADDRESS]).unwrap().ok().unwrap();
    let said = bench.terraform.run(&["import", "-no-color", ADDRESS, &id]).unwrap().ok().unwrap();
    assert_says(&said, &["Import successful", "Secrets and the way through the bastion are not imported", "password_wo"]);
    assert_eq!(planned(&bench.terraform)[ADDRESS], ["update"]);
    bench.settle(&[&block]);
    assert_eq!(bench.attributes(ADDRESS)["id"], id);
    bench.terraform.run(&["state", "rm", ADDRESS]).unwrap().ok().unwrap();
    let said = bench.terraform.run(&["import", "-no-color", ADDRESS, "nonsense"]).unwrap().failed().unwrap();
    assert_says(&said, &["The import id is not a connection"]);
}

#[test]
fn import_of_a_connection_without_secrets_leaves_nothing_to_plan() {
    let bench = Bench::new();
    bench.lab.logical.set_hba(&["host all all 127.0.0.1/32 trust"]).unwrap();
    let block = Block::new("bastion_postgres_connection", "orders")
        .text("name", "orders")
        .text("host", "127.0.0.1")
        .set("port", bench.lab.logical.port().to_string())
        .text("user", lab::ROLE)
        .text("database", lab::DATABASE)
        .set("verify", "{ enabled = false }");
    bench.settle(&[&block]);
    let id = bench.attributes(ADDRESS)["id"].as_str().unwrap().to_owned();
    let block = block.without("verify");
    bench.settle(&[&block]);
    bench.terraform.run(&["state", "rm", ADDRESS]).unwrap().ok().unwrap();
    bench.terraform.run(&["import", "-no-color", ADDRESS, &id]).unwrap().ok().unwrap();
    bench.settle(&[&block]);
    // What does not matter to the path is changed without a proof, although none was ever made.
    bench.settle(&[&block.text("name", "renamed")]);
}

#[test]
fn twenty_five_connections_share_the_logins_made_while_they_wait() {
    let bench = Bench::new();
    let block = bench.connection().set("count", "25").set("name", "\"orders-${count.index}\"");
    bench.settle(&[&block]);
    // Each is proven by a login made after it began, and ten are under way at a time: 3 on an idle machine.
    assert!(bench.lab.bastion.logins().len() <= 8, "{}", bench.lab.bastion.log());
    lab::wait_until("the session to be closed", Duration::from_secs(5), || bench.lab.bastion.open_sessions() == 0).unwrap();
}

#[test]
fn a_key_that_syncs_late_is_waited_for() {
    let bench = Bench::new();
    bench.lab.bastion.revoke("neosync").unwrap();
    bench.lab.bastion.authorize_after("neosync", &[&bench.key.public_key], Duration::from_secs(20));
    bench.write(&[&bench.connection().set("verify", "{ timeout = \"2m\" }")]);
    let output =
        bench.terraform.command(&["apply", "-auto-approve", "-no-color", "-input=false"]).env("TF_LOG_PROVIDER", "INFO").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let refused = bench.lab.bastion.failed_logins().len();
    assert!((2..=4).contains(&refused), "20 s at one try in 6 s or more are 2 to 4 tries, not {refused}");
    assert_says(&said, &["[INFO]", "not yet, trying again", "stage=authenticate"]);
}

#[test]
fn a_client_certificate_logs_in() {
    let bench = Bench::new();
    bench.lab.logical.set_hba(&["hostssl all all 127.0.0.1/32 cert"]).unwrap();
    let client = bench.lab.logical.client_certificate(lab::ROLE).unwrap();
    let block = bench.connection().without("password_wo").without("password_wo_version");
    let said = bench.apply(&[&block]).failed().unwrap();
    assert_says(&said, &["client certificate"]);
    bench.settle(&[&block.text("sslcert", &client.certificate).text("sslkey_wo", &client.private_key)]);
}

#[test]
fn many_new_connections_of_one_apply_log_in_once_even_while_the_key_syncs() {
    let bench = Bench::new();
    bench.lab.bastion.revoke("neosync").unwrap();
    bench.lab.bastion.authorize_after("neosync", &[&bench.key.public_key], Duration::from_secs(4));
    let block = bench.connection().set("count", "8").set("name", "\"orders-${count.index}\"").set("verify", "{ timeout = \"2m\" }");
    bench.apply(&[&block]).ok().unwrap();
    assert_eq!(bench.lab.bastion.logins().len(), 1, "{}", bench.lab.bastion.log());
    assert_eq!(bench.lab.bastion.failed_logins().len(), 1, "the eight wait together: {}", bench.lab.bastion.log());
}

#[test]
fn host_keys_may_be_several_and_known_hosts_lines() {
    let bench = Bench::new();
    let other = bench.lab.bastion.client_key(lab::KeyType::Ed25519).unwrap();
    let line = format!("[127.0.0.1]:{} {}", bench.lab.bastion.port(), bench.lab.bastion.host_public_key().unwrap());
    let keys = format!("[{}, {}]", quote(&other.public_key), quote(&line));
    let tunnel = bench.hand_written().replace(&format!("[{}]", quote(&bench.lab.bastion.host_public_key().unwrap())), &keys);
    assert!(tunnel.contains("[127.0.0.1]"), "{tunnel}");
    bench.settle(&[&bench.connection().set("ssh_tunnel", tunnel)]);
}
