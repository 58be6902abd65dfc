//! The way to the first hop, whichever it is: resolve, connect, and to a bastion the handshake.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Walk;
use crate::check::failure::{Failure, of_connect, of_handshake, of_resolve};
use crate::key::HostKeys;
use crate::path::cause::Cause;
use crate::path::route::{Bastion, Endpoint, Host, Port};
use crate::path::stage::Stage;
use crate::ssh::connect::{self, Tcp};
use crate::ssh::error::HandshakeError;
use crate::ssh::handshake::{Trusted, handshake};

/// How long before the check's own end a handshake is asked what it has heard: what is dropped in its midst cannot say. Far more than
/// a timer is late, far less than anybody notices.
const LAST_WORDS: Duration = Duration::from_millis(50);

impl Walk<'_> {
    pub(super) async fn resolve(&self, host: &Host, port: Port) -> Result<Vec<SocketAddr>, Failure> {
        self.begin(Stage::Resolve);
        let addresses = connect::resolve(host, port, self.patience.resolve).await.map_err(of_resolve)?;
        self.pass(Stage::Resolve, host.to_string());
        Ok(addresses)
    }

    pub(super) async fn connect(&self, host: &Host, port: Port) -> Result<Tcp, Failure> {
        let addresses = self.resolve(host, port).await?;
        self.connect_to(&addresses, host, port).await
    }

    pub(super) async fn connect_to(&self, addresses: &[SocketAddr], host: &Host, port: Port) -> Result<Tcp, Failure> {
        self.begin(Stage::Connect);
        let connected = connect::connect(addresses, self.patience.connect).await.map_err(of_connect)?;
        self.pass(Stage::Connect, Endpoint(host, port).to_string());
        Ok(connected)
    }

    pub(super) async fn shake_hands(&self, stream: Tcp, bastion: &Bastion) -> Result<Trusted, Failure> {
        self.begin(Stage::Handshake);
        let within = self.patience.handshake.min(self.deadline.saturating_duration_since(Instant::now()).saturating_sub(LAST_WORDS));
        let trusted = match handshake(stream, &bastion.host_keys, within).await {
            Err(HandshakeError::Silent { heard }) if within < self.patience.handshake => {
                // The check's own end is near: it is what ends the walk, and this is what it can quote.
                self.remember(&Failure::new(Cause::OutOfTime { stage: Stage::Handshake }, heard.clone()));
                sleep_until(self.deadline + LAST_WORDS).await;
                return Err(of_handshake(HandshakeError::Silent { heard }));
            }
            answer => answer.map_err(of_handshake)?,
        };
        let facts = trusted.facts();
        self.pass(Stage::Handshake, format!("{}, {}, {}", facts.server_version, facts.kex, facts.cipher));
        let host_key = facts.host_key.clone();
        self.begin(Stage::HostKey);
        let checked = if bastion.host_keys == HostKeys::Any { ", not checked" } else { "" };
        self.pass(Stage::HostKey, format!("{} {}{checked}", host_key.algorithm(), host_key.fingerprint()));
        Ok(trusted)
    }
}

/// What is wrong with a bastion that could not be recognised: nobody connects to it.
pub(super) fn unpinned(bastion: &Bastion) -> Option<Failure> {
    match &bastion.host_keys {
        HostKeys::Pinned { accepted, .. } if accepted.is_empty() => Some(Failure::new(Cause::NothingPinned, None)),
        _ => None,
    }
}
