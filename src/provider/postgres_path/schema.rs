//! What can be written of a path to a Postgres, in every block that has one. Secrets are each block's own.

use crate::provider::tunnel;
use crate::tfplugin::schema::{Attribute, Type, boolean, nested_single, number, set_of, string};

/// The server, the role and TLS.
pub(in crate::provider) fn server() -> Vec<Attribute> {
    vec![
        Attribute::required(
            "host",
            string(),
            "The database server, as the bastion sees it. The certificate is verified against this name.",
        ),
        Attribute::optional_computed("port", number(), "Its port. Default `5432`."),
        Attribute::required("user", string(), "The role."),
        Attribute::required("database", string(), "The database."),
        Attribute::optional_computed(
            "sslmode",
            string(),
            "`disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`, each with the meaning that libpq gives it. Default `require`.",
        ),
        Attribute::optional(
            "sslrootcert",
            string(),
            "The authorities that may sign the server's certificate, in PEM; `system` for those of this machine. With it, `require` verifies the authority too, as in libpq.",
        ),
        Attribute::optional("sslcert", string(), "Client certificate, in PEM, with its chain."),
    ]
}

/// The way through a bastion.
pub(in crate::provider) fn ssh_tunnel() -> Attribute {
    Attribute::optional(
        "ssh_tunnel",
        nested_single(tunnel::attributes()),
        "The way through a bastion: `tunnel` of a `bastion_ssh_tunnel_connection`, or the same object written by hand. Absent: connect directly. The \
         bastion has to let the machine in that runs Terraform: by a rule of your own, or by `admit` in this object for the time of the walk.",
    )
}

/// How long what comes into being by itself is waited for.
pub(in crate::provider) fn wait() -> Attribute {
    let each = vec![
        Attribute::optional(
            "reach",
            string(),
            "A name without an address, a refused or silent port, a machine that the bastion does not reach.",
        ),
        Attribute::optional("key", string(), "A key that the bastion refuses, or an earlier version of its object."),
    ];
    Attribute::optional(
        "wait",
        nested_single(each),
        "How long what may come into being by itself is waited for, where `timeout` is too coarse.",
    )
}

/// What the database is to be ready for.
pub(in crate::provider) fn readiness() -> Vec<Attribute> {
    vec![
        Attribute::optional(
            "replication",
            boolean(),
            "Prove that logical replication can start: `wal_level`, WAL senders, a free replication slot, the role's right. Default `false`.",
        ),
        Attribute::optional("publication", string(), "Prove that this publication exists and, with `tables`, contains them."),
        Attribute::optional(
            "tables",
            set_of(Type::String),
            "Prove that the role may SELECT from each of these: `schema.table` or `table`.",
        ),
    ]
}
