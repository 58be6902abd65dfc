//! What can be written in a `bastion_security_group_rules`.

use crate::tfplugin::schema::{Attribute, Schema, Type, map_of, nested_map, number, set_of, string};

pub(super) fn schema() -> Schema {
    let held = Type::object([("peer", Type::String), ("rule_id", Type::String), ("owned", Type::Bool)]);
    Schema::new(
        "Named rules of one security group. New rules are there before old ones go, so a change of addresses never locks anybody out.\n\n\
         Each rule bears a mark for every resource that uses it: the tag `bastion-owner/OWNER`. A wanted rule that another resource has made \
         is shared, whatever state that one is in: a mark is added to it, and the last resource to leave a rule removes it. Description, ports \
         and other tags are changed only on rules that nobody else has marked. A rule without any mark is used as it is, and is neither \
         marked, changed nor removed. Creating a resource removes nothing. Several resources may share a group; inline rules of an \
         `aws_security_group` may not, because they remove all others.\n\n\
         Everything but `security_group_id` is changed in place. What an update removes goes at the end of the run, when every other resource \
         of the run that wants it has marked it. A destroy is done when Terraform says so: where Terraform destroys a resource before it creates \
         or updates the one that takes its rules over, they are gone in between. `moved`, or `create_before_destroy`, avoids that.",
        vec![
            Attribute::required(
                "security_group_id",
                string(),
                "The group, `sg-…`. Another group means a new resource; with `create_before_destroy` the new rules are made first.",
            ),
            Attribute::optional(
                "ingress",
                nested_map(rule()),
                "Who may come in, by name. 0.0.0.0/0 and ::/0 are taken, with a warning where port 22 is in reach.",
            ),
            Attribute::optional(
                "egress",
                nested_map(rule()),
                "Where the bastion may go, by name. Not managed at all if it is left out; if it is given, port 443 should be in it: a bastion \
                 that syncs its keys from S3 needs it.",
            ),
            Attribute::computed("id", string(), "The group's id."),
            Attribute::optional_computed(
                "owner",
                string(),
                "Whose the rules are: a stable name of 1 to 64 letters, digits and characters of `._/=+@-`, such as `neosync/prod`, unique among the resources \
                 of the group. Defaults to an id that is drawn when the resource is created. With a name, a resource that is created again, \
                 after its state was lost or its creation was interrupted, takes over all that its predecessor left. Changed in place.",
            ),
            Attribute::computed(
                "claim_id",
                string(),
                "Which of the owner's objects this is: the value of the tag `bastion-owner/OWNER`. Drawn when the resource is created.",
            ),
            Attribute::computed(
                "tags",
                map_of(Type::String),
                "The provider's `default_tags`, as the rules bear them that no other resource uses; and the `Name` of such a rule, while it is another \
                 than its entry's.",
            ),
            Attribute::computed(
                "rules",
                map_of(Type::list(held)),
                "The rules that serve each entry, by `ingress/NAME` or `egress/NAME`: `peer` as EC2 holds it, `rule_id`, and `owned`, which is \
                 false for a rule without a mark, which is somebody else's.",
            ),
        ],
    )
}

fn rule() -> Vec<Attribute> {
    vec![
        Attribute::required(
            "peers",
            set_of(Type::String),
            "The other ends, in any order: an IP address (the same as its /32 or /128), a CIDR block, a security group `sg-…`, one of another \
             account `123456789012/sg-…`, a managed prefix list `pl-…`, or a subnet `subnet-…`, which stands for its CIDR blocks.",
        ),
        Attribute::optional("port", number(), "One port, 0 to 65535."),
        Attribute::optional("from_port", number(), "The first port of a range; for ICMP, the type, -1 for any."),
        Attribute::optional("to_port", number(), "The last port of a range; for ICMP, the code, -1 for any."),
        Attribute::optional(
            "protocol",
            string(),
            "`tcp`, `udp`, `icmp`, `icmpv6`, `all` or a number, in any case. Default `tcp`. `all`, and any but the first four, has no ports.",
        ),
        Attribute::optional(
            "description",
            string(),
            "Put on each rule: at most 255 of the letters, digits and signs that EC2 takes. Defaults to the name of the entry.",
        ),
    ]
}
