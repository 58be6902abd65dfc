//! A client of S3 on loopback: the bastion's, and that of tests which want to see answers as they are.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use hyper::http::{Request, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::{Agent, Body};

/// How long a call may take. On loopback it takes some milliseconds; whoever drops a bastion waits this long for one that hangs.
const CALL: Duration = Duration::from_secs(5);

/// What stays as it is in a query: RFC 3986's unreserved characters, the rule of Signature Version 4.
pub(super) const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What stays as it is in an object's path: slashes, too.
pub(super) const IN_PATH: &AsciiSet = &IN_QUERY.remove(b'/');

/// Who calls, and where. It has no `Debug`: a secret key is in it.
#[derive(Clone)]
pub struct S3Caller {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// What requests are signed for.
    pub region: String,
    /// By which the log of calls tells callers apart.
    pub access_key: String,
    /// As good as any other where signatures are not verified.
    pub secret_key: String,
}

/// Calls one endpoint as one caller.
pub struct S3Client {
    caller: S3Caller,
    agent: Agent,
}

/// What came back, whatever the status.
pub struct S3Answer {
    /// HTTP's.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Whole.
    pub body: Vec<u8>,
}

impl S3Answer {
    /// The body of a success; the error code of anything else.
    pub fn ok(self) -> Result<S3Answer> {
        match self.status {
            200..300 => Ok(self),
            status => bail!("{status} {}", self.code().unwrap_or_default()),
        }
    }

    /// Amazon's word for the error. The answer to a HEAD has none.
    pub fn code(&self) -> Option<String> {
        let tree = roxmltree::Document::parse(self.text().ok()?).ok()?;
        Some(child_text(tree.root_element(), "Code")?.to_owned())
    }

    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).context("an answer is no text")
    }
}

/// The text of an element's child of that name.
pub(crate) fn child_text<'a>(element: roxmltree::Node<'a, '_>, name: &str) -> Option<&'a str> {
    element.children().find(|child| child.tag_name().name() == name)?.text()
}

impl S3Client {
    /// Nothing is called yet.
    pub fn new(caller: S3Caller) -> S3Client {
        // Loopback is reached directly, whatever the environment says about proxies.
        let config = Agent::config_builder().proxy(None).http_status_as_error(false).max_redirects(0).timeout_global(Some(CALL));
        S3Client { caller, agent: config.build().into() }
    }

    /// Calls S3, path style; without a key it is the bucket that is meant. The query's pairs are encoded here, and so is the key.
    pub fn call(&self, method: &str, bucket: &str, key: &str, call: S3Call<'_>) -> Result<S3Answer> {
        let path = if key.is_empty() { format!("/{bucket}") } else { format!("/{bucket}/{}", utf8_percent_encode(key, IN_PATH)) };
        let query: Vec<String> = call.query.iter().map(|(name, value)| pair(name, value)).collect();
        let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) };
        self.send(method, &uri, call.headers, call.body)
    }

    fn send(&self, method: &str, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<S3Answer> {
        let uri = format!("{}{uri}", self.caller.endpoint);
        let mut request = Request::builder().method(method).uri(&uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.to_vec())?;
        self.sign(&mut request)?;
        let answer = match method {
            "GET" | "HEAD" | "DELETE" => self.agent.run(request.map(drop)),
            _ => self.agent.run(request),
        };
        read(answer.with_context(|| format!("{method} {uri}"))?)
    }

    fn sign(&self, request: &mut Request<Vec<u8>>) -> Result<()> {
        let S3Caller { access_key, secret_key, region, .. } = &self.caller;
        let identity = Credentials::from_keys(access_key, secret_key, None).into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        // S3 alone takes paths as they are.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()?;
        let uri = request.uri().to_string();
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let signable = SignableRequest::new(request.method().as_str(), &uri, headers, SignableBody::Bytes(request.body()))?;
        let (instructions, _) = sign(signable, &parameters.into()).map_err(|error| anyhow!("could not sign: {error}"))?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }
}

/// The rest of a request.
#[derive(Clone, Copy, Default)]
pub struct S3Call<'a> {
    /// Names and values, not yet encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Besides those that are signed anyway.
    pub headers: &'a [(&'a str, &'a str)],
    /// Nothing, for most methods.
    pub body: &'a [u8],
}

fn pair(name: &str, value: &str) -> String {
    format!("{}={}", utf8_percent_encode(name, IN_QUERY), utf8_percent_encode(value, IN_QUERY))
}

fn read(answer: Response<Body>) -> Result<S3Answer> {
    let (head, mut body) = answer.into_parts();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Ok(S3Answer { status: head.status.as_u16(), headers: headers.collect(), body: body.read_to_vec()? })
}
