//! The `tunnel` object that a tunnel resource computes and a connection takes as `ssh_tunnel`.

use std::collections::BTreeSet;

use super::admit::{self, AdmitModel};
use crate::key::HostKeys;
use crate::path::route::{Address, Hop, Host, Port};
use crate::secret::Secret;
use crate::ssh::known_hosts;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::{self, Diagnostics};
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::{Attribute, Type, boolean, nested_single, number, set_of, string};

model! {
    /// One bastion login: where, who, which host keys, which private key.
    pub struct TunnelModel {
        /// What it is called.
        pub name: Attr<String>,
        /// The bastion.
        pub host: Attr<String>,
        /// sshd's port.
        pub port: Attr<i64>,
        /// The login.
        pub user: Attr<String>,
        /// Pinned host keys.
        pub host_keys: Attr<BTreeSet<Attr<String>>>,
        /// Take any host key.
        pub insecure_ignore_host_key: Attr<bool>,
        /// Lets this machine in.
        pub admit: Attr<AdmitModel>,
        /// OpenSSH format, encrypted unless plain text was asked for; absent where the key was supplied.
        pub private_key: Attr<Secret<String>>,
    }
}

/// The object's attributes, for a schema in which users write it.
pub(super) fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::optional("name", string(), "What the tunnel is called."),
        Attribute::optional(
            "host",
            string(),
            "The bastion, as the machine that runs Terraform sees it. Needed; a tunnel that was made without it gets it here, by `merge`.",
        ),
        Attribute::optional("port", number(), "sshd's port. Default `22`."),
        Attribute::required("user", string(), "The login on the bastion."),
        Attribute::optional(
            "host_keys",
            set_of(Type::String),
            "The bastion's host keys: `type base64 [comment]` or known_hosts lines. Any of them is accepted, nothing else.",
        ),
        Attribute::optional("insecure_ignore_host_key", boolean(), "Accept any host key. Whoever sits in between is not noticed."),
        admit::attribute(),
        Attribute::optional("private_key", string(), "The private key in OpenSSH format, best encrypted.").sensitive(),
    ]
}

/// The object, for a schema in which the provider computes it. The private key alone is hidden on screen.
pub(super) fn computed(description: &'static str) -> Attribute {
    Attribute::optional("tunnel", nested_single(attributes()), description).into_computed()
}

/// What is to be thought of how the bastion is trusted.
pub(super) fn validate(tunnel: &TunnelModel, at: &AttributePath) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    if tunnel.insecure_ignore_host_key.known() == Some(&true) {
        diagnostics.warning(
            at.clone().attribute("insecure_ignore_host_key"),
            "The bastion's host key is not checked",
            "Whoever can answer at the bastion's address can read what passes, once TLS to the database is not verified either. Pin the key with `host_keys`.",
        );
    }
    diagnostics
}

/// Judges the bastion part of a configuration; values that are not known yet are not judged.
pub(super) fn judge(tunnel: &TunnelModel, at: &AttributePath) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    parse(tunnel, at, &mut diagnostics);
    admit::judge(&tunnel.admit, &at.clone().attribute("admit"), &mut diagnostics);
    diagnostics
}

/// The bastion, if all of it is known and right; what is wrong is added to the diagnostics.
pub(super) fn parse(tunnel: &TunnelModel, at: &AttributePath, diagnostics: &mut Diagnostics) -> Option<Hop> {
    if tunnel.host.is_null() {
        let detail = "The tunnel was made without its `host`. Add it where the tunnel is used: \
                      `merge(bastion_ssh_tunnel_connection.bastion.tunnel, { host = …, host_keys = […] })`.";
        diagnostics.error(at.clone().attribute("host"), "The tunnel has no bastion", detail);
        return None;
    }
    let before = diagnostics.iter().count();
    let host = host(&tunnel.host, &at.clone().attribute("host"), diagnostics);
    let port = port(&tunnel.port, Port::SSH, &at.clone().attribute("port"), diagnostics);
    let user_at = at.clone().attribute("user");
    let user = tunnel.user.known().cloned();
    if let Some(user) = &user
        && (user.is_empty() || user.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@' || c == ':'))
    {
        diagnostics.error(user_at, "The user is not a login name", "A login name is not empty and has no blanks, no `@` and no `:`.");
    }
    let host_keys = host_keys(tunnel, host.as_ref(), port, at, diagnostics);
    if diagnostics.iter().count() > before {
        return None;
    }
    Some(Hop::new(Address::new(host?, port?), user?, host_keys?))
}

fn host_keys(
    tunnel: &TunnelModel,
    host: Option<&Host>,
    port: Option<Port>,
    at: &AttributePath,
    diagnostics: &mut Diagnostics,
) -> Option<HostKeys> {
    let keys_at = at.clone().attribute("host_keys");
    let ignore = match &tunnel.insecure_ignore_host_key {
        Attr::Unknown => return None,
        Attr::Null => false,
        Attr::Known(ignore) => *ignore,
    };
    match (&tunnel.host_keys, ignore) {
        (Attr::Unknown, _) => None,
        (Attr::Null, true) => Some(HostKeys::Any),
        (Attr::Null, false) => {
            diagnostics.error(
                keys_at,
                "No host key is pinned for the bastion",
                "Without a pinned host key nobody can tell the bastion from somebody in between. Set `host_keys` to its public host key, read on the bastion itself (/etc/ssh/ssh_host_ed25519_key.pub).",
            );
            None
        }
        (Attr::Known(_), true) => {
            diagnostics.error(
                at.clone().attribute("insecure_ignore_host_key"),
                "Host keys are both pinned and ignored",
                "Give `host_keys`, or `insecure_ignore_host_key = true`, not both.",
            );
            None
        }
        (Attr::Known(texts), false) => {
            if texts.iter().any(Attr::is_null) {
                diagnostics.error(keys_at, "A host key is null", "Each host key is a text: `type base64 [comment]` or known_hosts lines.");
                return None;
            }
            let texts: Vec<_> = texts.iter().map(|text| text.known().map(String::as_str)).collect::<Option<_>>()?;
            match known_hosts::from_texts(&texts, host?, port?) {
                Ok(keys) => Some(keys),
                Err(error) => {
                    diagnostics.error(keys_at, "A host key cannot be used", sentence(&error));
                    None
                }
            }
        }
    }
}

/// A host argument.
pub(super) fn host(value: &Attr<String>, at: &AttributePath, diagnostics: &mut Diagnostics) -> Option<Host> {
    match value.known()?.parse() {
        Ok(host) => Some(host),
        Err(error) => {
            let error: crate::path::route::HostError = error;
            diagnostics.error(at.clone(), "The host is not a host name", sentence(&error));
            None
        }
    }
}

/// A port argument with its default.
pub(super) fn port(value: &Attr<i64>, default: Port, at: &AttributePath, diagnostics: &mut Diagnostics) -> Option<Port> {
    match value {
        Attr::Null => Some(default),
        Attr::Unknown => None,
        Attr::Known(number) => match Port::try_from(*number) {
            Ok(port) => Some(port),
            Err(error) => {
                diagnostics.error(at.clone(), "The port is out of range", format!("{} It is {number} here.", sentence(&error)));
                None
            }
        },
    }
}

/// What an error says, as a sentence.
pub(super) fn sentence(error: &dyn std::error::Error) -> String {
    diagnostic::sentence(&error.to_string())
}
