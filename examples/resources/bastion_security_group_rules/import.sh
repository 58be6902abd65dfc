# By the group's id, and an owner's name where the group holds rules of several owners. Rules that bear a mark are taken over under the names that
# they were made with, as far as the tag `Name` tells. Of a group without any mark, all ingress rules are taken over, under names such as tcp-22.
terraform import bastion_security_group_rules.bastion sg-0123456789abcdef0
terraform import bastion_security_group_rules.bastion sg-0123456789abcdef0/neosync/prod
