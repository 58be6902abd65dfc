variable "passphrase" {
  type      = string
  sensitive = true
  ephemeral = true
}

# Two key pairs for one login. Key 1 is used, key 2 stands by; raising `rotation` promotes key 2.
resource "bastion_ssh_tunnel_connection" "neosync" {
  name      = "neosync"
  host      = "bastion.example.com"
  user      = "neosync"
  host_keys = [file("bastion_host_key.pub")]

  key_pairs = {
    passphrase_wo         = var.passphrase
    passphrase_wo_version = 1
    rotation              = 1
  }

  # The machine that runs Terraform is let in while it walks the path, and only then.
  admit = { security_group_id = "sg-0123456789abcdef0" }
}

# What the bastion has to accept, one line each.
output "public_keys" {
  value = bastion_ssh_tunnel_connection.neosync.public_keys
}

# A key of your own instead of generated ones. It is never kept.
variable "private_key" {
  type      = string
  sensitive = true
  ephemeral = true
}

resource "bastion_ssh_tunnel_connection" "supplied" {
  name      = "supplied"
  host      = "bastion.example.com"
  user      = "neosync"
  host_keys = [file("bastion_host_key.pub")]

  supplied_key = {
    private_key_wo         = var.private_key
    private_key_wo_version = 1
  }
}
