//! What can be written in a `bastion_security_group_rules`.

use crate::tfplugin::schema::{Attribute, Schema, Type, map_of, nested_map, number, set_of, string};

pub(super) fn schema() -> Schema {
    let held = Type::object([("peer", Type::String), ("rule_id", Type::String), ("owned", Type::Bool)]);
    Schema::new(
        "Named rules of one security group. New rules are there before old ones go, in one call each, so a change of addresses never locks \
         anybody out. Only rules that this resource made are ever changed or removed: each is tagged as it is made (`managed-by`, \
         `bastion-owner`, `Name`). A rule of somebody else's with the same protocol, ports and peer is used as it is. Several resources may \
         share a group; inline rules of an `aws_security_group` may not, because they remove all others.",
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
            Attribute::computed("owner", string(), "The value of `bastion-owner` on the rules of this resource."),
            Attribute::computed(
                "rules",
                map_of(Type::list(held)),
                "The rules that serve each entry, by `ingress/NAME` or `egress/NAME`: `peer` as EC2 holds it, `rule_id`, and `owned`, which is \
                 false for a rule of somebody else's.",
            ),
        ],
    )
}

fn rule() -> Vec<Attribute> {
    vec![
        Attribute::required(
            "peers",
            set_of(Type::String),
            "The other ends, in any order: an IP address (the same as its /32 or /128), a CIDR block, a security group `sg-…`, a managed prefix \
             list `pl-…`, or a subnet `subnet-…`, which stands for its CIDR blocks.",
        ),
        Attribute::optional("port", number(), "One port, 0 to 65535."),
        Attribute::optional("from_port", number(), "The first port of a range; for ICMP, the type, -1 for any."),
        Attribute::optional("to_port", number(), "The last port of a range; for ICMP, the code, -1 for any."),
        Attribute::optional(
            "protocol",
            string(),
            "`tcp`, `udp`, `icmp`, `icmpv6`, `all` or a number, in any case. Default `tcp`. `all`, and any but the first four, has no ports.",
        ),
        Attribute::optional("description", string(), "Put on each rule. At most 255 of the letters, digits and signs that EC2 takes."),
    ]
}
