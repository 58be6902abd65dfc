//! Words about the bastion's key bucket.

use super::account::REGION;
use super::denial::Denial;
use crate::path::words::Words;

/// What is wrong with the bucket or the object in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BucketReason {
    /// There is no such bucket.
    Missing {
        /// Its name.
        bucket: String,
    },
    /// The bucket lives in another region than it answered from.
    Elsewhere {
        /// Where; empty if S3 did not say.
        region: String,
    },
    /// The bucket belongs to another account than the expected one, or the call is denied.
    Denied {
        /// `bucket/key`.
        object: String,
        /// What AWS says of it.
        denial: Denial,
    },
    /// The object's KMS key may not be used.
    KmsDenied {
        /// What AWS says of it: `kms:GenerateDataKey`, `kms:Decrypt`.
        denial: Denial,
        /// The key, as far as it is known.
        key: String,
    },
    /// The KMS key does not exist, is disabled, or is of another kind.
    KmsUnusable {
        /// The key, as far as it is known.
        key: String,
    },
    /// The object exists and bears no mark of this provider's.
    Foreign {
        /// `bucket/key`.
        object: String,
    },
    /// Others claim the object, and it is not what is wanted.
    Owned {
        /// `bucket/key`.
        object: String,
        /// Who, each quoted as code.
        owners: String,
    },
    /// The store ignores the conditions of a write.
    Unconditional {
        /// Name and port.
        store: String,
    },
    /// A listing of the bucket was cut.
    Unlisted {
        /// Its name.
        bucket: String,
    },
    /// The object was changed by somebody else since it was read.
    Changed {
        /// `bucket/key`.
        object: String,
    },
    /// The object that was to be imported does not exist.
    ObjectMissing {
        /// `bucket/key`.
        object: String,
    },
    /// The object's content broke off on the way.
    Cut {
        /// `bucket/key`.
        object: String,
    },
    /// The object is too large to be an authorized_keys file.
    TooLarge {
        /// `bucket/key`.
        object: String,
    },
}

impl BucketReason {
    pub(super) const fn slug(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Elsewhere { .. } => "elsewhere",
            Self::Denied { .. } => "denied",
            Self::KmsDenied { .. } => "kms-denied",
            Self::KmsUnusable { .. } => "kms-unusable",
            Self::Foreign { .. } => "foreign-object",
            Self::Owned { .. } => "owned",
            Self::Unconditional { .. } => "unconditional",
            Self::Unlisted { .. } => "unlisted",
            Self::Changed { .. } => "changed",
            Self::ObjectMissing { .. } => "object-missing",
            Self::Cut { .. } => "cut",
            Self::TooLarge { .. } => "too-large",
        }
    }

    pub(super) fn words(&self, action: &str) -> Words {
        match self {
            Self::Missing { bucket } => Words::new(
                "The bucket does not exist",
                format!("S3 knows no bucket `{bucket}`."),
                [
                    "name the bastion's key bucket: module.bastion.bucket_name".to_owned(),
                    "a bucket that was made a moment ago: try again".to_owned(),
                ],
            ),
            Self::Elsewhere { region } => Words::new(
                "The bucket is in another region",
                if region.is_empty() { "S3 does not say in which.".to_owned() } else { format!("It is in {region}.") },
                [
                    if region.is_empty() {
                        REGION.to_owned()
                    } else {
                        format!("set the region: `aws = {{ region = \"{region}\" }}`, --region {region} or AWS_REGION")
                    },
                    "a bastion whose module names a region that does not exist never syncs a key: check its `region` too".to_owned(),
                ],
            ),
            Self::Denied { object, denial } => denied(object, denial, action),
            Self::KmsDenied { denial, key } => kms_denied(key, denial),
            Self::KmsUnusable { key } => Words::new(
                "The KMS key cannot be used",
                format!("{key} does not exist in the bucket's region, is disabled, or is of another kind."),
                [
                    "`kms_key_id`: the bastion module's bucket_kms_key_arn, or leave it out: the bucket's default key then applies"
                        .to_owned(),
                    "enable the key".to_owned(),
                ],
            ),
            _ => self.object_words(),
        }
    }

    fn object_words(&self) -> Words {
        match self {
            Self::Changed { object } => Words::new(
                "The object was changed by somebody else",
                format!("`{object}` is not what was planned against. It was not touched."),
                [
                    "apply or destroy again: the next plan shows the change".to_owned(),
                    "find who else writes it: one object has one owner".to_owned(),
                ],
            ),
            Self::ObjectMissing { object } => Words::new(
                "The object does not exist",
                format!("There is no `{object}`."),
                ["the id of an import is `bucket/key`: my-bastion/public-keys/neosync.pub".to_owned()],
            ),
            Self::TooLarge { object } => Words::new(
                "The object is no authorized_keys file",
                format!("`{object}` is larger than any such file."),
                ["look at what it is, and move it away if nobody needs it".to_owned()],
            ),
            Self::Foreign { object } => Words::new(
                "The object exists already",
                format!("`{object}` does not bear this provider's mark. It was not touched."),
                [
                    format!("to manage it as it is: terraform import ADDRESS {object}"),
                    "to take it over and overwrite it: `adopt = true`".to_owned(),
                    "or choose another `user`".to_owned(),
                ],
            ),
            Self::Owned { object, owners } => Words::new(
                "The login belongs to another owner",
                format!("`{object}` holds other lines than the ones wanted here, for {owners}. It was not touched."),
                [
                    "another `user`: one login has one set of keys. Two logins that swap go by way of a third name, in two applies"
                        .to_owned(),
                    "if they lack the canary alone: `canary = false` shares them as they are".to_owned(),
                    "to take it over from them and overwrite it: `adopt = true`".to_owned(),
                    "a resource that is replaced create-first and gets other keys at once: give it an `owner` in an apply before, or let its keys \
                     change in place, without replacing it"
                        .to_owned(),
                    format!("an owner that no state knows any more was left by a run that was killed: bastion leftovers {} lists it", bucket(object)),
                    "`earlier-version` stands for whoever made it with a version that noted no owner: terraform import takes it over"
                        .to_owned(),
                ],
            ),
            Self::Unconditional { store } => Words::new(
                "The store ignores the conditions of a write",
                format!("{store} wrote over an object on the condition that it must not. Somebody else's keys could be overwritten there."),
                ["keep the keys in a store that honours If-None-Match and If-Match: Amazon S3, or a newer version of this one".to_owned()],
            ),
            Self::Unlisted { bucket } => Words::new(
                "The bucket cannot be listed to its end",
                format!("`{bucket}` holds more objects under the prefix than any bastion has logins."),
                ["name a longer prefix: `prefix`, --prefix".to_owned()],
            ),
            _ => Words::new(
                "The object cannot be read",
                "Its content broke off on the way.",
                ["try again".to_owned(), "a proxy in between may cut answers".to_owned()],
            ),
        }
    }

    /// One of each, for the docs and the tests.
    pub(super) fn examples() -> Vec<Self> {
        let object = || "my-bastion/public-keys/neosync.pub".to_owned();
        let key = || "arn:aws:kms:us-west-2:123456789012:key/0f1e2d3c".to_owned();
        vec![
            Self::Missing { bucket: "my-bastion".to_owned() },
            Self::Elsewhere { region: "eu-central-1".to_owned() },
            Self::Denied { object: object(), denial: Denial::default() },
            Self::KmsDenied { denial: Denial::read("not authorized to perform: kms:GenerateDataKey on resource: the key"), key: key() },
            Self::KmsUnusable { key: key() },
            Self::Foreign { object: object() },
            Self::Owned { object: object(), owners: "`neosync/prod`, `3f9c2a71d04be865`".to_owned() },
            Self::Unconditional { store: "minio.internal:9000".to_owned() },
            Self::Unlisted { bucket: "my-bastion".to_owned() },
            Self::Changed { object: object() },
            Self::ObjectMissing { object: object() },
            Self::Cut { object: object() },
            Self::TooLarge { object: object() },
        ]
    }
}

/// The bucket of `bucket/key`.
fn bucket(object: &str) -> &str {
    object.split('/').next().unwrap_or(object)
}

fn denied(object: &str, denial: &Denial, action: &str) -> Words {
    const SUMMARY: &str = "The bucket denies the call";
    let who = "see who it is: aws sts get-caller-identity".to_owned();
    match (denial.means(), denial.remedy()) {
        (Some(means), Some(remedy)) if denial.is_decided() => Words::new(SUMMARY, means, [remedy, who]),
        (means, remedy) => Words::new(
            SUMMARY,
            means.unwrap_or_else(|| "S3 says the same for six reasons.".to_owned()),
            [
                remedy.unwrap_or_else(|| format!("the identity's policy: allow {action} on arn:aws:s3:::{object}")),
                "updating an object needs s3:PutObject and s3:GetObject; without s3:ListBucket, S3 says so of a missing object too"
                    .to_owned(),
                "the bucket's policy, or its owner: another account's bucket has to allow this one".to_owned(),
                "a permissions boundary, a session policy or the organization's policy".to_owned(),
                "a VPC endpoint's policy, where the calls leave through one".to_owned(),
                "`expected_bucket_owner`, where it is given, names another account".to_owned(),
            ],
        ),
    }
}

fn kms_denied(key: &str, denial: &Denial) -> Words {
    let action = denial.action().unwrap_or("a permission of KMS");
    let means = denial.means().filter(|_| denial.is_decided()).map(|means| format!("{means} ")).unwrap_or_default();
    let mut remedies = match denial.remedy().filter(|_| denial.is_decided()) {
        Some(remedy) => vec![remedy],
        None => vec![
            format!("allow {action} on that key in the identity's policy"),
            "and in the key's own policy, if it does not leave that to IAM".to_owned(),
        ],
    };
    remedies.push("`kms_key_id`: the bastion module's bucket_kms_key_arn".to_owned());
    Words {
        summary: "The bucket's KMS key may not be used",
        means: format!("{means}S3 needs {action} on {key} for this identity. The bastion needs kms:Decrypt on the same key."),
        remedies,
    }
}
