//! A check that is told to stop, or is out of time, still says what it had heard; a hold that is told to stop has held.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bastion::check::{Sessions, check_with, hold};
use bastion::path::event::Event;
use bastion::path::position::Position;
use bastion::path::stage::Stage;
use lab::Bastion;
use tokio_util::sync::CancellationToken;

use crate::ssh;
use crate::world::{Distance, SOON, World};

/// Cancels when an event is of this kind.
fn on(matching: fn(&Event) -> bool) -> (impl Fn(&Event) + Send + Sync, CancellationToken) {
    let cancelled = CancellationToken::new();
    let token = cancelled.clone();
    let observer = move |event: &Event| {
        if matching(event) {
            token.cancel();
        }
    };
    (observer, cancelled)
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_while_it_waits_for_a_key_it_quotes_the_refusal() {
    let mut world = World::new(Distance::Near);
    ssh::key_unknown(&mut world);
    let (observer, cancelled) = on(|event| matches!(event, Event::Waiting { at: Position { stage: Stage::Authenticate, .. }, .. }));
    let diagnosis = check_with(&world.request, &world.patience, &Sessions::new(), &observer, &cancelled).await.unwrap_err();
    assert_eq!((diagnosis.code().as_str(), diagnosis.tries), ("authenticate/interrupted", 1));
    assert!(diagnosis.to_string().contains("Permission denied (publickey)"), "{diagnosis}");
}

/// The second try would come when the time is over, so the first is the answer, at once.
#[tokio::test(flavor = "multi_thread")]
async fn without_time_for_another_try_the_refusal_is_the_story() {
    let mut world = World::new(Distance::Near);
    ssh::key_unknown(&mut world);
    world.request.timeout = Duration::from_secs(3);
    let began = Instant::now();
    let silent = bastion::path::event::Silent;
    let diagnosis = check_with(&world.request, &world.patience, &Sessions::new(), &silent, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(diagnosis.code(), "authenticate/key-refused");
    assert!(began.elapsed() < world.request.timeout, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_when_it_is_told_to_and_leaves_no_session() {
    let mut world = World::new(Distance::Near);
    world.shared_cluster();
    let bastion: Arc<Bastion> = world.sshd(Bastion::builder());
    let (observer, cancelled) = on(|event| matches!(event, Event::Started { at: Position { stage: Stage::Hold, .. } }));
    let held = hold(&world.request, &world.patience, &Sessions::new(), &observer, &cancelled).await;
    assert!(held.is_ok(), "{}", held.unwrap_err());
    lab::wait_until("the end of the session", SOON, || bastion.open_sessions() == 0).unwrap();
    assert_eq!((bastion.logins().len(), bastion.connections()), (1, 1), "what was proven is what is held");
}

/// Several keepalives long, and nobody says anything.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_tunnel_is_held_as_long_as_it_answers() {
    let mut world = World::new(Distance::Near);
    world.shared_cluster();
    world.sshd(Bastion::builder());
    world.patience.keepalive = Duration::from_millis(100);
    world.patience.keepalive_answer = Duration::from_secs(3);
    let (silent, sessions, cancelled) = (bastion::path::event::Silent, Sessions::new(), CancellationToken::new());
    let idle = hold(&world.request, &world.patience, &sessions, &silent, &cancelled);
    assert!(tokio::time::timeout(Duration::from_secs(2), idle).await.is_err(), "it ended by itself");
}
