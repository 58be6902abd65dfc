//! The way from the proxy to moto_server: one connection a call, in an account of its own.

use std::{borrow::Borrow, net::Ipv4Addr, sync::Arc};

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::{Method, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{
    call::{Answer, Refusal, Request, Scope},
    moto::Moto,
    xml,
};

/// By this header moto keeps the resources of several accounts apart, buckets' names excepted, which are the world's.
const ACCOUNT: &str = "x-moto-account-id";

/// moto, seen from one account.
#[derive(Clone)]
pub(crate) struct Upstream {
    moto: Arc<Moto>,
    account: String,
}

impl Upstream {
    pub(crate) fn new(moto: Arc<Moto>, account: &str) -> Upstream {
        Upstream { moto, account: account.into() }
    }

    /// The twelve digits that own everything made through this value.
    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// Passes a call on as it is and reads the answer whole.
    ///
    /// # Errors
    /// moto cannot be reached, or does not answer in HTTP: a fault of the lab, never of the caller.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.moto.port())).await.context("moto_server is gone")?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with its sender.
        tokio::spawn(connection);
        let mut onward = hyper::Request::builder().method(request.method.clone()).uri(&request.uri);
        if let Some(headers) = onward.headers_mut() {
            headers.clone_from(&request.headers);
            for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::EXPECT, header::CONTENT_LENGTH] {
                headers.remove(name);
            }
            headers.entry(header::HOST).or_insert("127.0.0.1".parse()?);
            headers.insert(ACCOUNT, self.account.parse()?);
        }
        let answer = sender.send_request(onward.body(Full::new(request.body.clone()))?).await.context("moto_server did not answer")?;
        let (mut parts, body) = answer.into_parts();
        let body = body.collect().await.context("moto_server broke off its answer")?.to_bytes();
        // Ours is another connection.
        parts.headers.remove(header::CONNECTION);
        parts.headers.remove(header::TRANSFER_ENCODING);
        Ok(Answer::from_parts(parts, body))
    }

    /// Makes an EC2 call of the proxy's own and gives the document that moto answers.
    pub(crate) async fn ec2(&self, region: &str, action: &str, parameters: &[(String, String)]) -> Result<String, Refusal> {
        let answer = self.send(&own(region, query(action, parameters))).await.map_err(fault)?;
        let status = answer.status();
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        if status.is_success() {
            return Ok(text);
        }
        let document = roxmltree::Document::parse(&text).map_err(|_| fault(format!("moto_server answered {status}: {text}")))?;
        let find = |name| xml::find(document.root(), name).unwrap_or_default();
        Err(Refusal::with(status, find("Code"), find("Message")))
    }
}

/// A fault of the lab, in the words of an answer.
pub(crate) fn fault(error: impl std::fmt::Display) -> Refusal {
    Refusal::with(hyper::StatusCode::INTERNAL_SERVER_ERROR, "InternalError", format!("the lab: {error:#}"))
}

/// The body of an EC2 call.
pub(crate) fn query(action: &str, parameters: impl IntoIterator<Item: Borrow<(String, String)>>) -> Bytes {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", "2016-11-15");
    for pair in parameters {
        let (name, value) = pair.borrow();
        form.append_pair(name, value);
    }
    form.finish().into()
}

/// An EC2 call of the proxy's own. moto reads service and region from the header, and verifies nothing.
fn own(region: &str, body: Bytes) -> Request {
    let scope = Scope { access_key: "AKIALAB".into(), region: region.into(), service: "ec2".into() };
    let mut headers = hyper::HeaderMap::new();
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/20260101/{}/{}/aws4_request, SignedHeaders=host, Signature=00",
        scope.access_key, scope.region, scope.service
    );
    let form = header::HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, form);
    headers.extend(authorization.parse().map(|value| (header::AUTHORIZATION, value)));
    Request { method: Method::POST, uri: "/".into(), headers, body, scope }
}
