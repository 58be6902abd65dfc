variable "passphrase" {
  type      = string
  sensitive = true
  ephemeral = true
}

resource "bastion_ssh_tunnel_connection" "bastion" {
  name      = "bastion"
  host      = "bastion.example.com"
  user      = "neosync"
  host_keys = [file("bastion_host_key.pub")]

  key_pairs = {
    passphrase_wo         = var.passphrase
    passphrase_wo_version = 1
  }
}

# The tunnel's key for a provider that takes no passphrase.
ephemeral "bastion_private_key" "bastion" {
  private_key = bastion_ssh_tunnel_connection.bastion.private_key
  passphrase  = var.passphrase
}

# Write-only arguments and provider blocks can use it:
#
#   private_key = ephemeral.bastion_private_key.bastion.private_key_openssh
