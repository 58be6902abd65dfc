//! Words about the account and the way to Amazon's APIs: credentials, region, permissions, throttling.

use super::denial::Denial;
use crate::path::words::Words;

/// What else can deny a call, where AWS does not say what did.
pub(super) const OTHER_POLICIES: &str = "a permissions boundary, a session policy or the organization's policy can deny it too";

/// Where to say which region is meant, in the provider block and to the program.
pub(super) const REGION: &str = "correct the region: `aws = { region = \"…\" }`, --region or AWS_REGION";

/// What is wrong with the account or the way to the API.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountReason {
    /// The provider block holds values that are not known yet.
    NotConfigured,
    /// No region is given anywhere.
    NoRegion,
    /// Nothing in the standard chain gives credentials.
    NoCredentials {
        /// The profile that was asked for, if one was named.
        profile: Option<String>,
    },
    /// A source of credentials failed: an expired session, a missing profile, a role that may not be assumed.
    CredentialsFailed,
    /// The session has expired.
    CredentialsExpired,
    /// The keys are unknown, or the signature does not fit.
    SignatureRefused,
    /// This machine's clock is off.
    ClockOff,
    /// The credentials lead to an account that is not an allowed one.
    OtherAccount {
        /// Where they lead.
        found: String,
    },
    /// The identity may not make this call.
    Denied(Denial),
    /// The API cannot be reached.
    Unreachable,
    /// The API did not answer in time.
    Silent,
    /// The API answered with something that is not its protocol.
    Unreadable,
    /// Too many calls, after all retries.
    Throttled,
    /// The API failed, after all retries.
    Failed,
    /// The API refused for a reason that is not in the catalogue.
    Refused,
    /// Terraform was told to stop.
    Interrupted,
}

impl AccountReason {
    pub(super) const fn slug(&self) -> &'static str {
        match self {
            Self::NotConfigured => "not-configured",
            Self::NoRegion => "no-region",
            Self::NoCredentials { .. } => "no-credentials",
            Self::CredentialsFailed => "credentials-failed",
            Self::CredentialsExpired => "credentials-expired",
            Self::SignatureRefused => "signature-refused",
            Self::ClockOff => "clock-off",
            Self::OtherAccount { .. } => "other-account",
            Self::Denied(_) => "denied",
            Self::Unreachable => "unreachable",
            Self::Silent => "silent",
            Self::Unreadable => "unreadable",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
        }
    }

    pub(super) fn words(&self, action: &str) -> Words {
        match self {
            Self::NotConfigured | Self::NoRegion | Self::NoCredentials { .. } | Self::CredentialsFailed => self.configuration_words(),
            Self::CredentialsExpired | Self::SignatureRefused | Self::ClockOff | Self::OtherAccount { .. } | Self::Denied(_) => {
                self.identity_words(action)
            }
            _ => self.way_words(action),
        }
    }

    fn configuration_words(&self) -> Words {
        match self {
            Self::NotConfigured => Words::new(
                "The provider is not configured yet",
                "`aws` in the provider block depends on something that is known only after apply.",
                ["apply what it depends on first: terraform apply -target=…".to_owned(), "or give `aws` values that are known".to_owned()],
            ),
            Self::NoRegion => Words::new(
                "No AWS region is given",
                "",
                [
                    "give one: `aws = { region = \"…\" }` in the provider block, --region to the program".to_owned(),
                    "or AWS_REGION in the environment".to_owned(),
                    "or `region` in the profile".to_owned(),
                ],
            ),
            Self::NoCredentials { profile } => Words::new(
                "No AWS credentials are found",
                match profile {
                    Some(profile) => {
                        format!("The profile `{profile}` gives none, or does not exist; nor does anything else on this machine.")
                    }
                    None => "None of these has any: environment, profile, SSO, web identity, container, instance metadata.".to_owned(),
                },
                [
                    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE".to_owned(),
                    "log in: aws sso login".to_owned(),
                    "or name a profile that exists: `aws = { profile = \"…\" }`, --profile; aws configure list-profiles lists them"
                        .to_owned(),
                ],
            ),
            _ => Words::new(
                "The AWS credentials cannot be loaded",
                "A source of credentials is configured, and it failed.",
                [
                    "see whether it works by itself: aws sts get-caller-identity".to_owned(),
                    "an SSO session ends: aws sso login".to_owned(),
                    "a role has to trust this identity, and this identity has to be allowed sts:AssumeRole".to_owned(),
                    "correct `profile` or `assume_role` in the provider block, or --profile".to_owned(),
                ],
            ),
        }
    }

    fn identity_words(&self, action: &str) -> Words {
        match self {
            Self::CredentialsExpired => {
                Words::new("The AWS session has expired", "", ["log in again: aws sso login, or renew the session".to_owned()])
            }
            Self::SignatureRefused => Words::new(
                "AWS does not accept the credentials",
                "The access key is unknown, or its secret does not fit.",
                [
                    "renew AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, together".to_owned(),
                    "a custom endpoint: keys of that service".to_owned(),
                ],
            ),
            Self::OtherAccount { found } => Words::new(
                "The credentials lead to another AWS account",
                format!("They belong to account {found}, which is not in `allowed_account_ids`."),
                ["choose the right profile or role".to_owned(), format!("or add \"{found}\" to `allowed_account_ids`")],
            ),
            Self::Denied(denial) => denied(denial, action),
            _ => Words::new(
                "This machine's clock is off",
                "A signed request is valid for some minutes around its time only.",
                ["set the clock: timedatectl set-ntp true".to_owned()],
            ),
        }
    }

    fn way_words(&self, action: &str) -> Words {
        match self {
            Self::Unreachable => Words::new(
                "AWS cannot be reached",
                "No connection to the API came about.",
                [
                    "check this machine's network, DNS and proxy (HTTPS_PROXY, NO_PROXY)".to_owned(),
                    "correct the region: one that does not exist has no endpoint".to_owned(),
                    "correct `endpoints`, if they are set".to_owned(),
                    "behind a proxy that opens TLS: its authority in AWS_CA_BUNDLE".to_owned(),
                ],
            ),
            Self::Silent => Words::new(
                "AWS does not answer",
                "The API took the call and gave no answer in time, retries included.",
                ["try again".to_owned(), "a firewall or proxy in between may hold the connection".to_owned()],
            ),
            Self::Unreadable => Words::new(
                "What answers is not AWS",
                "The answer does not fit the API's protocol.",
                ["correct `endpoints`, if they are set".to_owned(), "a proxy in between may answer in its place".to_owned()],
            ),
            Self::Throttled => Words::new(
                "AWS throttles the calls",
                "All retries were throttled as well.",
                ["try again, with less at once: terraform apply -parallelism=2".to_owned(), "raise `aws.max_retries`".to_owned()],
            ),
            Self::Failed => Words::new(
                "AWS fails",
                "The API answered with an error of its own, also to all retries.",
                ["try again".to_owned(), "see the AWS Health Dashboard".to_owned()],
            ),
            Self::Interrupted => Words::new(
                "The call was interrupted",
                format!("It was told to stop while {action} was under way; whether it took effect is not known."),
                ["run it again: what was made is found again".to_owned()],
            ),
            _ => Words::new(
                "AWS refuses the call",
                "For a reason that this provider has no words for.",
                [
                    "what AWS says above tells the cause".to_owned(),
                    "in Terraform, TF_LOG=DEBUG shows each call with its request id, for AWS Support".to_owned(),
                ],
            ),
        }
    }

    /// One of each, for the docs and the tests.
    pub(super) fn examples() -> Vec<Self> {
        vec![
            Self::NotConfigured,
            Self::NoRegion,
            Self::NoCredentials { profile: None },
            Self::CredentialsFailed,
            Self::CredentialsExpired,
            Self::SignatureRefused,
            Self::ClockOff,
            Self::OtherAccount { found: "210987654321".to_owned() },
            Self::Denied(Denial::default()),
            Self::Unreachable,
            Self::Silent,
            Self::Unreadable,
            Self::Throttled,
            Self::Failed,
            Self::Refused,
            Self::Interrupted,
        ]
    }
}

/// A denial of a call that no room knows better.
fn denied(denial: &Denial, action: &str) -> Words {
    let mut remedies = vec![
        denial.remedy().unwrap_or_else(|| format!("allow {action} in its policy")),
        "see who it is: aws sts get-caller-identity".to_owned(),
    ];
    if !denial.is_decided() {
        remedies.push(OTHER_POLICIES.to_owned());
    }
    Words {
        summary: "AWS denies the call",
        means: denial.means().unwrap_or_else(|| "The identity in use may not do this.".to_owned()),
        remedies,
    }
}
