//! What can be written in a `bastion_authorized_keys`.

use crate::tfplugin::schema::{Attribute, Schema, Type, boolean, set_of, string};

pub(super) fn schema() -> Schema {
    Schema {
        version: 0,
        description: "One object in the bucket of a bastion that syncs its logins from S3, as Guimove's module does: the whole authorized_keys \
            file of one login. The bastion copies it every few minutes, and deletes the login when the object is gone.\n\n\
            An object belongs to all who claim it, each with a comment line `# bastion-owner: OWNER CLAIM` at its top. Several resources, of \
            one state or of many, may claim the same login as long as they want the same lines; the last one to leave removes the object. \
            Other lines for a login that another owner claims are an error, unless `adopt` is set. Every change is made in place: a new \
            object is there before the old one is left.",
        attributes: [place(), lines(), computed()].concat(),
    }
}

/// Where the object is, and whose.
fn place() -> Vec<Attribute> {
    vec![
        Attribute::required("bucket", string(), "The bastion's bucket."),
        Attribute::required(
            "user",
            string(),
            "The login: lower-case letters, digits and hyphens, 32 at the most, none that the machine has itself. Whatever else the bastion would skip in silence.",
        ),
        Attribute::optional_computed("prefix", string(), "What stands before the login in the object's key. Default `public-keys/`."),
        Attribute::optional_computed(
            "kms_key_id",
            string(),
            "The KMS key to encrypt with: ARN, id or alias. Left out or removed, the bucket's own encryption applies, which the bastion can read.",
        ),
        Attribute::optional(
            "adopt",
            boolean(),
            "Take over an object that is there already and was not made by this provider, or that another owner claims with other lines. \
             Else that is an error.",
        ),
        Attribute::optional_computed(
            "owner",
            string(),
            "Whose the object is: a stable name, such as `neosync/prod`, of up to 64 letters, digits and `. _ / = + @ -`. With one, a resource \
             finds its object again after its state was lost or its run was killed, and a replacement made create-first may have other keys \
             than what it replaces; so no two may have the same. Defaults to one that is drawn and kept in state.",
        ),
        Attribute::optional_computed(
            "canary",
            boolean(),
            "Whether the text ends with one more line: a public key that is derived from the other lines and their place, whose private half \
             nobody has, with `restrict`. Whether sshd knows it tells whether the bastion works with this version of the object, and with \
             `keys = … .version` a connection is proven with no earlier one. Defaults to `true`; an object that an earlier release of this \
             provider wrote gets its canary with its next change.",
        ),
        Attribute::optional("expected_bucket_owner", string(), "The account that the bucket has to belong to, twelve digits."),
    ]
}

/// What stands in it.
fn lines() -> Vec<Attribute> {
    vec![
        Attribute::required(
            "public_keys",
            set_of(Type::String),
            "All public keys of the login, `type base64 [comment]`. Comments are dropped. A key that is given twice counts once.",
        ),
        Attribute::optional(
            "permit_open",
            set_of(Type::String),
            "Where the login may forward to, each `host:port` spelled as the connection spells it: sshd compares the text. Left out: \
             anywhere. An empty set: nowhere.",
        ),
        Attribute::optional(
            "from",
            set_of(Type::String),
            "Addresses that the login's clients come from, IP or CIDR, as the bastion sees them: sshd refuses the keys from anywhere else. A \
             machine that proves a connection with one of the keys is a client too. Host names, wildcards and negations are not taken. \
             Left out: from anywhere.",
        ),
        Attribute::optional(
            "expires",
            string(),
            "Until when sshd accepts the keys, in RFC 3339, such as `2030-01-31T12:00:00Z`: needs OpenSSH 7.7, and an older one (7.4 on Amazon \
             Linux 2) refuses the keys altogether. It is written in UTC and without a zone, which OpenSSH before 9.1 does not take, so a \
             bastion whose clock has another zone than UTC reads it in that one. Sessions that are open go on. Left out: for ever.",
        ),
        Attribute::optional("comment", string(), "What stands behind each key: one line of up to 255 characters."),
    ]
}

fn computed() -> Vec<Attribute> {
    vec![
        Attribute::computed("id", string(), "`bucket/key`, which an import takes."),
        Attribute::computed("key", string(), "The object's key, `public-keys/neosync.pub`."),
        Attribute::computed(
            "etag",
            string(),
            "Changes with every write of this resource, and with every change of the lines: made for `triggers` of a connection. Others who \
             claim the same lines do not change it.",
        ),
        Attribute::computed("version_id", string(), "The version that goes with `etag`, in a versioned bucket."),
        Attribute::computed(
            "authorized_keys",
            string(),
            "The lines of the object's text, without the claims. Null where it was changed and may not be read.",
        ),
        Attribute::computed(
            "version",
            string(),
            "The login and the canary of its lines, made for `keys` of a connection, a check or a tunnel. Known at plan where the lines are. \
             Null without a canary.",
        ),
        Attribute::computed("claim_id", string(), "This resource's claim, drawn when it is created."),
    ]
}
