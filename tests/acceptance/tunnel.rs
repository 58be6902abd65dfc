//! The tunnel resource: its keys, what changes them and what does not.

use serde_json::Value;

use crate::support::{Bench, Block, PASSPHRASE, assert_says, attributes, planned, quote, terraform, write};

const ADDRESS: &str = "bastion_ssh_tunnel_connection.bastion";

fn keys(attributes: &Value) -> [String; 3] {
    ["public_key_1", "public_key_2", "private_key"].map(|name| attributes[name].as_str().unwrap_or_default().to_owned())
}

#[test]
fn create_makes_two_pairs_without_any_network() {
    let bench = Bench::new();
    bench.settle(&[&bench.tunnel()]);
    let made = bench.attributes(ADDRESS);
    let [public_1, public_2, private] = keys(&made);
    assert!(public_1.starts_with("ssh-ed25519 ") && public_2.starts_with("ssh-ed25519 ") && public_1 != public_2);
    assert_eq!(made["public_keys"], serde_json::json!([public_1, public_2]));
    assert!(private.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
    assert_eq!(made["port"], bench.lab.bastion.port());
    assert_eq!(made["tunnel"]["private_key"], private);
    assert_eq!(bench.lab.bastion.connections(), 0);
}

#[test]
fn the_private_key_opens_with_the_passphrase_in_openssh_too() {
    let bench = Bench::new();
    bench.settle(&[&bench.tunnel()]);
    let [public, _, private] = keys(&bench.attributes(ADDRESS));
    let file = bench.terraform.work().join("key");
    std::fs::write(&file, private).unwrap();
    std::process::Command::new("chmod").arg("600").arg(&file).status().unwrap();
    let show =
        |passphrase: &str| std::process::Command::new("ssh-keygen").args(["-y", "-P", passphrase, "-f"]).arg(&file).output().unwrap();
    let shown = show(PASSPHRASE);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(String::from_utf8(shown.stdout).unwrap().starts_with(&public));
    assert!(!show("wrong").status.success());
}

#[test]
fn nothing_but_rotation_changes_a_key() {
    let bench = Bench::new();
    let block = bench.tunnel();
    bench.settle(&[&block]);
    let before = bench.attributes(ADDRESS);
    let other = bench.lab.bastion.client_key(lab::KeyType::Ed25519).unwrap();
    let changed = [
        block.clone().text("name", "renamed"),
        block.clone().text("host", "other.example.com"),
        block.clone().set("port", "2222"),
        block.clone().without("port"),
        block.clone().text("user", "someone"),
        block.clone().set("host_keys", format!("[{}]", quote(&other.public_key))),
        block.clone().without("host_keys").set("insecure_ignore_host_key", "true"),
    ];
    for block in changed {
        bench.write(&[&block]);
        assert_eq!(planned(&bench.terraform)[ADDRESS], ["update"], "{block}");
        bench.settle(&[&block]);
        let after = bench.attributes(ADDRESS);
        assert_eq!(keys(&after), keys(&before), "{block}");
        assert_eq!(after["id"], before["id"]);
        assert_eq!(after["tunnel"]["port"], after["port"]);
    }
}

#[test]
fn rotation_promotes_key_2_and_changes_nothing_else() {
    let bench = Bench::new();
    let block = bench.tunnel();
    bench.settle(&[&block]);
    let before = bench.attributes(ADDRESS);
    let rotated = block.set("key_pairs", format!("{{ passphrase_wo = {PASSPHRASE:?}, passphrase_wo_version = 1, rotation = 2 }}"));
    bench.write(&[&rotated]);
    assert_eq!(planned(&bench.terraform)[ADDRESS], ["update"]);
    bench.settle(&[&rotated]);
    let after = bench.attributes(ADDRESS);
    assert_eq!(after["public_key_1"], before["public_key_2"]);
    assert_eq!(after["fingerprint_1"], before["fingerprint_2"]);
    let [_, fresh, private] = keys(&after);
    assert!(!before["public_keys"].as_array().unwrap().iter().any(|key| *key == *fresh));
    assert_ne!(private, keys(&before)[2]);
    for same in ["id", "name", "host", "port", "user", "host_keys"] {
        assert_eq!(after[same], before[same]);
    }
    let lowered = rotated.set("key_pairs", format!("{{ passphrase_wo = {PASSPHRASE:?}, passphrase_wo_version = 1, rotation = 1 }}"));
    assert_says(&bench.apply(&[&lowered]).ok().unwrap(), &["Warning: The rotation was lowered", "It is 2 in state", "do not come back"]);
    assert_eq!(keys(&bench.attributes(ADDRESS)), keys(&after));
    bench.settle(&[&lowered]);
}

#[test]
fn a_new_passphrase_needs_the_old_one_once() {
    let bench = Bench::new();
    let pairs = |text: &str| bench.tunnel().set("key_pairs", text);
    bench.settle(&[&bench.tunnel()]);
    let before = bench.attributes(ADDRESS);

    bench.write(&[&pairs("{ passphrase_wo = \"another one\", passphrase_wo_version = 1, rotation = 2 }")]);
    let said = bench.terraform.run(&["plan", "-no-color"]).unwrap().failed().unwrap();
    assert_says(&said, &["The passphrase is wrong", "previous_passphrase_wo", "terraform apply -replace=ADDRESS"]);

    bench.write(&[&pairs("{ passphrase_wo = \"another one\", passphrase_wo_version = 2 }")]);
    let said = bench.terraform.run(&["plan", "-no-color"]).unwrap().failed().unwrap();
    assert_says(
        &said,
        &["The old passphrase is needed once more", "terraform apply -replace=ADDRESS", "`passphrase_wo_version` (in state: 1)"],
    );
    assert_eq!(bench.attributes(ADDRESS), before);

    let given = format!("{{ passphrase_wo = \"another one\", passphrase_wo_version = 2, previous_passphrase_wo = {PASSPHRASE:?} }}");
    bench.settle(&[&pairs(&given)]);
    let after = bench.attributes(ADDRESS);
    assert_eq!(after["public_keys"], before["public_keys"]);
    assert_ne!(after["private_key"], before["private_key"]);

    // From now on without the old one, and key 2 can be promoted with the new one.
    bench.settle(&[&pairs("{ passphrase_wo = \"another one\", passphrase_wo_version = 2 }")]);
    bench.settle(&[&pairs("{ passphrase_wo = \"another one\", passphrase_wo_version = 2, rotation = 2 }")]);
    assert_eq!(bench.attributes(ADDRESS)["public_key_1"], before["public_key_2"]);
}

#[test]
fn plain_text_in_state_only_when_asked_for() {
    let bench = Bench::new();
    bench.settle(&[&bench.tunnel().set("key_pairs", "{ allow_plaintext_in_state = true }")]);
    let before = bench.attributes(ADDRESS);
    bench.settle(&[&bench.tunnel()]);
    let after = bench.attributes(ADDRESS);
    assert_eq!(after["public_keys"], before["public_keys"], "encrypting keeps the keys");
    assert_ne!(after["private_key"], before["private_key"]);
    assert!(!bench.terraform.state().unwrap().contains(before["private_key"].as_str().unwrap().lines().nth(1).unwrap()));
}

#[test]
fn a_supplied_key_is_never_kept() {
    let bench = Bench::new();
    let supplied = |version: u8, key: &str| {
        bench
            .tunnel()
            .without("key_pairs")
            .set("supplied_key", format!("{{ private_key_wo = {}, private_key_wo_version = {version} }}", quote(key)))
    };
    let other = bench.lab.bastion.client_key(lab::KeyType::Ecdsa).unwrap();
    bench.settle(&[&supplied(1, &bench.key.private_key)]);
    let made = bench.attributes(ADDRESS);
    assert!(bench.key.public_key.starts_with(made["public_key_1"].as_str().unwrap()));
    assert_eq!(made["public_keys"].as_array().unwrap().len(), 1);
    assert_eq!((&made["public_key_2"], &made["private_key"]), (&Value::Null, &Value::Null));
    assert!(!bench.terraform.state().unwrap().contains("PRIVATE KEY"));

    // Another key under the same version is not taken, and that is said.
    let said = bench.apply(&[&supplied(1, &other.private_key)]).ok().unwrap();
    assert_says(&said, &["Warning: The supplied key is another one than in state"]);
    assert_eq!(bench.attributes(ADDRESS)["public_key_1"], made["public_key_1"]);
    bench.settle(&[&supplied(2, &other.private_key)]);
    assert!(other.public_key.starts_with(bench.attributes(ADDRESS)["public_key_1"].as_str().unwrap()));

    let connection = bench
        .connection()
        .set("ssh_tunnel", "bastion_ssh_tunnel_connection.bastion.tunnel")
        .set("depends_on", "[bastion_ssh_tunnel_connection.bastion]");
    let said = bench.apply(&[&supplied(2, &other.private_key), &connection]).failed().unwrap();
    assert_says(&said, &["The tunnel's private key is missing", "ssh_private_key_wo"]);
    bench.lab.bastion.authorize("neosync", &[&other.public_key]).unwrap();
    bench.settle(&[&supplied(2, &other.private_key), &connection.text("ssh_private_key_wo", &other.private_key)]);
}

#[test]
fn generated_keys_open_the_way_end_to_end() {
    let bench = Bench::new();
    let tunnel = bench.tunnel();
    bench.settle(&[&tunnel]);
    bench.authorize_from_state();
    let connection =
        bench.connection().set("ssh_tunnel", "bastion_ssh_tunnel_connection.bastion.tunnel").text("ssh_passphrase_wo", PASSPHRASE);
    bench.settle(&[&tunnel, &connection]);
    bench.terraform.run(&["destroy", "-auto-approve", "-no-color"]).unwrap().ok().unwrap();
    assert!(attributes(&bench.terraform, ADDRESS).is_none());
    bench.write(&[&tunnel, &connection.text("ssh_passphrase_wo", "wrong")]);
}

#[test]
fn a_tunnel_is_not_imported_and_that_is_explained() {
    let terraform = terraform();
    let block = crate::support::Block::new("bastion_ssh_tunnel_connection", "bastion")
        .text("name", "x")
        .text("host", "bastion.example.com")
        .text("user", "x")
        .set("insecure_ignore_host_key", "true")
        .set("key_pairs", "{ allow_plaintext_in_state = true }");
    write(&terraform, &[&block]);
    let said = terraform.run(&["import", "-no-color", ADDRESS, "anything"]).unwrap().failed().unwrap();
    assert_says(&said, &["A tunnel cannot be imported", "supplied_key"]);
}

/// The keys go into the bastion's user_data, and its address comes from what was made with them: no cycle.
#[test]
fn a_tunnel_is_made_before_its_bastion_has_an_address() {
    let bench = Bench::new();
    let tunnel = bench.tunnel().without("host").without("host_keys");
    bench.settle(&[&tunnel]);
    let made = bench.attributes("bastion_ssh_tunnel_connection.bastion");
    assert!(made["host"].is_null() && made["tunnel"]["host"].is_null() && made["public_keys"].as_array().unwrap().len() == 2, "{made}");
    bench.authorize_from_state();
    let instance = Block::new("terraform_data", "instance").set(
        "input",
        format!("{{ user_data = bastion_ssh_tunnel_connection.bastion.public_keys, public_ip = {} }}", quote(bench.lab.bastion.host())),
    );
    let connection = |tunnel: &str| bench.connection().text("ssh_passphrase_wo", PASSPHRASE).set("ssh_tunnel", tunnel.to_owned());
    let host_key = quote(&bench.lab.bastion.host_public_key().unwrap());
    let merged = format!(
        "merge(bastion_ssh_tunnel_connection.bastion.tunnel, {{ host = terraform_data.instance.output.public_ip, host_keys = [{host_key}] }})"
    );
    bench.settle(&[&tunnel, &instance, &connection(&merged)]);

    let refused = |tunnel: &Block, ssh_tunnel: &str, words: &[&str]| {
        bench.write(&[tunnel, &instance, &connection(ssh_tunnel)]);
        let said = bench.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().failed().unwrap();
        assert_says(&said, words);
    };
    let bare = "bastion_ssh_tunnel_connection.bastion.tunnel";
    refused(&tunnel, bare, &["The tunnel has no bastion", "`host`", "ssh_tunnel ="]);
    let unpinned = "merge(bastion_ssh_tunnel_connection.bastion.tunnel, { host = \"127.0.0.1\" })";
    refused(&tunnel, unpinned, &["No host key is pinned for the bastion"]);
    refused(&tunnel.clone().set("port", "70000"), &merged, &["The port is out of range"]);
}

/// What Terraform says of a sensitive value is nothing: the rest of the object can be read in a plan, and used without a detour.
#[test]
fn of_the_tunnel_object_the_private_key_alone_is_hidden() {
    let bench = Bench::new();
    bench.settle(&[&bench.tunnel()]);
    bench.terraform.write("out.tf", "output \"user\" {\n  value = bastion_ssh_tunnel_connection.bastion.tunnel.user\n}\n").unwrap();
    bench.terraform.apply().unwrap().ok().unwrap();
    assert_eq!(bench.terraform.run(&["output", "-raw", "user"]).unwrap().ok().unwrap().lines().last(), Some("neosync"));
    bench.write(&[&bench.tunnel().set("port", "2222")]);
    let said = bench.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    let words: Vec<_> = said.split_whitespace().collect();
    assert!(words.join(" ").contains("~ tunnel = { name = \"bastion\" ~ port ="), "the change can be read:\n{said}");
    bench.terraform.write("out.tf", "output \"key\" {\n  value = bastion_ssh_tunnel_connection.bastion.tunnel.private_key\n}\n").unwrap();
    assert_says(&bench.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().failed().unwrap(), &["sensitive"]);
}
