//! What Terraform wants: the resources.
