//! The arguments of a path to a Postgres, whichever block they stand in: a resource or a data source.

mod request;
pub(super) mod schema;

use std::collections::BTreeSet;
use std::time::Duration;

use super::tunnel_key::TunnelKey;
use crate::secret::Secret;
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::value::Value;

model! {
    /// How long what comes into being by itself is waited for.
    pub struct Wait {
        /// Names, ports and machines.
        pub reach: Attr<String>,
        /// A key, and the version of its object.
        pub key: Attr<String>,
    }
}

/// What to prove beyond the way itself.
pub(super) struct Wanted<'a> {
    pub(super) timeout: &'a Attr<String>,
    pub(super) wait: &'a Attr<Wait>,
    pub(super) replication: &'a Attr<bool>,
    pub(super) publication: &'a Attr<String>,
    pub(super) tables: &'a Attr<BTreeSet<Attr<String>>>,
}

/// The arguments of a path.
pub(super) struct Arguments<'a> {
    pub(super) host: &'a Attr<String>,
    pub(super) port: &'a Attr<i64>,
    pub(super) user: &'a Attr<String>,
    pub(super) password: &'a Attr<Secret<String>>,
    pub(super) database: &'a Attr<String>,
    pub(super) sslmode: &'a Attr<String>,
    pub(super) sslrootcert: &'a Attr<String>,
    pub(super) sslcert: &'a Attr<String>,
    pub(super) sslkey: &'a Attr<Secret<String>>,
    /// What the block calls it.
    pub(super) sslkey_name: &'static str,
    pub(super) key: TunnelKey<'a>,
    /// The version of the bastion's key object.
    pub(super) keys: &'a Attr<Value>,
    pub(super) verify: Attr<Wanted<'a>>,
    /// Where `verify.timeout` is not given.
    pub(super) default_timeout: Duration,
}

/// What a `verify` that was not given wants.
pub(super) const NOTHING: Wanted<'static> =
    Wanted { timeout: &Attr::Null, wait: &Attr::Null, replication: &Attr::Null, publication: &Attr::Null, tables: &Attr::Null };
