//! `terraform test` with a mocked provider: what a mock makes up for one resource is no error in the next.

use crate::support::{PASSPHRASE, terraform};

/// A whole path as a user writes it; each resource takes what another computes, and the account's own resources are mocked too.
fn path() -> String {
    format!(
        r#"
terraform {{
  required_providers {{
    bastion = {{ source = {source:?} }}
  }}
}}

variable "bastion" {{
  type    = object({{ bucket = string, group = string, host = string, port = number, authority = string }})
}}

resource "bastion_ssh_tunnel_connection" "it" {{
  name      = "neosync"
  host      = var.bastion.host
  port      = var.bastion.port
  user      = "neosync"
  host_keys = data.bastion_host_keys.it.host_keys
  key_pairs = {{ passphrase_wo = {PASSPHRASE:?}, passphrase_wo_version = 1 }}
}}

data "bastion_host_keys" "it" {{
  host = var.bastion.host
  port = var.bastion.port
}}

resource "bastion_authorized_keys" "it" {{
  bucket      = var.bastion.bucket
  user        = bastion_ssh_tunnel_connection.it.id
  public_keys = bastion_ssh_tunnel_connection.it.public_keys
  permit_open = ["${{bastion_ssh_tunnel_connection.it.id}}"]
  kms_key_id  = bastion_ssh_tunnel_connection.it.id
}}

resource "bastion_security_group_rules" "it" {{
  security_group_id = var.bastion.group
  ingress           = {{ neosync = {{ port = 22, peers = [bastion_ssh_tunnel_connection.it.id] }} }}
}}

resource "bastion_postgres_connection" "it" {{
  name              = "orders"
  host              = bastion_authorized_keys.it.etag
  port              = var.bastion.port
  user              = bastion_authorized_keys.it.etag
  database          = "orders"
  sslmode           = "verify-full"
  sslrootcert       = var.bastion.authority
  ssh_tunnel        = bastion_ssh_tunnel_connection.it.tunnel
  ssh_passphrase_wo = {PASSPHRASE:?}
  triggers          = {{ keys = bastion_authorized_keys.it.etag }}
  depends_on        = [bastion_security_group_rules.it]
}}

data "bastion_postgres_check" "it" {{
  host           = bastion_postgres_connection.it.id
  user           = "app"
  database       = "orders"
  ssh_tunnel     = bastion_ssh_tunnel_connection.it.tunnel
  ssh_passphrase = {PASSPHRASE:?}
}}
"#,
        source = lab::SOURCE
    )
}

#[test]
fn a_mocked_provider_plans_applies_and_tears_down() {
    let terraform = terraform();
    terraform.write("main.tf", &path()).unwrap();
    let test = r#"
mock_provider "bastion" {}

variables {
  bastion = { bucket = "s3://made up", group = "made-up", host = "https://made.up", port = 0, authority = "made up" }
}

run "plan" {
  command = plan
}

run "apply" {
  assert {
    condition     = bastion_postgres_connection.it.id != ""
    error_message = "nothing was made up"
  }
}

run "changed" {
  variables {
    bastion = { bucket = "another", group = "sg-none", host = "", port = -1, authority = "" }
  }
}
"#;
    terraform.write("path.tftest.hcl", test).unwrap();
    let said = terraform.run(&["test", "-no-color"]).unwrap().ok().unwrap();
    assert!(said.contains("Success! 3 passed, 0 failed."), "{said}");
}
