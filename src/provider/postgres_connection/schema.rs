//! What can be written in a `bastion_postgres_connection`.

use crate::provider::tunnel;
use crate::tfplugin::schema::{Attribute, Schema, Shape, Type, boolean, map_of, nested_single, number, set_of, string};

pub(super) fn schema() -> Schema {
    let mut attributes = server();
    attributes.extend(way());
    attributes.extend(computed());
    Schema {
        version: 0,
        description: "A Postgres connection, through an SSH bastion or direct, that is proven in its apply step before it counts as made: \
            stage by stage, with the stage that failed, what was heard, and what to change. A failed check leaves nothing behind: \
            create makes nothing, update keeps the old state.",
        attributes,
    }
}

fn server() -> Vec<Attribute> {
    vec![
        Attribute::required("name", string(), "What the connection is called."),
        Attribute::required(
            "host",
            string(),
            "The database server, as the bastion sees it. The certificate is verified against this name.",
        ),
        Attribute::optional_computed("port", number(), "Its port. Default `5432`."),
        Attribute::required("user", string(), "The role."),
        Attribute::optional("password_wo", string(), "The role's password. Write-only: needs Terraform 1.11.").sensitive().write_only(),
        Attribute::optional("password_wo_version", number(), "Raise it with a new password, so that it is proven."),
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
        Attribute::optional("sslkey_wo", string(), "The client certificate's private key, in PEM. Write-only: needs Terraform 1.11.")
            .sensitive()
            .write_only(),
    ]
}

fn way() -> Vec<Attribute> {
    vec![
        Attribute::optional(
            "ssh_tunnel",
            nested_single(tunnel::attributes()),
            "The way through a bastion: `tunnel` of a `bastion_ssh_tunnel_connection`, or the same object written by hand. Absent: connect directly.",
        ),
        Attribute::optional("ssh_passphrase_wo", string(), "Opens the tunnel's private key. Write-only: needs Terraform 1.11.")
            .sensitive()
            .write_only(),
        Attribute::optional(
            "ssh_private_key_wo",
            string(),
            "The tunnel's private key, where it was supplied and so is not in the tunnel object. Write-only: needs Terraform 1.11.",
        )
        .sensitive()
        .write_only(),
        Attribute::optional("verify", nested_single(verify()), "What to prove, and how patiently."),
        Attribute::optional(
            "triggers",
            map_of(Type::String),
            "Any change proves the connection again: for example the ETag of the bastion's key object.",
        ),
    ]
}

fn verify() -> Vec<Attribute> {
    vec![
        Attribute::optional("enabled", boolean(), "Whether to prove the connection at all. Default `true`."),
        Attribute::optional(
            "timeout",
            string(),
            "Bounds the whole check, the wait for a key that has not reached the bastion yet included. Default `10m`.",
        ),
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

fn computed() -> Vec<Attribute> {
    let hop = [("stage", Type::String), ("status", Type::String), ("note", Type::String)];
    let hop = Type::Object(hop.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect());
    vec![
        Attribute::computed("id", string(), "The connection as a URL without secrets; what `terraform import` takes."),
        Attribute::computed("server_version", string(), "The server's version, such as `15.18`; null when `verify.enabled` is false."),
        Attribute::computed(
            "path",
            Shape::Type(Type::List(Box::new(hop))),
            "The stages as they were proven, in order: `stage`, `status` (`passed` or `skipped`), `note`. Never a time, so that plans stay empty.",
        ),
    ]
}
