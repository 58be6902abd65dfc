variable "bastion" {
  description = "The bastion that Guimove/bastion/aws made."
  type = object({
    host              = string                               # module.bastion.elb_ip
    port              = optional(number, 22)                 # public_ssh_port
    host_keys         = set(string)                          # read on the bastion itself
    bucket            = string                               # module.bastion.bucket_name
    kms_key_arn       = optional(string)                     # module.bastion.bucket_kms_key_arn
    security_group_id = string                               # bastion_security_group_id, your own group
    balancer_subnets  = optional(set(string), [])            # elb_subnets: `subnet-…` or CIDRs
    key_sync_peers    = optional(set(string), ["0.0.0.0/0"]) # S3: better the prefix list of com.amazonaws.<region>.s3, `pl-…`
  })
}

variable "database" {
  description = "The private Postgres, as the bastion sees it."
  type = object({
    host  = string
    port  = optional(number, 5432)
    user  = string
    name  = string
    ca    = optional(string) # PEM
    peers = set(string)      # where it is: `subnet-…`, `sg-…` or CIDRs
  })
}

variable "user" {
  description = "The login on the bastion: lower-case letters, digits and hyphens."
  type        = string
  default     = "neosync"
}

variable "egress_addresses" {
  description = "From where Neosync connects. Addresses or CIDRs."
  type        = set(string)
}

variable "terraform_addresses" {
  description = "From where Terraform proves the path, if the bastion is not open to that already. Addresses or CIDRs."
  type        = set(string)
  default     = []
}

variable "tables" {
  description = "Tables that Neosync has to be able to read, as `schema.table`."
  type        = set(string)
  default     = []
}

variable "timeout" {
  description = "Bounds the proof. The bastion syncs its keys every five minutes."
  type        = string
  default     = "10m"
}

variable "passphrase" {
  description = "Encrypts the private keys in state. Never stored."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "passphrase_version" {
  description = "Raise it with a new passphrase."
  type        = number
  default     = 1
}

variable "password" {
  description = "The role's password. Never stored."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "password_version" {
  description = "Raise it with a new password."
  type        = number
  default     = 1
}

variable "rotation" {
  description = "Raise it to rotate the keys."
  type        = number
  default     = 1
}

variable "owner" {
  description = "Whose the key object and the rules are, such as neosync/prod: another name for each use of this module. A run that was killed is then taken up by the next one, whatever has changed meanwhile. Left out, an owner is drawn."
  type        = string
  default     = null
}
