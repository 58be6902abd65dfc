//! The ephemeral tunnel: a port that leads to the database while Terraform runs, and not longer.

use std::time::Duration;

use crate::support::{Bench, PASSPHRASE, assert_says};

/// The tunnel, and a psql through it that writes down what it was told. Provisioners may see ephemeral values.
fn through(bench: &Bench, arguments: &str, command: &str) -> String {
    let psql = lab::postgres_folder().unwrap().join("psql");
    let url = format!(
        "host=${{ephemeral.bastion_ssh_tunnel.db.local_host}} port=${{ephemeral.bastion_ssh_tunnel.db.local_port}} \
         user={} dbname={} sslmode=require",
        lab::ROLE,
        lab::DATABASE
    );
    format!(
        "ephemeral \"bastion_ssh_tunnel\" \"db\" {{\n{arguments}\n}}\n\n\
         resource \"terraform_data\" \"client\" {{\n  provisioner \"local-exec\" {{\n    environment = {{ PGPASSWORD = {:?}, URL = \"{url}\" }}\n    \
         command = <<-EOT\n      {} \"$URL\" {command}\n    EOT\n  }}\n}}\n",
        bench.lab.password(),
        psql.display()
    )
}

fn target(bench: &Bench) -> String {
    format!("  remote_host = {:?}\n  remote_port = {}\n  timeout = \"20s\"", lab::DATABASE_HOST, bench.lab.logical.port())
}

fn closed(bench: &Bench) {
    lab::wait_until("the end of the session", Duration::from_secs(10), || bench.lab.bastion.open_sessions() == 0).unwrap();
}

#[test]
fn a_client_reaches_the_database_and_nothing_is_left() {
    let bench = Bench::new();
    let arguments = format!("  ssh_tunnel = {}\n{}", bench.hand_written(), target(&bench));
    bench.write(&[]);
    let command = "-tA -c 'SELECT item FROM orders ORDER BY id' > said.txt";
    bench.terraform.write("tunnel.tf", &through(&bench, &arguments, command)).unwrap();
    bench.terraform.apply().unwrap().ok().unwrap();
    let said = std::fs::read_to_string(bench.terraform.work().join("said.txt")).unwrap();
    assert_eq!(said.lines().collect::<Vec<_>>(), ["anvil", "bellows", "crucible"]);
    let state = bench.terraform.state().unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&state).unwrap();
    let kinds: Vec<_> = parsed["resources"].as_array().unwrap().iter().map(|resource| resource["type"].clone()).collect();
    assert_eq!(kinds, ["terraform_data"]);
    assert!(!state.contains("local_port") && !state.contains("127.0.0.1"), "an ephemeral value is in state");
    closed(&bench);
}

#[test]
fn a_failure_behind_it_closes_it_too() {
    let bench = Bench::new();
    let arguments = format!("  ssh_tunnel = {}\n{}", bench.hand_written(), target(&bench));
    bench.write(&[]);
    bench.terraform.write("tunnel.tf", &through(&bench, &arguments, "-c 'SELECT nonsense'")).unwrap();
    assert_says(&bench.terraform.apply().unwrap().failed().unwrap(), &["nonsense"]);
    closed(&bench);
}

#[test]
fn an_ephemeral_passphrase_opens_a_generated_key() {
    let mut bench = Bench::new();
    bench.apply(&[&bench.tunnel()]).ok().unwrap();
    bench.authorize_from_state();
    bench.terraform.set("passphrase", PASSPHRASE);
    let arguments =
        format!("  ssh_tunnel = bastion_ssh_tunnel_connection.bastion.tunnel\n  passphrase = var.passphrase\n{}", target(&bench));
    let variable = "variable \"passphrase\" {\n  type = string\n  ephemeral = true\n}\n\n";
    bench.terraform.write("tunnel.tf", &(variable.to_owned() + &through(&bench, &arguments, "-c 'SELECT 1'"))).unwrap();
    bench.terraform.apply().unwrap().ok().unwrap();
    closed(&bench);
}

#[test]
fn a_way_that_does_not_hold_is_an_error_with_the_picture() {
    let bench = Bench::new();
    bench.lab.bastion.reconfigure(&["AllowTcpForwarding no"]).unwrap();
    let arguments = format!("  ssh_tunnel = {}\n{}", bench.hand_written(), target(&bench));
    bench.write(&[]);
    bench.terraform.write("tunnel.tf", &through(&bench, &arguments, "-c 'SELECT 1'")).unwrap();
    let said = bench.terraform.run(&["plan", "-no-color"]).unwrap().failed().unwrap();
    assert_says(&said, &["The bastion refuses to forward to the target", "user neosync -x- db.internal:", "forward/prohibited"]);
    assert!(!said.contains("@orders"), "nobody asked for a database:\n{said}");
}

#[test]
fn bad_arguments_are_refused_on_their_attribute() {
    let bench = Bench::new();
    for (arguments, words) in [
        ("  remote_host = \"db:5432\"", "the port has an argument of its own"),
        ("  remote_host = \"db\"\n  remote_port = 0", "`remote_port`: "),
        ("  remote_host = \"db\"\n  timeout = \"soon\"", "The timeout is not a duration"),
        ("  remote_host = \"db\"\n  private_key = \"x\"", "`private_key` is for a tunnel whose key was supplied"),
    ] {
        bench.write(&[]);
        let arguments = format!("  ssh_tunnel = {}\n{arguments}", bench.hand_written());
        bench.terraform.write("tunnel.tf", &through(&bench, &arguments, "-c 'SELECT 1'")).unwrap();
        assert_says(&bench.terraform.run(&["plan", "-no-color"]).unwrap().failed().unwrap(), &[words]);
    }
    assert_eq!(bench.lab.bastion.connections(), 0);
}

/// The key of a tunnel for somebody who takes no passphrase; here OpenSSH's own tool, which is asked for the public half.
#[test]
fn a_tunnels_key_is_given_without_its_passphrase_and_kept_nowhere() {
    let mut bench = Bench::new();
    bench.apply(&[&bench.tunnel()]).ok().unwrap();
    bench.terraform.set("passphrase", PASSPHRASE);
    let opened = "variable \"passphrase\" {\n  type = string\n  ephemeral = true\n}\n\nephemeral \"bastion_private_key\" \"it\" {\n  \
                  private_key = bastion_ssh_tunnel_connection.bastion.private_key\n  passphrase = var.passphrase\n}\n\n";
    let consumer = "resource \"terraform_data\" \"consumer\" {\n  provisioner \"local-exec\" {\n    environment = { KEY = \
                    ephemeral.bastion_private_key.it.private_key_openssh, TOLD = \"${ephemeral.bastion_private_key.it.public_key} \
                    ${ephemeral.bastion_private_key.it.fingerprint}\" }\n    command = \"umask 077; echo \\\"$KEY\\\" > key; ssh-keygen -y -P '' -f \
                    key > said.txt; rm key; echo \\\"$TOLD\\\" > told.txt\"\n  }\n}\n";
    bench.terraform.write("key.tf", &(opened.to_owned() + consumer)).unwrap();
    bench.terraform.env("TF_LOG", "TRACE");
    let said = bench.terraform.apply().unwrap().ok().unwrap();
    let read = |name: &str| std::fs::read_to_string(bench.terraform.work().join(name)).unwrap();
    let tunnel = bench.attributes("bastion_ssh_tunnel_connection.bastion");
    let (public, fingerprint) = (tunnel["public_key_1"].as_str().unwrap(), tunnel["fingerprint_1"].as_str().unwrap());
    let material = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    assert_eq!(material(read("said.txt").trim()), material(public));
    assert_eq!(read("told.txt").trim(), format!("{} {fingerprint}", material(public)));
    // The first line of an OpenSSH key that is not encrypted: `openssh-key-v1`, cipher `none`.
    const PLAIN: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";
    assert!(!said.contains(PLAIN) && !bench.terraform.state().unwrap().contains(PLAIN), "the key is in state or in a log");

    for (arguments, words) in [
        ("private_key = \"nonsense\"", "The private key cannot be used"),
        ("private_key = bastion_ssh_tunnel_connection.bastion.private_key\n  passphrase = \"wrong\"", "The passphrase is wrong"),
        ("private_key = bastion_ssh_tunnel_connection.bastion.private_key", "The private key is encrypted"),
    ] {
        let block = format!("ephemeral \"bastion_private_key\" \"it\" {{\n  {arguments}\n}}\n");
        bench.terraform.write("key.tf", &block).unwrap();
        let said = bench.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().failed().unwrap();
        assert_says(&said, &[words, if words.contains("cannot") { "`private_key`:" } else { "`passphrase`:" }]);
    }
}
