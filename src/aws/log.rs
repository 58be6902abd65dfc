//! One line of the log for each try of a call: what was asked for, what was answered, how long it took. No body, no header that signs.

use std::time::Instant;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use tracing::debug;

use crate::path::heard::Heard;

/// The headers in which services number their answers.
const REQUEST_IDS: [&str; 2] = ["x-amzn-requestid", "x-amz-request-id"];

/// The longest name of an action; the longest of EC2's has 66 letters.
const LONGEST_ACTION: usize = 100;

/// A connector whose calls are logged. It stands below the retries and below what fetches credentials, so that nothing passes it by.
#[derive(Debug)]
pub(super) struct Logged(pub(super) SharedHttpConnector);

impl HttpConnector for Logged {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut line = Line::of(&request);
        let answered = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answered.await;
            line.end(&answer);
            answer
        })
    }
}

/// What is said of a try. Dropped before its end, it was given up: the time was over, or Terraform was told to stop.
struct Line {
    service: String,
    action: String,
    attempt: u64,
    began: Instant,
    ended: bool,
}

impl Line {
    fn of(request: &HttpRequest) -> Self {
        let service = service(request);
        let action = if service.is_none() { None } else { action(request) };
        Self {
            service: service.unwrap_or_else(|| host(request.uri())),
            action: action.unwrap_or_else(|| request.method().to_owned()),
            attempt: attempt(request),
            began: Instant::now(),
            ended: false,
        }
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn end(&mut self, answer: &Result<HttpResponse, ConnectorError>) {
        self.ended = true;
        let (service, action, attempt, ms) = (&*self.service, &*self.action, self.attempt, self.milliseconds());
        match answer {
            Ok(response) => {
                let id = REQUEST_IDS.into_iter().find_map(|name| response.headers().get(name)).unwrap_or_default();
                let (request_id, status) = (Heard::from_text(id), u64::from(response.status().as_u16()));
                debug!(service, action, attempt, status, request_id = request_id.as_str(), ms, "an answer of AWS");
            }
            Err(error) => {
                let why = if error.is_timeout() { "no answer in time" } else { "no connection, or one that broke" };
                debug!(service, action, attempt, ms, "AWS was not reached: {why}");
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.ended {
            let (service, action, attempt, ms) = (&*self.service, &*self.action, self.attempt, self.milliseconds());
            debug!(service, action, attempt, ms, "a call to AWS was given up");
        }
    }
}

/// `ec2`, out of the scope that the request was signed for: `Credential=KEY/DATE/REGION/ec2/aws4_request`. None for what is not signed, as
/// instance metadata and SSO are.
fn service(request: &HttpRequest) -> Option<String> {
    let (_, scope) = request.headers().get("authorization")?.split_once("Credential=")?;
    scope.split(['/', ',']).nth(3).map(ToOwned::to_owned)
}

/// As in Amazon's reference. EC2 and STS say it first in the body, S3 in the query or by the method.
fn action(request: &HttpRequest) -> Option<String> {
    let body = request.body().bytes().unwrap_or_default();
    if let Some(rest) = body.strip_prefix(b"Action=") {
        let name = rest.iter().take(LONGEST_ACTION).take_while(|byte| byte.is_ascii_alphanumeric());
        return Some(name.map(|byte| char::from(*byte)).collect());
    }
    let query = request.uri().split_once('?').map_or("", |(_, query)| query);
    match (request.method(), query.split('&').find_map(|pair| pair.strip_prefix("x-id="))) {
        (_, Some(id)) => Some(id.to_owned()),
        ("HEAD", None) => Some("HeadObject".to_owned()),
        ("GET", None) if query.split('&').any(|pair| pair == "encryption") => Some("GetBucketEncryption".to_owned()),
        _ => None,
    }
}

/// Who was called, without user, port, path and query.
fn host(uri: &str) -> String {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}

/// Which try it is: the SDK counts them in `amz-sdk-request: attempt=2; max=11`.
fn attempt(request: &HttpRequest) -> u64 {
    let counted =
        request.headers().get("amz-sdk-request").and_then(|count| count.split(';').find_map(|part| part.trim().strip_prefix("attempt=")));
    counted.and_then(|number| number.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn line(method: &str, uri: &str, headers: &[(&'static str, &'static str)], body: &'static str) -> (String, String, u64) {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).unwrap();
        request.set_uri(uri).unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, *value);
        }
        let line = Line::of(&request);
        (line.service.clone(), line.action.clone(), line.attempt)
    }

    #[test]
    fn a_call_is_named_as_in_the_reference() {
        let signed = |service| match service {
            "ec2" => {
                ("authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260102/us-west-2/ec2/aws4_request, SignedHeaders=host, Signature=0")
            }
            _ => ("authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260102/us-west-2/s3/aws4_request, SignedHeaders=host, Signature=0"),
        };
        let found = line("POST", "https://x/", &[signed("ec2"), ("amz-sdk-request", "attempt=3; max=11")], "Action=CreateTags&Version=1");
        assert_eq!(found, ("ec2".to_owned(), "CreateTags".to_owned(), 3));
        for (method, uri, action) in [
            ("PUT", "https://x/b/k?x-id=PutObject", "PutObject"),
            ("HEAD", "https://x/b/k", "HeadObject"),
            ("GET", "https://x/b?encryption", "GetBucketEncryption"),
            ("GET", "https://x/b?acl", "GET"),
        ] {
            assert_eq!(line(method, uri, &[signed("s3")], ""), ("s3".to_owned(), action.to_owned(), 1));
        }
    }

    #[test]
    fn what_is_not_signed_is_known_by_its_host() {
        let found = line("GET", "http://user@169.254.169.254/latest/meta-data/iam/security-credentials/?token=x", &[], "Action=Secret");
        assert_eq!(found, ("169.254.169.254".to_owned(), "GET".to_owned(), 1));
    }
}
