# 54.69.79.83/32: firewalls take no bare address.
output "egress" {
  value = [for address in ["54.69.79.83", "44.235.108.235"] : provider::bastion::cidr(address)]
}
