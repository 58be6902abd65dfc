resource "bastion_ssh_tunnel_connection" "neosync" {
  name      = "neosync"
  host      = "bastion.example.com"
  user      = "neosync"
  host_keys = [file("bastion_host_key.pub")]
  key_pairs = { allow_plaintext_in_state = true }
}

# The bastion's authorized_keys: both keys of the login may forward to the database only.
output "authorized_keys" {
  value = join("\n", [
    for key in bastion_ssh_tunnel_connection.neosync.public_keys :
    provider::bastion::authorized_key(
      key,
      ["orders.abc.us-west-2.rds.amazonaws.com:5432"],
      { from = ["54.69.79.83", "44.235.108.235"], comment = "neosync" },
    )
  ])
}
