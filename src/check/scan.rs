//! What a bastion presents, to be pinned: tried again while that can heal, diagnosed like a walk that ends at the host key.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::persistence::Persistence;
use crate::key::{HostKeys, PublicKey};
use crate::path::admission::Admission;
use crate::path::cause::Cause;
use crate::path::diagnosis::Diagnosis;
use crate::path::event::Observer;
use crate::path::route::{Address, Hop, Route};
use crate::path::stage::Stage;
use crate::ssh::error::{ConnectError, HandshakeError};
use crate::ssh::scan::{KINDS, ScanError, scan as scan_once};
use crate::way::{Dialer, Door, Failure, Patience, Sessions, Steps, Told, of_connect, of_handshake};

/// The host keys of a bastion, ed25519 first. Nobody logs in, and whether it is the bastion that answers is not known.
///
/// Where an `admission` is given, it lets this machine in first. The observer hears of `admit`, `resolve`, `connect` and `host_key`. The
/// handshakes, one for each kind of key, are made one after the other, and wait for a place at the server among all that use the sessions.
///
/// # Errors
///
/// The diagnosis of the first failure, once it cannot heal or `within` is over.
pub async fn scan(
    at: &Address,
    admission: Option<Arc<dyn Admission>>,
    within: Duration,
    sessions: &Sessions,
    observer: &dyn Observer,
    cancelled: &CancellationToken,
) -> Result<Vec<PublicKey>, Box<Diagnosis>> {
    let route = Route::new(vec![Hop::without_login(at.clone(), HostKeys::Any)], None);
    let steps = Steps::new(&route, observer);
    // What can heal is tried again for as long as there is time.
    let patience = Patience { reach_window: within, ..Patience::DEFAULT };
    let door = Door::new(admission);
    let deadline = steps.began.checked_add(within);
    let (route, steps, patience) = (&route, &steps, &patience);
    let dialer = Dialer { deadline, ..Dialer::new(route, &[], sessions, patience, steps, &door) };
    let persistence = Persistence { patience, steps, deadline, settling: false };
    let scanned = persistence.run(within, cancelled, || attempt(&dialer, at)).await;
    scanned.map_err(|failure| steps.failed(failure, |_| None))
}

async fn attempt(dialer: &Dialer<'_>, at: &Address) -> Result<Vec<PublicKey>, Failure> {
    let Dialer { patience, steps, .. } = dialer;
    // The door holds it open for all tries.
    dialer.admit(at).await?;
    let addresses = dialer.resolve(at).await?;
    let _place = dialer.sessions.place(vec![at.clone()]).await;
    steps.begin(0, Stage::Connect);
    let (connect, handshake) = (dialer.before_the_end(patience.connect), dialer.before_the_end(patience.handshake));
    let told = match scan_once(&addresses, connect, handshake).await {
        Ok(keys) => {
            steps.pass(at.to_string());
            steps.begin(0, Stage::HostKey);
            let kinds: Vec<_> = keys.iter().map(|key| key.algorithm().to_string()).collect();
            steps.pass(kinds.join(", "));
            return Ok(keys);
        }
        Err(ScanError::Connect(ConnectError::Silent)) if connect < patience.connect => {
            dialer.out_of_time(0, (Cause::OutOfTime { stage: Stage::Connect }, Default::default())).await
        }
        Err(ScanError::Handshake(HandshakeError::Silent { heard })) if handshake < patience.handshake => {
            dialer.out_of_time(0, (Cause::OutOfTime { stage: Stage::Handshake }, heard)).await
        }
        Err(error) => of_scan(error),
    };
    Err(Failure::new(0, told))
}

fn of_scan(error: ScanError) -> Told {
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
    use crate::path::event::{Event, Silent};
    use crate::path::route::Port;

    fn at(host: &str, port: u16) -> Address {
        Address::new(host.parse().unwrap(), Port::try_from(i64::from(port)).unwrap())
    }

    const SOON: Duration = Duration::from_secs(2);

    async fn fails(host: &str, port: u16, within: Duration) -> Box<Diagnosis> {
        scan(&at(host, port), None, within, &Sessions::new(), &Silent, &CancellationToken::new()).await.unwrap_err()
    }

    #[tokio::test]
    async fn what_can_heal_is_tried_again_and_the_first_failure_is_told() {
        let told = fails("127.0.0.1", lab::free_port().unwrap(), SOON).await;
        assert_eq!(told.code(), "connect/refused");
        assert!(told.tries > 1, "{}", told.tries);
        assert!(told.took < SOON * 2, "{:?}", told.took);
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
        let told = scan(&at("127.0.0.1", silent.port()), None, SOON, &Sessions::new(), &Silent, &cancelled).await.unwrap_err();
        assert_eq!(told.code(), "configure/interrupted");
    }

    #[tokio::test]
    async fn told_to_stop_while_it_waits_it_says_what_was_heard() {
        let cancelled = CancellationToken::new();
        let stop_at_first = |event: &Event| {
            if matches!(event, Event::Waiting { .. }) {
                cancelled.cancel();
            }
        };
        let told = scan(&at("127.0.0.1", lab::free_port().unwrap()), None, SOON * 10, &Sessions::new(), &stop_at_first, &cancelled)
            .await
            .unwrap_err();
        assert_eq!((told.code().as_str(), told.heard.as_str()), ("connect/interrupted", "Connection refused"));
    }
}
