# The whole path on one page: two key pairs for a bastion login, both public keys in the bastion's bucket, its security group opened, and a
# Postgres connection proven through it. `make demo` runs this against real parts on this machine, and a double of AWS.

terraform {
  required_version = ">= 1.11" # write-only arguments
  required_providers {
    bastion = { source = "terraform.local/bastion/bastion" }
  }
}

# Credentials come from the standard chain: environment, profiles, SSO, instance metadata.
provider "bastion" {
  aws = {
    region    = var.aws.region
    endpoints = var.aws.endpoint == null ? null : { ec2 = var.aws.endpoint, s3 = var.aws.endpoint, sts = var.aws.endpoint }
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

# Both public keys of the login in one object of the bucket that the bastion copies from, each allowed to forward to the database only.
resource "bastion_authorized_keys" "orders" {
  bucket      = var.bastion.bucket
  kms_key_id  = var.bastion.kms_key_arn
  user        = bastion_ssh_tunnel_connection.orders.user
  public_keys = bastion_ssh_tunnel_connection.orders.public_keys
  permit_open = ["${var.database.host}:${var.database.port}"]
}

# Open for the addresses that the data system comes from, and to the database and S3: without S3 no key ever arrives.
resource "bastion_security_group_rules" "bastion" {
  security_group_id = var.bastion.security_group_id

  ingress = {
    orders = { port = var.bastion.port, peers = var.egress_addresses }
  }
  egress = {
    postgres = { port = var.database.port, peers = var.database.peers }
    key_sync = { port = 443, peers = var.bastion.key_sync_peers }
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

  keys       = bastion_authorized_keys.orders.version
  depends_on = [bastion_security_group_rules.bastion]
}

output "path" {
  description = "The path, stage by stage, as it was proven."
  value       = [for hop in bastion_postgres_connection.orders.path : format("%-13s %-8s %s", hop.stage, hop.status, hop.note)]
}

output "rules" {
  description = "The rules of the security group, by direction and name."
  value       = bastion_security_group_rules.bastion.rules
}

output "server_version" {
  value = bastion_postgres_connection.orders.server_version
}

output "fingerprints" {
  description = "The key in use, and the one that stands by."
  value       = [bastion_ssh_tunnel_connection.orders.fingerprint_1, bastion_ssh_tunnel_connection.orders.fingerprint_2]
}
