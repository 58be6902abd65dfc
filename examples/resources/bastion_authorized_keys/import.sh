# The id is bucket/key.
terraform import bastion_authorized_keys.neosync my-bastion/public-keys/neosync.pub
