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

# Both keys of the login in one object, each allowed to forward to the database only.
resource "bastion_authorized_keys" "neosync" {
  bucket      = "my-bastion"
  user        = bastion_ssh_tunnel_connection.neosync.user
  public_keys = bastion_ssh_tunnel_connection.neosync.public_keys
  permit_open = ["orders.abc.us-west-2.rds.amazonaws.com:5432"]
}
