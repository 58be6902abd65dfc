//! The strict proxy: an HTTP server on loopback that lets calls through one at a time, as faults, pauses and the services' rules allow.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, runtime, sync::oneshot};

use super::{
    call::{Answer, Call, Named, Refusal, Request, Scope},
    ec2::{self, Ec2},
    fault::{Cut, Fault, Plan},
    s3::{self, S3},
    sts::{self, Sts},
    upstream::Upstream,
    xml,
};

/// The longest body that is read: a put of the tests has some kilobytes, the longest form of 1,000 rules some 300.
const LONGEST_BODY: usize = 16 << 20;

/// What the services' rules remember.
pub(crate) struct State {
    pub(crate) ec2: Ec2,
    pub(crate) s3: S3,
    pub(crate) sts: Sts,
}

/// What calls and tests share.
struct Shared {
    moto: Upstream,
    /// Held by the one call that is being answered.
    state: tokio::sync::Mutex<State>,
    plan: Mutex<Plan>,
    log: Mutex<Vec<Call>>,
}

/// A running proxy; it ends, with all connections, when it is dropped.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    handle: runtime::Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    pub(crate) fn start(moto: Upstream) -> Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not listen on loopback")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let state = State { ec2: Ec2::new(moto.account()), s3: S3::default(), sts: Sts::new(moto.account()) };
        let shared = Arc::new(Shared { moto, state: tokio::sync::Mutex::new(state), plan: Mutex::default(), log: Mutex::default() });
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let of_calls = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    result = serve(listener, of_calls) => result.expect("the proxy listens until it is dropped"),
                }
            });
        });
        Ok(Proxy { port, shared, handle, end: Some(end), thread: Some(thread) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.shared.plan)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Vec<Call>> {
        lock(&self.shared.log)
    }

    /// Works on the state of the rules, and with moto behind them, in turn with the calls. From any thread, also from within a runtime.
    pub(crate) fn with_state<T: Send>(&self, work: impl AsyncFnOnce(&mut State, &Upstream) -> T + Send) -> T {
        let work = || {
            self.handle.block_on(async {
                let mut state = self.shared.state.lock().await;
                work(&mut state, &self.shared.moto).await
            })
        };
        thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(connection(client, Arc::clone(&shared)));
    }
}

async fn connection(client: TcpStream, shared: Arc<Shared>) {
    let _ = client.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        let scope = Scope::of(request.headers(), request.uri().path());
        let number = if scope.is_some_and(|scope| scope.service == "s3") { "x-amz-request-id" } else { "x-amzn-requestid" };
        // An error closes the connection without an answer.
        async move {
            let answer = answer(request, shared).await.map_err(|_| std::io::Error::other("cut"))?;
            Ok::<_, std::io::Error>(numbered(answer, number).map(Full::new))
        }
    });
    // A client that goes away is the end of it.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(client), service).await;
}

async fn answer(request: hyper::Request<Incoming>, shared: Arc<Shared>) -> Result<Answer, Cut> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LONGEST_BODY).collect().await.map_err(|_| Cut)?.to_bytes();
    let uri = parts.uri.path_and_query().map_or("/", |uri| uri.as_str()).to_owned();
    let scope = Scope::of(&parts.headers, &uri);
    let signed = scope.is_some();
    // Nobody signed it, so what it looks like has to do.
    let scope = scope.unwrap_or_else(|| Scope { access_key: String::new(), region: String::new(), service: guess(&uri).into() });
    let request = Request { method: parts.method, uri, headers: parts.headers, body, scope };
    let named = name(&request);
    if !signed {
        let refusal = missing_signature(&request);
        record(&shared, &request, &named, Some((refusal.status, Some(&refusal.code))));
        return Ok(refuse(&request, &refusal));
    }
    let mut fate = lock(&shared.plan).fate(&named);
    if let Some(hold) = fate.before.take() {
        hold.hold(&named).await.inspect_err(|_| record(&shared, &request, &named, None))?;
    }
    tokio::time::sleep(fate.delay).await;
    if let Some(refusal) = fate.refusal() {
        record(&shared, &request, &named, Some((refusal.status, Some(&refusal.code))));
        return Ok(refuse(&request, &refusal));
    }
    if let Some(Fault::Text(text)) = &fate.fault {
        record(&shared, &request, &named, Some((hyper::StatusCode::OK, None)));
        return Ok(Answer::new(text.clone().into()));
    }
    if fate.fault == Some(Fault::DropBefore) {
        record(&shared, &request, &named, None);
        return Err(Cut);
    }
    // A task of its own: a client that goes away now does not leave half a change behind.
    let effect = tokio::spawn(take_effect(Arc::clone(&shared), request, named.clone()));
    let answer = effect.await.map_err(|_| Cut)?;
    if let Some(hold) = fate.after.take() {
        hold.hold(&named).await?;
    }
    if fate.fault == Some(Fault::DropAfter) { Err(Cut) } else { Ok(answer) }
}

async fn take_effect(shared: Arc<Shared>, request: Request, named: Named) -> Answer {
    let mut state = shared.state.lock().await;
    let answer = match state.sts.check(&request) {
        Err(refusal) => refuse(&request, &refusal),
        Ok(()) => match request.scope.service.as_str() {
            "ec2" => state.ec2.answer(&request, &shared.moto).await,
            "s3" => state.s3.answer(&request, &named, &shared.moto).await,
            "sts" => state.sts.answer(&request),
            service => refuse(&request, &Refusal::new("InvalidAction", format!("the lab has no service {service}"))),
        },
    };
    let code = error_code(&answer);
    record(&shared, &request, &named, Some((answer.status(), code.as_deref())));
    answer
}

/// An answer with its number in the headers too: HEAD's has no other place for it.
fn numbered(mut answer: Answer, header: &'static str) -> Answer {
    if let (Ok(id), false) = (xml::request_id().parse(), answer.headers().contains_key(header)) {
        answer.headers_mut().insert(header, id);
    }
    answer
}

fn name(request: &Request) -> Named {
    if request.scope.service == "s3" { s3::name(request) } else { ec2::name(request) }
}

fn guess(uri: &str) -> &'static str {
    if uri == "/" { "ec2" } else { "s3" }
}

fn missing_signature(request: &Request) -> Refusal {
    if request.scope.service == "s3" {
        return Refusal::with(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied");
    }
    Refusal::with(StatusCode::FORBIDDEN, "MissingAuthenticationToken", "Request is missing Authentication Token")
}

/// An error as the service that was called says it.
fn refuse(request: &Request, refusal: &Refusal) -> Answer {
    match request.scope.service.as_str() {
        "s3" => s3::refuse(refusal),
        "sts" => sts::refuse(refusal),
        _ => ec2::refuse(refusal),
    }
}

/// Puts a call into the log; `None` is one that was dropped before it took effect.
fn record(shared: &Shared, request: &Request, named: &Named, answer: Option<(StatusCode, Option<&str>)>) {
    lock(&shared.log).push(Call {
        service: request.scope.service.clone(),
        action: named.action.clone(),
        target: named.target.clone(),
        access_key: request.scope.access_key.clone(),
        user_agent: header(request, "user-agent"),
        status: answer.map(|(status, _)| status.as_u16()),
        code: answer.and_then(|(_, code)| code).map(str::to_owned),
    });
}

fn header(request: &Request, name: &str) -> String {
    request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn error_code(answer: &Answer) -> Option<String> {
    if answer.status().is_success() {
        return None;
    }
    let text = String::from_utf8_lossy(answer.body());
    let (_, rest) = text.split_once("<Code>")?;
    Some(rest.split_once("</Code>")?.0.to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
