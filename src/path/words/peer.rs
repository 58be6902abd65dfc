//! Who is spoken of: what a leg leads to, and the hop before it.

use super::Scene;
use crate::path::route::{Port, Target};

/// What a leg leads to, in words.
pub(super) struct Peer {
    kind: Kind,
    /// `the bastion`; where there are several, its host.
    pub(super) name: String,
    /// The same as a possessive.
    pub(super) whose: String,
    /// What listens there.
    pub(super) server: &'static str,
    pub(super) host: String,
    pub(super) port: u16,
    /// `host:port`.
    pub(super) address: String,
    /// The name of the hop before it.
    pub(super) via: String,
    /// The login on that hop.
    pub(super) via_user: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bastion,
    Database,
    Tcp,
}

impl Peer {
    pub(super) fn of(scene: Scene<'_>) -> Self {
        let Scene { route, leg, .. } = scene;
        let kind = match (route.hop(leg), &route.target) {
            (Some(_), _) => Kind::Bastion,
            (None, Some(Target::Tcp(_))) => Kind::Tcp,
            (None, _) => Kind::Database,
        };
        let before = leg.checked_sub(1);
        let bastion = |leg: usize| match route.address(leg) {
            Some(at) if route.hops.len() > 1 => at.host.to_string(),
            _ => "the bastion".to_owned(),
        };
        let at = route.address(leg);
        let (name, whose) = match kind {
            Kind::Bastion => (bastion(leg), format!("{}'s", bastion(leg))),
            Kind::Database => ("the database server".to_owned(), "the database's".to_owned()),
            Kind::Tcp => ("the target".to_owned(), "the target's".to_owned()),
        };
        Self {
            kind,
            name,
            whose,
            server: match kind {
                Kind::Bastion => "sshd",
                Kind::Database => "Postgres",
                Kind::Tcp => "the service",
            },
            host: at.map_or_else(String::new, |at| at.host.to_string()),
            port: at.map_or(Port::SSH, |at| at.port).get(),
            address: at.map_or_else(String::new, ToString::to_string),
            via: before.map_or_else(String::new, bastion),
            via_user: before.and_then(|leg| route.hop(leg)?.user.clone()).unwrap_or_default(),
        }
    }

    /// An argument in plain words: what it is called differs from one kind of check to the next.
    pub(super) fn argument(&self, name: &str) -> String {
        format!("{} {name}", self.whose)
    }

    /// One line of each kind; what is neither bastion nor database is told as a target.
    pub(super) const fn pick(&self, bastion: &'static str, database: &'static str, target: &'static str) -> &'static str {
        match self.kind {
            Kind::Bastion => bastion,
            Kind::Database => database,
            Kind::Tcp => target,
        }
    }
}

/// One line of each kind of peer, with what stands before and behind its name.
macro_rules! of_peer {
    ($peer:expr, $before:literal, $after:literal) => {
        $peer.pick(concat!($before, "bastion", $after), concat!($before, "database", $after), concat!($before, "target", $after))
    };
}

pub(super) use of_peer;
