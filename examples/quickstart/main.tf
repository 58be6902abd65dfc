# The whole path on one page: two key pairs for a bastion login, the bastion told of them, a Postgres connection proven through it.
# `make demo` runs this against a real sshd and a real Postgres on this machine.

terraform {
  required_version = ">= 1.11" # write-only arguments
  required_providers {
    bastion = { source = "terraform.local/bastion/bastion" }
  }
}

# Key 1 is used, key 2 stands by. The private keys are kept in state only encrypted with the passphrase.
resource "bastion_ssh_tunnel_connection" "orders" {
  name      = "orders"
  host      = var.bastion.host
  port      = var.bastion.port
  user      = var.bastion.user
  host_keys = [var.bastion.host_key]

  key_pairs = {
    passphrase_wo         = var.passphrase
    passphrase_wo_version = 1
    rotation              = var.rotation
  }
}

# Both public keys of the login, each allowed to forward to the database only.
locals {
  key_file = "${var.bastion.key_folder}/${var.bastion.user}.pub"
  authorized_keys = join("\n", [
    for key in bastion_ssh_tunnel_connection.orders.public_keys :
    provider::bastion::authorized_key(key, ["${var.database.host}:${var.database.port}"])
  ])
}

# Tells the bastion. Here that is a file in a folder that the bastion copies from every now and then, as a bastion that syncs its
# keys from a bucket does.
resource "terraform_data" "authorized_keys" {
  triggers_replace = [local.key_file, local.authorized_keys]

  provisioner "local-exec" {
    command = "printf '%s\\n' \"$KEYS\" > \"$FILE.new\" && mv \"$FILE.new\" \"$FILE\""
    environment = {
      FILE = local.key_file
      KEYS = local.authorized_keys
    }
  }
}

# Takes the login away again, at destroy.
resource "terraform_data" "login" {
  input            = local.key_file
  triggers_replace = local.key_file

  provisioner "local-exec" {
    when    = destroy
    command = "rm -f '${self.output}'"
  }
}

# Proven in its apply step: through the tunnel, with TLS verified against the database's own name, up to the last table.
resource "bastion_postgres_connection" "orders" {
  name                = "orders"
  host                = var.database.host # as the bastion sees it
  port                = var.database.port
  user                = var.database.user
  password_wo         = var.password
  password_wo_version = 1
  database            = var.database.name
  sslmode             = "verify-full"
  sslrootcert         = var.database.ca

  ssh_tunnel        = bastion_ssh_tunnel_connection.orders.tunnel
  ssh_passphrase_wo = var.passphrase

  verify = {
    timeout     = "2m"
    replication = true
    publication = "mz_source"
    tables      = ["public.orders"]
  }

  triggers = { keys = terraform_data.authorized_keys.id }
}

output "path" {
  description = "The path, stage by stage, as it was proven."
  value       = [for hop in bastion_postgres_connection.orders.path : format("%-13s %-8s %s", hop.stage, hop.status, hop.note)]
}

output "server_version" {
  value = bastion_postgres_connection.orders.server_version
}

output "fingerprints" {
  description = "The key in use, and the one that stands by."
  value       = [bastion_ssh_tunnel_connection.orders.fingerprint_1, bastion_ssh_tunnel_connection.orders.fingerprint_2]
}
