//! What a test puts into buckets before, and changes behind the back of, the program under test. None of it is in the log, and no denial
//! hits it.

use anyhow::{Context, Result, anyhow, bail};
use hyper::{HeaderMap, Method, body::Bytes};
use percent_encoding::utf8_percent_encode;

use super::{
    super::{Aws, FURNISHER, call::Scope},
    Answer, Bucket, Deny, Elsewhere, Encryption, Request, S3,
    client::{IN_PATH, S3Caller, child_text},
    kms::Condition,
};

/// How a bucket is to be made; without more it is in the account's region, encrypted by S3 itself, and keeps no versions.
#[derive(Clone, Debug, Default)]
pub struct BucketOptions {
    region: Option<String>,
    kms_key: Option<String>,
    owner: Option<String>,
    versioned: bool,
}

impl BucketOptions {
    /// In another region.
    pub fn region(self, region: &str) -> Self {
        Self { region: Some(region.into()), ..self }
    }

    /// Objects that come without instructions are encrypted with this key, by its ARN.
    pub fn kms_key(self, arn: &str) -> Self {
        Self { kms_key: Some(arn.into()), ..self }
    }

    /// It belongs to another account, which shares it with nobody.
    pub fn owner(self, account: &str) -> Self {
        Self { owner: Some(account.into()), ..self }
    }

    /// It keeps versions.
    pub fn versioned(self) -> Self {
        Self { versioned: true, ..self }
    }
}

/// An object without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Without quotes.
    pub etag: String,
    /// In a bucket that keeps versions.
    pub version_id: Option<String>,
    /// The ARN of the key that it is encrypted with, if that is not S3's own.
    pub kms_key: Option<String>,
    /// Its own metadata, names without `x-amz-meta-`, sorted.
    pub metadata: Vec<(String, String)>,
    /// Bytes.
    pub size: u64,
}

impl Aws {
    /// A client of this account's S3 that signs for that region, with an access key of its own or [`Aws::access_key`].
    pub fn s3_caller(&self, region: &str, access_key: &str) -> S3Caller {
        let secret_key = self.secret_key().to_owned();
        S3Caller { endpoint: self.endpoint(), region: region.to_owned(), access_key: access_key.to_owned(), secret_key }
    }

    /// Makes a bucket and gives its name: the given one with the account behind it, since buckets' names are the world's.
    pub fn make_bucket(&self, name: &str, options: BucketOptions) -> Result<String> {
        let name = format!("{name}-{}", self.account_id());
        let region = options.region.unwrap_or_else(|| self.region().to_owned());
        let constraint =
            format!("<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>");
        // The one region that may not be said.
        let constraint = if region == "us-east-1" { String::new() } else { constraint };
        let encryption = options.kms_key.map_or(Encryption::Aes256, Encryption::Kms);
        let owner = options.owner.unwrap_or_else(|| self.account_id().to_owned());
        done(self.s3(&Done {
            method: Method::PUT,
            uri: format!("/{name}"),
            body: constraint.as_bytes(),
            region: Some(&region),
            headers: &[],
        })?)?;
        self.with_state(async |state, _| state.s3.buckets.insert(name.clone(), Bucket { region, owner, encryption }));
        if options.versioned {
            let body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
            done(self.s3(&Done { body, ..Done::of(Method::PUT, format!("/{name}?versioning")) })?)?;
        }
        Ok(name)
    }

    /// Changes how objects are encrypted that come without instructions: with a key by its ARN, or by S3 itself.
    pub fn encrypt_bucket(&self, bucket: &str, kms_key: Option<&str>) -> Result<()> {
        let encryption = kms_key.map_or(Encryption::Aes256, |arn| Encryption::Kms(arn.into()));
        let found = self.with_state(async |state, _| state.s3.buckets.get_mut(bucket).map(|bucket| bucket.encryption = encryption));
        found.with_context(|| format!("no bucket {bucket}"))
    }

    /// Makes a key of KMS in the account's region, for S3 alone; gives its ARN.
    pub fn make_kms_key(&self) -> String {
        self.make_kms_key_in(self.region())
    }

    /// As [`Aws::make_kms_key`], in another region.
    pub fn make_kms_key_in(&self, region: &str) -> String {
        self.with_state(async |state, _| state.s3.keys.make(self.account_id(), region))
    }

    /// Gives a key a name, `alias/…`, in the account's region.
    pub fn name_kms_key(&self, arn: &str, alias: &str) {
        self.with_state(async |state, _| state.s3.keys.name(arn, self.region(), alias));
    }

    /// Disables a key: nothing is encrypted or decrypted with it.
    pub fn disable_kms_key(&self, arn: &str) -> Result<()> {
        self.change_key(arn, |state| state.keys.set(arn, Condition::Disabled))
    }

    /// Undoes [`Aws::disable_kms_key`].
    pub fn enable_kms_key(&self, arn: &str) -> Result<()> {
        self.change_key(arn, |state| state.keys.set(arn, Condition::Enabled))
    }

    /// Deletes a key.
    pub fn delete_kms_key(&self, arn: &str) -> Result<()> {
        self.change_key(arn, |state| state.keys.remove(arn))
    }

    fn change_key(&self, arn: &str, change: impl FnOnce(&mut S3) -> bool + Send) -> Result<()> {
        if self.with_state(async |state, _| change(&mut state.s3)) { Ok(()) } else { Err(anyhow!("no key {arn}")) }
    }

    /// Takes a permission away, from now on.
    pub fn deny(&self, deny: Deny) {
        self.with_state(async |state, _| state.s3.denials.push(deny));
    }

    /// Gives back everything that [`Aws::deny`] took.
    pub fn deny_nothing(&self) {
        self.with_state(async |state, _| state.s3.denials.clear());
    }

    /// Chooses how calls for a bucket of another region are answered; with a redirect at first.
    pub fn elsewhere(&self, answer: Elsewhere) {
        self.with_state(async |state, _| state.s3.elsewhere = answer);
    }

    /// Ignores the conditions of writes from now on, as some stores do that only look like S3.
    pub fn ignore_conditions(&self) {
        self.with_state(async |state, _| state.s3.unconditional = true);
    }

    /// Puts an object as the bucket's settings have it; gives its ETag, without quotes.
    pub fn put_object(&self, bucket: &str, key: &str, body: impl AsRef<[u8]>) -> Result<String> {
        self.put_object_with(bucket, key, body, &[])
    }

    /// As [`Aws::put_object`], with headers: `x-amz-meta-owner`, `x-amz-server-side-encryption`.
    pub fn put_object_with(&self, bucket: &str, key: &str, body: impl AsRef<[u8]>, headers: &[(&str, &str)]) -> Result<String> {
        let answer = done(self.s3(&Done { body: body.as_ref(), headers, ..Done::of(Method::PUT, uri(bucket, key)) })?)?;
        Ok(header(&answer, "etag").context("no ETag")?.trim_matches('"').to_owned())
    }

    /// The body of an object; none when there is none.
    pub fn get_object(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let answer = self.s3(&Done::of(Method::GET, uri(bucket, key)))?;
        found(answer)?.map(|answer| Ok(answer.into_body().to_vec())).transpose()
    }

    /// An object without its body; none when there is none.
    pub fn head(&self, bucket: &str, key: &str) -> Result<Option<Head>> {
        let Some(answer) = found(self.s3(&Done::of(Method::HEAD, uri(bucket, key)))?)? else { return Ok(None) };
        let text = |name: &str| header(&answer, name).map(str::to_owned);
        let own = |name: &str| name.strip_prefix("x-amz-meta-").map(str::to_owned);
        let mut metadata: Vec<(String, String)> =
            answer.headers().iter().filter_map(|(name, value)| Some((own(name.as_str())?, value.to_str().ok()?.to_owned()))).collect();
        metadata.sort();
        Ok(Some(Head {
            etag: text("etag").context("no ETag")?.trim_matches('"').to_owned(),
            version_id: text("x-amz-version-id"),
            kms_key: text("x-amz-server-side-encryption-aws-kms-key-id"),
            metadata,
            size: text("content-length").context("no length")?.parse()?,
        }))
    }

    /// Deletes an object; in a bucket that keeps versions it becomes a marker.
    pub fn delete_object(&self, bucket: &str, key: &str) -> Result<()> {
        done(self.s3(&Done::of(Method::DELETE, uri(bucket, key)))?).map(drop)
    }

    /// The keys of all objects, up to S3's page of a thousand, in the bucket's order.
    pub fn object_keys(&self, bucket: &str) -> Result<Vec<String>> {
        let answer = done(self.s3(&Done::of(Method::GET, format!("/{bucket}")))?)?;
        let text = std::str::from_utf8(answer.body())?;
        let document = roxmltree::Document::parse(text)?;
        let keys = document.root_element().children().filter(|node| node.tag_name().name() == "Contents");
        keys.map(|node| Ok(child_text(node, "Key").context("an object without a key")?.to_owned())).collect()
    }

    /// Does a call under the rules of any client's, but for denials.
    fn s3(&self, done: &Done<'_>) -> Result<Answer> {
        let bucket = done.uri.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
        self.with_state(async |state, moto| {
            let known = state.s3.buckets.get(bucket).map(|bucket| bucket.region.clone());
            let region = done.region.map(str::to_owned).or(known).unwrap_or_else(|| self.region().to_owned());
            let request = done.request(region)?;
            let named = super::name(&request);
            Ok(state.s3.answer(&request, &named, moto).await)
        })
    }
}

/// A call of the test's own.
struct Done<'a> {
    method: Method,
    uri: String,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
    /// Else the bucket's.
    region: Option<&'a str>,
}

impl Done<'_> {
    fn of(method: Method, uri: String) -> Done<'static> {
        Done { method, uri, headers: &[], body: &[], region: None }
    }

    fn request(&self, region: String) -> Result<Request> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            headers.insert(hyper::header::HeaderName::from_bytes(name.as_bytes())?, value.parse()?);
        }
        // moto reads the service from it, and verifies nothing.
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={FURNISHER}/20260101/{region}/s3/aws4_request, SignedHeaders=host, Signature=00");
        headers.insert("authorization", authorization.parse()?);
        let scope = Scope { access_key: FURNISHER.into(), region, service: "s3".into() };
        Ok(Request { method: self.method.clone(), uri: self.uri.clone(), headers, body: Bytes::copy_from_slice(self.body), scope })
    }
}

fn uri(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}", utf8_percent_encode(key, IN_PATH))
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

fn done(answer: Answer) -> Result<Answer> {
    if !answer.status().is_success() {
        bail!("{}: {}", answer.status(), String::from_utf8_lossy(answer.body()));
    }
    Ok(answer)
}

fn found(answer: Answer) -> Result<Option<Answer>> {
    if answer.status() == hyper::StatusCode::NOT_FOUND { Ok(None) } else { done(answer).map(Some) }
}
