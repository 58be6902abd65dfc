//! What a bastion presents, to be pinned: tried again while that can heal, diagnosed like a walk that ends at the host key.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::{Failure, of_connect, of_handshake, of_resolve};
use super::patience::{Patience, dice};
use crate::key::{HostKeys, PublicKey};
use crate::path::cause::Cause;
use crate::path::diagnosis::Diagnosis;
use crate::path::event::{Event, Observer};
use crate::path::route::{Bastion, Database, Endpoint, Host, Port, Route};
use crate::path::stage::Stage;
use crate::ssh::connect::resolve;
use crate::ssh::error::{ConnectError, HandshakeError};
use crate::ssh::scan::{KINDS, ScanError, scan as scan_once};

/// What is left of the time after a try that it cuts short: enough to tell that it was the time.
const MARGIN: Duration = Duration::from_millis(50);

/// The host keys of a bastion, ed25519 first. Nobody logs in, and whether it is the bastion that answers is not known.
///
/// The observer hears of `resolve`, `connect` and `host_key`: the handshakes for the kinds of keys are made at a time.
///
/// # Errors
///
/// The diagnosis of the first failure, once it cannot heal or `within` is over.
pub async fn scan(
    host: &Host,
    port: Port,
    within: Duration,
    observer: &dyn Observer,
    cancelled: &CancellationToken,
) -> Result<Vec<PublicKey>, Box<Diagnosis>> {
    let began = Instant::now();
    let mut search = Search { host, port, deadline: began + within, observer, stage: Stage::Resolve, passed: None, first: None, tries: 0 };
    let last = tokio::select! {
        biased;
        () = cancelled.cancelled() => None,
        scanned = tokio::time::timeout(within, search.persist()) => Some(scanned),
    };
    let Search { stage, first, tries, .. } = search;
    let failure = match (last, first) {
        (Some(Ok(Ok(keys))), _) => return Ok(keys),
        // Being told to stop is no verdict; what was heard until then is worth knowing.
        (None, Some(Failure { cause, heard })) => Failure::new(Cause::Interrupted { stage: cause.stage() }, heard),
        (None, None) => Failure::new(Cause::Interrupted { stage }, None),
        // The first error is the story; retries can change what is heard.
        (Some(_), Some(first)) => first,
        (Some(Ok(Err(failure))), None) => failure,
        (Some(Err(_)), None) => Failure::new(Cause::OutOfTime { stage }, None),
    };
    observer.event(&Event::Failed { stage: failure.stage() });
    let Failure { cause, heard } = failure;
    let bastion = Bastion { host: host.clone(), port, user: String::new(), host_keys: HostKeys::Any };
    let route = Route { bastion: Some(bastion), database: Database::unasked() };
    Err(Box::new(Diagnosis { cause, heard, route, public_key: None, took: began.elapsed(), tries: tries.max(1) }))
}

/// A scan under way.
struct Search<'a> {
    host: &'a Host,
    port: Port,
    deadline: Instant,
    observer: &'a dyn Observer,
    /// Where it is.
    stage: Stage,
    /// The last stage that was told as passed.
    passed: Option<Stage>,
    first: Option<Failure>,
    tries: u32,
}

impl Search<'_> {
    /// Tries until it succeeds or cannot heal.
    async fn persist(&mut self) -> Result<Vec<PublicKey>, Failure> {
        let mut backoff = None;
        loop {
            let failure = match self.attempt().await {
                Ok(keys) => return Ok(keys),
                Err(failure) => failure,
            };
            self.tries += 1;
            let first = self.first.get_or_insert_with(|| failure.clone());
            if !failure.heals() {
                return Err(failure);
            }
            let pauses = backoff.get_or_insert_with(|| Patience::DEFAULT.healing(first.stage()).1);
            let next_try_in = pauses.next_pause(dice());
            let (stage, heard) = (failure.stage(), failure.heard);
            self.observer.event(&Event::Waiting { stage, tries: self.tries, next_try_in, heard });
            tokio::time::sleep(next_try_in).await;
        }
    }

    async fn attempt(&mut self) -> Result<Vec<PublicKey>, Failure> {
        let (patience, began) = (Patience::DEFAULT, Instant::now());
        self.begin(Stage::Resolve);
        let addresses = resolve(self.host, self.port, patience.resolve).await.map_err(of_resolve)?;
        self.pass(self.host.to_string(), began);
        let began = Instant::now();
        self.begin(Stage::Connect);
        let left = self.deadline.saturating_duration_since(began).saturating_sub(MARGIN);
        let (connect, handshake) = (patience.connect.min(left), patience.handshake.min(left));
        let keys = match scan_once(&addresses, connect, handshake).await {
            Ok(keys) => keys,
            Err(ScanError::Connect(ConnectError::Silent)) if left < patience.connect => {
                return Err(Failure::new(Cause::OutOfTime { stage: Stage::Connect }, None));
            }
            Err(ScanError::Handshake(HandshakeError::Silent { heard })) if left < patience.handshake => {
                return Err(Failure::new(Cause::OutOfTime { stage: Stage::Handshake }, heard));
            }
            Err(error) => return Err(of_scan(error)),
        };
        self.pass(Endpoint(self.host, self.port).to_string(), began);
        self.begin(Stage::HostKey);
        let kinds: Vec<_> = keys.iter().map(|key| key.algorithm().to_string()).collect();
        self.pass(kinds.join(", "), began);
        Ok(keys)
    }

    /// A stage begins. On a further try of a passed stage nobody is told again.
    fn begin(&mut self, stage: Stage) {
        self.stage = stage;
        if self.tries == 0 {
            self.observer.event(&Event::Started { stage });
        }
    }

    fn pass(&mut self, note: String, began: Instant) {
        let stage = self.stage;
        if self.passed < Some(stage) {
            self.passed = Some(stage);
            self.observer.event(&Event::Passed { stage, note, took: began.elapsed() });
        }
    }
}

fn of_scan(error: ScanError) -> Failure {
    match error {
        ScanError::Connect(error) => of_connect(error),
        // Nothing is pinned here, so what it offers is not the wrong kind but one that is not known.
        ScanError::Handshake(HandshakeError::HostKeyOtherType { theirs }) => {
            let ours = KINDS.map(ToOwned::to_owned).into();
            of_handshake(HandshakeError::NoCommon { what: "host key", ours, theirs })
        }
        ScanError::Handshake(error) => of_handshake(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::event::Silent;

    const SOON: Duration = Duration::from_secs(2);

    async fn fails(host: &str, port: u16, within: Duration) -> Box<Diagnosis> {
        scan(&host.parse().unwrap(), Port::try_from(i64::from(port)).unwrap(), within, &Silent, &CancellationToken::new())
            .await
            .unwrap_err()
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
        assert_eq!(fails("127.0.0.1", silent.port(), Duration::from_millis(300)).await.code(), "handshake/out-of-time");
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        let port = Port::try_from(i64::from(silent.port())).unwrap();
        let told = scan(&"127.0.0.1".parse().unwrap(), port, SOON, &Silent, &cancelled).await.unwrap_err();
        assert_eq!(told.code(), "resolve/interrupted");
    }

    #[tokio::test]
    async fn told_to_stop_while_it_waits_it_says_what_was_heard() {
        let cancelled = CancellationToken::new();
        let stop_at_first = |event: &Event| {
            if matches!(event, Event::Waiting { .. }) {
                cancelled.cancel();
            }
        };
        let port = Port::try_from(i64::from(lab::free_port().unwrap())).unwrap();
        let told = scan(&"127.0.0.1".parse().unwrap(), port, SOON * 10, &stop_at_first, &cancelled).await.unwrap_err();
        assert_eq!((told.code().as_str(), told.heard.as_str()), ("connect/interrupted", "Connection refused"));
    }
}
