variable "private_key" {
  type      = string
  sensitive = true
  ephemeral = true
}

# A port on this machine that leads to the database while Terraform runs.
ephemeral "bastion_ssh_tunnel" "db" {
  ssh_tunnel = {
    host      = "bastion.example.com"
    user      = "neosync"
    host_keys = [file("bastion_host_key.pub")]
  }

  private_key = var.private_key
  remote_host = "orders.abc.us-west-2.rds.amazonaws.com" # as the bastion sees it
}

# Any provider can use it:
#
#   provider "postgresql" {
#     host = ephemeral.bastion_ssh_tunnel.db.local_host
#     port = ephemeral.bastion_ssh_tunnel.db.local_port
#   }
