//! The walk itself: the order of the stages, the deadlines, the retries.

pub(super) mod first_hop;
pub(super) mod tunnel;
mod until;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::failure::{Failure, of_authenticate, of_forward, of_known_postgres, of_postgres, of_two};
use super::patience::{Patience, dice};
use super::sessions::{Lease, Login, Sessions, Turn};
use super::{Report, Request, Status, Walked};
use crate::key::PrivateKey;
use crate::path::cause::Cause;
use crate::path::diagnosis::Diagnosis;
use crate::path::event::{Event, Observer};
use crate::path::heard::{Heard, printable};
use crate::path::route::{Bastion, Endpoint};
use crate::path::stage::Stage;
use crate::postgres::{self, Encryption, Readiness, Role, falls_back, login, negotiate};
use crate::ssh::forward::Channel;
use crate::ssh::session::Session;

/// How a stage has failed since it last passed.
#[derive(Clone, Copy)]
struct Failing {
    tries: u32,
    since: Instant,
    /// The stage under way when it was noticed: a connection may turn out to be none only in the handshake.
    noticed: Stage,
}

struct State {
    /// Where the walk is.
    stage: Stage,
    /// When that stage began, this time.
    entered: Instant,
    /// When each begun stage began first.
    began: BTreeMap<Stage, Instant>,
    /// The passed stages.
    passed: BTreeMap<Stage, Walked>,
    failing: BTreeMap<Stage, Failing>,
    /// The failure that will be told, unless the walk gets further than where it was noticed.
    told: Option<(Failure, Stage)>,
}

impl State {
    fn new(now: Instant) -> Self {
        let began = BTreeMap::from([(Stage::Configure, now)]);
        Self { stage: Stage::Configure, entered: now, began, passed: BTreeMap::new(), failing: BTreeMap::new(), told: None }
    }

    /// When a stage began; one that is not told apart on the way began with the one before it.
    fn began(&self, stage: Stage) -> Instant {
        self.began.range(..=stage).next_back().map_or(self.entered, |(_, began)| *began)
    }

    fn tries(&self, stage: Stage) -> u32 {
        self.failing.get(&stage).map_or(1, |failing| failing.tries)
    }
}

/// One walk over one route.
pub(super) struct Walk<'a> {
    request: &'a Request,
    patience: &'a Patience,
    sessions: &'a Sessions,
    observer: &'a dyn Observer,
    deadline: Instant,
    state: Mutex<State>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(request: &'a Request, patience: &'a Patience, sessions: &'a Sessions, observer: &'a dyn Observer) -> Self {
        let now = Instant::now();
        Self { request, patience, sessions, observer, deadline: now + request.timeout, state: Mutex::new(State::new(now)) }
    }

    /// Walks until the path is proven, a failure cannot heal, or its window is over.
    pub(super) async fn run(&self) -> Result<Report, Failure> {
        let mut backoff = None;
        loop {
            let failure = match self.attempt().await {
                Ok(report) => return Ok(report),
                Err(failure) => failure,
            };
            let (stage, heard) = (failure.stage(), failure.heard.clone());
            let Failing { tries, since, .. } = self.tell(&failure);
            if !failure.heals() {
                return Err(failure);
            }
            let (window, fresh) = self.patience.healing(stage);
            let (_, pauses) = match backoff.take() {
                Some((at, pauses)) if at == stage => backoff.insert((stage, pauses)),
                _ => backoff.insert((stage, fresh)),
            };
            let pause = pauses.next_pause(dice());
            let next_try = Instant::now() + pause;
            if next_try >= self.deadline || next_try.duration_since(since) > window {
                return Err(failure);
            }
            self.observer.event(&Event::Waiting { stage, tries, next_try_in: pause, heard });
            tokio::time::sleep_until(next_try).await;
        }
    }

    pub(super) fn interrupted(&self) -> Failure {
        Failure::new(Cause::Interrupted { stage: self.state().stage }, None)
    }

    /// The time is up: what failed so far is the story; if nothing failed, the stage under way is.
    pub(super) fn out_of_time(&self) -> Failure {
        Failure::new(Cause::OutOfTime { stage: self.state().stage }, None)
    }

    /// The last failure, and with it the end. The first failure at the furthest stage is what is told.
    pub(super) fn failed(&self, last: Failure) -> Box<Diagnosis> {
        let mut state = self.state();
        let told = match (state.told.take(), &last.cause) {
            // Being told to stop is no verdict on the path; what was heard until then is worth knowing.
            (Some((told, _)), Cause::Interrupted { .. }) => Failure { cause: last.cause, heard: told.heard },
            // Further on than what failed so far: that was overcome.
            (Some((_, noticed)), Cause::OutOfTime { stage }) if *stage > noticed => last,
            (Some((told, _)), _) => told,
            (None, _) => last,
        };
        let stage = told.stage();
        let (took, tries) = (state.began(stage).elapsed(), state.tries(stage));
        drop(state);
        self.observer.event(&Event::Failed { stage });
        Box::new(Diagnosis {
            cause: told.cause,
            heard: told.heard,
            route: self.request.route.clone(),
            public_key: self.request.key.as_ref().map(|key| key.public()),
            took,
            tries,
        })
    }

    /// Once from start to end. A session that is up is walked over, not opened again.
    async fn attempt(&self) -> Result<Report, Failure> {
        let mode = self.request.tls.mode();
        let mut encryption = mode.encryptions().first().copied().unwrap_or(Encryption::Tls);
        let mut first: Option<Failure> = None;
        loop {
            let (failure, next) = match self.attempt_with(encryption).await {
                Ok(report) => return Ok(report),
                Err(Broken::Way(failure)) => (failure, None),
                Err(Broken::Database(error)) => {
                    let next = falls_back(mode, encryption, &error);
                    (if first.is_some() { of_known_postgres(*error) } else { of_postgres(*error) }, next)
                }
            };
            let failure = match first.take() {
                Some(first) => of_two(first, failure),
                None => failure,
            };
            let Some(next) = next else { return Err(failure) };
            (first, encryption) = (Some(failure), next);
        }
    }

    async fn attempt_with(&self, encryption: Encryption) -> Result<Report, Broken> {
        match &self.request.route.bastion {
            Some(bastion) => {
                if !self.reaches(Stage::Authenticate) {
                    return Ok(self.visit(Some(bastion), &bastion.host, bastion.port).await?);
                }
                let lease = self.session(bastion).await?;
                if !self.reaches(Stage::Forward) {
                    return Ok(self.report());
                }
                let channel = self.forward(&lease).await?;
                if !self.reaches(Stage::Tls) {
                    return Ok(self.report());
                }
                match self.database(channel, encryption).await {
                    // To Postgres's room the end of the tunnel looks like the end of the database.
                    Err(Broken::Database(_)) if !lease.session.is_alive() => {
                        Err(Broken::Way(Failure::new(Cause::SessionLost, lease.session.ended())))
                    }
                    walked => walked,
                }
            }
            None => {
                let database = &self.request.route.database;
                if !self.reaches(Stage::Tls) {
                    return Ok(self.visit(None, &database.host, database.port).await?);
                }
                let connected = self.connect(&database.host, database.port).await?;
                self.database(connected, encryption).await
            }
        }
    }

    /// The session of the bastion's login: the one that is up, or a new one that others will share.
    pub(super) async fn session(&self, bastion: &Bastion) -> Result<Lease, Failure> {
        let Some(key) = &self.request.key else {
            return Err(Failure::new(Cause::NoKey, None));
        };
        // Whoever waits for another's try waits for its verdict on the key.
        self.state().stage = Stage::Authenticate;
        let turn = self.sessions.turn(&Login { bastion: bastion.clone(), key: key.public() }).await;
        if let Some(lease) = turn.session() {
            self.adopt(&lease.walked);
            return Ok(lease);
        }
        if let Some(failure) = turn.shared_failure() {
            self.state().stage = failure.stage();
            return Err(failure);
        }
        match self.log_in(&turn, bastion, key).await {
            Ok(session) => {
                Ok(turn.opened(session, self.walked().into_iter().filter(|walked| walked.stage <= Stage::Authenticate).collect()))
            }
            Err(failure) => {
                turn.failed(failure.clone());
                Err(failure)
            }
        }
    }

    async fn log_in(&self, turn: &Turn, bastion: &Bastion, key: &PrivateKey) -> Result<Session, Failure> {
        if let Some(failure) = first_hop::unpinned(bastion) {
            return Err(failure);
        }
        if let Some(next_try_in) = turn.pause() {
            let tries = self.state().failing.get(&Stage::Authenticate).map_or(0, |failing| failing.tries);
            self.observer.event(&Event::Waiting { stage: Stage::Authenticate, tries, next_try_in, heard: Heard::default() });
        }
        let mut permit = turn.permit().await;
        let connected = self.connect(&bastion.host, bastion.port).await?;
        let trusted = self.shake_hands(connected, bastion).await?;
        self.begin(Stage::Authenticate);
        permit.offer();
        let session = trusted.authenticate(&bastion.user, key, self.patience.authenticate).await.map_err(of_authenticate)?;
        permit.accepted();
        let public = key.public();
        self.pass(Stage::Authenticate, format!("user {}, {} {}", bastion.user, public.algorithm(), public.fingerprint()));
        Ok(session)
    }

    async fn forward(&self, lease: &Lease) -> Result<Channel, Failure> {
        let database = &self.request.route.database;
        self.begin(Stage::Forward);
        let channel = lease.session.open(&database.host, database.port, self.patience.dial).await.map_err(of_forward)?;
        self.pass(Stage::Forward, "direct-tcpip".to_owned());
        self.begin(Stage::Dial);
        self.pass(Stage::Dial, Endpoint(&database.host, database.port).to_string());
        Ok(channel)
    }

    async fn database<S>(&self, stream: S, encryption: Encryption) -> Result<Report, Broken>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Request { route, password, tls, readiness, .. } = self.request;
        self.begin(Stage::Tls);
        let secured = negotiate(stream, tls, encryption, &route.database.host, self.patience.tls).await?;
        let note = secured.encrypted().map_or_else(|| format!("not encrypted, sslmode {}", tls.mode()), ToString::to_string);
        let status = if secured.encrypted().is_some() { Status::Passed } else { Status::Skipped };
        self.end(Stage::Tls, status, note);
        if !self.reaches(Stage::Login) {
            return Ok(self.report());
        }
        self.begin(Stage::Login);
        let role = Role { user: route.database.user.clone(), password: password.clone(), database: route.database.name.clone() };
        let connection = login(secured, &role, self.patience.login).await?;
        self.pass(Stage::Login, format!("role {}", role.user));
        self.begin(Stage::Open);
        let server_version = connection.server_version().to_owned();
        self.pass(Stage::Open, format!("database {}, PostgreSQL {server_version}", role.database));
        if !self.reaches(Stage::Ready) {
            connection.close().await;
            return Ok(Report { server_version, path: self.walked() });
        }
        self.begin(Stage::Ready);
        let findings = connection.ready(readiness, self.patience.ready).await?;
        connection.close().await;
        if !findings.is_empty() {
            let publication = readiness.publication.clone();
            return Err(Broken::Way(Failure::new(Cause::NotReady { findings, publication }, None)));
        }
        let (status, note) = asked(readiness);
        self.end(Stage::Ready, status, note);
        Ok(Report { server_version, path: self.walked() })
    }
}

/// What is told of the walk: its stages, its events, its story.
impl Walk<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stage begins. On a further try of a passed stage nobody is told again.
    pub(super) fn begin(&self, stage: Stage) {
        let mut state = self.state();
        (state.stage, state.entered) = (stage, Instant::now());
        if let Entry::Vacant(entry) = state.began.entry(stage) {
            entry.insert(Instant::now());
            drop(state);
            self.observer.event(&Event::Started { stage });
        }
    }

    fn pass(&self, stage: Stage, note: String) {
        self.end(stage, Status::Passed, note);
    }

    fn end(&self, stage: Stage, status: Status, note: String) {
        let note = printable(&note);
        let mut state = self.state();
        let took = state.began.get(&stage).map_or(Duration::ZERO, Instant::elapsed);
        state.failing.retain(|_, failing| failing.noticed != stage);
        // What was overcome is no longer the story.
        state.told.take_if(|(_, noticed)| *noticed == stage);
        let known = state.passed.insert(stage, Walked { stage, status, note: note.clone() });
        drop(state);
        if known.is_none() {
            self.observer.event(&Event::Passed { stage, note, took });
        }
    }

    /// The stages up to a session that another check opened.
    fn adopt(&self, walked: &[Walked]) {
        for Walked { stage, status, note } in walked {
            self.begin(*stage);
            self.end(*stage, *status, note.clone());
        }
    }

    fn walked(&self) -> Vec<Walked> {
        self.state().passed.values().cloned().collect()
    }

    /// Takes a failure into the story. The first error at the furthest stage is the story; retries can change what is heard (a throttled
    /// login becomes a refused connection).
    fn remember(&self, failure: &Failure) {
        let mut state = self.state();
        let stage = failure.stage();
        if state.told.as_ref().is_none_or(|(told, _)| stage > told.stage()) {
            state.told = Some((failure.clone(), stage.max(state.stage)));
        }
    }

    /// Takes a failure into the story, and answers how its stage fails.
    fn tell(&self, failure: &Failure) -> Failing {
        self.remember(failure);
        let mut state = self.state();
        let stage = failure.stage();
        let noticed = stage.max(state.stage);
        let fresh = Failing { tries: 0, since: state.entered, noticed };
        let failing = state.failing.entry(stage).or_insert(fresh);
        failing.tries += 1;
        failing.noticed = failing.noticed.max(noticed);
        *failing
    }
}

/// Where an attempt broke: on the way, or in talk with Postgres, where another encryption may help.
enum Broken {
    Way(Failure),
    Database(Box<postgres::Error>),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Way(failure)
    }
}

impl<E: Into<postgres::Error>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// What readiness was asked for.
fn asked(readiness: &Readiness) -> (Status, String) {
    let mut asked = Vec::new();
    if readiness.replication {
        asked.push("replication".to_owned());
    }
    asked.extend(readiness.publication.as_ref().map(|publication| format!("publication {publication}")));
    asked.extend(readiness.tables.iter().map(|table| format!("table {table}")));
    if asked.is_empty() { (Status::Skipped, "nothing asked for".to_owned()) } else { (Status::Passed, asked.join(", ")) }
}
