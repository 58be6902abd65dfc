//! What Terraform wants: the provider's configuration and its resources, one file each.

mod admit;
#[cfg(feature = "aws")]
mod authorized_keys;
#[cfg(feature = "aws")]
mod aws;
mod config;
mod functions;
mod host_keys;
mod keyring;
mod keys;
mod postgres_check;
mod postgres_connection;
mod postgres_path;
mod private_key;
mod recent;
#[cfg(feature = "aws")]
mod security_group_rules;
mod ssh_tunnel;
mod ssh_tunnel_connection;
mod tunnel;
mod tunnel_key;
mod walk;

use std::sync::Arc;

use self::keyring::Keyring;
use self::recent::Recent;
use crate::check::Sessions;
use crate::path::diagnosis::Diagnosis;
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::erased::Registry;

/// What all resources of one provider process share.
#[derive(Clone, Default)]
struct Shared {
    sessions: Sessions,
    keyring: Arc<Keyring>,
    recent: Arc<Recent>,
    #[cfg(feature = "aws")]
    aws: aws::Configured,
}

/// Everything this provider offers.
#[must_use]
pub fn registry() -> Registry {
    let shared = Shared::default();
    let registry = Registry::new(config::Config::new(&shared))
        .resource(ssh_tunnel_connection::SshTunnelConnection::new(&shared))
        .resource(postgres_connection::PostgresConnection::new(&shared))
        .data_source(postgres_check::PostgresCheck::new(&shared))
        .data_source(host_keys::HostKeys::new(&shared))
        .ephemeral(ssh_tunnel::SshTunnel::new(&shared))
        .ephemeral(private_key::DecryptedKey::new(&shared))
        .function(functions::AuthorizedKey)
        .function(functions::Cidr)
        .function(functions::Fingerprint);
    with_aws(registry, &shared)
}

#[cfg(feature = "aws")]
fn with_aws(registry: Registry, shared: &Shared) -> Registry {
    registry.resource(authorized_keys::AuthorizedKeysResource::new(shared)).resource(security_group_rules::SecurityGroupRules::new(shared))
}

#[cfg(not(feature = "aws"))]
fn with_aws(registry: Registry, _shared: &Shared) -> Registry {
    registry
}

/// One diagnostic with the whole story, on the argument to look at.
fn of_diagnosis(diagnosis: &Diagnosis, at: AttributePath) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    diagnostics.error(at, diagnosis.summary(), diagnosis.to_string());
    diagnostics
}

/// The same messages with the argument's name in front: of an ephemeral resource Terraform shows no place.
fn named(diagnostics: Diagnostics) -> Diagnostics {
    let mut named = Diagnostics::new();
    for mut diagnostic in diagnostics {
        if diagnostic.attribute != AttributePath::root() {
            diagnostic.detail = format!("`{}`: {}", diagnostic.attribute, diagnostic.detail);
        }
        named.push(diagnostic);
    }
    named
}

/// A fault of the program itself, which no user can mend.
fn fault(what: &str) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    diagnostics.error(
        AttributePath::root(),
        "This is a fault in the provider",
        format!("It did something that its authors ruled out: {what}. Please report it."),
    );
    diagnostics
}
