//! Bad input: an error at plan time, on the right argument, before anything is made.

use crate::support::{Block, PASSPHRASE, assert_says, attributes, quote, terraform, write};

/// A well-formed ed25519 public key that nobody uses.
const PUBLIC_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

fn tunnel() -> Block {
    Block::new("bastion_ssh_tunnel_connection", "it")
        .text("name", "it")
        .text("host", "bastion.example.com")
        .text("user", "neosync")
        .set("host_keys", format!("[{}]", quote(PUBLIC_KEY)))
        .set("key_pairs", format!("{{ passphrase_wo = {PASSPHRASE:?}, passphrase_wo_version = 1 }}"))
}

fn connection() -> Block {
    Block::new("bastion_postgres_connection", "it")
        .text("name", "it")
        .text("host", "db.example.com")
        .text("user", "app")
        .text("database", "orders")
}

/// `ssh-keygen` with some arguments, in a folder that is gone afterwards; the private key's text.
fn keygen(arguments: &[&str], passphrase: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let made = std::process::Command::new("ssh-keygen").args(["-q", "-N", passphrase, "-f"]).arg(&file).args(arguments).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read_to_string(file).unwrap()
}

fn supplied(key: &str, more: &str) -> Block {
    tunnel().without("key_pairs").set("supplied_key", format!("{{ private_key_wo = {}{more} }}", quote(key)))
}

/// Plans a block, which must fail with these words, with the argument underlined.
fn refused(block: &Block, argument: &str, words: &[&str]) {
    let terraform = terraform();
    write(&terraform, &[block]);
    let said = terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().failed().unwrap();
    assert_says(&said, words);
    // Terraform quotes the line of the argument that a diagnostic is on; an absent argument is on the block's own line.
    let quoted = said
        .lines()
        .any(|line| line.contains(": ") && line.split_once(": ").is_some_and(|(_, code)| code.trim_start().starts_with(argument)));
    assert!(quoted, "{argument} is not pointed at:\n{said}");
    assert!(attributes(&terraform, "bastion_postgres_connection.it").is_none());
}

#[test]
fn hosts_ports_users_and_host_keys() {
    refused(&tunnel().text("host", "ssh://bastion"), "host ", &["The host is not a host name", "without a scheme"]);
    refused(&tunnel().text("host", "bastion:22"), "host ", &["the port has an argument of its own"]);
    refused(&tunnel().set("port", "0"), "port ", &["The port is out of range", "1 to 65535", "It is 0 here"]);
    refused(&tunnel().set("port", "65536"), "port ", &["The port is out of range"]);
    refused(&tunnel().text("user", "two words"), "user ", &["The user is not a login name"]);
    refused(&tunnel().text("name", " "), "name ", &["The name is empty"]);
    refused(&tunnel().set("host_keys", "[\"ssh-ed25519 nonsense\"]"), "host_keys ", &["A host key cannot be used"]);
    refused(
        &tunnel().set("host_keys", format!("[{}]", quote(&format!("elsewhere.example.com {PUBLIC_KEY}")))),
        "host_keys ",
        &["elsewhere.example.com"],
    );
    refused(&tunnel().set("host_keys", "[null]"), "host_keys ", &["A host key is null"]);
    refused(&tunnel().without("host_keys"), "resource ", &["No host key is pinned for the bastion"]);
    refused(&tunnel().set("insecure_ignore_host_key", "true"), "insecure_ignore_host_key ", &["both pinned and ignored"]);
}

#[test]
fn key_pairs() {
    refused(&tunnel().without("key_pairs"), "resource ", &["No key is given"]);
    refused(&tunnel().set("key_pairs", "{}"), "key_pairs ", &["No passphrase for the private keys"]);
    refused(&tunnel().set("key_pairs", "{ passphrase_wo = \"\" }"), "key_pairs ", &["The passphrase is empty"]);
    refused(&tunnel().set("key_pairs", "{ passphrase_wo = \"x\", allow_plaintext_in_state = true }"), "key_pairs ", &["both asked for"]);
    refused(&tunnel().set("key_pairs", "{ passphrase_wo = \"x\", rotation = 0 }"), "key_pairs ", &["The rotation is too low"]);
    refused(&tunnel().set("key_pairs", "{ passphrase_wo = \"x\", rotation = 1.5 }"), "key_pairs ", &["whole number"]);
    refused(&tunnel().set("supplied_key", "{ private_key_wo = \"x\" }"), "supplied_key ", &["both generated and supplied"]);
}

#[test]
fn supplied_keys() {
    let encrypted = keygen(&["-t", "ed25519"], "open sesame");
    refused(&supplied(PUBLIC_KEY, ""), "supplied_key ", &["The private key cannot be used", "public key"]);
    refused(&supplied("not a key", ""), "supplied_key ", &["The private key cannot be used"]);
    refused(&supplied(&encrypted, ""), "supplied_key ", &["The private key is encrypted", "passphrase"]);
    refused(&supplied(&encrypted, ", passphrase_wo = \"wrong\""), "supplied_key ", &["The passphrase is wrong"]);
    refused(&supplied(&keygen(&["-t", "rsa", "-b", "2048"], ""), ""), "supplied_key ", &["3072"]);
}

#[test]
fn every_kind_and_format_of_key_is_taken() {
    let kinds: [&[&str]; 6] = [
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "3072"],
        &["-t", "rsa", "-b", "3072", "-m", "PEM"],
    ];
    let terraform = terraform();
    let mut blocks = Vec::new();
    let formats: [&[&str]; 2] = [&["-t", "ecdsa", "-m", "PKCS8"], &["-t", "ecdsa", "-m", "PEM"]];
    for (number, kind) in kinds.iter().chain(&formats).enumerate() {
        blocks.push(supplied(&keygen(kind, ""), "").named(&format!("plain{number}")));
        if !kind.contains(&"-m") {
            let block = supplied(&keygen(kind, "open sesame"), ", passphrase_wo = \"open sesame\"");
            blocks.push(block.named(&format!("encrypted{number}")));
        }
    }
    write(&terraform, &blocks.iter().collect::<Vec<_>>());
    terraform.apply().unwrap().ok().unwrap();
    assert!(terraform.settled().unwrap());
    for block in 0..8 {
        let address = format!("bastion_ssh_tunnel_connection.plain{block}");
        assert!(attributes(&terraform, &address).unwrap()["fingerprint_1"].as_str().unwrap().starts_with("SHA256:"));
    }
}

#[test]
fn connections() {
    refused(&connection().text("host", ""), "host ", &["The host is not a host name"]);
    refused(&connection().set("port", "70000"), "port ", &["The port is out of range"]);
    refused(&connection().text("user", ""), "user ", &["not a Postgres name"]);
    refused(&connection().text("database", &"x".repeat(64)), "database ", &["not a Postgres name", "this one has 64"]);
    refused(&connection().text("sslmode", "on"), "sslmode ", &["The sslmode is not one of libpq's", "verify-full"]);
    refused(&connection().text("sslmode", "verify-full"), "resource ", &["The certificate's authority is not given"]);
    refused(&connection().text("sslrootcert", "nonsense"), "sslrootcert ", &["The authority's certificate cannot be used"]);
    refused(&connection().text("sslcert", "x"), "resource ", &["Half of the client certificate is missing"]);
    refused(&connection().set("verify", "{ timeout = \"soon\" }"), "verify ", &["This is not a duration", "`verify.timeout`"]);
    refused(
        &connection().set("verify", "{ wait = { reach = \"5m\", key = \"-1m\" } }"),
        "verify ",
        &["This is not a duration", "`verify.wait.key`"],
    );
    for table in ["\"\"", "null", "\"a.b.c\"", "\"*\"", "\"public.\""] {
        refused(&connection().set("verify", format!("{{ tables = [{table}] }}")), "verify ", &["A table has no name"]);
    }
    refused(&connection().text("database", "a\nb"), "database ", &["no control characters"]);
    refused(&connection().text("ssh_passphrase_wo", "x"), "ssh_passphrase_wo ", &["There is no tunnel to use this for"]);
}

#[test]
fn the_tunnel_of_a_connection() {
    let encrypted = keygen(&["-t", "ed25519"], "open sesame");
    let tunnel =
        |more: &str| connection().set("ssh_tunnel", format!("{{ host = \"b\", user = \"u\", host_keys = [{}]{more} }}", quote(PUBLIC_KEY)));
    refused(&tunnel(""), "resource ", &["The tunnel's private key is missing"]);
    refused(&tunnel(", private_key = \"nonsense\""), "ssh_tunnel ", &["The tunnel's private key cannot be used", "ssh_tunnel.private_key"]);
    let with_key = tunnel(&format!(", private_key = {}", quote(&encrypted)));
    refused(&with_key, "resource ", &["The tunnel's private key is encrypted", "ssh_passphrase_wo"]);
    refused(&with_key.text("ssh_passphrase_wo", "wrong"), "ssh_passphrase_wo ", &["The passphrase is wrong"]);
    let plain = format!(", port = -1, private_key = {}", quote(&keygen(&["-t", "ed25519"], "")));
    refused(&tunnel(&plain), "ssh_tunnel ", &["The port is out of range"]);
}

#[test]
fn nulls_and_computed_attributes() {
    refused(&tunnel().set("user", "null"), "user ", &["A required argument is missing"]);
    refused(&connection().set("name", "null"), "name ", &["A required argument is missing"]);
    refused(
        &tunnel().without("key_pairs").set("supplied_key", "{ private_key_wo = null }"),
        "supplied_key ",
        &["supplied_key.private_key_wo"],
    );
    refused(&connection().set("ssh_tunnel", "{ host = \"h\", user = null }"), "ssh_tunnel ", &["ssh_tunnel.user"]);
    refused(&tunnel().text("id", "mine"), "id ", &["The argument cannot be set"]);
    refused(&connection().text("server_version", "99"), "server_version ", &["The argument cannot be set"]);
}

#[test]
fn unknown_values_are_no_error_at_plan() {
    let terraform = terraform();
    let late = Block::new("terraform_data", "late")
        .set("input", format!("{{ text = \"db.example.com\", number = 5432, key = {} }}", quote(PUBLIC_KEY)));
    let output = |field: &str| format!("terraform_data.late.output.{field}");
    let tunnel = tunnel()
        .set("host", output("text"))
        .set("port", output("number"))
        .set("host_keys", format!("[{0}, \"${{{0}}} again\"]", output("key")));
    let connection = connection()
        .set("host", output("text"))
        .set("port", output("number"))
        .set("sslmode", output("text"))
        .set("sslrootcert", output("text"))
        .set("ssh_tunnel", "bastion_ssh_tunnel_connection.it.tunnel")
        .text("ssh_passphrase_wo", PASSPHRASE)
        .set("verify", format!("{{ timeout = {0}, tables = [{0}], publication = {0} }}", output("text")));
    write(&terraform, &[&late, &tunnel, &connection]);
    terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    // What was planned with unknown values is what apply makes of them.
    write(&terraform, &[&late, &tunnel]);
    terraform.apply().unwrap().ok().unwrap();
    assert!(terraform.settled().unwrap());
}
