# The path from Neosync through a Guimove bastion to a private Postgres: what the guide does by hand, in one apply, and proven.

terraform {
  required_version = ">= 1.11" # write-only arguments
  required_providers {
    bastion = { source = "terraform.local/bastion/bastion" }
  }
}

# Two key pairs for the login. Neosync gets key 1, key 2 stands by: raising `rotation` promotes it.
resource "bastion_ssh_tunnel_connection" "neosync" {
  name      = "neosync"
  host      = var.bastion.host
  port      = var.bastion.port
  user      = var.user
  host_keys = var.bastion.host_keys

  key_pairs = {
    passphrase_wo         = var.passphrase
    passphrase_wo_version = var.passphrase_version
    rotation              = var.rotation
  }
}

# Both public keys in one object, where the bastion's sync job looks: no leading slash, no second object for the second key.
resource "bastion_authorized_keys" "neosync" {
  bucket      = var.bastion.bucket
  kms_key_id  = var.bastion.kms_key_arn
  user        = bastion_ssh_tunnel_connection.neosync.user
  public_keys = bastion_ssh_tunnel_connection.neosync.public_keys
  permit_open = ["${var.database.host}:${var.database.port}"]
  owner       = var.owner
}

# Open for Neosync's addresses and for the balancer's health checks, and to the database and S3: without S3 no key ever arrives.
resource "bastion_security_group_rules" "bastion" {
  security_group_id = var.bastion.security_group_id
  owner             = var.owner

  ingress = merge(
    { neosync = { port = var.bastion.port, peers = var.egress_addresses, description = "Neosync" } },
    length(var.bastion.balancer_subnets) == 0 ? {} : {
      health = { port = var.bastion.port, peers = var.bastion.balancer_subnets, description = "health checks of the balancer" }
    },
    length(var.terraform_addresses) == 0 ? {} : {
      terraform = { port = var.bastion.port, peers = var.terraform_addresses, description = "where Terraform proves the path" }
    },
  )

  egress = {
    postgres = { port = var.database.port, peers = var.database.peers, description = "the database" }
    key_sync = { port = 443, peers = var.bastion.key_sync_peers, description = "keys from S3" }
  }
}

# Proven before it counts as made. The first time that takes until the bastion has synced, up to five minutes.
resource "bastion_postgres_connection" "database" {
  name                = var.database.name
  host                = var.database.host
  port                = var.database.port
  user                = var.database.user
  password_wo         = var.password
  password_wo_version = var.password_version
  database            = var.database.name
  sslmode             = var.database.ca == null ? "require" : "verify-full"
  sslrootcert         = var.database.ca

  ssh_tunnel        = bastion_ssh_tunnel_connection.neosync.tunnel
  ssh_passphrase_wo = var.passphrase

  verify     = { timeout = var.timeout, tables = var.tables }
  keys       = bastion_authorized_keys.neosync.version
  depends_on = [bastion_security_group_rules.bastion]
}
