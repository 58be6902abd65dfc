terraform {
  required_version = ">= 1.11" # write-only arguments
  required_providers {
    bastion = { source = "terraform.local/bastion/bastion" }
  }
}

provider "bastion" {}
