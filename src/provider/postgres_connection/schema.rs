//! What can be written in a `bastion_postgres_connection`.

use crate::provider::keys;
use crate::provider::postgres_path::schema as path;
use crate::provider::walk::Hop;
use crate::tfplugin::schema::{Attribute, Schema, Type, boolean, map_of, nested_single, number, string};

pub(super) fn schema() -> Schema {
    let mut attributes = vec![Attribute::required("name", string(), "What the connection is called.")];
    attributes.extend(path::server());
    attributes.push(path::ssh_tunnel());
    attributes.push(keys::attribute());
    attributes.extend(secrets());
    attributes.push(Attribute::optional("verify", nested_single(verify()), "What to prove, and how patiently."));
    attributes.push(Attribute::optional(
        "triggers",
        map_of(Type::String),
        "Any change proves the connection again: for example the ETag of the bastion's key object.",
    ));
    attributes.extend(computed());
    Schema {
        version: 0,
        description: "A Postgres connection, through an SSH bastion or direct, that is proven in its apply step before it counts as made: \
            stage by stage, with the stage that failed, what was heard, and what to change. A failed check leaves nothing behind: \
            create makes nothing, update keeps the old state.",
        attributes,
    }
}

fn secrets() -> Vec<Attribute> {
    let secret = |name, description| Attribute::optional(name, string(), description).sensitive().write_only();
    vec![
        secret("password_wo", "The role's password. Write-only: needs Terraform 1.11."),
        Attribute::optional("password_wo_version", number(), "Raise it with a new password, so that it is proven."),
        secret("sslkey_wo", "The client certificate's private key, in PEM. Write-only: needs Terraform 1.11."),
        secret("ssh_passphrase_wo", "Opens the tunnel's private key. Write-only: needs Terraform 1.11."),
        secret(
            "ssh_private_key_wo",
            "The tunnel's private key, where it was supplied and so is not in the tunnel object. Write-only: needs Terraform 1.11.",
        ),
    ]
}

fn verify() -> Vec<Attribute> {
    let mut attributes = vec![
        Attribute::optional("enabled", boolean(), "Whether to prove the connection at all. Default `true`."),
        Attribute::optional(
            "timeout",
            string(),
            "Bounds the whole check, and extends its waits: what may come into being by itself is waited for until then, instead of a minute \
             for a name, a port or a machine and six for a key. Default `10m`, with those waits.",
        ),
    ];
    attributes.push(path::wait());
    attributes.extend(path::readiness());
    attributes
}

fn computed() -> Vec<Attribute> {
    vec![
        Attribute::computed("id", string(), "The connection as a URL without secrets; what `terraform import` takes."),
        Attribute::computed("server_version", string(), "The server's version, such as `15.18`; null when `verify.enabled` is false."),
        Attribute::computed(
            "path",
            Hop::list(),
            "The stages as they were proven, in order: `stage`, `hop` (where that leg of the path leads), `status` (`passed` or `skipped`), `note`. Never a time, so that plans stay empty.",
        ),
    ]
}
