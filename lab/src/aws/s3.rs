//! The rules of S3 in the strict proxy: what S3 refuses or answers otherwise than moto.
//!
//! The hook, called by `proxy.rs` with one call at a time. A refused or injected answer is made by [`refuse`], which the proxy also calls
//! for faults; [`name`] has to work before anything was checked; [`S3::answer`] checks, rewrites, forwards through
//! [`Upstream::send`], and rewrites what comes back. The state of the rules lives in [`S3`], one value for each `Aws`; `Aws` reaches
//! it for furnishing by `Aws::with_state(async |state| state.s3 …)`.

use hyper::{
    Method, StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue},
};

use super::{
    call::{Answer, Named, Refusal, Request},
    upstream::{Upstream, fault},
    xml,
};

/// What the rules remember between calls.
#[derive(Default)]
pub(crate) struct S3 {}

impl S3 {
    /// Answers one call that was signed for S3.
    pub(crate) async fn answer(&mut self, request: &Request, _named: &Named, moto: &Upstream) -> Answer {
        match moto.send(request).await {
            Ok(answer) => answer,
            Err(error) => refuse(&fault(error)),
        }
    }
}

/// The API name of a call and `bucket/key`, the key as it stood in the path.
pub(crate) fn name(request: &Request) -> Named {
    let path = request.uri.split('?').next().unwrap_or_default();
    let target = path.strip_prefix('/').unwrap_or(path).to_owned();
    let kind = if target.split_once('/').is_some_and(|(_, key)| !key.is_empty()) { "Object" } else { "Bucket" };
    let verb = match request.method {
        Method::PUT => "Put",
        Method::HEAD => "Head",
        Method::GET => "Get",
        Method::DELETE => "Delete",
        _ => "Post",
    };
    Named { action: format!("{verb}{kind}"), target }
}

/// An error as S3 says it.
pub(crate) fn refuse(refusal: &Refusal) -> Answer {
    let mut body = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
    xml::text(&mut body, "Code", &refusal.code);
    xml::text(&mut body, "Message", &refusal.message);
    xml::text(&mut body, "RequestId", &xml::request_id());
    body.push_str("</Error>");
    let mut answer = Answer::new(Bytes::from(body));
    *answer.status_mut() = if refusal.status == StatusCode::OK { StatusCode::BAD_REQUEST } else { refusal.status };
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}
