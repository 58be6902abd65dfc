variable "aws" {
  description = "Where the bastion's bucket and security group are."
  type = object({
    region   = string
    endpoint = optional(string) # instead of Amazon's own
  })
}

variable "bastion" {
  description = "The SSH bastion, the bucket it takes keys from, and the security group in front of it."
  type = object({
    host              = string
    port              = optional(number, 22)
    user              = string
    host_key          = string
    bucket            = string
    kms_key_arn       = optional(string)
    security_group_id = string
    key_sync_peers    = set(string) # how it reaches S3: `pl-…`, an address or a CIDR
  })
}

variable "database" {
  description = "The private Postgres, as the bastion sees it."
  type = object({
    host  = string
    port  = optional(number, 5432)
    user  = string
    name  = string
    ca    = string      # PEM
    peers = set(string) # where it is: `subnet-…`, `sg-…`, an address or a CIDR
  })
}

variable "egress_addresses" {
  description = "The addresses that the data system comes from."
  type        = set(string)
}

variable "password" {
  description = "The role's password. Never stored."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "passphrase" {
  description = "Encrypts the private keys in state. Never stored."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "rotation" {
  description = "Raise it to rotate the keys."
  type        = number
  default     = 1
}
