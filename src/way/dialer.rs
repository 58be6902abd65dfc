//! Opens what a leg leads to: by TCP, or by a channel of the hop before it, whose session is shared with everybody who needs the same.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use super::admission::Door;
use super::failure::{Failure, Told, of_authenticate, of_connect, of_forward, of_handshake, of_resolve};
use super::patience::Patience;
use super::sessions::{Lane, Lease, Login, Queue, Sessions, Turn};
use super::steps::Steps;
use super::stream::Stream;
use super::sync;
use crate::key::{HostKeys, PrivateKey};
use crate::path::admission::Admitted;
use crate::path::cause::Cause;
use crate::path::event::Silent;
use crate::path::heard::Heard;
use crate::path::position::Position;
use crate::path::route::{Address, Hop, Route};
use crate::path::stage::Stage;
use crate::ssh::connect::{self, RESOLVER_TRY, Tcp};
use crate::ssh::error::{ForwardError, HandshakeError};
use crate::ssh::forward::Channel;
use crate::ssh::handshake::{Trusted, handshake};
use crate::ssh::session::Session;

/// How long before the walk's own end a handshake is asked what it has heard: what is dropped in its midst cannot say. Far more than
/// a timer is late, far less than anybody notices.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// How long a server may take to greet. A living sshd does at once; a round trip around the world and two lost packets are below this.
const GREETING: Duration = Duration::from_secs(5);

/// One walk's means to get anywhere.
pub(crate) struct Dialer<'a> {
    pub(crate) route: &'a Route,
    /// One a hop.
    pub(crate) keys: &'a [Arc<PrivateKey>],
    pub(crate) sessions: &'a Sessions,
    pub(crate) lane: Lane,
    pub(crate) patience: &'a Patience,
    pub(crate) steps: &'a Steps<'a>,
    /// What lets this machine in, before it connects.
    pub(crate) door: &'a Door,
    /// Sessions that logged in before are not good enough; absent: all are.
    pub(crate) since: Option<Instant>,
    /// When the walk ends; absent: never.
    pub(crate) deadline: Option<Instant>,
    /// Whether what is permitted may be on its way to the bastion: the next try is then to log in anew.
    pub(crate) settling: bool,
}

/// Walks the legs up to a session; boxed, because a hop's session may need that of the hop before it.
type Opened<'s> = Pin<Box<dyn Future<Output = Result<Lease, Failure>> + Send + 's>>;

impl<'a> Dialer<'a> {
    /// For the lane of the checks: any session is good enough, and there is no end.
    pub(crate) const fn new(
        route: &'a Route,
        keys: &'a [Arc<PrivateKey>],
        sessions: &'a Sessions,
        patience: &'a Patience,
        steps: &'a Steps<'a>,
        door: &'a Door,
    ) -> Self {
        Self { route, keys, sessions, lane: Lane::CHECKS, patience, steps, door, since: None, deadline: None, settling: false }
    }
}

impl Dialer<'_> {
    /// Opens a stream to where a leg leads.
    pub(crate) async fn dial(&self, leg: usize, to: &Address) -> Result<Stream, Failure> {
        let Some(before) = leg.checked_sub(1) else {
            return self.connect(to).await.map(|(stream, admitted)| Stream::tcp(stream, admitted));
        };
        let lease = self.session(before, self.since).await?;
        match self.channel(&lease, leg, to).await {
            Ok(channel) => Ok(Stream::channel(channel, lease)),
            Err(failure) if failure.cause == Cause::ForwardProhibited && self.settling => {
                lease.retire();
                Err(failure)
            }
            // sshd reads permissions at the login: an older one may not know what is permitted now.
            Err(failure) if failure.cause == Cause::ForwardProhibited && lease.since < self.steps.began => {
                let lease = self.session(before, Some(self.steps.began)).await?;
                self.channel(&lease, leg, to).await.map(|channel| Stream::channel(channel, lease))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Has this machine let in, where somebody is to do so.
    pub(crate) async fn admit(&self, to: &Address) -> Result<Option<Admitted>, Failure> {
        self.door.pass(to.port, self.patience, self.steps).await
    }

    /// Looks up where a path begins.
    pub(crate) async fn resolve(&self, to: &Address) -> Result<Vec<std::net::SocketAddr>, Failure> {
        self.steps.begin(0, Stage::Resolve);
        let found = connect::resolve(to, self.patience.resolve).await;
        let addresses = found.map_err(|error| Failure::new(0, of_resolve(error)))?;
        self.steps.pass(to.host.as_str());
        Ok(addresses)
    }

    async fn connect(&self, to: &Address) -> Result<(Tcp, Option<Admitted>), Failure> {
        let admitted = self.admit(to).await?;
        let addresses = self.resolve(to).await?;
        self.steps.begin(0, Stage::Connect);
        let connected = connect::connect(&addresses, self.patience.connect).await;
        let stream = connected.map_err(|error| Failure::new(0, of_connect(error)))?;
        self.steps.pass(to.to_string());
        Ok((stream, admitted))
    }

    async fn channel(&self, lease: &Lease, leg: usize, to: &Address) -> Result<Channel, Failure> {
        self.steps.begin(leg, Stage::Forward);
        let asked = Instant::now();
        let mut opening = lease.session.open(to);
        let mut answer = opening.within(self.patience.dial).await;
        if matches!(answer, Err(ForwardError::Unresponsive)) {
            // sshd looks names up in its only thread, and answers nothing meanwhile.
            if !to.host.is_name() || !self.greets(leg).await {
                lease.retire();
                return Err(Failure::new(leg, of_forward(ForwardError::SessionLost { heard: Heard::default() })));
            }
            answer = opening.within(self.patience.lookup).await;
            if matches!(answer, Err(ForwardError::Unresponsive)) {
                lease.retire();
                return Err(Failure::silent(leg, Cause::DialResolverSilent));
            }
        }
        let channel = answer.map_err(|error| match of_forward(error) {
            // What took so long is no answer about the name.
            (Cause::DialNameUnknown, heard) if asked.elapsed() >= RESOLVER_TRY => Failure::new(leg, (Cause::DialResolverSilent, heard)),
            told => Failure::new(leg, told),
        })?;
        self.steps.pass("direct-tcpip");
        self.steps.begin(leg, Stage::Dial);
        self.steps.pass(to.to_string());
        Ok(channel)
    }

    /// Whether the hop before a leg greets somebody new. Boxed: the way to it may ask the same of the hop before that.
    fn greets(&self, leg: usize) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async move {
            let Some((before, hop)) = leg.checked_sub(1).and_then(|before| Some((before, self.route.hop(before)?))) else { return false };
            let steps = Steps::new(self.route, &Silent);
            let dialer = Dialer { steps: &steps, since: None, ..*self };
            let greeting = async { dialer.dial(before, &hop.at).await.ok()?.read_u8().await.ok() };
            timeout(GREETING.min(self.patience.dial), greeting).await.is_ok_and(|byte| byte.is_some())
        })
    }

    /// The session of a hop's login: the one that is up, or a new one that others will share.
    pub(crate) fn session(&self, leg: usize, since: Option<Instant>) -> Opened<'_> {
        Box::pin(async move {
            let nobody = || Failure { at: Position::START, cause: Cause::NoKey, heard: Heard::default() };
            let (hop, key) = self.route.hop(leg).zip(self.keys.get(leg)).ok_or_else(nobody)?;
            let queue = self.sessions.queue(&self.login(leg).ok_or_else(nobody)?, self.lane);
            let waits = Waits { queue: &queue, steps: self.steps };
            let turn = queue.turn().await;
            drop(waits);
            if let Some(lease) = turn.session(since) {
                self.steps.adopt(&lease.walked);
                return Ok(lease);
            }
            if let Some(failure) = queue.shared_failure() {
                return Err(failure);
            }
            match self.log_in(&turn, leg, hop, key).await {
                Ok((session, since)) => Ok(turn.opened(session, since, self.steps.walked_to(Position::new(leg, Stage::Sync)))),
                Err(failure) => {
                    turn.failed(failure.clone());
                    Err(failure)
                }
            }
        })
    }

    /// Who logs in on a hop, by way of whom; `None` without a key for each.
    fn login(&self, leg: usize) -> Option<Login> {
        let mut login = None;
        for (hop, key) in self.route.hops.iter().zip(self.keys).take(leg.saturating_add(1)) {
            login = Some(Login { via: login.map(Arc::new), hop: hop.clone(), key: key.public() });
        }
        login
    }

    async fn log_in(&self, turn: &Turn<'_>, leg: usize, hop: &Hop, key: &PrivateKey) -> Result<(Session, Instant), Failure> {
        let at = Position::new(leg, Stage::Authenticate);
        unpinned(hop).map_or(Ok(()), Err)?;
        if let Some(pause) = turn.pause() {
            self.steps.wait(at, self.steps.tries(at), pause, Heard::default());
        }
        let mut permit = turn.permit().await;
        let stream = self.dial(leg, &hop.at).await?;
        let mut trusted = self.shake_hands(stream, leg, hop).await?;
        permit.offer().await;
        let since = Instant::now();
        self.steps.begin(leg, Stage::Authenticate);
        let user = hop.user.as_deref().unwrap_or_default();
        let asked = sync::ask(&mut trusted, hop, key, self.patience.authenticate).await.map_err(|told| Failure::new(leg, told))?;
        let session = trusted.authenticate(user, key, self.patience.authenticate).await;
        let session = session.map_err(|error| Failure::new(leg, of_authenticate(error)))?;
        let public = key.public();
        self.steps.pass(format!("user {user}, {} {}", public.algorithm(), public.fingerprint()));
        if let Some(asked) = asked.told() {
            self.steps.begin(leg, Stage::Sync);
            let (status, note) = asked.map_err(|told| Failure::new(leg, told))?;
            self.steps.end(status, note);
        }
        permit.accepted();
        Ok((session, since))
    }

    /// Recognises a hop over an open stream to it.
    pub(crate) async fn shake_hands(&self, stream: Stream, leg: usize, hop: &Hop) -> Result<Trusted, Failure> {
        self.steps.begin(leg, Stage::Handshake);
        let within = self.before_the_end(self.patience.handshake);
        let told = match handshake(stream, &hop.host_keys, within).await {
            Ok(trusted) => {
                let facts = trusted.facts();
                self.steps.pass(format!("{}, {}, {}", facts.server_version, facts.kex, facts.cipher));
                self.steps.begin(leg, Stage::HostKey);
                let checked = if hop.host_keys == HostKeys::Any { ", not checked" } else { "" };
                self.steps.pass(format!("{} {}{checked}", facts.host_key.algorithm(), facts.host_key.fingerprint()));
                return Ok(trusted);
            }
            Err(HandshakeError::Silent { heard }) if within < self.patience.handshake => {
                self.out_of_time(leg, (Cause::OutOfTime { stage: Stage::Handshake }, heard)).await
            }
            Err(error) => of_handshake(error),
        };
        Err(Failure::new(leg, told))
    }

    /// A limit, shortened so that a stage that runs into the walk's own end can still say what it has heard.
    pub(crate) fn before_the_end(&self, limit: Duration) -> Duration {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).saturating_sub(LAST_WORDS));
        left.map_or(limit, |left| limit.min(left))
    }

    /// Tells what a stage had heard when the walk's time ended, and waits for that end: it is what ends the walk.
    pub(crate) async fn out_of_time(&self, leg: usize, told: Told) -> Told {
        self.steps.remember(&Failure::new(leg, told.clone()));
        tokio::time::sleep(LAST_WORDS * 2).await;
        told
    }
}

/// A walk that waits for another's try. When its own time ends meanwhile, how the other's try ended is its story too.
struct Waits<'a> {
    queue: &'a Queue,
    steps: &'a Steps<'a>,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if let Some(failure) = self.queue.shared_failure() {
            self.steps.remember(&failure);
        }
    }
}

/// What is wrong with a server that could not be recognised: nobody connects to it.
pub(crate) fn unpinned(hop: &Hop) -> Option<Failure> {
    match &hop.host_keys {
        HostKeys::Pinned { accepted, .. } if accepted.is_empty() => {
            Some(Failure { at: Position::START, cause: Cause::NothingPinned, heard: Heard::default() })
        }
        _ => None,
    }
}
