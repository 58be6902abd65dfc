//! What S3's refusals mean for a login's object.

use super::object::AuthorizedKeys;
use crate::aws::answer::{Answer, Ending};
use crate::path::refusal::{AccountReason, BucketReason, Reason, Refusal};

impl AuthorizedKeys {
    /// `bucket/key`, as an import takes it.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }

    pub(super) fn refuse(&self, action: &'static str, answer: &Answer) -> Refusal {
        match self.reason(answer) {
            Some(reason) => answer.refusal(action, Reason::Bucket(reason)),
            None => answer.refusal_of_account(action),
        }
    }

    fn reason(&self, answer: &Answer) -> Option<BucketReason> {
        if !matches!(answer.ending, Ending::Refused) {
            return None;
        }
        let kms_key =
            || kms_key(&answer.message).or_else(|| self.kms_key_id.clone()).unwrap_or_else(|| "the bucket's default key".to_owned());
        let denial = answer.denial();
        match (answer.code.as_str(), answer.status) {
            ("NoSuchBucket", _) => Some(BucketReason::Missing { bucket: self.bucket.to_string() }),
            ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _) | (_, 301 | 307) => {
                Some(BucketReason::Elsewhere { region: answer.region.clone().unwrap_or_default() })
            }
            ("AccessDenied", _) if denial.action().is_some_and(|action| action.starts_with("kms:")) => {
                Some(BucketReason::KmsDenied { denial, key: kms_key() })
            }
            // The answer to HEAD has no body, so no code either.
            ("AccessDenied" | "", 403) => Some(BucketReason::Denied { object: self.place(), denial }),
            (code, _) if code.starts_with("KMS.") => Some(BucketReason::KmsUnusable { key: kms_key() }),
            _ => None,
        }
    }
}

/// Whether an object is there, as far as it could be seen, and may not be read: who may not read it can still write it.
#[must_use]
pub fn unreadable(refusal: &Refusal) -> bool {
    matches!(
        refusal.reason,
        Reason::Account(AccountReason::Denied(_))
            | Reason::Bucket(
                BucketReason::Denied { .. }
                    | BucketReason::KmsDenied { .. }
                    | BucketReason::KmsUnusable { .. }
                    | BucketReason::TooLarge { .. }
            )
    )
}

/// The key's ARN in AWS's sentence, which names the caller's first.
fn kms_key(message: &str) -> Option<String> {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '-' | '_');
    let arns = message.match_indices("arn:aws").filter_map(|(at, _)| message.get(at..));
    arns.map(|rest| rest.chars().take_while(plain).collect::<String>()).find(|arn| arn.contains(":kms:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_read_from_the_sentence() {
        let said = "User: arn:aws:iam::1:user/x is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:us-west-2:1:key/2 because";
        assert_eq!(kms_key(said).as_deref(), Some("arn:aws:kms:us-west-2:1:key/2"));
        assert_eq!(kms_key("nothing"), None);
    }
}
