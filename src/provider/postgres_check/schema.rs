//! What can be written in a `data "bastion_postgres_check"`, and what comes of it.

use crate::provider::keys;
use crate::provider::postgres_path::schema as path;
use crate::provider::walk::Hop;
use crate::tfplugin::schema::{Attribute, Schema, Type, boolean, list_of, nested_single, string};

pub(super) fn schema() -> Schema {
    let mut attributes = path::server();
    attributes.push(path::ssh_tunnel());
    attributes.push(keys::attribute());
    attributes.extend(secrets());
    attributes.push(Attribute::optional("verify", nested_single(verify()), "What else to prove, and how patiently."));
    attributes.extend(computed());
    Schema::new(
        "Whether the path to a Postgres holds now, for `check` blocks: the same walk as in a `bastion_postgres_connection`, made at every plan. \
            A path that fails is a result, not an error; arguments that cannot be right are errors.\n\n\
            Terraform has no write-only arguments for data sources, so an ephemeral value cannot be given here. This data source keeps none \
            of its secrets in state: `password`, `sslkey`, `ssh_passphrase`, `ssh_private_key` and the tunnel's `private_key` are null in what it \
            gives back. A saved plan holds the variables that they came from, as every saved plan does.",
        attributes,
    )
}

fn secrets() -> Vec<Attribute> {
    let secret = |name, description| Attribute::optional(name, string(), description).sensitive();
    vec![
        secret("password", "The role's password."),
        secret("sslkey", "The client certificate's private key, in PEM."),
        secret("ssh_passphrase", "Opens the tunnel's private key."),
        secret("ssh_private_key", "The tunnel's private key, where it was supplied and so is not in the tunnel object."),
    ]
}

fn verify() -> Vec<Attribute> {
    let mut attributes = vec![Attribute::optional(
        "timeout",
        string(),
        "Bounds the whole check, and extends its waits. Default `1m`: it asks whether the path holds now, and waits for no key that has not \
         reached the bastion.",
    )];
    attributes.push(path::wait());
    attributes.extend(path::readiness());
    attributes
}

fn computed() -> Vec<Attribute> {
    vec![
        Attribute::computed("ok", boolean(), "Whether every stage held."),
        Attribute::computed("failed_stage", string(), "The stage at which the path broke, such as `authenticate`; null if it holds."),
        Attribute::computed(
            "code",
            string(),
            "What is wrong, to be compared and searched for, such as `forward/prohibited`; null if nothing is.",
        ),
        Attribute::computed("summary", string(), "What is wrong, in one line; that the path is proven, if it is."),
        Attribute::computed("means", string(), "What that means; null if the path holds, and empty where `summary` says all."),
        Attribute::computed(
            "heard",
            string(),
            "The words of whoever refused, as they came; null if the path holds, and empty after silence.",
        ),
        Attribute::computed(
            "report",
            string(),
            "All of it as a connection's error shows it, with the path drawn: made for the `error_message` of an assertion.",
        ),
        Attribute::computed("remedies", list_of(Type::String), "What to change, the likeliest first; empty if nothing."),
        Attribute::computed(
            "path",
            Hop::list(),
            "The stages in order, up to the one that failed: `stage`, `hop` (where that leg of the path leads), `status` (`passed`, `skipped` or `failed`), `note`.",
        ),
        Attribute::computed("server_version", string(), "The server's version, such as `15.18`; null if the path does not hold."),
    ]
}
