variable "security_group_id" {
  type        = string
  description = "The bastion's security group"
}

resource "bastion_security_group_rules" "bastion" {
  security_group_id = var.security_group_id
  owner             = "neosync/prod" # optional: finds its rules again if the state is lost

  ingress = {
    neosync = {
      port        = 22
      peers       = ["54.69.79.83", "44.235.108.235", "35.84.248.98"]
      description = "egress addresses of Neosync"
    }
    health_checks = { port = 22, peers = ["subnet-0a1b2c3d4e5f60718"] }
  }

  egress = {
    postgres = { port = 5432, peers = ["sg-0123456789abcdef0"] }
    key_sync = { port = 443, peers = ["pl-68a54001"] } # com.amazonaws.us-west-2.s3
  }
}
