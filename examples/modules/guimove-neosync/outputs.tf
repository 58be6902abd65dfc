output "tunnel" {
  description = "What Neosync's connection form asks for: host, port, user, host keys, and the private key, encrypted with the passphrase."
  value       = bastion_ssh_tunnel_connection.neosync.tunnel
  sensitive   = true
}

output "fingerprints" {
  description = "The key in use, and the one that stands by."
  value       = [bastion_ssh_tunnel_connection.neosync.fingerprint_1, bastion_ssh_tunnel_connection.neosync.fingerprint_2]
}

output "path" {
  description = "The path, stage by stage, as it was proven."
  value       = [for hop in bastion_postgres_connection.database.path : format("%-13s %-8s %s", hop.stage, hop.status, hop.note)]
}
