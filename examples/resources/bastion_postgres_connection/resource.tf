variable "pg_password" {
  type      = string
  sensitive = true
  ephemeral = true
}

variable "passphrase" {
  type      = string
  sensitive = true
  ephemeral = true
}

resource "bastion_ssh_tunnel_connection" "neosync" {
  name      = "neosync"
  host      = "bastion.example.com"
  user      = "neosync"
  host_keys = [file("bastion_host_key.pub")]
  key_pairs = { passphrase_wo = var.passphrase, passphrase_wo_version = 1 }
}

# Proven in its apply step, before it counts as created.
resource "bastion_postgres_connection" "orders" {
  name                = "orders"
  host                = "orders.abc.us-west-2.rds.amazonaws.com" # as the bastion sees it
  user                = "neosync"
  password_wo         = var.pg_password
  password_wo_version = 1
  database            = "orders"
  sslmode             = "verify-full"
  sslrootcert         = file("rds-ca.pem")

  ssh_tunnel        = bastion_ssh_tunnel_connection.neosync.tunnel
  ssh_passphrase_wo = var.passphrase

  verify = {
    timeout     = "10m" # a bastion that syncs its keys takes up to 5 minutes
    replication = true
    publication = "mz_source"
    tables      = ["public.orders"]
  }
}
