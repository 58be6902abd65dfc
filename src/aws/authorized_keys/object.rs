//! The calls on a login's object: looked at, read, written and deleted, each write under a condition.

use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;

use super::claims::{Claims, MARK, OWNERS};
use super::name::{BucketName, ObjectKey};
use crate::aws::Account;
use crate::aws::answer::Answer;
use crate::path::heard::Heard;
use crate::path::refusal::{AccountReason, BucketReason, Reason, Refusal};

/// The largest object that is read or written: some eighty of the longest keys that OpenSSH makes.
pub(super) const LONGEST: usize = 256 * 1024;

/// How often a write that met another one at the same moment (409) is tried in all; the SDK leaves that to its callers.
const RACES: u32 = 5;

/// The pause between such tries: the other write is over in a fraction of that.
pub(super) const RACE: Duration = Duration::from_millis(200);

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
    /// Who claims it, as its metadata say; `None`: only its text can tell.
    pub claims: Option<Claims>,
}

/// An object with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// What is known of it.
    pub seen: Seen,
    /// Who claims it, as its text says. Empty: it is not this provider's.
    pub claims: Claims,
    /// Its text without the claims; what is not UTF-8 in it is replaced.
    pub lines: String,
}

/// What is to be written, in one call.
pub(super) struct Text<'a> {
    pub(super) claims: &'a Claims,
    pub(super) lines: &'a str,
    /// Encrypts it; without one the bucket's own encryption applies.
    pub(super) kms_key_id: Option<&'a str>,
}

/// One login's object in a bastion's bucket.
#[derive(Clone)]
pub struct AuthorizedKeys {
    pub(super) account: Account,
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) kms_key_id: Option<String>,
    pub(super) owner: Option<String>,
}

/// What has to hold for a write to happen.
#[derive(Clone, Copy)]
pub(super) enum Condition<'a> {
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
                let claims = Claims::of_metadata(head.metadata());
                Ok(Some(seen(head.e_tag(), head.version_id(), head.server_side_encryption(), head.ssekms_key_id(), claims)))
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
                let claims = Claims::of_metadata(got.metadata());
                Ok(Some(seen(got.e_tag(), got.version_id(), got.server_side_encryption(), got.ssekms_key_id(), claims)))
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
        let noted = Claims::of_metadata(object.metadata());
        let seen = seen(object.e_tag(), object.version_id(), object.server_side_encryption(), object.ssekms_key_id(), noted.clone());
        let text = self.text(object.body).await?;
        let (claims, lines) = Claims::of_text(&text);
        let by_earlier_version = claims.is_empty() && noted == Some(Claims::earlier());
        let claims = if by_earlier_version { Claims::earlier() } else { claims };
        Ok(Some(Fetched { seen, claims, lines: lines.to_owned() }))
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

    /// The KMS key that the bucket encrypts with by itself, if it is known: looking needs a permission that nothing else here needs.
    pub async fn default_kms_key(&self) -> Option<String> {
        let (bucket, owner) = (self.bucket.as_str(), &self.owner);
        let ask = |client: Client| client.get_bucket_encryption().bucket(bucket).set_expected_bucket_owner(owner.clone()).send();
        let told = self.call(ask).await.ok()?.ok()?;
        let rules = told.server_side_encryption_configuration()?.rules();
        rules.iter().find_map(|rule| rule.apply_server_side_encryption_by_default()?.kms_master_key_id().map(ToOwned::to_owned))
    }

    /// Writes the object, if the condition holds.
    pub(super) async fn put(&self, text: &Text<'_>, condition: Condition<'_>) -> Result<Result<Seen, Answer>, Refusal> {
        let (bucket, key) = (self.bucket.as_str(), self.key.to_string());
        let body = Bytes::from(text.claims.text(text.lines));
        if body.len() > LONGEST {
            let reason = Reason::Bucket(BucketReason::TooLarge { object: self.place() });
            return Err(Refusal { reason, heard: Heard::default(), action: "s3:PutObject" });
        }
        let put = |client: Client| {
            let put = client.put_object().bucket(bucket).key(&key).body(body.clone().into()).content_type("text/plain; charset=utf-8");
            let put = put.metadata(MARK.0, MARK.1).metadata(OWNERS, text.claims.metadata()).set_expected_bucket_owner(self.owner.clone());
            let put = match condition {
                Condition::Absent => put.if_none_match("*"),
                Condition::Still(etag) => put.if_match(quoted(etag)),
            };
            match text.kms_key_id {
                Some(id) => put.server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id(id).send(),
                None => put.send(),
            }
        };
        let mut tries = 1;
        loop {
            match self.call(put).await? {
                Ok(done) => {
                    let claims = Some(text.claims.clone());
                    return Ok(Ok(seen(done.e_tag(), done.version_id(), done.server_side_encryption(), done.ssekms_key_id(), claims)));
                }
                Err(answer) if answer.status == 409 && tries < RACES => {
                    tries += 1;
                    tokio::time::sleep(RACE).await;
                }
                Err(answer) => return Ok(Err(answer)),
            }
        }
    }

    /// Deletes the object, if it still has this ETag; without one, whatever it is by now.
    pub(super) async fn delete(&self, etag: Option<&str>) -> Result<Result<(), Answer>, Refusal> {
        let (bucket, key, owner) = (self.bucket.as_str(), self.key.to_string(), &self.owner);
        let delete = |client: Client| {
            let delete = client.delete_object().bucket(bucket).key(&key).set_if_match(etag.map(quoted));
            delete.set_expected_bucket_owner(owner.clone()).send()
        };
        Ok(self.call(delete).await?.map(drop))
    }

    async fn call<T, E, F>(&self, send: impl Fn(Client) -> F) -> Result<Result<T, Answer>, Refusal>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        call(&self.account, &self.bucket, send).await
    }
}

/// Makes a call, in the bucket's own region once S3 has named it.
pub(super) async fn call<T, E, F>(account: &Account, bucket: &BucketName, send: impl Fn(Client) -> F) -> Result<Result<T, Answer>, Refusal>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    let known = account.region_of(bucket.as_str());
    // A call of the SDK's is tens of kilobytes of state, which would stand on the stack once for each that calls it.
    let answer = match Box::pin(send(account.s3(known.as_deref()).await?)).await {
        Ok(done) => return Ok(Ok(done)),
        Err(error) => Answer::of(&error),
    };
    let elsewhere = matches!(answer.status, 301 | 307 | 400);
    match answer.region.as_deref().filter(|region| elsewhere && is_label(region) && known.as_deref() != Some(region)) {
        None => Ok(Err(answer)),
        Some(region) => {
            let client = account.s3(Some(region)).await?;
            account.note_region(bucket.as_str(), region);
            Ok(Box::pin(send(client)).await.map_err(|error| Answer::of(&error)))
        }
    }
}

fn seen(
    etag: Option<&str>,
    version: Option<&str>,
    encryption: Option<&ServerSideEncryption>,
    kms_key: Option<&str>,
    claims: Option<Claims>,
) -> Seen {
    Seen {
        etag: etag.unwrap_or_default().trim_matches('"').to_owned(),
        version_id: version.filter(|version| *version != "null").map(ToOwned::to_owned),
        encryption: encryption.map(|encryption| encryption.as_str().to_owned()).unwrap_or_default(),
        kms_key: kms_key.map(ToOwned::to_owned),
        claims,
    }
}

/// The name becomes a part of a host name.
fn is_label(region: &str) -> bool {
    (1..=32).contains(&region.len()) && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// As the condition of a call wants it.
fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}
