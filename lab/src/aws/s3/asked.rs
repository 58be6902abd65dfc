//! What a request asks of S3: the operation, the bucket, the key.

use percent_encoding::percent_decode_str;

use super::super::call::{Named, Refusal, Request};
use hyper::StatusCode;

/// What an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Service,
    Bucket,
    Object,
}

/// A method at a level with a parameter in the query, the operation that it asks for, and the permission that it needs.
type Row = (&'static str, Level, Option<&'static str>, &'static str, &'static str);

/// The operations that the lab has. Where two rows fit, the first counts.
const OPERATIONS: [Row; 16] = [
    ("GET", Level::Service, None, "ListBuckets", "s3:ListAllMyBuckets"),
    ("PUT", Level::Bucket, Some("versioning"), "PutBucketVersioning", "s3:PutBucketVersioning"),
    ("PUT", Level::Bucket, None, "CreateBucket", "s3:CreateBucket"),
    ("HEAD", Level::Bucket, None, "HeadBucket", "s3:ListBucket"),
    ("DELETE", Level::Bucket, None, "DeleteBucket", "s3:DeleteBucket"),
    ("GET", Level::Bucket, Some("location"), "GetBucketLocation", "s3:GetBucketLocation"),
    ("GET", Level::Bucket, Some("encryption"), "GetBucketEncryption", "s3:GetEncryptionConfiguration"),
    ("GET", Level::Bucket, Some("versioning"), "GetBucketVersioning", "s3:GetBucketVersioning"),
    ("GET", Level::Bucket, Some("versions"), "ListObjectVersions", "s3:ListBucketVersions"),
    ("GET", Level::Bucket, Some("list-type"), "ListObjectsV2", "s3:ListBucket"),
    ("GET", Level::Bucket, None, "ListObjects", "s3:ListBucket"),
    ("PUT", Level::Object, None, "PutObject", "s3:PutObject"),
    ("GET", Level::Object, None, "GetObject", "s3:GetObject"),
    ("HEAD", Level::Object, None, "HeadObject", "s3:GetObject"),
    ("DELETE", Level::Object, Some("versionId"), "DeleteObject", "s3:DeleteObjectVersion"),
    ("DELETE", Level::Object, None, "DeleteObject", "s3:DeleteObject"),
];

/// Parameters that refine an operation without making it another.
const REFINEMENTS: [&str; 13] = [
    "x-id",
    "versionId",
    "prefix",
    "delimiter",
    "max-keys",
    "marker",
    "encoding-type",
    "continuation-token",
    "start-after",
    "fetch-owner",
    "key-marker",
    "version-id-marker",
    "partNumber",
];

/// A request as S3 understands it.
pub(super) struct Asked {
    pub(super) action: &'static str,
    pub(super) permission: &'static str,
    pub(super) bucket: String,
    /// Decoded; empty where it is the bucket that is meant.
    pub(super) key: String,
}

impl Asked {
    /// # Errors
    /// S3 has such an operation, perhaps, but the lab has not.
    pub(super) fn of(request: &Request) -> Result<Asked, Refusal> {
        let path = Path::of(&request.uri);
        let Some((_, _, _, action, permission)) = row(request, &path) else {
            return Err(not_implemented(&format!("the lab has no {} {}", request.method, request.uri)));
        };
        let key =
            percent_decode_str(path.key).decode_utf8().map_err(|_| Refusal::new("InvalidURI", "Couldn't parse the specified URI."))?;
        Ok(Asked { action, permission, bucket: path.bucket.to_owned(), key: key.into_owned() })
    }

    /// The name of the bucket or object in policies.
    pub(super) fn arn(&self) -> String {
        if self.key.is_empty() { format!("arn:aws:s3:::{}", self.bucket) } else { format!("arn:aws:s3:::{}/{}", self.bucket, self.key) }
    }
}

/// S3's answer to what it does not have.
pub(super) fn not_implemented(message: &str) -> Refusal {
    Refusal::with(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
}

/// The API name of a call and `bucket/key`, the key as it stood in the path.
pub(in crate::aws) fn name(request: &Request) -> Named {
    let path = Path::of(&request.uri);
    let action = row(request, &path).map_or_else(|| format!("{} {}", request.method, path.parameters()), |row| row.3.to_owned());
    let target = if path.key.is_empty() { path.bucket.to_owned() } else { format!("{}/{}", path.bucket, path.key) };
    Named { action, target }
}

fn row(request: &Request, path: &Path<'_>) -> Option<Row> {
    let copies = request.headers.contains_key("x-amz-copy-source");
    let asks = |name: &str| path.parameters.iter().any(|(other, _)| other == name);
    let fits = |(method, level, parameter, ..): &Row| {
        *method == request.method.as_str()
            && *level == path.level()
            && parameter.is_none_or(asks)
            && path
                .parameters
                .iter()
                .all(|(name, _)| Some(name.as_str()) == *parameter || REFINEMENTS.contains(&name.as_str()) || name.starts_with("X-Amz-"))
    };
    OPERATIONS.into_iter().filter(|_| !copies).find(fits)
}

/// A path-style address.
struct Path<'a> {
    bucket: &'a str,
    /// As it stood there.
    key: &'a str,
    parameters: Vec<(String, String)>,
}

impl Path<'_> {
    fn of(uri: &str) -> Path<'_> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let path = path.strip_prefix('/').unwrap_or(path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Path { bucket, key, parameters: form_urlencoded::parse(query.as_bytes()).into_owned().collect() }
    }

    fn level(&self) -> Level {
        match (self.bucket, self.key) {
            ("", _) => Level::Service,
            (_, "") => Level::Bucket,
            _ => Level::Object,
        }
    }

    fn parameters(&self) -> String {
        let names: Vec<_> = self.parameters.iter().map(|(name, _)| name.as_str()).collect();
        names.join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::call::Scope;
    use hyper::{HeaderMap, Method, body::Bytes};

    fn request(method: Method, uri: &str) -> Request {
        let scope = Scope { access_key: "AKIA1".into(), region: "us-west-2".into(), service: "s3".into() };
        Request { method, uri: uri.into(), headers: HeaderMap::new(), body: Bytes::new(), scope }
    }

    #[test]
    fn operations_are_known_by_their_names() {
        for (method, uri, action, target) in [
            (Method::GET, "/", "ListBuckets", ""),
            (Method::HEAD, "/b", "HeadBucket", "b"),
            (Method::GET, "/b/?list-type=2&prefix=public-keys%2F", "ListObjectsV2", "b"),
            (Method::GET, "/b?prefix=a&max-keys=3", "ListObjects", "b"),
            (Method::GET, "/b?encryption", "GetBucketEncryption", "b"),
            (Method::PUT, "/b/a/k?x-id=PutObject", "PutObject", "b/a/k"),
            (Method::PUT, "/b//k%20l", "PutObject", "b//k%20l"),
            (Method::DELETE, "/b/k?versionId=v", "DeleteObject", "b/k"),
            (Method::PUT, "/b/k?acl", "PUT acl", "b/k"),
        ] {
            let named = name(&request(method, uri));
            assert_eq!((named.action.as_str(), named.target.as_str()), (action, target));
        }
    }

    #[test]
    fn what_the_lab_has_not_is_refused() {
        assert_eq!(Asked::of(&request(Method::GET, "/b/k?torrent")).err().unwrap().code, "NotImplemented");
        let mut copy = request(Method::PUT, "/b/k");
        copy.headers.insert("x-amz-copy-source", "a/b".parse().unwrap());
        assert_eq!(Asked::of(&copy).err().unwrap().code, "NotImplemented");
        let asked = Asked::of(&request(Method::GET, "/b//k%20l?versionId=v")).unwrap();
        assert_eq!(asked.arn(), "arn:aws:s3:::b//k l");
    }
}
