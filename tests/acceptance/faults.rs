//! Faults: each at its stage, in words that say what to change, with nothing left behind.

use crate::support::{Bench, assert_says, attributes, quote};

const ADDRESS: &str = "bastion_postgres_connection.orders";

/// Applies, which must fail with these words and leave nothing in state.
fn refuses(bench: &Bench, block: &crate::support::Block, words: &[&str]) {
    let said = bench.apply(&[block]).failed().unwrap();
    assert_says(&said, words);
    assert!(attributes(&bench.terraform, ADDRESS).is_none(), "a failed create left something behind");
}

#[test]
fn a_wrong_password_is_said_once_and_never_tried_again() {
    let bench = Bench::new();
    refuses(&bench, &bench.connection().text("password_wo", "wrong"), &["The database refuses the password", "login/password-refused"]);
    let tries = bench.lab.logical.log().matches("password authentication failed").count();
    assert_eq!(tries, 1, "accounts lock");
}

#[test]
fn a_wrong_host_key_gets_no_credential() {
    let bench = Bench::new();
    let block = bench.connection();
    bench.lab.bastion.replace_host_key().unwrap();
    let key = bench.lab.bastion.host_public_key().unwrap();
    refuses(&bench, &block, &["The bastion's host key is not the pinned one", "host_key/changed", &key]);
    assert!(bench.lab.bastion.logins().is_empty() && bench.lab.bastion.failed_logins().is_empty());
}

#[test]
fn a_closed_port_on_either_leg_is_told_apart() {
    let bench = Bench::new();
    let closed = lab::free_port().unwrap();
    let here = bench.hand_written().replace(&format!("port = {}", bench.lab.bastion.port()), &format!("port = {closed}"));
    let block = bench.connection().set("ssh_tunnel", here).set("verify", "{ timeout = \"2s\" }");
    refuses(&bench, &block, &["The bastion refuses the connection", "connect/refused"]);
    let there = bench.connection().set("port", lab::free_port().unwrap().to_string());
    refuses(&bench, &there, &["The database refuses the bastion's connection", "Connection refused", "dial/refused"]);
}

#[test]
fn a_name_that_the_bastion_cannot_resolve() {
    let bench = Bench::new();
    refuses(
        &bench,
        &bench.connection().text("host", "nowhere.invalid"),
        &["The bastion cannot resolve the database's name", "dial/name-unknown"],
    );
}

#[test]
fn a_missing_database() {
    let bench = Bench::new();
    refuses(&bench, &bench.connection().text("database", "missing"), &["The database does not exist", "open/database-missing"]);
}

#[test]
fn forwarding_forbidden() {
    let bench = Bench::new();
    bench.lab.bastion.reconfigure(&["AllowTcpForwarding no"]).unwrap();
    refuses(&bench, &bench.connection(), &["The bastion refuses to forward to the database", "PermitOpen", "forward/prohibited"]);
}

#[test]
fn a_refused_key_prints_the_line_to_install() {
    let bench = Bench::new();
    bench.lab.bastion.revoke("neosync").unwrap();
    let block = bench.connection().set("verify", "{ timeout = \"3s\" }");
    let line = bench.key.public_key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    refuses(&bench, &block, &["The bastion refuses the key", &line, "authenticate/key-refused"]);
    assert_eq!(bench.lab.bastion.failed_logins().len(), 1, "within 3 s there is one try");
}

#[test]
fn a_database_that_is_not_ready_says_everything_at_once() {
    let bench = Bench::new();
    let block = bench
        .connection()
        .set("port", bench.lab.ordinary.port().to_string())
        .set("verify", "{ replication = true, publication = \"absent\", tables = [\"public.absent\", \"public.orders\"] }");
    refuses(&bench, &block, &["The database is not ready", "wal_level", "CREATE PUBLICATION", "public.absent", "ready/not-ready"]);
}

#[test]
fn a_failed_update_keeps_the_old_state() {
    let bench = Bench::new();
    let block = bench.connection();
    bench.settle(&[&block]);
    let before = bench.attributes(ADDRESS);
    let said = bench.apply(&[&block.clone().text("database", "missing")]).failed().unwrap();
    assert_says(&said, &["open/database-missing"]);
    assert_eq!(bench.attributes(ADDRESS), before);
    bench.settle(&[&block]);
}

#[test]
fn an_unpinned_bastion_is_refused_at_plan() {
    let bench = Bench::new();
    let keys = format!("host_keys = [{}], ", quote(&bench.lab.bastion.host_public_key().unwrap()));
    let unpinned = bench.hand_written().replace(&keys, "");
    bench.write(&[&bench.connection().set("ssh_tunnel", unpinned.clone())]);
    let said = bench.terraform.run(&["plan", "-no-color"]).unwrap().failed().unwrap();
    assert_says(&said, &["No host key is pinned for the bastion"]);
    let ignored = unpinned.replace("{ host", "{ insecure_ignore_host_key = true, host");
    let said = bench.apply(&[&bench.connection().set("ssh_tunnel", ignored)]).ok().unwrap();
    assert_says(&said, &["Warning: The bastion's host key is not checked"]);
}
