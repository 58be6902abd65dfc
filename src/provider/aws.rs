//! The provider block's `aws`, and what all AWS resources share: the account, and how a refusal is told.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::aws::{Account, Addressing, AssumeRole, Endpoints, Settings};
use crate::path::heard::Heard;
use crate::path::refusal::{AccountReason, Reason, Refusal};
use crate::tfplugin::attribute_path::AttributePath;
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::model::{Attr, model};
use crate::tfplugin::schema::{Attribute, Type, boolean, map_of, nested_single, number, set_of, string};

/// How long a call under way may go on once Terraform was told to stop: it has two seconds in all, and a call that is cut leaves nobody
/// knowing whether it took effect.
const GRACE: Duration = Duration::from_millis(1500);

/// The most retries that make sense: with pauses of 20 s, more than 50 would outlast any apply.
const MOST_RETRIES: i64 = 50;

/// How many tags EC2 takes on one rule, less those that the provider puts there itself.
const MOST_TAGS: usize = 45;

model! {
    /// `aws = {…}`.
    pub struct AwsModel {
        /// Such as `us-west-2`.
        pub region: Attr<String>,
        /// A profile of the shared configuration.
        pub profile: Attr<String>,
        /// A role to take on.
        pub assume_role: Attr<AssumeRoleModel>,
        /// Other endpoints than Amazon's.
        pub endpoints: Attr<EndpointsModel>,
        /// Bucket names in the path.
        pub s3_use_path_style: Attr<bool>,
        /// Retries of each call.
        pub max_retries: Attr<i64>,
        /// The accounts that may be touched.
        pub allowed_account_ids: Attr<BTreeSet<Attr<String>>>,
        /// Tags of every rule.
        pub default_tags: Attr<BTreeMap<String, Attr<String>>>,
    }
}

model! {
    /// `assume_role = {…}`.
    pub struct AssumeRoleModel {
        /// The role.
        pub role_arn: Attr<String>,
        /// Shown in CloudTrail.
        pub session_name: Attr<String>,
        /// Asked for by the role's trust policy.
        pub external_id: Attr<String>,
    }
}

model! {
    /// `endpoints = {…}`.
    pub struct EndpointsModel {
        /// Security groups.
        pub ec2: Attr<String>,
        /// Buckets.
        pub s3: Attr<String>,
        /// Roles and identities.
        pub sts: Attr<String>,
        /// This machine's address.
        pub checkip: Attr<String>,
    }
}

/// The account that the provider block names, shared by all resources of one process.
#[derive(Clone)]
pub(super) struct Configured(Arc<RwLock<Option<Account>>>);

impl Default for Configured {
    /// Without a provider block the standard chain decides.
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Some(Account::new(Settings::default())))))
    }
}

impl Configured {
    /// Takes the provider block.
    pub(super) fn set(&self, model: &Attr<AwsModel>) {
        let account = settings(model).map(Account::new);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = account;
    }

    /// The account; none as long as the provider block holds values that are not known yet.
    pub(super) fn account(&self) -> Option<Account> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The account, for what cannot wait.
    pub(super) fn required(&self) -> Result<Account, Diagnostics> {
        let missing =
            Refusal { reason: Reason::Account(AccountReason::NotConfigured), heard: Heard::default(), action: "sts:GetCallerIdentity" };
        self.account().ok_or_else(|| refused(&missing, AttributePath::root()))
    }
}

/// Tells a refusal, on the attribute to look at.
pub(super) fn refused(refusal: &Refusal, at: AttributePath) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    diagnostics.error(at, refusal.summary(), format!("{refusal}"));
    diagnostics
}

/// Waits for a call, and after an interrupt for a moment only.
pub(super) async fn interruptible<T>(
    cancelled: &CancellationToken,
    action: &'static str,
    call: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let patience = async {
        cancelled.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        done = call => done,
        () = patience => Err(Refusal { reason: Reason::Account(AccountReason::Interrupted), heard: Heard::default(), action }),
    }
}

/// The settings; none if any of them is not known yet.
fn settings(model: &Attr<AwsModel>) -> Option<Settings> {
    let aws = match model {
        Attr::Null => return Some(Settings::default()),
        Attr::Unknown => return None,
        Attr::Known(aws) => aws,
    };
    let default = Settings::default();
    let role = optional(&aws.assume_role)?.map(|role| {
        let (session_name, external_id) = (optional(&role.session_name)?, optional(&role.external_id)?);
        Some(AssumeRole { role_arn: role.role_arn.known()?.clone(), session_name, external_id })
    });
    let endpoints = optional(&aws.endpoints)?.map(|urls| {
        Some(Endpoints { ec2: optional(&urls.ec2)?, s3: optional(&urls.s3)?, sts: optional(&urls.sts)?, checkip: optional(&urls.checkip)? })
    });
    let tags = optional(&aws.default_tags)?.unwrap_or_default();
    let accounts = optional(&aws.allowed_account_ids)?.unwrap_or_default();
    Some(Settings {
        region: optional(&aws.region)?,
        profile: optional(&aws.profile)?,
        assume_role: all(role)?,
        endpoints: all(endpoints)?.unwrap_or_default(),
        addressing: if optional(&aws.s3_use_path_style)? == Some(true) { Addressing::Path } else { Addressing::Automatic },
        max_retries: optional(&aws.max_retries)?.map_or(default.max_retries, |retries| retries.try_into().unwrap_or(default.max_retries)),
        allowed_account_ids: accounts.into_iter().map(Attr::into_known).collect::<Option<_>>()?,
        default_tags: tags.into_iter().map(|(key, value)| Some((key, value.into_known()?))).collect::<Option<_>>()?,
    })
}

/// `None` for what is not known, `Some(None)` for what is not given.
fn optional<T: Clone>(value: &Attr<T>) -> Option<Option<T>> {
    match value {
        Attr::Unknown => None,
        Attr::Null => Some(None),
        Attr::Known(value) => Some(Some(value.clone())),
    }
}

/// Given and not wholly known is not known.
fn all<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(inner) => inner.map(Some),
    }
}

/// `aws`, for the provider's schema.
pub(super) fn attribute() -> Attribute {
    let text = |name, description| Attribute::optional(name, string(), description);
    let role = vec![
        Attribute::required("role_arn", string(), "The role, `arn:aws:iam::123456789012:role/…`."),
        text("session_name", "Shown in CloudTrail. Default: the provider's name."),
        text("external_id", "What the role's trust policy asks for."),
    ];
    let endpoints = vec![
        text("ec2", "Security groups."),
        text("s3", "Buckets. Their names then stand in the path."),
        text("sts", "Roles and identities."),
        text(
            "checkip",
            "What tells this machine's address to `admit`, as one line of text. Else AWS_ENDPOINT_URL_CHECKIP, or Amazon's own.",
        ),
    ];
    let attributes = vec![
        text("region", "Such as `us-west-2`. Else AWS_REGION, or the profile's."),
        text("profile", "A profile of the shared configuration files. Else AWS_PROFILE."),
        Attribute::optional("assume_role", nested_single(role), "A role to take on with the credentials that were found."),
        Attribute::optional("endpoints", nested_single(endpoints), "URLs instead of Amazon's own, for private endpoints and doubles."),
        Attribute::optional(
            "s3_use_path_style",
            boolean(),
            "Name the bucket in the path instead of the host. With an endpoint of S3's it always is.",
        ),
        Attribute::optional("max_retries", number(), "How often a call is tried again when it is throttled or fails. Default `10`."),
        Attribute::optional(
            "allowed_account_ids",
            set_of(Type::String),
            "The accounts that may be touched. Credentials for any other are refused before the first call.",
        ),
        Attribute::optional(
            "default_tags",
            map_of(Type::String),
            "Tags of every security-group rule that is made. A change reaches only rules that are made afterwards.",
        ),
    ];
    Attribute::optional(
        "aws",
        nested_single(attributes),
        "The AWS account. Left out, or for what is left out in it, the standard chain decides: environment, profiles, SSO, web identity, \
         container, instance metadata. Nothing is looked up before a resource needs it.",
    )
}

/// Judges the block, without any I/O.
pub(super) fn validate(model: &Attr<AwsModel>, diagnostics: &mut Diagnostics) {
    let Attr::Known(aws) = model else { return };
    let at = |name: &str| AttributePath::of("aws").attribute(name);
    // Other services than Amazon's call their regions as they like.
    let region_fits = if aws.endpoints.is_null() { is_region } else { is_label };
    if let Some(region) = aws.region.known().filter(|region| !region_fits(region)) {
        let detail = format!(
            "\"{region}\" is not the name of a region, such as us-west-2 or eu-central-1. With a wrong one nothing is found, and no error says so."
        );
        diagnostics.error(at("region"), "The region is not a region", detail);
    }
    if let Some(arn) = aws.assume_role.known().and_then(|role| role.role_arn.known())
        && !is_role(arn)
    {
        diagnostics.error(
            at("assume_role").attribute("role_arn"),
            "The role is not a role",
            format!("\"{arn}\" is not the ARN of a role, arn:aws:iam::123456789012:role/name."),
        );
    }
    if let Some(name) = aws.assume_role.known().and_then(|role| role.session_name.known())
        && !is_session_name(name)
    {
        diagnostics.error(
            at("assume_role").attribute("session_name"),
            "The session's name cannot be used",
            "AWS takes 2 to 64 letters, digits and characters of _=,.@+-.",
        );
    }
    if aws.allowed_account_ids.known().is_some_and(BTreeSet::is_empty) {
        let detail =
            "An empty set would allow every account, which is the opposite of what it seems to say. Name the accounts, or leave it out.";
        diagnostics.error(at("allowed_account_ids"), "No account is allowed", detail);
    }
    if let Some(urls) = aws.endpoints.known() {
        for (name, url) in [("ec2", &urls.ec2), ("s3", &urls.s3), ("sts", &urls.sts), ("checkip", &urls.checkip)] {
            if let Some(url) = url.known().filter(|url| !is_url(url)) {
                let detail = format!("\"{url}\" is not a URL of the form https://host or http://host:port.");
                diagnostics.error(at("endpoints").attribute(name), "The endpoint is not a URL", detail);
            }
        }
    }
    if let Some(retries) = aws.max_retries.known().filter(|retries| !(0..=MOST_RETRIES).contains(*retries)) {
        let detail = format!("A number from 0 to {MOST_RETRIES} is needed. It is {retries} here.");
        diagnostics.error(at("max_retries"), "The number of retries is out of range", detail);
    }
    for id in aws.allowed_account_ids.known().into_iter().flatten().filter_map(Attr::known) {
        if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            let detail = format!("\"{id}\" is not an account id: twelve digits, in quotation marks, with leading zeros.");
            diagnostics.error(at("allowed_account_ids"), "The account id is not an account id", detail);
        }
    }
    validate_tags(aws, diagnostics);
}

fn validate_tags(aws: &AwsModel, diagnostics: &mut Diagnostics) {
    let Some(tags) = aws.default_tags.known() else { return };
    let at = AttributePath::of("aws").attribute("default_tags");
    if tags.len() > MOST_TAGS {
        let detail = format!("EC2 takes 50 tags on a rule, and some are the provider's own: give {MOST_TAGS} at the most.");
        diagnostics.error(at.clone(), "There are too many tags", detail);
    }
    for (key, value) in tags {
        let long = value.known().is_some_and(|value| value.chars().count() > 256);
        let wrong = if key.is_empty() || key.chars().count() > 128 || long {
            "A key has 1 to 128 characters, a value 256 at the most."
        } else if key.to_ascii_lowercase().starts_with("aws:") {
            "Keys that begin with aws: are Amazon's own."
        } else if matches!(key.as_str(), "Name" | "managed-by") || key.starts_with("bastion-owner") {
            "The provider sets this one itself: by it, it knows its own rules."
        } else if value.is_null() {
            "The value is null."
        } else {
            continue;
        };
        diagnostics.error(at.clone().key(key), "The tag cannot be set", wrong);
    }
}

/// `us-west-2`, `us-gov-west-1`, `eusc-de-east-1`: words, the last a number. `ap-north-east2` is none.
fn is_region(text: &str) -> bool {
    let words: Vec<&str> = text.split('-').collect();
    let Some((number, names)) = words.split_last() else { return false };
    let name = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    names.len() >= 2 && names.iter().all(name) && number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// What can be a part of a host name.
fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// STS takes 2 to 64 of these (AssumeRole, RoleSessionName).
fn is_session_name(text: &str) -> bool {
    (2..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_=,.@-+".contains(&byte))
}

fn is_role(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [prefix, partition, service, region, account, resource] = parts.as_slice() else { return false };
    *prefix == "arn"
        && partition.starts_with("aws")
        && *service == "iam"
        && region.is_empty()
        && account.len() == 12
        && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.chars().any(|c| c.is_whitespace() || c.is_control()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Attr<String> {
        Attr::Known(text.to_owned())
    }

    fn wrong(aws: AwsModel) -> Vec<String> {
        let mut diagnostics = Diagnostics::new();
        validate(&Attr::Known(aws), &mut diagnostics);
        diagnostics.iter().map(|diagnostic| diagnostic.attribute.to_string()).collect()
    }

    #[test]
    fn what_cannot_be_meant_is_refused_on_its_attribute() {
        for region in ["us-west-2", "us-gov-west-1", "ap-northeast-2", "eusc-de-east-1"] {
            assert!(wrong(AwsModel { region: known(region), ..AwsModel::default() }).is_empty(), "{region}");
        }
        for region in ["", "us", "ap-north-east2", "US-WEST-2", "us-west-2a", "us west 2"] {
            assert_eq!(wrong(AwsModel { region: known(region), ..AwsModel::default() }), ["aws.region"], "{region}");
        }
        let role = AssumeRoleModel { role_arn: known("arn:aws:iam::123:role/x"), ..AssumeRoleModel::default() };
        assert_eq!(wrong(AwsModel { assume_role: Attr::Known(role), ..AwsModel::default() }), ["aws.assume_role.role_arn"]);
        let urls = EndpointsModel { s3: known("localhost:9000"), ec2: known("http://127.0.0.1:1"), ..EndpointsModel::default() };
        assert_eq!(wrong(AwsModel { endpoints: Attr::Known(urls), ..AwsModel::default() }), ["aws.endpoints.s3"]);
        let anywhere = EndpointsModel { s3: known("http://127.0.0.1:1"), ..EndpointsModel::default() };
        for (region, paths) in [("garage", &[][..]), ("", &["aws.region"]), ("US West", &["aws.region"])] {
            let aws = AwsModel { region: known(region), endpoints: Attr::Known(anywhere.clone()), ..AwsModel::default() };
            assert_eq!(wrong(aws), paths, "{region}");
        }
        let role = AssumeRoleModel {
            role_arn: known("arn:aws:iam::123456789012:role/x"),
            session_name: known("a b"),
            ..AssumeRoleModel::default()
        };
        assert_eq!(wrong(AwsModel { assume_role: Attr::Known(role), ..AwsModel::default() }), ["aws.assume_role.session_name"]);
        assert_eq!(
            wrong(AwsModel { allowed_account_ids: Attr::Known(BTreeSet::new()), ..AwsModel::default() }),
            ["aws.allowed_account_ids"]
        );
        assert_eq!(wrong(AwsModel { max_retries: Attr::Known(51), ..AwsModel::default() }), ["aws.max_retries"]);
        let ids = Attr::Known([known("12345")].into());
        assert_eq!(wrong(AwsModel { allowed_account_ids: ids, ..AwsModel::default() }), ["aws.allowed_account_ids"]);
        let tags = ["aws:x", "Name", "team"].map(|key| (key.to_owned(), known("v"))).into();
        let paths = wrong(AwsModel { default_tags: Attr::Known(tags), ..AwsModel::default() });
        assert_eq!(paths, [r#"aws.default_tags["Name"]"#, r#"aws.default_tags["aws:x"]"#]);
    }

    #[test]
    fn what_is_not_known_yet_postpones() {
        assert!(settings(&Attr::Unknown).is_none());
        assert!(settings(&Attr::Null).is_some());
        let role = AssumeRoleModel { role_arn: Attr::Unknown, ..AssumeRoleModel::default() };
        for aws in [
            AwsModel { region: Attr::Unknown, ..AwsModel::default() },
            AwsModel { assume_role: Attr::Known(role), ..AwsModel::default() },
            AwsModel { default_tags: Attr::Known([("a".to_owned(), Attr::Unknown)].into()), ..AwsModel::default() },
        ] {
            assert!(settings(&Attr::Known(aws)).is_none());
        }
        let some =
            settings(&Attr::Known(AwsModel { region: known("us-west-2"), max_retries: Attr::Known(3), ..AwsModel::default() })).unwrap();
        assert_eq!((some.region.as_deref(), some.max_retries), (Some("us-west-2"), 3));
    }
}
