//! Signed requests to a service of Amazon's on loopback, for the lab's own use.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use http::{HeaderMap, Request, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::{Agent, Body};

/// How long a call may take. On loopback it takes some milliseconds; whoever drops a bastion waits this long for one that hangs.
const CALL: Duration = Duration::from_secs(5);

/// What stays as it is in a query: RFC 3986's unreserved characters, the rule of Signature Version 4.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What stays as it is in an object's path: slashes, too.
const IN_PATH: &AsciiSet = &IN_QUERY.remove(b'/');

/// Who calls, and where. It has no `Debug`: a secret key is in it.
#[derive(Clone)]
pub(crate) struct Caller {
    /// `http://127.0.0.1:PORT`.
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// Calls one endpoint as one caller.
pub(crate) struct Client {
    caller: Caller,
    agent: Agent,
}

/// What came back, whatever the status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body of a success; the error code of anything else.
    pub(crate) fn ok(self) -> Result<Answer> {
        match self.status {
            200..300 => Ok(self),
            status => bail!("{status} {}", self.code().unwrap_or_default()),
        }
    }

    /// Amazon's word for the error, from XML (S3) or JSON (KMS). The answer to a HEAD has none.
    pub(crate) fn code(&self) -> Option<String> {
        let text = std::str::from_utf8(&self.body).ok()?;
        if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
            return Some(json["__type"].as_str()?.to_owned());
        }
        let tree = roxmltree::Document::parse(text).ok()?;
        Some(child_text(tree.root_element(), "Code")?.to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).context("an answer is no text")
    }
}

/// The text of an element's child of that name.
pub(crate) fn child_text<'a>(element: roxmltree::Node<'a, '_>, name: &str) -> Option<&'a str> {
    element.children().find(|child| child.has_tag_name(name) || child.tag_name().name() == name)?.text()
}

impl Client {
    /// A client that names itself so.
    pub(crate) fn new(caller: Caller, user_agent: &str) -> Client {
        // Loopback is reached directly, whatever the environment says about proxies.
        let config = Agent::config_builder().proxy(None).http_status_as_error(false).max_redirects(0).timeout_global(Some(CALL));
        Client { caller, agent: config.user_agent(user_agent).build().into() }
    }

    /// Calls S3, path style; without a key it is the bucket that is meant. The query's pairs are encoded here, and so is the key.
    pub(crate) fn s3(&self, method: &str, bucket: &str, key: &str, call: Call<'_>) -> Result<Answer> {
        let path = if key.is_empty() { format!("/{bucket}") } else { format!("/{bucket}/{}", utf8_percent_encode(key, IN_PATH)) };
        let query: Vec<String> = call.query.iter().map(|(name, value)| pair(name, value)).collect();
        let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) };
        self.send("s3", method, &uri, call.headers, call.body)
    }

    /// Calls an action of KMS.
    pub(crate) fn kms(&self, action: &str, body: &serde_json::Value) -> Result<serde_json::Value> {
        let target = format!("TrentService.{action}");
        let headers = [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.1")];
        let answer = self.send("kms", "POST", "/", &headers, body.to_string().as_bytes())?;
        Ok(serde_json::from_slice(&answer.ok()?.body)?)
    }

    fn send(&self, service: &str, method: &str, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let uri = format!("{}{uri}", self.caller.endpoint);
        let mut request = Request::builder().method(method).uri(&uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.to_vec())?;
        self.sign(service, &mut request)?;
        let answer = match method {
            "GET" | "HEAD" | "DELETE" => self.agent.run(request.map(drop)),
            _ => self.agent.run(request),
        };
        read(answer.with_context(|| format!("{method} {uri}"))?)
    }

    fn sign(&self, service: &str, request: &mut Request<Vec<u8>>) -> Result<()> {
        let Caller { access_key, secret_key, region, .. } = &self.caller;
        let identity = Credentials::from_keys(access_key, secret_key, None).into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        if service == "s3" {
            // S3 alone takes paths as they are.
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
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
pub(crate) struct Call<'a> {
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

fn pair(name: &str, value: &str) -> String {
    format!("{}={}", utf8_percent_encode(name, IN_QUERY), utf8_percent_encode(value, IN_QUERY))
}

fn read(answer: Response<Body>) -> Result<Answer> {
    let (head, mut body) = answer.into_parts();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.read_to_vec()? })
}
