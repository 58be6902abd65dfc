variable "bastion" {
  description = "The SSH bastion and the login on it."
  type = object({
    host       = string
    port       = optional(number, 22)
    user       = string
    host_key   = string
    key_folder = string # where the bastion takes public keys from
  })
}

variable "database" {
  description = "The private Postgres, as the bastion sees it."
  type = object({
    host = string
    port = optional(number, 5432)
    user = string
    name = string
    ca   = string # PEM
  })
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
