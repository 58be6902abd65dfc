//! One object: put, get, head, delete, with the conditions, the encryption and the ETags of S3.
//!
//! An ETag is the body's MD5 only without KMS. moto always says MD5, so for objects under KMS another is made here at each put, shown
//! instead, and mapped back where a caller gives it as a condition.

use hyper::{
    HeaderMap, Method, StatusCode,
    header::{ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH},
};

use super::{Answer, Asked, Encryption, LONGEST_KEY, Refusal, Request, S3, Upstream, copy, digest, not_implemented, send};

const ALGORITHM: HeaderName = HeaderName::from_static("x-amz-server-side-encryption");
const KEY_ID: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-aws-kms-key-id");
const VERSION: HeaderName = HeaderName::from_static("x-amz-version-id");
const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// The version of an object in a bucket that keeps none.
const UNVERSIONED: &str = "null";

/// What no MD5 is: a condition on it never holds.
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";

/// An object as it is before a call.
pub(super) struct Current {
    /// Without quotes.
    md5: String,
    version: String,
    /// The ARN of the key that it is under, if that is one of KMS.
    kms_key: Option<String>,
}

impl Current {
    fn of(headers: &HeaderMap) -> Current {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        Current {
            md5: text(&ETAG).unwrap_or_default().trim_matches('"').to_owned(),
            version: text(&VERSION).unwrap_or(UNVERSIONED).to_owned(),
            kms_key: text(&KEY_ID).filter(|_| text(&ALGORITHM) == Some("aws:kms")).map(str::to_owned),
        }
    }
}

impl S3 {
    pub(super) async fn put(&mut self, request: &Request, asked: &Asked, moto: &Upstream) -> Result<Answer, Refusal> {
        digest::check(request)?;
        if asked.key.len() > LONGEST_KEY {
            return Err(Refusal::new("KeyTooLongError", "Your key is too long"));
        }
        if request.headers.get(IF_NONE_MATCH).is_some_and(|value| value != "*") {
            return Err(not_implemented("A header you provided implies functionality that is not implemented"));
        }
        if request.headers.contains_key(IF_MATCH) {
            self.permitted(request, moto, "s3:GetObject", &asked.arn())?;
        }
        let encryption = self.encryption(&request.headers, asked, moto.account())?;
        if let Encryption::Kms(key) = &encryption {
            self.permitted(request, moto, "kms:GenerateDataKey", key)?;
        }
        let mut onward = copy(request);
        self.condition(&mut onward, asked, moto).await?;
        if let Encryption::Kms(key) = &encryption {
            onward.headers.insert(ALGORITHM, HeaderValue::from_static("aws:kms"));
            set(&mut onward.headers, KEY_ID, key);
        }
        let mut answer = send(moto, &onward).await?;
        if answer.status().is_success() {
            // Encrypted with a data key of its own, the same body gets another ETag.
            let version = Current::of(answer.headers()).version;
            self.etags.remove(&(asked.bucket.clone(), asked.key.clone(), version));
            self.dress(&mut answer, asked, &encryption);
        }
        Ok(answer)
    }

    pub(super) async fn get(&mut self, request: &Request, asked: &Asked, moto: &Upstream) -> Result<Answer, Refusal> {
        let current = self.current(request, &request.uri, moto).await?;
        let reads = request.method == Method::GET || request.headers.contains_key(CHECKSUM_MODE);
        if let (true, Some(key)) = (reads, current.as_ref().and_then(|current| current.kms_key.as_deref())) {
            self.permitted(request, moto, "kms:Decrypt", key)?;
            self.keys.usable(key)?;
        }
        let mut onward = copy(request);
        self.map_back(&mut onward, asked, moto).await?;
        let mut answer = send(moto, &onward).await?;
        let missing = answer.status() == StatusCode::NOT_FOUND;
        // Who may not list is not told what is not there.
        if missing {
            self.permitted(request, moto, "s3:ListBucket", &format!("arn:aws:s3:::{}", asked.bucket))?;
        }
        if let (Some(current), false) = (current, missing) {
            self.dress(&mut answer, asked, &current.kms_key.map_or(Encryption::Aes256, Encryption::Kms));
        }
        Ok(answer)
    }

    pub(super) async fn delete(&mut self, request: &Request, asked: &Asked, moto: &Upstream) -> Result<Answer, Refusal> {
        let mut onward = copy(request);
        self.condition(&mut onward, asked, moto).await?;
        send(moto, &onward).await
    }

    /// Makes a write's condition one that moto understands, or drops it where conditions are ignored.
    async fn condition(&mut self, onward: &mut Request, asked: &Asked, moto: &Upstream) -> Result<(), Refusal> {
        if self.unconditional {
            onward.headers.remove(IF_MATCH);
            onward.headers.remove(IF_NONE_MATCH);
            return Ok(());
        }
        self.map_back(onward, asked, moto).await
    }

    /// How an object is to be encrypted that comes with these headers.
    fn encryption(&mut self, headers: &HeaderMap, asked: &Asked, account: &str) -> Result<Encryption, Refusal> {
        let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let bucket = self.bucket(&asked.bucket)?;
        let region = bucket.region.clone();
        match (text(&ALGORITHM), text(&KEY_ID)) {
            (None, None) => match bucket.encryption.clone() {
                Encryption::Kms(key) => self.keys.usable(&key).map(|()| Encryption::Kms(key)),
                own => Ok(own),
            },
            (Some("AES256"), None) => Ok(Encryption::Aes256),
            (Some("aws:kms"), Some(key)) => self.keys.find(key, account, &region).map(Encryption::Kms),
            // Not the bucket's.
            (Some("aws:kms"), None) => Ok(Encryption::Kms(self.keys.amazons(account, &region))),
            (Some("aws:kms:dsse"), _) => Err(not_implemented("the lab has no aws:kms:dsse")),
            (Some("AES256") | None, Some(_)) => Err(Refusal::new(
                "InvalidArgument",
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
            )),
            _ => Err(Refusal::new("InvalidArgument", "The encryption method specified is not supported")),
        }
    }

    /// What moto has there.
    pub(super) async fn current(&self, request: &Request, uri: &str, moto: &Upstream) -> Result<Option<Current>, Refusal> {
        let mut look = copy(request);
        look.method = Method::HEAD;
        uri.clone_into(&mut look.uri);
        look.body.clear();
        for name in [IF_MATCH, IF_NONE_MATCH, hyper::header::RANGE, hyper::header::CONTENT_TYPE] {
            look.headers.remove(name);
        }
        let answer = send(moto, &look).await?;
        Ok(answer.status().is_success().then(|| Current::of(answer.headers())))
    }

    /// Puts moto's ETag where the caller gave ours.
    async fn map_back(&mut self, request: &mut Request, asked: &Asked, moto: &Upstream) -> Result<(), Refusal> {
        for name in [IF_MATCH, IF_NONE_MATCH] {
            let given = request.headers.get(&name).and_then(|value| value.to_str().ok()).map(|value| value.trim_matches('"').to_owned());
            let Some(given) = given.filter(|given| given != "*") else { continue };
            let uri = request.uri.clone();
            let Some(current) = self.current(request, &uri, moto).await?.filter(|current| current.kms_key.is_some()) else { continue };
            let holds = self.etag(asked, &current.version) == given;
            let mapped = if holds { format!("\"{}\"", current.md5) } else { NO_ETAG.to_owned() };
            set(&mut request.headers, name, &mapped);
        }
        Ok(())
    }

    /// Shows in an answer what S3 would show of the object.
    fn dress(&mut self, answer: &mut Answer, asked: &Asked, encryption: &Encryption) {
        let version = Current::of(answer.headers()).version;
        let headers = answer.headers_mut();
        match encryption {
            Encryption::Aes256 => drop(headers.insert(ALGORITHM, HeaderValue::from_static("AES256"))),
            Encryption::Kms(key) => {
                headers.insert(ALGORITHM, HeaderValue::from_static("aws:kms"));
                set(headers, KEY_ID, key);
                set(headers, ETAG, &format!("\"{}\"", self.etag(asked, &version)));
            }
        }
    }

    /// The ETag of a version under KMS, without quotes.
    fn etag(&mut self, asked: &Asked, version: &str) -> String {
        self.etag_of(&asked.bucket, &asked.key, version)
    }

    fn etag_of(&mut self, bucket: &str, key: &str, version: &str) -> String {
        let new = || format!("{:032x}", fastrand::u128(..));
        self.etags.entry((bucket.to_owned(), key.to_owned(), version.to_owned())).or_insert_with(new).clone()
    }

    /// As [`S3::etag_of`], of an object as moto described it; none without KMS, where moto's own is right.
    pub(super) fn etag_for(&mut self, bucket: &str, key: &str, current: &Current) -> Option<String> {
        current.kms_key.is_some().then(|| self.etag_of(bucket, key, &current.version))
    }
}

/// Puts one value in the place of all that are there.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
