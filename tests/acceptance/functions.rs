//! The provider's functions, called by terraform.

use crate::support::{assert_says, quote, terraform};

/// A well-formed ed25519 public key that nobody uses.
const PUBLIC_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

/// Applies a root module whose only output is an expression; what it says.
fn evaluate(expression: &str) -> lab::Ran {
    let terraform = terraform();
    let text = format!(
        "terraform {{\n  required_providers {{\n    bastion = {{ source = {:?} }}\n  }}\n}}\noutput \"it\" {{\n  value = {expression}\n}}\n",
        lab::SOURCE
    );
    terraform.write("main.tf", &text).unwrap();
    terraform.apply().unwrap()
}

#[test]
fn a_fingerprint_is_ssh_keygens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pub");
    std::fs::write(&file, format!("{PUBLIC_KEY}\n")).unwrap();
    let theirs = std::process::Command::new("ssh-keygen").arg("-lf").arg(&file).output().unwrap();
    let theirs = String::from_utf8(theirs.stdout).unwrap();
    let fingerprint = theirs.split_whitespace().nth(1).unwrap();
    let said = evaluate(&format!("provider::bastion::fingerprint({})", quote(&format!("{PUBLIC_KEY} me@laptop")))).ok().unwrap();
    assert_says(&said, &[&format!("it = \"{fingerprint}\"")]);
}

#[test]
fn an_authorized_key_forwards_and_does_nothing_else() {
    let expression = format!("provider::bastion::authorized_key({}, [\"db.internal:5432\"])", quote(PUBLIC_KEY));
    let said = evaluate(&format!("nonsensitive(replace({expression}, \"\\\"\", \"'\"))")).ok().unwrap();
    assert_says(&said, &[&format!("restrict,port-forwarding,permitopen='db.internal:5432' {PUBLIC_KEY}")]);
    // Nothing is permitted by an empty list, and anything without one, as in the resource.
    let line = |rest: &str| format!("replace(provider::bastion::authorized_key({}, {rest}), \"\\\"\", \"'\")", quote(PUBLIC_KEY));
    let options = "{ from = [\"54.69.79.83\"], expires = \"2030-01-01T00:00:00Z\", comment = \"neosync\" }";
    let said = evaluate(&format!("[{}, {}, {}]", line("[]"), line("null"), line(&format!("null, {options}")))).ok().unwrap();
    let options = "from='54.69.79.83/32',expiry-time='20300101000000'";
    for text in ["restrict", "restrict,port-forwarding", &format!("restrict,port-forwarding,{options}")] {
        assert_says(&said, &[&format!("\"{text} {PUBLIC_KEY}")]);
    }
    assert_says(&said, &[&format!("{PUBLIC_KEY} neosync\"")]);
}

#[test]
fn a_bad_argument_is_named() {
    let said = evaluate("provider::bastion::fingerprint(\"nonsense\")").failed().unwrap();
    assert_says(&said, &["Invalid value for \"public_key\" parameter", "not a public key"]);
    let said = evaluate(&format!("provider::bastion::authorized_key({}, [\"no port\"])", quote(PUBLIC_KEY))).failed().unwrap();
    assert_says(&said, &["Invalid value for \"permit_open\" parameter"]);
    let said = evaluate(&format!("provider::bastion::authorized_key({}, [null])", quote(PUBLIC_KEY))).failed().unwrap();
    assert_says(&said, &["a target is null"]);
    for (options, words) in [
        ("{ from = [\"!10.0.0.1\"] }", "`from`: \"!10.0.0.1\""),
        ("{ from = [] }", "an empty one would let nobody in"),
        ("{ expires = \"tomorrow\" }", "`expires`: \"tomorrow\""),
        ("{ comment = \"a\\nb\" }", "`comment`: it holds a line break"),
        ("{ command = \"sh\" }", "there is no option `command`"),
        ("\"neosync\"", "an object is needed"),
        ("{}, {}", "there is one object of options"),
    ] {
        let said = evaluate(&format!("provider::bastion::authorized_key({}, [], {options})", quote(PUBLIC_KEY))).failed().unwrap();
        assert_says(&said, &["Invalid value for \"options\" parameter", words]);
    }
}

#[test]
fn an_address_is_its_cidr_block() {
    let said = evaluate("[for text in [\"54.69.79.83\", \"2001:DB8:0::1\", \"10.0.0.0/8\"] : provider::bastion::cidr(text)]").ok().unwrap();
    assert_says(&said, &["\"54.69.79.83/32\"", "\"2001:db8::1/128\"", "\"10.0.0.0/8\""]);
    let said = evaluate("provider::bastion::cidr(\"10.1.2.3/8\")").failed().unwrap();
    assert_says(&said, &["Invalid value for \"address\" parameter", "write 10.0.0.0/8"]);
}
