//! All words for a person about what is wrong with a path: summary, meaning, what to do. One place for all of them.

mod admit;
mod peer;
mod postgres;
mod reach;
mod ssh;

use super::cause::Cause;
use super::heard::{Heard, printable};
use super::route::Route;
use super::stage::Stage;
use crate::key::PublicKey;

/// What a cause's words may speak of.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The walked route.
    pub route: &'a Route,
    /// The leg that failed.
    pub leg: usize,
    /// The key that is offered on that leg.
    pub public_key: Option<&'a PublicKey>,
    /// What was heard.
    pub heard: &'a Heard,
    /// How often it was tried: a prohibited forward more than once where the bastion may have to learn what is permitted.
    pub tries: u32,
}

impl Scene<'_> {
    /// The role and the database; empty where nobody logs in, and then no words speak of them.
    fn login(&self) -> (&str, &str) {
        self.route.login().map_or(("", ""), |login| (login.user.as_str(), login.database.as_str()))
    }
}

/// The words of one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// One general line, without values.
    pub summary: &'static str,
    /// What it means; empty if the summary says all.
    pub means: String,
    /// What to do, the likeliest first.
    pub remedies: Vec<String>,
}

impl Words {
    pub(super) fn new<const N: usize>(summary: &'static str, means: impl Into<String>, remedies: [String; N]) -> Self {
        Self { summary, means: means.into(), remedies: remedies.into() }
    }
}

/// A blank that is not folded: what has to be copied stays on one line.
pub(super) const TIE: char = '\u{a0}';

/// A key in one piece.
fn whole(key: &PublicKey) -> String {
    key.to_string().replace(' ', &TIE.to_string())
}

impl Cause {
    /// Its words, fit to be shown whatever the names in them are.
    #[must_use]
    pub fn words(&self, scene: Scene<'_>) -> Words {
        let Words { summary, means, remedies } = self.raw_words(scene);
        Words { summary, means: printable(&means), remedies: remedies.iter().map(|remedy| printable(remedy)).collect() }
    }

    fn raw_words(&self, scene: Scene<'_>) -> Words {
        match self.stage() {
            _ if matches!(self, Self::OutOfTime { .. }) => {
                let mut words = self.ended_words();
                if scene.heard.is_empty() {
                    words.means.push_str(" Until then it was silent.");
                }
                words
            }
            _ if matches!(self, Self::Interrupted { .. }) => self.ended_words(),
            Stage::Configure => self.configure_words(),
            Stage::Admit => self.admit_words(),
            Stage::Resolve | Stage::Connect => self.reach_words(scene),
            Stage::Handshake => self.handshake_words(scene),
            Stage::HostKey => self.host_key_words(scene),
            Stage::Authenticate | Stage::Sync => self.authenticate_words(scene),
            Stage::Forward | Stage::Hold => self.forward_words(scene),
            Stage::Dial => self.dial_words(scene),
            Stage::Tls => self.tls_words(scene),
            Stage::Login => self.login_words(scene),
            Stage::Open | Stage::Ready => self.open_words(scene),
        }
    }

    /// What stands under the broken node of the picture, where the stage's usual words would claim too much.
    pub(super) const fn note(&self) -> Option<&'static str> {
        let note = match self {
            Self::ResolverSilent
            | Self::ConnectSilent
            | Self::HandshakeSilent
            | Self::AuthenticateSilent
            | Self::DialSilent
            | Self::PostgresSilent
            | Self::TlsSilent
            | Self::LoginSilent
            | Self::HoldSilent => "no answer",
            Self::ResolverFailed => "not resolved",
            Self::HandshakeClosed | Self::AuthenticateClosed | Self::DialClosed | Self::PostgresClosed | Self::LoginBroken => "hung up",
            Self::SecondFactor => "more asked for",
            Self::SessionLost => "session lost",
            Self::ForwardShortage => "no room",
            Self::DialNameUnknown => "no address",
            Self::DialResolverSilent => "not resolved",
            Self::NotPostgres => "not Postgres",
            Self::TlsServerError => "an error",
            Self::CertificateWrongName { .. }
            | Self::CertificateExpired
            | Self::CertificateUnknownIssuer
            | Self::CertificateNoRoot
            | Self::CertificateBad => "certificate refused",
            Self::ServerUnproven => "not proven",
            Self::PasswordMissing => "password needed",
            Self::ReadyFailed => "not examined",
            _ => return None,
        };
        Some(note)
    }

    pub(super) fn ended_words(&self) -> Words {
        match self {
            Self::Interrupted { .. } => Words::new(
                "The check was interrupted",
                "It was told to stop before the path was proven.",
                ["apply, or check, again".to_owned()],
            ),
            _ => Words::new(
                "The check ran out of time",
                "The time for the whole check ended before this stage gave an answer.",
                ["raise the timeout: `verify.timeout` of a connection, `timeout` elsewhere".to_owned()],
            ),
        }
    }
}
