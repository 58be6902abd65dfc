//! What can be written in a `bastion_ssh_tunnel_connection`.

use crate::provider::{admit, tunnel};
use crate::tfplugin::schema::{Attribute, Schema, Type, boolean, list_of, nested_single, number, set_of, string};

pub(super) fn schema() -> Schema {
    let mut attributes = arguments();
    attributes.extend(computed());
    Schema {
        version: 0,
        description: "The key pairs of one login on an SSH bastion. Key 1 is used, key 2 stands by: rotating promotes key 2. \
            This resource never talks to the network, and nothing replaces it: every argument is changed in place.",
        attributes,
    }
}

fn arguments() -> Vec<Attribute> {
    vec![
        Attribute::required("name", string(), "What the tunnel is called."),
        Attribute::optional(
            "host",
            string(),
            "The bastion, as the machine that runs Terraform sees it. Leave it out where the bastion comes after its keys, for instance because they \
             go into its user_data; whoever uses the tunnel adds it then: \
             `merge(bastion_ssh_tunnel_connection.bastion.tunnel, { host = aws_instance.bastion.public_ip })`, and `host_keys` likewise.",
        ),
        Attribute::optional_computed("port", number(), "sshd's port. Default `22`."),
        Attribute::required("user", string(), "The login on the bastion."),
        Attribute::optional(
            "host_keys",
            set_of(Type::String),
            "The bastion's host keys, pinned: `type base64 [comment]` or known_hosts lines. Any of them is accepted, nothing else. \
             One of `host_keys` and `insecure_ignore_host_key` is needed with `host`.",
        ),
        Attribute::optional(
            "insecure_ignore_host_key",
            boolean(),
            "Accept any host key. Whoever sits in between is not noticed; a warning says so at every plan.",
        ),
        admit::attribute(),
        Attribute::optional(
            "key_pairs",
            nested_single(key_pairs()),
            "Have two ed25519 key pairs generated. One of `key_pairs` and `supplied_key` is needed.",
        ),
        Attribute::optional("supplied_key", nested_single(supplied_key()), "Use a key of your own. It is never kept."),
    ]
}

fn key_pairs() -> Vec<Attribute> {
    vec![
        Attribute::optional(
            "passphrase_wo",
            string(),
            "The private keys are kept in state only encrypted with this passphrase (OpenSSH format). Write-only: needs Terraform 1.11.",
        )
        .sensitive()
        .write_only(),
        Attribute::optional(
            "passphrase_wo_version",
            number(),
            "Raise it with a new passphrase, and give the old one once as `previous_passphrase_wo`.",
        ),
        Attribute::optional(
            "previous_passphrase_wo",
            string(),
            "The passphrase that the keys in state are encrypted with, while it is being changed.",
        )
        .sensitive()
        .write_only(),
        Attribute::optional("allow_plaintext_in_state", boolean(), "Keep the private keys in state unencrypted, instead of a passphrase."),
        Attribute::optional(
            "rotation",
            number(),
            "Raise it to rotate: key 2 becomes key 1, a new key 2 is generated, nothing else changes. By however much it is raised, that is one \
             rotation. Default `1`.",
        ),
        Attribute::optional(
            "keep_previous",
            boolean(),
            "Whether a rotation keeps the key that it replaces authorised, as the third of `public_keys`, for systems that still log in with it. It \
             is given up when `keep_previous` is removed, or `retire` is raised; until then there is no other rotation. The guide on rotation is the runbook. Default `false`.",
        ),
        Attribute::optional(
            "retire",
            number(),
            "With `keep_previous`: raise it to the number of the last `rotation` to give up the key from before, in an apply of its own or \
             together with the next rotation. Keys of later rotations are kept again.",
        ),
    ]
}

fn supplied_key() -> Vec<Attribute> {
    vec![
        Attribute::required(
            "private_key_wo",
            string(),
            "ed25519, ECDSA, or RSA of at least 3072 bits; OpenSSH, PKCS#1, PKCS#8 or SEC1. Write-only: needs Terraform 1.11.",
        )
        .sensitive()
        .write_only(),
        Attribute::optional("private_key_wo_version", number(), "Raise it with a new key."),
        Attribute::optional("passphrase_wo", string(), "Opens the key, if it is encrypted.").sensitive().write_only(),
    ]
}

fn computed() -> Vec<Attribute> {
    vec![
        Attribute::computed("id", string(), "Made at creation, never changed."),
        Attribute::computed("public_key_1", string(), "The public key in use, `type base64`."),
        Attribute::computed("public_key_2", string(), "The public key that stands by; null with `supplied_key`."),
        Attribute::computed(
            "public_keys",
            list_of(Type::String),
            "All public keys of the login: what the bastion has to accept. The key in use, the one that stands by, and the previous one while it is \
             kept.",
        ),
        Attribute::computed("fingerprint_1", string(), "`SHA256:…` of key 1."),
        Attribute::computed("fingerprint_2", string(), "`SHA256:…` of key 2."),
        Attribute::computed(
            "previous_public_key",
            string(),
            "The public key from before the last rotation, while it is kept, else null. Its private half is not in state.",
        ),
        Attribute::computed(
            "previous_fingerprint",
            string(),
            "`SHA256:…` of that key: sshd's log shows it as long as a system logs in with it.",
        ),
        Attribute::computed(
            "phase",
            string(),
            "`previous kept` from a rotation with `keep_previous` until the previous key is given up, else `steady`; null with `supplied_key`.",
        ),
        Attribute::computed(
            "keys_version",
            string(),
            "The login and its standby key, made for `keys` of a connection, a check or a tunnel where no `bastion_authorized_keys` with a canary \
             is: a path then counts only once the bastion knows the key that the next rotation promotes. It does not tell whether a key was \
             given up, or what the lines permit. Null with `supplied_key`.",
        ),
        Attribute::computed(
            "private_key",
            string(),
            "The private key in use, in OpenSSH format, encrypted unless plain text was asked for; null with `supplied_key`.",
        )
        .sensitive(),
        Attribute::computed("private_key_2", string(), "The private key that stands by, kept as `private_key` is: a rotation promotes it.")
            .sensitive(),
        tunnel::computed("What `ssh_tunnel` of a connection takes. Its `private_key` alone is sensitive."),
    ]
}
