//! The calls on a login's object: made, replaced, looked at, removed, each only as far as it is ours.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;

use super::content::Content;
use super::name::{BucketName, ObjectKey};
use crate::aws::Account;
use crate::aws::answer::Answer;
use crate::path::heard::Heard;
use crate::path::refusal::{AccountReason, BucketReason, Reason, Refusal};

/// The metadata by which an object is known as ours.
const MARK: (&str, &str) = ("managed-by", "terraform-provider-bastion");

/// The largest object that is read: some eighty of the longest keys that OpenSSH makes.
const LONGEST: usize = 256 * 1024;

/// How often a write that met another one at the same moment (409) is tried in all; the SDK leaves that to its callers.
const RACES: u32 = 5;

/// The pause between such tries: the other write is over in a fraction of that.
const RACE: Duration = Duration::from_millis(200);

/// Whether an object is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It bears our mark.
    Ours,
    /// It does not.
    Foreign,
}

/// What is to become of an object that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// It stays as it is, and that is an error.
    Respect,
    /// It is overwritten.
    Adopt,
}

/// What is known of an object without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Without quotation marks. An MD5 sum only where no KMS key is in play.
    pub etag: String,
    /// In a versioned bucket.
    pub version_id: Option<String>,
    /// `AES256`, `aws:kms`, …
    pub encryption: String,
    /// The ARN of the KMS key.
    pub kms_key: Option<String>,
    /// Whose it is.
    pub mark: Mark,
}

/// An object with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// What is known of it.
    pub seen: Seen,
    /// Its text; what is not UTF-8 in it is replaced.
    pub text: String,
}

/// One login's object in a bastion's bucket.
#[derive(Clone)]
pub struct AuthorizedKeys {
    account: Account,
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) kms_key_id: Option<String>,
    owner: Option<String>,
}

/// What has to hold for a write to happen.
enum Condition<'a> {
    Absent,
    Still(&'a str),
}

impl AuthorizedKeys {
    /// The object of a login. `kms_key_id` is an id, an ARN or an alias; without one the bucket's own encryption applies. `owner` is the
    /// account that the bucket has to belong to.
    #[must_use]
    pub fn new(account: &Account, bucket: BucketName, key: ObjectKey, kms_key_id: Option<String>, owner: Option<String>) -> Self {
        Self { account: account.clone(), bucket, key, kms_key_id, owner }
    }

    /// Makes the object. One of our mark with the same text is taken as it is: an apply that was killed left it.
    ///
    /// # Errors
    ///
    /// S3's refusal, or [`BucketReason::Foreign`] for an object that is there and to be respected.
    pub async fn create(&self, content: &Content, stranger: Stranger) -> Result<Seen, Refusal> {
        const ACTION: &str = "s3:PutObject";
        let answer = match self.put(content, &Condition::Absent).await? {
            Ok(seen) => return Ok(seen),
            Err(answer) if answer.status == 412 => answer,
            Err(answer) => return Err(self.refuse(ACTION, &answer)),
        };
        let there = self.fetch().await?;
        match there {
            Some(there) if there.seen.mark == Mark::Ours && there.text == content.as_str() => Ok(there.seen),
            Some(there) if stranger == Stranger::Adopt => self.replace(content, &there.seen.etag).await,
            _ => Err(answer.refusal(ACTION, Reason::Bucket(BucketReason::Foreign { object: self.place() }))),
        }
    }

    /// Replaces the object if it still has this ETag. One that is gone by now is made again.
    ///
    /// # Errors
    ///
    /// S3's refusal, or [`BucketReason::Changed`] for an object that somebody else has written meanwhile.
    pub async fn replace(&self, content: &Content, etag: &str) -> Result<Seen, Refusal> {
        const ACTION: &str = "s3:PutObject";
        let answer = match self.put(content, &Condition::Still(etag)).await? {
            Ok(seen) => return Ok(seen),
            Err(answer) if answer.status == 404 && answer.code == "NoSuchKey" => {
                return Box::pin(self.create(content, Stranger::Respect)).await;
            }
            Err(answer) if answer.status == 412 => answer,
            Err(answer) => return Err(self.refuse(ACTION, &answer)),
        };
        // Our own write may have been the one that changed it: its answer was lost, and the call was tried again.
        match self.fetch().await? {
            Some(there) if there.seen.mark == Mark::Ours && there.text == content.as_str() => Ok(there.seen),
            _ => Err(answer.refusal(ACTION, Reason::Bucket(BucketReason::Changed { object: self.place() }))),
        }
    }

    /// Looks at the object without reading it, which needs no permission on its KMS key. `None`: there is none.
    ///
    /// # Errors
    ///
    /// S3's refusal.
    pub async fn look(&self) -> Result<Option<Seen>, Refusal> {
        const ACTION: &str = "s3:GetObject";
        let (bucket, key, owner) = (self.bucket.as_str(), self.key.to_string(), &self.owner);
        let head = |client: Client| client.head_object().bucket(bucket).key(&key).set_expected_bucket_owner(owner.clone()).send();
        match self.call(head).await? {
            Ok(head) => {
                Ok(Some(seen(head.e_tag(), head.version_id(), head.server_side_encryption(), head.ssekms_key_id(), mark(head.metadata()))))
            }
            Err(answer) if answer.status == 404 => Ok(None),
            // The answer to HEAD has no body. Of those that all retries met, the status says enough.
            Err(answer) if answer.status == 503 => Err(answer.refusal(ACTION, Reason::Account(AccountReason::Throttled))),
            Err(answer) if (300..500).contains(&answer.status) && answer.code.is_empty() => self.look_by_reading().await,
            Err(answer) => Err(self.refuse(ACTION, &answer)),
        }
    }

    /// Looks by reading one byte, for S3 to say in words why it refused to do so without: an expired session, a wrong clock, a denial.
    async fn look_by_reading(&self) -> Result<Option<Seen>, Refusal> {
        let (bucket, key, owner) = (self.bucket.as_str(), self.key.to_string(), &self.owner);
        let get = |client: Client| {
            client.get_object().bucket(bucket).key(&key).range("bytes=0-0").set_expected_bucket_owner(owner.clone()).send()
        };
        match self.call(get).await? {
            Ok(got) => {
                Ok(Some(seen(got.e_tag(), got.version_id(), got.server_side_encryption(), got.ssekms_key_id(), mark(got.metadata()))))
            }
            Err(answer) if answer.code == "NoSuchKey" => Ok(None),
            Err(answer) => Err(self.refuse("s3:GetObject", &answer)),
        }
    }

    /// Reads the object. `None`: there is none.
    ///
    /// # Errors
    ///
    /// S3's refusal, or [`BucketReason::TooLarge`].
    pub async fn fetch(&self) -> Result<Option<Fetched>, Refusal> {
        const ACTION: &str = "s3:GetObject";
        let (bucket, key, owner) = (self.bucket.as_str(), self.key.to_string(), &self.owner);
        let get = |client: Client| client.get_object().bucket(bucket).key(&key).set_expected_bucket_owner(owner.clone()).send();
        let object = match self.call(get).await? {
            Ok(object) => object,
            Err(answer) if answer.code == "NoSuchKey" => return Ok(None),
            Err(answer) => return Err(self.refuse(ACTION, &answer)),
        };
        let seen =
            seen(object.e_tag(), object.version_id(), object.server_side_encryption(), object.ssekms_key_id(), mark(object.metadata()));
        let text = self.text(object.body).await?;
        Ok(Some(Fetched { seen, text }))
    }

    async fn text(&self, mut body: ByteStream) -> Result<String, Refusal> {
        let refusal = |reason| Refusal { reason: Reason::Bucket(reason), heard: Heard::default(), action: "s3:GetObject" };
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            let cut = |_| refusal(BucketReason::Cut { object: self.place() });
            bytes.extend_from_slice(&piece.map_err(cut)?);
            if bytes.len() > LONGEST {
                return Err(refusal(BucketReason::TooLarge { object: self.place() }));
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Removes the object if it still has this ETag. One that is gone already is no error.
    ///
    /// # Errors
    ///
    /// S3's refusal, or [`BucketReason::Changed`].
    pub async fn remove(&self, etag: &str) -> Result<(), Refusal> {
        const ACTION: &str = "s3:DeleteObject";
        let answer = match self.delete(Some(quoted(etag))).await? {
            Ok(()) => return Ok(()),
            Err(answer) => answer,
        };
        let changed = || answer.refusal(ACTION, Reason::Bucket(BucketReason::Changed { object: self.place() }));
        match answer.status {
            404 if answer.code != "NoSuchBucket" => Ok(()),
            412 => match self.look().await? {
                None => Ok(()),
                Some(_) => Err(changed()),
            },
            // Stores that only look like S3 have no conditional delete.
            501 => match self.look().await? {
                None => Ok(()),
                Some(there) if there.etag == etag => self.delete(None).await?.map_err(|answer| self.refuse(ACTION, &answer)),
                Some(_) => Err(changed()),
            },
            _ => Err(self.refuse(ACTION, &answer)),
        }
    }

    /// The KMS key that the bucket encrypts with by itself, if it is known: looking needs a permission that nothing else here needs.
    pub async fn default_kms_key(&self) -> Option<String> {
        let (bucket, owner) = (self.bucket.as_str(), &self.owner);
        let ask = |client: Client| client.get_bucket_encryption().bucket(bucket).set_expected_bucket_owner(owner.clone()).send();
        let told = self.call(ask).await.ok()?.ok()?;
        let rules = told.server_side_encryption_configuration()?.rules();
        rules.iter().find_map(|rule| rule.apply_server_side_encryption_by_default()?.kms_master_key_id().map(ToOwned::to_owned))
    }

    async fn put(&self, content: &Content, condition: &Condition<'_>) -> Result<Result<Seen, Answer>, Refusal> {
        let (bucket, key) = (self.bucket.as_str(), self.key.to_string());
        let body = Bytes::from(content.as_str().to_owned());
        let put = |client: Client| {
            let put = client.put_object().bucket(bucket).key(&key).body(body.clone().into()).content_type("text/plain; charset=utf-8");
            let put = put.metadata(MARK.0, MARK.1).set_expected_bucket_owner(self.owner.clone());
            let put = match condition {
                Condition::Absent => put.if_none_match("*"),
                Condition::Still(etag) => put.if_match(quoted(etag)),
            };
            match &self.kms_key_id {
                Some(id) => put.server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id(id).send(),
                None => put.send(),
            }
        };
        let mut tries = 1;
        loop {
            match self.call(put).await? {
                Ok(done) => {
                    return Ok(Ok(seen(done.e_tag(), done.version_id(), done.server_side_encryption(), done.ssekms_key_id(), Mark::Ours)));
                }
                Err(answer) if answer.status == 409 && tries < RACES => {
                    tries += 1;
                    tokio::time::sleep(RACE).await;
                }
                Err(answer) => return Ok(Err(answer)),
            }
        }
    }

    async fn delete(&self, condition: Option<String>) -> Result<Result<(), Answer>, Refusal> {
        let (bucket, key, owner) = (self.bucket.as_str(), self.key.to_string(), &self.owner);
        let delete = |client: Client| {
            let delete = client.delete_object().bucket(bucket).key(&key).set_if_match(condition.clone());
            delete.set_expected_bucket_owner(owner.clone()).send()
        };
        Ok(self.call(delete).await?.map(drop))
    }

    /// Makes a call, in the bucket's own region once S3 has named it.
    async fn call<T, E, F>(&self, send: impl Fn(Client) -> F) -> Result<Result<T, Answer>, Refusal>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let known = self.account.region_of(self.bucket.as_str());
        let answer = match send(self.account.s3(known.as_deref()).await?).await {
            Ok(done) => return Ok(Ok(done)),
            Err(error) => Answer::of(&error),
        };
        let elsewhere = matches!(answer.status, 301 | 307 | 400);
        match answer.region.as_deref().filter(|region| elsewhere && is_label(region) && known.as_deref() != Some(region)) {
            None => Ok(Err(answer)),
            Some(region) => {
                let client = self.account.s3(Some(region)).await?;
                self.account.note_region(self.bucket.as_str(), region);
                Ok(send(client).await.map_err(|error| Answer::of(&error)))
            }
        }
    }
}

fn seen(etag: Option<&str>, version: Option<&str>, encryption: Option<&ServerSideEncryption>, kms_key: Option<&str>, mark: Mark) -> Seen {
    Seen {
        etag: etag.unwrap_or_default().trim_matches('"').to_owned(),
        version_id: version.filter(|version| *version != "null").map(ToOwned::to_owned),
        encryption: encryption.map(|encryption| encryption.as_str().to_owned()).unwrap_or_default(),
        kms_key: kms_key.map(ToOwned::to_owned),
        mark,
    }
}

fn mark(metadata: Option<&HashMap<String, String>>) -> Mark {
    let ours = metadata.and_then(|metadata| metadata.get(MARK.0)).is_some_and(|value| value == MARK.1);
    if ours { Mark::Ours } else { Mark::Foreign }
}

/// The name becomes a part of a host name.
fn is_label(region: &str) -> bool {
    (1..=32).contains(&region.len()) && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// As the condition of a call wants it.
fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}
