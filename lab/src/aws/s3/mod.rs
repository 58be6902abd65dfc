//! The rules of S3 in the strict proxy: what S3 refuses or answers otherwise than moto.
//!
//! `proxy.rs` calls [`S3::answer`] with one call at a time, [`name`] before anything was checked, and [`refuse`] for refusals and
//! injected faults. `asked` says what a request asks for, `deny` who may not, `digest` whether its body arrived whole, `kms` which keys
//! there are; `object` and `list` do the work; `furnish` is for tests, `client` for the lab itself.

mod asked;
pub(crate) mod client;
mod deny;
mod digest;
mod furnish;
mod kms;
mod list;
mod object;

use std::collections::HashMap;

use hyper::{
    StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue},
};

pub(super) use asked::name;
pub use client::{S3Answer, S3Call, S3Caller, S3Client};
pub use deny::Deny;
pub use furnish::{BucketOptions, Head};

use super::{
    FURNISHER,
    call::{Answer, Named, Refusal, Request},
    policy::Policy,
    upstream::{Upstream, fault},
    xml,
};
use asked::{Asked, not_implemented};
use kms::{Encryption, Keys};

/// Where the bucket's region is named, in answers to whoever looked for it elsewhere.
const REGION_HEADER: &str = "x-amz-bucket-region";

/// The longest key, in bytes of UTF-8 (S3's user guide).
const LONGEST_KEY: usize = 1024;

/// How S3 answers a call for a bucket of another region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Elsewhere {
    /// 301 PermanentRedirect: the call went to another region's endpoint.
    #[default]
    Redirect,
    /// 400 AuthorizationHeaderMalformed: it went to the right one, or to a global one, and was signed for another.
    Malformed,
}

/// What the rules remember between calls.
#[derive(Default)]
pub(crate) struct S3 {
    buckets: HashMap<String, Bucket>,
    keys: Keys,
    denials: Vec<Deny>,
    /// What callers may do; all of it without one.
    pub(crate) policy: Option<Policy>,
    elsewhere: Elsewhere,
    /// Whether the conditions of writes are ignored, as some stores do that only look like S3.
    unconditional: bool,
    /// ETags of objects under KMS, by bucket, key and version.
    etags: HashMap<(String, String, String), String>,
}

/// What moto does not know of a bucket, or would not tell.
struct Bucket {
    region: String,
    /// The account that it belongs to.
    owner: String,
    /// How objects are encrypted that come without instructions.
    encryption: Encryption,
}

impl S3 {
    /// Answers one call that was signed for S3.
    pub(crate) async fn answer(&mut self, request: &Request, named: &Named, moto: &Upstream) -> Answer {
        let mut answer = match self.pass(request, moto).await {
            Ok(answer) => answer,
            Err(refusal) => refuse(&refusal),
        };
        let bucket = named.target.split('/').next().and_then(|bucket| self.buckets.get(bucket));
        let moved = answer.status() == StatusCode::MOVED_PERMANENTLY || named.action == "HeadBucket" || self.is_elsewhere(request, bucket);
        if let (true, Some(Ok(region))) = (moved, bucket.map(|bucket| bucket.region.parse())) {
            answer.headers_mut().insert(REGION_HEADER, region);
        }
        answer
    }

    async fn pass(&mut self, request: &Request, moto: &Upstream) -> Result<Answer, Refusal> {
        let asked = Asked::of(request)?;
        match asked.action {
            "ListBuckets" => return send(moto, request).await,
            "CreateBucket" => return self.create(request, &asked, moto).await,
            _ => self.admit(request, &asked, moto.account())?,
        }
        self.permitted(request, moto, asked.permission, &asked.arn())?;
        match asked.action {
            "PutObject" => self.put(request, &asked, moto).await,
            "GetObject" | "HeadObject" => self.get(request, &asked, moto).await,
            "DeleteObject" => self.delete(request, &asked, moto).await,
            "ListObjects" | "ListObjectsV2" | "ListObjectVersions" => self.list(request, &asked, moto).await,
            "GetBucketEncryption" => Ok(encryption_document(&self.bucket(&asked.bucket)?.encryption)),
            "DeleteBucket" => {
                let answer = send(moto, request).await?;
                if answer.status().is_success() {
                    self.buckets.remove(&asked.bucket);
                }
                Ok(answer)
            }
            _ => send(moto, request).await,
        }
    }

    /// Whether the bucket is there, here, and whose the caller believes it to be.
    fn admit(&self, request: &Request, asked: &Asked, account: &str) -> Result<(), Refusal> {
        let bucket = self.bucket(&asked.bucket)?;
        let signed_for = &request.scope.region;
        if self.is_elsewhere(request, Some(bucket)) {
            return Err(match self.elsewhere {
                Elsewhere::Redirect => Refusal::with(
                    StatusCode::MOVED_PERMANENTLY,
                    "PermanentRedirect",
                    "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future \
                     requests to this endpoint.",
                ),
                Elsewhere::Malformed => Refusal::new(
                    "AuthorizationHeaderMalformed",
                    format!("The authorization header is malformed; the region '{signed_for}' is wrong; expecting '{}'", bucket.region),
                ),
            });
        }
        let expected = request.headers.get("x-amz-expected-bucket-owner");
        let foreign = bucket.owner != account && request.scope.access_key != FURNISHER;
        if expected.is_some_and(|owner| owner.as_bytes() != bucket.owner.as_bytes()) || foreign {
            return Err(Refusal::with(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied"));
        }
        Ok(())
    }

    fn is_elsewhere(&self, request: &Request, bucket: Option<&Bucket>) -> bool {
        bucket.is_some_and(|bucket| bucket.region != request.scope.region)
    }

    fn bucket(&self, name: &str) -> Result<&Bucket, Refusal> {
        // moto would show other accounts' buckets, too.
        let none = || Refusal::with(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist");
        self.buckets.get(name).ok_or_else(none)
    }

    fn permitted(&self, request: &Request, moto: &Upstream, permission: &str, resource: &str) -> Result<(), Refusal> {
        match request.scope.access_key.as_str() {
            FURNISHER => Ok(()),
            caller => deny::check(&self.denials, self.policy.as_ref(), moto.account(), caller, permission, resource),
        }
    }

    async fn create(&mut self, request: &Request, asked: &Asked, moto: &Upstream) -> Result<Answer, Refusal> {
        self.permitted(request, moto, asked.permission, &asked.arn())?;
        let answer = send(moto, request).await?;
        if answer.status().is_success() {
            let region = request.scope.region.clone();
            self.buckets.insert(asked.bucket.clone(), Bucket { region, owner: moto.account().into(), encryption: Encryption::Aes256 });
        }
        Ok(answer)
    }
}

/// Passes a call on, as it is.
async fn send(moto: &Upstream, request: &Request) -> Result<Answer, Refusal> {
    moto.send(request).await.map_err(fault)
}

/// The same call, to be changed.
fn copy(request: &Request) -> Request {
    let Request { method, uri, headers, body, scope } = request;
    Request { method: method.clone(), uri: uri.clone(), headers: headers.clone(), body: body.clone(), scope: scope.clone() }
}

/// What a bucket says about its encryption; S3 encrypts every one.
fn encryption_document(encryption: &Encryption) -> Answer {
    let mut body = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml::element(&mut body, "ServerSideEncryptionConfiguration", |body| {
        xml::element(body, "Rule", |body| {
            xml::element(body, "ApplyServerSideEncryptionByDefault", |body| match encryption {
                Encryption::Aes256 => xml::text(body, "SSEAlgorithm", "AES256"),
                Encryption::Kms(arn) => {
                    xml::text(body, "SSEAlgorithm", "aws:kms");
                    xml::text(body, "KMSMasterKeyID", arn);
                }
            });
            xml::text(body, "BucketKeyEnabled", "false");
        });
    });
    document(body)
}

/// An error as S3 says it.
pub(super) fn refuse(refusal: &Refusal) -> Answer {
    let mut body = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml::element(&mut body, "Error", |body| {
        xml::text(body, "Code", &refusal.code);
        xml::text(body, "Message", &refusal.message);
        xml::text(body, "RequestId", &xml::request_id());
    });
    let mut answer = document(body);
    *answer.status_mut() = if refusal.status == StatusCode::OK { StatusCode::BAD_REQUEST } else { refusal.status };
    answer
}

fn document(body: String) -> Answer {
    let mut answer = Answer::new(Bytes::from(body));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}
