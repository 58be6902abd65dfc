# As `ssh-keygen -l` and sshd's log print it.
output "fingerprint" {
  value = provider::bastion::fingerprint(file("bastion_host_key.pub"))
}
