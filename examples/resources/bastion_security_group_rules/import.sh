# By the group's id. If rules of the group bear this provider's mark, only those are taken over, under the names they were made with as far as
# the tag `Name` tells; else all of them, under names such as tcp-22.
terraform import bastion_security_group_rules.bastion sg-0123456789abcdef0
