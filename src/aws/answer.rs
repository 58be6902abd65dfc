//! What an API said when it did not do what was asked, and what that means wherever it is said.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::path::heard::Heard;
use crate::path::refusal::{AccountReason, Denial, Reason, Refusal};

/// The header in which S3 names a bucket's region.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// Stands before the blob of a denial of EC2's.
const ENCODED: &str = "Encoded authorization failure message:";

/// How a call ended that did not end well.
pub(super) enum Ending {
    /// The API refused it.
    Refused,
    /// There were no credentials to sign it with.
    Unsigned(AccountReason),
    /// It never reached the API.
    Unreachable,
    /// No answer in time.
    Silent,
    /// The answer could not be read.
    Unreadable,
}

/// An answer that is no success.
pub(super) struct Answer {
    pub(super) ending: Ending,
    /// The HTTP status; 0 without an answer.
    pub(super) status: u16,
    /// `NoSuchBucket`; empty where the answer has none, as HEAD's.
    pub(super) code: String,
    pub(super) message: String,
    /// Where S3 says that the bucket is.
    pub(super) region: Option<String>,
}

impl Answer {
    /// Reads an SDK's error.
    pub(super) fn of<E: ProvideErrorMetadata + Error + Send + Sync + 'static>(error: &SdkError<E, HttpResponse>) -> Self {
        let response = error.raw_response();
        let ending = match error {
            SdkError::ServiceError(_) => Ending::Refused,
            SdkError::TimeoutError(_) => Ending::Silent,
            SdkError::DispatchFailure(failure) => match credentials(error) {
                Some(reason) => Ending::Unsigned(reason),
                None if failure.is_timeout() => Ending::Silent,
                None => Ending::Unreachable,
            },
            SdkError::ConstructionFailure(_) => credentials(error).map_or(Ending::Unreadable, Ending::Unsigned),
            _ => Ending::Unreadable,
        };
        Self {
            ending,
            status: response.map_or(0, |response| response.status().as_u16()),
            code: error.code().unwrap_or_default().to_owned(),
            message: error.message().map_or_else(|| innermost(error), ToOwned::to_owned),
            region: response.and_then(|response| response.headers().get(BUCKET_REGION)).map(ToOwned::to_owned),
        }
    }

    /// The API's own words.
    pub(super) fn heard(&self) -> Heard {
        // What the SDK lists of its own search is nobody's answer, and the words of the refusal say it better.
        if matches!(self.ending, Ending::Unsigned(AccountReason::NoCredentials { .. })) {
            return Heard::default();
        }
        // What only AWS itself can decode tells a person nothing, and is longer than all the rest.
        let message = self.message.split_once(ENCODED).map_or(&*self.message, |(said, _)| said.trim_end());
        let text = match (self.code.is_empty(), message.is_empty(), self.status) {
            (false, false, _) => format!("{}: {message}", self.code),
            (false, true, _) => self.code.clone(),
            (true, false, 0) => message.to_owned(),
            (true, _, status) if status > 0 => format!("HTTP {status}"),
            (true, ..) => String::new(),
        };
        Heard::from_text(&text)
    }

    /// What it says of a denial.
    pub(super) fn denial(&self) -> Denial {
        Denial::read(&self.message)
    }

    /// What it means where the peer's room knows nothing better.
    pub(super) fn account_reason(&self) -> AccountReason {
        match &self.ending {
            Ending::Unsigned(reason) => reason.clone(),
            Ending::Unreachable => AccountReason::Unreachable,
            Ending::Silent => AccountReason::Silent,
            Ending::Unreadable => AccountReason::Unreadable,
            Ending::Refused => self.refused(),
        }
    }

    fn refused(&self) -> AccountReason {
        match self.code.as_str() {
            "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "BandwidthLimitExceeded" => AccountReason::Throttled,
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" => AccountReason::CredentialsExpired,
            "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "AuthFailure"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException"
            | "InvalidToken"
            | "MissingAuthenticationToken" => AccountReason::SignatureRefused,
            "RequestTimeTooSkewed" => AccountReason::ClockOff,
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "Forbidden" => AccountReason::Denied(self.denial()),
            _ => match self.status {
                403 => AccountReason::Denied(self.denial()),
                429 => AccountReason::Throttled,
                500.. => AccountReason::Failed,
                _ => AccountReason::Refused,
            },
        }
    }

    /// The verdict, with a room's own reason.
    pub(super) fn refusal(&self, action: &'static str, reason: Reason) -> Refusal {
        Refusal { reason, heard: self.heard(), action }
    }

    /// The verdict, where the room knows nothing better.
    pub(super) fn refusal_of_account(&self, action: &'static str) -> Refusal {
        self.refusal(action, Reason::Account(self.account_reason()))
    }
}

/// Whether credentials are at fault: the SDK hides that at the bottom of its error.
fn credentials(error: &(dyn Error + 'static)) -> Option<AccountReason> {
    chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>()).map(|error| reason(error, None))
}

fn reason(error: &CredentialsError, profile: Option<String>) -> AccountReason {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => AccountReason::NoCredentials { profile },
        _ => AccountReason::CredentialsFailed,
    }
}

/// The verdict on a search for credentials that found none.
pub(super) fn unsigned(error: &CredentialsError, profile: Option<String>) -> Refusal {
    let refused = chain(error).find_map(|cause| cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>());
    if let Some(answer) = refused.map(Answer::of).filter(|answer| matches!(answer.ending, Ending::Refused)) {
        return unassumed(&answer);
    }
    let reason = reason(error, profile);
    let heard = match reason {
        // What the SDK lists of its own search is nobody's answer, and the words of the refusal say it better.
        AccountReason::NoCredentials { .. } => Heard::default(),
        _ => Heard::from_text(&innermost(error)),
    };
    Refusal { reason: Reason::Account(reason), heard, action: "sts:GetCallerIdentity" }
}

/// The verdict on a role that was not to be had. Where STS does not say which policy decided, either side's may have.
fn unassumed(answer: &Answer) -> Refusal {
    let reason = match answer.account_reason() {
        AccountReason::Denied(denial) if !denial.is_decided() => AccountReason::CredentialsFailed,
        reason => reason,
    };
    answer.refusal("sts:AssumeRole", Reason::Account(reason))
}

/// The cause at the bottom: what the layers above say is "dispatch failure" and the like.
fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let here = next?;
        next = here.source();
        Some(here)
    })
}
