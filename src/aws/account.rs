//! An account: clients for its APIs, made when they are first needed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, FrameworkMetadata, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::future::ProvideCredentials as Providing;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::service_config::ServiceConfigKey;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::admission::Doors;
use super::answer::{self, Answer};
use super::arrivals::Arrivals;
use super::authorized_keys::Process;
use super::http;
use super::security_group_rules::Groups;
use super::settings::{Addressing, AssumeRole, Settings};
use crate::path::heard::Heard;
use crate::path::refusal::{AccountReason, Reason, Refusal};

/// How the calls name their sender.
const NAME: &str = "terraform-provider-bastion";

/// What is asked for whoever signs, and what a search for credentials counts as.
const IDENTITY: &str = "sts:GetCallerIdentity";

/// How long credentials have to be good for to be handed on: as the SDK's own cache has it.
const FRESH: Duration = Duration::from_secs(10);

/// How long one try of a call may take: each answers within a second, and a loaded API within some.
const TRY: Duration = Duration::from_secs(30);

/// How long a call may take with all its retries.
const CALL: Duration = Duration::from_mins(5);

/// An account, as the settings and Amazon's standard chain give it. Nothing is looked up before the first client is asked for: who needs
/// none never waits for instance metadata.
#[derive(Clone)]
pub struct Account(Arc<Inner>);

struct Inner {
    settings: Settings,
    /// Loaded once, also if that fails: the chain gives its first caller another error than the next.
    config: OnceCell<Result<SdkConfig, Refusal>>,
    admitted: OnceCell<()>,
    /// Where buckets turned out to be.
    regions: Mutex<HashMap<String, String>>,
    /// Whose turn it is at a security group.
    groups: Groups,
    /// Who makes or changes what.
    arrivals: Arrivals,
    /// What this process has opened for its machine.
    doors: Doors,
    /// What is known of keys' objects and of their store.
    objects: Process,
}

impl Account {
    /// An account that is not looked at yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Inner {
            settings,
            config: OnceCell::new(),
            admitted: OnceCell::new(),
            regions: Mutex::default(),
            groups: Groups::default(),
            arrivals: Arrivals::default(),
            doors: Doors::default(),
            objects: Process::default(),
        }))
    }

    /// What it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The security groups that are being changed.
    pub(super) fn groups(&self) -> &Groups {
        &self.0.groups
    }

    /// The creates and updates of this process.
    pub(super) fn arrivals(&self) -> &Arrivals {
        &self.0.arrivals
    }

    /// What this process has opened for its machine.
    pub(super) fn doors(&self) -> &Doors {
        &self.0.doors
    }

    /// Who is asked for this machine's address, if it is not Amazon's own service.
    pub(super) async fn checkip_endpoint(&self) -> Result<Option<String>, Refusal> {
        let config = self.config().await?;
        let given = self.0.settings.endpoints.checkip.clone();
        // `AWS_ENDPOINT_URL` is for all of Amazon's interfaces, and this is none.
        let of_its_own = || configured_endpoint(config, "CHECKIP").filter(|endpoint| config.endpoint_url() != Some(endpoint));
        Ok(given.or_else(of_its_own))
    }

    /// What this process knows of keys' objects.
    pub(super) fn objects(&self) -> &Process {
        &self.0.objects
    }

    /// The store's address, if it is another than Amazon's default.
    pub(super) async fn s3_endpoint(&self) -> Result<Option<String>, Refusal> {
        let config = self.config().await?;
        let given = self.0.settings.endpoints.s3.clone();
        let loaded = || configured_endpoint(config, "S3").or_else(|| config.endpoint_url().map(ToOwned::to_owned));
        Ok(given.or_else(loaded))
    }

    /// A client for security groups. A stop ends the search for credentials at once, however long a source takes.
    ///
    /// # Errors
    ///
    /// No region, no credentials, or credentials for another account than an allowed one.
    pub async fn ec2(&self, cancelled: &CancellationToken) -> Result<aws_sdk_ec2::Client, Refusal> {
        let config = tokio::select! {
            biased;
            config = self.config() => config?,
            () = cancelled.cancelled() => {
                return Err(Refusal { reason: Reason::Account(AccountReason::Interrupted), heard: Heard::default(), action: IDENTITY });
            }
        };
        let mut builder = aws_sdk_ec2::config::Builder::from(config);
        if let Some(url) = &self.0.settings.endpoints.ec2 {
            builder = builder.endpoint_url(url);
        }
        Ok(aws_sdk_ec2::Client::from_conf(builder.build()))
    }

    /// A client for buckets, in another region than the account's if one is given.
    ///
    /// # Errors
    ///
    /// No region, or credentials for another account than an allowed one.
    pub async fn s3(&self, region: Option<&str>) -> Result<aws_sdk_s3::Client, Refusal> {
        let config = self.config().await?;
        let settings = &self.0.settings;
        let mut builder = aws_sdk_s3::config::Builder::from(config);
        if let Some(url) = &settings.endpoints.s3 {
            builder = builder.endpoint_url(url);
        }
        if let Some(region) = region {
            builder = builder.region(Region::new(region.to_owned()));
        }
        let overridden = self.s3_endpoint().await?.is_some();
        builder = builder.force_path_style(overridden || settings.addressing == Addressing::Path);
        Ok(aws_sdk_s3::Client::from_conf(builder.build()))
    }

    /// Where a bucket turned out to be, if it is in another region than the account's.
    pub(super) fn region_of(&self, bucket: &str) -> Option<String> {
        self.0.regions.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).cloned()
    }

    pub(super) fn note_region(&self, bucket: &str, region: &str) {
        self.0.regions.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket.to_owned(), region.to_owned());
    }

    async fn config(&self) -> Result<&SdkConfig, Refusal> {
        let config = self.0.config.get_or_init(|| Box::pin(self.load())).await.as_ref().map_err(Clone::clone)?;
        self.0.admitted.get_or_try_init(|| Box::pin(self.admit(config))).await?;
        Ok(config)
    }

    /// The region that security groups are looked for in, if it is known.
    pub async fn region(&self) -> Option<String> {
        self.config().await.ok()?.region().map(ToString::to_string)
    }

    /// The account whose credentials are used, if STS tells.
    pub async fn account_id(&self) -> Option<String> {
        let config = self.config().await.ok()?;
        let identity = self.sts(config).get_caller_identity().send().await.ok()?;
        identity.account().map(ToOwned::to_owned)
    }

    fn sts(&self, config: &SdkConfig) -> aws_sdk_sts::Client {
        let mut builder = aws_sdk_sts::config::Builder::from(config);
        if let Some(url) = &self.0.settings.endpoints.sts {
            builder = builder.endpoint_url(url);
        }
        aws_sdk_sts::Client::from_conf(builder.build())
    }

    async fn load(&self) -> Result<SdkConfig, Refusal> {
        let settings = &self.0.settings;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http::client())
            .retry_config(RetryConfig::standard().with_max_attempts(settings.max_retries.saturating_add(1)))
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(TRY).operation_timeout(CALL).build());
        if let Ok(sender) = FrameworkMetadata::new(NAME, Some(env!("CARGO_PKG_VERSION"))) {
            loader = loader.framework_metadata(sender);
        }
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
        if config.region().is_none() {
            return Err(Refusal { reason: Reason::Account(AccountReason::NoRegion), heard: Heard::default(), action: IDENTITY });
        }
        let config = match &settings.assume_role {
            Some(role) => self.assumed(config, role).await,
            None => config,
        };
        let Some(source) = config.credentials_provider() else { return Ok(config) };
        let found = match source.provide_credentials().await {
            Ok(found) => found,
            Err(error) => {
                let profile = settings.profile.clone().or_else(|| std::env::var("AWS_PROFILE").ok()).filter(|name| !name.is_empty());
                return Err(answer::unsigned(&error, profile));
            }
        };
        let provider = SharedCredentialsProvider::new(Found { first: Mutex::new(Some(found)), source });
        Ok(config.into_builder().credentials_provider(provider).build())
    }

    /// The same configuration in another role.
    async fn assumed(&self, config: SdkConfig, role: &AssumeRole) -> SdkConfig {
        let mut base = config.to_builder();
        if let Some(url) = &self.0.settings.endpoints.sts {
            base = base.endpoint_url(url);
        }
        let mut builder = AssumeRoleProvider::builder(&role.role_arn).configure(&base.build());
        builder = builder.session_name(role.session_name.as_deref().unwrap_or(NAME));
        if let Some(id) = &role.external_id {
            builder = builder.external_id(id);
        }
        let provider = match config.credentials_provider() {
            Some(source) => builder.build_from_provider(source).await,
            None => builder.build_from_provider(DefaultCredentialsChain::builder().build().await).await,
        };
        config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
    }

    /// Asks whose credentials they are, once, if it matters.
    async fn admit(&self, config: &SdkConfig) -> Result<(), Refusal> {
        let settings = &self.0.settings;
        if settings.allowed_account_ids.is_empty() {
            return Ok(());
        }
        let asked = self.sts(config).get_caller_identity().send().await;
        let identity = asked.map_err(|error| Answer::of(&error).refusal_of_account(IDENTITY))?;
        let found = identity.account().unwrap_or_default();
        if settings.allowed_account_ids.contains(found) {
            return Ok(());
        }
        let reason = Reason::Account(AccountReason::OtherAccount { found: found.to_owned() });
        Err(Refusal { reason, heard: Heard::default(), action: IDENTITY })
    }
}

/// A source of credentials with what it gave when it was asked whether it gives any: a role is taken on, and a process with a second factor is
/// run, once.
struct Found {
    source: SharedCredentialsProvider,
    first: Mutex<Option<Credentials>>,
}

impl ProvideCredentials for Found {
    fn provide_credentials<'a>(&'a self) -> Providing<'a>
    where
        Self: 'a,
    {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fresh = |found: &Credentials| found.expiry().is_none_or(|end| end > SystemTime::now() + FRESH);
        match first.filter(fresh) {
            Some(found) => Providing::ready(Ok(found)),
            None => self.source.provide_credentials(),
        }
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

/// The endpoint that environment or profile give a service of its own.
fn configured_endpoint(config: &SdkConfig, service: &'static str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
    config.service_config()?.load_config(key)
}
