terraform {
  required_version = ">= 1.11" # write-only arguments
  required_providers {
    bastion = { source = "terraform.local/bastion/bastion" }
  }
}

# Who uses no bucket and no security group needs no `aws`. Whatever is left out of it, the standard chain of the AWS SDKs decides.
provider "bastion" {
  aws = {
    region       = "us-west-2"
    default_tags = { team = "data" }
  }
}
