//! What a bastion presents, to be pinned: tried again while that can heal, diagnosed like a walk that ends at the host key.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::{Failure, of_connect, of_handshake, of_resolve};
use super::patience::{Patience, dice};
use crate::key::{HostKeys, PublicKey};
use crate::path::cause::Cause;
use crate::path::diagnosis::Diagnosis;
use crate::path::route::{Bastion, Database, Host, Port, Route};
use crate::path::stage::Stage;
use crate::ssh::connect::resolve;
use crate::ssh::error::HandshakeError;
use crate::ssh::scan::{KINDS, ScanError, scan as scan_once};

/// The host keys of a bastion, ed25519 first. Nobody logs in, and whether it is the bastion that answers is not known.
///
/// # Errors
///
/// The diagnosis of the first failure, once it cannot heal or `within` is over.
pub async fn scan(host: &Host, port: Port, within: Duration, cancelled: &CancellationToken) -> Result<Vec<PublicKey>, Box<Diagnosis>> {
    let began = Instant::now();
    let (mut first, mut tries) = (None, 0);
    let failure = tokio::select! {
        biased;
        () = cancelled.cancelled() => Failure::new(Cause::Interrupted { stage: Stage::HostKey }, None),
        () = tokio::time::sleep(within) => Failure::new(Cause::OutOfTime { stage: Stage::HostKey }, None),
        scanned = persist(host, port, &mut first, &mut tries) => match scanned {
            Ok(keys) => return Ok(keys),
            Err(failure) => failure,
        },
    };
    let interrupted = matches!(failure.cause, Cause::Interrupted { .. });
    // The first error is the story; retries can change what is heard.
    let Failure { cause, heard } = first.filter(|_| !interrupted).unwrap_or(failure);
    let bastion = Bastion { host: host.clone(), port, user: String::new(), host_keys: HostKeys::Any };
    let route = Route { bastion: Some(bastion), database: Database::unasked() };
    Err(Box::new(Diagnosis { cause, heard, route, public_key: None, took: began.elapsed(), tries: tries.max(1) }))
}

/// Tries until it succeeds or cannot heal.
async fn persist(host: &Host, port: Port, first: &mut Option<Failure>, tries: &mut u32) -> Result<Vec<PublicKey>, Failure> {
    let mut backoff = None;
    loop {
        let failure = match attempt(host, port).await {
            Ok(keys) => return Ok(keys),
            Err(failure) => failure,
        };
        *tries += 1;
        let first = first.get_or_insert_with(|| failure.clone());
        if !failure.heals() {
            return Err(failure);
        }
        let pauses = backoff.get_or_insert_with(|| Patience::DEFAULT.healing(first.stage()).1);
        tokio::time::sleep(pauses.next_pause(dice())).await;
    }
}

async fn attempt(host: &Host, port: Port) -> Result<Vec<PublicKey>, Failure> {
    let patience = Patience::DEFAULT;
    let addresses = resolve(host, port, patience.resolve).await.map_err(of_resolve)?;
    scan_once(&addresses, patience.connect, patience.handshake).await.map_err(|error| match error {
        ScanError::Connect(error) => of_connect(error),
        // Nothing is pinned here, so what it offers is not the wrong kind but one that is not known.
        ScanError::Handshake(HandshakeError::HostKeyOtherType { theirs }) => {
            let ours = KINDS.map(ToOwned::to_owned).into();
            of_handshake(HandshakeError::NoCommon { what: "host key", ours, theirs })
        }
        ScanError::Handshake(error) => of_handshake(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(2);

    async fn fails(host: &str, port: u16, within: Duration) -> Box<Diagnosis> {
        scan(&host.parse().unwrap(), Port::try_from(i64::from(port)).unwrap(), within, &CancellationToken::new()).await.unwrap_err()
    }

    #[tokio::test]
    async fn what_can_heal_is_tried_again_and_the_first_failure_is_told() {
        let told = fails("127.0.0.1", lab::free_port().unwrap(), SOON).await;
        assert_eq!(told.code(), "connect/refused");
        assert!(told.tries > 1, "{}", told.tries);
        assert!(told.took >= SOON && told.took < SOON * 2, "{:?}", told.took);
        let text = told.to_string();
        assert!(text.contains("here -x- 127.0.0.1:") && !text.contains("..."), "there is nothing behind it:\n{text}");
    }

    #[tokio::test]
    async fn what_cannot_heal_is_told_at_once() {
        let mail = lab::Peer::start(lab::Manners::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).unwrap();
        let told = fails("127.0.0.1", mail.port(), SOON * 10).await;
        assert_eq!((told.code().as_str(), told.tries), ("handshake/not-ssh", 1));
    }

    #[tokio::test]
    async fn silence_is_bounded_and_an_interruption_is_told() {
        let silent = lab::Peer::start(lab::Manners::Silent).unwrap();
        assert_eq!(fails("127.0.0.1", silent.port(), Duration::from_millis(300)).await.code(), "host_key/out-of-time");
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        let port = Port::try_from(i64::from(silent.port())).unwrap();
        let told = scan(&"127.0.0.1".parse().unwrap(), port, SOON, &cancelled).await.unwrap_err();
        assert_eq!(told.code(), "host_key/interrupted");
    }
}
