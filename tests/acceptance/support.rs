//! A bench: a lab, a terraform folder, and configurations written by code.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use lab::{ClientKey, Found, KeyType, Lab, Ran, Terraform};
use serde_json::Value;

/// The login on the bastion.
pub const USER: &str = "neosync";

/// The passphrase of generated keys. Looked for by the test that no secret leaks.
pub const PASSPHRASE: &str = "correct-horse-battery";

/// One resource of a configuration.
#[derive(Clone)]
pub struct Block {
    kind: &'static str,
    name: String,
    arguments: BTreeMap<String, String>,
    blocks: Vec<String>,
}

impl Block {
    pub fn new(kind: &'static str, name: &str) -> Self {
        Self { kind, name: name.to_owned(), arguments: BTreeMap::new(), blocks: Vec::new() }
    }

    /// The same under another name.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets an argument to an HCL expression.
    pub fn set(mut self, argument: &str, expression: impl Into<String>) -> Self {
        self.arguments.insert(argument.to_owned(), expression.into());
        self
    }

    /// Sets an argument to a text.
    pub fn text(self, argument: &str, text: &str) -> Self {
        self.set(argument, quote(text))
    }

    /// Adds a nested block, as it is written.
    pub fn raw(mut self, block: &str) -> Self {
        self.blocks.push(block.to_owned());
        self
    }

    pub fn without(mut self, argument: &str) -> Self {
        self.arguments.remove(argument);
        self
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "resource {:?} {:?} {{", self.kind, self.name)?;
        for (argument, expression) in &self.arguments {
            writeln!(f, "  {argument} = {expression}")?;
        }
        self.blocks.iter().try_for_each(|block| writeln!(f, "  {block}"))?;
        writeln!(f, "}}")
    }
}

/// A text as an HCL expression.
pub fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap().replace("${", "$${").replace("%{", "%%{")
}

/// A lab and a terraform folder.
pub struct Bench {
    pub lab: Lab,
    pub terraform: Terraform,
    /// Authorised for [`USER`] from the start.
    pub key: ClientKey,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(lab::Bastion::builder())
    }

    pub fn with(bastion: lab::BastionBuilder) -> Self {
        let lab = Lab::start_with(bastion).expect("the lab starts");
        let key = lab.bastion.client_key(KeyType::Ed25519).unwrap();
        lab.bastion.authorize(USER, &[&key.public_key]).unwrap();
        Self { lab, terraform: terraform(), key }
    }

    /// A tunnel with generated keys.
    pub fn tunnel(&self) -> Block {
        Block::new("bastion_ssh_tunnel_connection", "bastion")
            .text("name", "bastion")
            .text("host", self.lab.bastion.host())
            .set("port", self.lab.bastion.port().to_string())
            .text("user", USER)
            .set("host_keys", format!("[{}]", quote(&self.lab.bastion.host_public_key().unwrap())))
            .set("key_pairs", format!("{{ passphrase_wo = {PASSPHRASE:?}, passphrase_wo_version = 1 }}"))
    }

    /// The tunnel object written by hand, with the key that is authorised already.
    pub fn hand_written(&self) -> String {
        format!(
            "{{ host = {}, port = {}, user = {}, host_keys = [{}], private_key = {} }}",
            quote(self.lab.bastion.host()),
            self.lab.bastion.port(),
            quote(USER),
            quote(&self.lab.bastion.host_public_key().unwrap()),
            quote(&self.key.private_key)
        )
    }

    /// A connection to the logical cluster through the tunnel written by hand.
    pub fn connection(&self) -> Block {
        Block::new("bastion_postgres_connection", "orders")
            .text("name", "orders")
            .text("host", lab::DATABASE_HOST)
            .set("port", self.lab.logical.port().to_string())
            .text("user", lab::ROLE)
            .text("password_wo", self.lab.password())
            .set("password_wo_version", "1")
            .text("database", lab::DATABASE)
            .text("sslmode", "verify-full")
            .text("sslrootcert", &self.lab.authority.pem())
            .set("ssh_tunnel", self.hand_written())
            .set("verify", "{ timeout = \"30s\" }")
    }

    pub fn write(&self, blocks: &[&Block]) {
        write(&self.terraform, blocks);
    }

    /// Writes and applies a configuration.
    pub fn apply(&self, blocks: &[&Block]) -> Ran {
        self.write(blocks);
        self.terraform.apply().unwrap()
    }

    /// Applies a configuration, which must succeed and leave nothing to plan.
    pub fn settle(&self, blocks: &[&Block]) {
        self.apply(blocks).ok().unwrap();
        assert!(self.terraform.settled().unwrap(), "the second plan is not empty");
    }

    /// Authorises the public keys in state for the tunnel's login.
    pub fn authorize_from_state(&self) {
        let keys = self.attributes("bastion_ssh_tunnel_connection.bastion")["public_keys"].clone();
        let keys: Vec<String> = serde_json::from_value(keys).unwrap();
        self.lab.bastion.authorize(USER, &keys).unwrap();
    }

    /// A resource's attributes in state.
    pub fn attributes(&self, address: &str) -> Value {
        attributes(&self.terraform, address).unwrap_or_else(|| panic!("{address} is not in state"))
    }
}

/// A terraform folder with the provider that cargo has built.
pub fn terraform() -> Terraform {
    Terraform::new(Path::new(env!("CARGO_BIN_EXE_terraform-provider-bastion")), Found::Override).unwrap()
}

/// Writes a configuration.
pub fn write(terraform: &Terraform, blocks: &[&Block]) {
    write_with(terraform, "", blocks);
}

/// Writes a configuration with a provider block.
pub fn write_with(terraform: &Terraform, provider: &str, blocks: &[&Block]) {
    let head = format!("terraform {{\n  required_providers {{\n    bastion = {{ source = {:?} }}\n  }}\n}}\n\n{provider}\n", lab::SOURCE);
    let text: String = blocks.iter().map(|block| format!("{block}\n")).collect();
    terraform.write("main.tf", &(head + &text)).unwrap();
}

/// A resource's attributes in state, if it is there.
pub fn attributes(terraform: &Terraform, address: &str) -> Option<Value> {
    let shown = terraform.run(&["show", "-json"]).unwrap().ok().unwrap();
    let shown: Value = serde_json::from_str(json_line(&shown)).unwrap();
    let resources = shown["values"]["root_module"]["resources"].as_array()?.clone();
    resources.into_iter().find(|resource| resource["address"] == address).map(|mut resource| resource["values"].take())
}

/// What a plan would do to each resource: `["update"]`, `["delete", "create"]`, …
pub fn planned(terraform: &Terraform) -> BTreeMap<String, Vec<String>> {
    terraform.run(&["plan", "-input=false", "-no-color", "-out=tested.plan"]).unwrap().ok().unwrap();
    let shown = terraform.run(&["show", "-json", "tested.plan"]).unwrap().ok().unwrap();
    let shown: Value = serde_json::from_str(json_line(&shown)).unwrap();
    let changes = shown["resource_changes"].as_array().cloned().unwrap_or_default();
    let action = |change: &Value| serde_json::from_value(change["change"]["actions"].clone()).unwrap();
    changes.iter().map(|change| (change["address"].as_str().unwrap().to_owned(), action(change))).collect()
}

/// The line with the JSON, among terraform's warnings about the override.
fn json_line(text: &str) -> &str {
    text.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("no JSON: {text}"))
}

/// Asserts that words appear in terraform's output, whose lines are framed and folded.
pub fn assert_says(output: &str, words: &[&str]) {
    let flat: Vec<_> = output.split(|c: char| c.is_whitespace() || c == '│').filter(|word| !word.is_empty()).collect();
    let flat = flat.join(" ");
    for word in words {
        assert!(flat.contains(word), "terraform does not say {word:?}:\n{output}");
    }
}
