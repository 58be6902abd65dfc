data "bastion_host_keys" "bastion" {
  host = "bastion.example.com"
}

# To be compared with what the bastion itself shows: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
output "fingerprints" {
  value = data.bastion_host_keys.bastion.fingerprints
}

# A bastion that presents another key than the pinned one was rebuilt, or is somebody else.
check "host_key" {
  assert {
    condition     = contains(data.bastion_host_keys.bastion.host_keys, regex("^\\S+ \\S+", file("bastion_host_key.pub")))
    error_message = "The bastion does not present the pinned host key."
  }
}
