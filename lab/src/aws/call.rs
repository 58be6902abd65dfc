//! One call to Amazon as the proxy sees it: what was asked, by whom, what was answered.

use hyper::{HeaderMap, Method, Response, StatusCode, body::Bytes};

/// What goes back to the client, whole.
pub(crate) type Answer = Response<Bytes>;

/// A call that was read to its end.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path and query as they stood in the request line, nothing decoded.
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) scope: Scope,
}

/// The scope that a SigV4 signature was made for. The signature itself is not verified: any secret will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

impl Scope {
    /// Reads `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=…, Signature=…`, or the credential in the
    /// query of a presigned address.
    pub(crate) fn of(headers: &HeaderMap, uri: &str) -> Option<Scope> {
        let header = headers.get("authorization").map(|value| value.to_str().ok());
        match header {
            Some(value) => Scope::signed(value?),
            None => {
                let (_, query) = uri.split_once('?')?;
                let mut pairs = form_urlencoded::parse(query.as_bytes());
                Scope::parse(&pairs.find(|(name, _)| name == "X-Amz-Credential")?.1)
            }
        }
    }

    fn signed(header: &str) -> Option<Scope> {
        let fields = header.strip_prefix("AWS4-HMAC-SHA256")?;
        let field = |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        // Both have to be there for a signature to be one.
        field("SignedHeaders").filter(|names| names.split(';').any(|name| name == "host"))?;
        field("Signature").filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        Scope::parse(field("Credential")?)
    }

    fn parse(credential: &str) -> Option<Scope> {
        let parts: Vec<_> = credential.split('/').collect();
        let [access_key, date, region, service, "aws4_request"] = parts.as_slice() else { return None };
        let whole = date.len() == 8 && ![access_key, region, service].iter().any(|part| part.is_empty());
        whole.then(|| Scope { access_key: (*access_key).into(), region: (*region).into(), service: (*service).into() })
    }
}

/// What a call is named in the log, and by what faults and pauses find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// As in Amazon's reference: `AuthorizeSecurityGroupIngress`, `PutObject`.
    pub(crate) action: String,
    /// What it is done to: the ids of an EC2 call with commas between them, `bucket/key` of S3.
    pub(crate) target: String,
}

/// An answer of Amazon's that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Refusal {
    /// Status 400, as nearly all of EC2's.
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Refusal {
        Refusal::with(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn with(status: StatusCode, code: &str, message: impl Into<String>) -> Refusal {
        Refusal { status, code: code.into(), message: message.into() }
    }
}

/// A call in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `ec2`, `s3` or `sts`.
    pub service: String,
    /// As in Amazon's reference: `AuthorizeSecurityGroupIngress`, `PutObject`.
    pub action: String,
    /// What it was done to: the ids of an EC2 call with commas between them, `bucket/key` of S3, the role of an AssumeRole.
    pub target: String,
    /// Who signed it.
    pub access_key: String,
    /// How the client names itself.
    pub user_agent: String,
    /// The HTTP status; `None` if the connection was dropped before the call took effect.
    pub status: Option<u16>,
    /// The error's code, if the answer was one.
    pub code: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(authorization: &str) -> Option<Scope> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", authorization.parse().unwrap());
        Scope::of(&headers, "/")
    }

    #[test]
    fn service_and_region_come_from_the_signature() {
        let signature = "0".repeat(64);
        let header = format!(
            "AWS4-HMAC-SHA256 Credential=AKIA1/20260102/us-west-2/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        let whole = Scope { access_key: "AKIA1".into(), region: "us-west-2".into(), service: "ec2".into() };
        assert_eq!(scope(&header), Some(whole));
        assert_eq!(scope(&header.replace("Signature=0", "Signature=g")), None);
        assert_eq!(scope(&header.replace("host;", "")), None);
        assert_eq!(scope(&header.replace("/aws4_request", "")), None);
        assert_eq!(scope("Basic dXNlcjpwYXNz"), None);
        assert_eq!(Scope::of(&HeaderMap::new(), "/"), None);
    }

    #[test]
    fn a_presigned_address_has_its_scope_in_the_query() {
        let uri = "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA2%2F20260102%2Feu-west-1%2Fs3%2Faws4_request";
        assert_eq!(Scope::of(&HeaderMap::new(), uri).unwrap().region, "eu-west-1");
    }
}
