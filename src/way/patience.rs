//! How long each stage may take, how long a failed one may heal, and how often it is tried.

use std::time::Duration;

use ring::rand::SecureRandom;

use super::sessions::{LINGER, REFUSAL_PAUSE};
use crate::backoff::Backoff;
use crate::path::stage::Stage;

/// Some calls to AWS, each tried again when it is throttled; who leaves the same rule at this moment is waited for, too.
const ADMIT: Duration = Duration::from_secs(60);
/// A resolver that has not answered by then has lost the question (resolv.conf's default is 5 s a try, two tries).
const RESOLVE: Duration = Duration::from_secs(10);
/// Three SYN retransmissions (1, 3 and 7 s): later ones mean a firewall, not a slow network.
const CONNECT: Duration = Duration::from_secs(10);
/// An 8192-bit group exchange takes 0.9 s and a far bastion two round trips more: ten seconds is a stalled peer.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// sshd's own work is milliseconds; PAM modules and directories may need seconds.
const AUTHENTICATE: Duration = Duration::from_secs(10);
/// The bastion's own connect to the database: see [`CONNECT`].
const DIAL: Duration = Duration::from_secs(10);
/// resolv.conf's defaults are two tries of 5 s at each of three servers at the most: 30 s, of which [`DIAL`] is over.
const LOOKUP: Duration = Duration::from_secs(25);
/// One answer and a TLS handshake.
const TLS: Duration = Duration::from_secs(10);
/// SCRAM is milliseconds; LDAP and RADIUS behind Postgres may need seconds.
const LOGIN: Duration = Duration::from_secs(15);
/// Three catalog queries, on a busy server.
const READY: Duration = Duration::from_secs(15);
/// How often a held session is asked: four times within the shortest idle limit met in practice (60 s).
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How long the answer may take. An honest one is a round trip; three losses in a row on a bad line are 7 s of TCP's waiting.
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(15);
/// How long a name, an address or a balancer's target may take to come up: a new balancer's name and first healthy target need about a minute.
const REACH_WINDOW: Duration = Duration::from_secs(60);
/// How long a key may take to reach the bastion: its sync runs every five minutes, and needs time itself.
const KEY_WINDOW: Duration = Duration::from_secs(6 * 60);
/// How long a database may start up or lack a slot.
const OPEN_WINDOW: Duration = Duration::from_secs(60);

/// The time that a walk gives: a limit for each stage, and a window within which a stage that can heal is tried again.
///
/// [`Patience::DEFAULT`] is right for every path; another is for those who know theirs, and for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// This machine's address, and the calls that admit it.
    pub admit: Duration,
    /// The resolver's answer.
    pub resolve: Duration,
    /// A TCP connection to the first hop.
    pub connect: Duration,
    /// SSH version, key exchange and host key.
    pub handshake: Duration,
    /// sshd's verdict on the key.
    pub authenticate: Duration,
    /// The channel to the next leg, sshd's permission included.
    pub dial: Duration,
    /// As long again for a name, where the hop answers nothing else meanwhile: it waits for its resolver.
    pub lookup: Duration,
    /// Postgres's answer to the request for TLS, and the handshake.
    pub tls: Duration,
    /// The login, until the database is open.
    pub login: Duration,
    /// The questions about readiness.
    pub ready: Duration,
    /// How often a held session is asked whether it is there.
    pub keepalive: Duration,
    /// The answer to that.
    pub keepalive_answer: Duration,
    /// How long names, connections and sessions may heal.
    pub reach_window: Duration,
    /// How long a refused key may be on its way to the bastion.
    pub key_window: Duration,
    /// How long a database may start, or lack a slot.
    pub open_window: Duration,
}

impl Patience {
    /// What a check gives; each number has its reason beside it in the source.
    pub const DEFAULT: Self = Self {
        admit: ADMIT,
        resolve: RESOLVE,
        connect: CONNECT,
        handshake: HANDSHAKE,
        authenticate: AUTHENTICATE,
        dial: DIAL,
        lookup: LOOKUP,
        tls: TLS,
        login: LOGIN,
        ready: READY,
        keepalive: KEEPALIVE,
        keepalive_answer: KEEPALIVE_ANSWER,
        reach_window: REACH_WINDOW,
        key_window: KEY_WINDOW,
        open_window: OPEN_WINDOW,
    };

    /// The longest that one try of a stage takes to give its verdict.
    #[must_use]
    pub fn limit(&self, stage: Stage) -> Duration {
        match stage {
            // No network is asked.
            Stage::Configure => Duration::ZERO,
            Stage::Admit => self.admit,
            Stage::Resolve => self.resolve,
            Stage::Connect => self.connect,
            Stage::Handshake | Stage::HostKey => self.handshake,
            Stage::Authenticate | Stage::Sync => self.authenticate,
            // Its answer, whether the hop is there, the hop's resolver.
            Stage::Forward | Stage::Dial => self.dial * 2 + self.lookup,
            Stage::Tls => self.tls,
            Stage::Login | Stage::Open => self.login,
            Stage::Ready => self.ready,
            Stage::Hold => self.keepalive + self.keepalive_answer,
        }
    }

    /// How long a stage may heal, and how it is tried.
    pub(crate) fn healing(&self, stage: Stage) -> (Duration, Backoff) {
        let seconds = Duration::from_secs;
        match stage {
            // Those who failed together come back while the session of the first one lingers; the other half of that time is for a
            // busy machine.
            Stage::Authenticate | Stage::Sync => {
                let longest = REFUSAL_PAUSE + LINGER / 2;
                (self.key_window, Backoff::new(REFUSAL_PAUSE, longest, longest))
            }
            Stage::Login | Stage::Open => (self.open_window, Backoff::new(seconds(1), seconds(2), seconds(8))),
            _ => (self.reach_window, Backoff::new(Duration::from_millis(500), seconds(1), seconds(8))),
        }
    }
}

/// An evenly drawn number. Without randomness the pauses are merely not jittered.
pub(crate) fn dice() -> u32 {
    let mut bytes = [0; 4];
    match ring::rand::SystemRandom::new().fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes),
        Err(_) => u32::MAX,
    }
}
