//! How the account is reached, as far as it is not left to Amazon's standard chain.

use std::collections::{BTreeMap, BTreeSet};

/// How often a call is tried again before its error counts. hashicorp/aws has 25, the SDK 2; with pauses of at most 20 s, ten take less than
/// three minutes.
const MAX_RETRIES: u32 = 10;

/// What overrides the standard chain (environment, profiles, SSO, web identity, container, instance metadata).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Such as `us-west-2`.
    pub region: Option<String>,
    /// A profile of the shared configuration files.
    pub profile: Option<String>,
    /// Taken on with the credentials that the chain gives.
    pub assume_role: Option<AssumeRole>,
    /// Where the APIs are, for doubles and private endpoints.
    pub endpoints: Endpoints,
    /// How a bucket is named in a request.
    pub addressing: Addressing,
    /// How often a call is tried again.
    pub max_retries: u32,
    /// Any account if empty.
    pub allowed_account_ids: BTreeSet<String>,
    /// Put on every rule that is made.
    pub default_tags: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            region: None,
            profile: None,
            assume_role: None,
            endpoints: Endpoints::default(),
            addressing: Addressing::Automatic,
            max_retries: MAX_RETRIES,
            allowed_account_ids: BTreeSet::new(),
            default_tags: BTreeMap::new(),
        }
    }
}

/// A role to take on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumeRole {
    /// `arn:aws:iam::…:role/…`
    pub role_arn: String,
    /// Shown in CloudTrail.
    pub session_name: Option<String>,
    /// What the role's trust policy may ask for.
    pub external_id: Option<String>,
}

/// URLs instead of Amazon's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Security groups.
    pub ec2: Option<String>,
    /// Buckets.
    pub s3: Option<String>,
    /// Roles and identities.
    pub sts: Option<String>,
    /// What tells this machine's address, as a line of text.
    pub checkip: Option<String>,
}

/// How a bucket is named in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// In the host name, unless an endpoint is overridden: no other service resolves `bucket.localhost`.
    Automatic,
    /// In the path.
    Path,
}
