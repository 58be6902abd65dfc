//! Dropped, cancelled or out of time: a check ends when it is told to, and leaves nothing.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bastion::check::{Patience, Sessions, check, hold};
use bastion::path::event::Event;
use bastion::path::stage::Stage;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, SOON, connections, database_at, port, proven, ssh_at, walk};

/// Polls a future so many times and drops it. The answer is whether it came to an end.
async fn polled<F: Future>(future: F, mut times: usize) -> bool {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| {
        if times == 0 {
            return Poll::Ready(false);
        }
        times -= 1;
        future.as_mut().poll(cx).map(|_| true)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_dropped_at_any_point_leaves_no_connection() {
    let bench = Bench::new();
    let request = bench.request();
    let sessions = bench.lab.logical.sessions().unwrap();
    let (mut polls, mut ended) = (0, false);
    while !ended {
        assert!(polls < 500, "the check never ends");
        // Each time with a pool of its own: that, too, is dropped.
        ended = polled(walk(&request, &Sessions::new()), polls).await;
        polls += 1;
    }
    assert!(polls > 10, "a check takes {polls} polls: where are its await points?");
    bench.is_left_alone();
    lab::wait_until("the end of all sessions of Postgres", SOON, || bench.lab.logical.sessions().unwrap() == sessions).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_check_ends_at_once_and_the_pool_serves_the_next() {
    let bench = Bench::new();
    let silent = lab::Peer::start(lab::Manners::Silent).unwrap();
    let (mut request, start) = (bench.request(), Instant::now());
    database_at(&mut request).port = port(silent.port());
    let (sessions, cancelled) = (Sessions::new(), CancellationToken::new());
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let observer = move |event: &Event| {
        if matches!(event, Event::Started { at } if at.stage == Stage::Tls) {
            let _ = tell.send(());
        }
    };
    let checking = tokio::spawn({
        let (sessions, cancelled) = (sessions.clone(), cancelled.clone());
        async move { check(&request, &sessions, &observer, &cancelled).await }
    });
    tokio::time::timeout(SOON, told.recv()).await.expect("the check never comes to Postgres");
    let began = Instant::now();
    cancelled.cancel();
    assert!(checking.await.unwrap().unwrap_err().code().ends_with("/interrupted"));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let mut next = bench.request();
    next.since = Some(start);
    proven(walk(&next, &sessions).await);
    assert_eq!(bench.lab.bastion.logins().len(), 1, "the session was there to be used");
    bench.is_left_alone();
}

/// The session of the proof may be gone by the time that it is to be held; then it is made again.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_be_made_again_keeps_nobody_from_stopping() {
    let bench = Bench::new();
    let relay = Arc::new(lab::Relay::start(([127, 0, 0, 1], bench.lab.bastion.port())).unwrap());
    let mut request = bench.request();
    ssh_at(&mut request).port = port(relay.port());
    let breaks = Arc::clone(&relay);
    let observer = move |event: &Event| {
        if matches!(event, Event::Passed { at, .. } if at.stage == Stage::Ready) {
            breaks.freeze();
            breaks.cut();
            let ended = || lab::wait_until("the end of the session", SOON, || connections(breaks.port()) == 0).unwrap();
            tokio::task::block_in_place(ended);
        }
    };
    let cancelled = CancellationToken::new();
    let told = cancelled.clone();
    let holding = tokio::spawn(async move { hold(&request, &Patience::DEFAULT, &Sessions::new(), &observer, &told).await });
    lab::wait_until("another try", SOON, || relay.connections() == 2).unwrap();
    cancelled.cancel();
    let ended = tokio::time::timeout(SOON, holding).await.expect("it does not stop").unwrap();
    assert!(ended.unwrap_err().code().ends_with("/interrupted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_heard_until_the_time_was_over_is_quoted() {
    let bench = Bench::new();
    let half = lab::Peer::start(lab::Manners::Say(b"SSH-2.0-Op".to_vec())).unwrap();
    let mut request = bench.within(Duration::from_secs(1));
    ssh_at(&mut request).port = port(half.port());
    let diagnosis = walk(&request, &Sessions::new()).await.unwrap_err();
    assert_eq!(diagnosis.code(), "handshake/out-of-time");
    assert!(diagnosis.to_string().contains("Heard   \"SSH-2.0-Op\", after 1.0 s,"), "{diagnosis}");
    let silent = lab::Peer::start(lab::Manners::Silent).unwrap();
    ssh_at(&mut request).port = port(silent.port());
    let diagnosis = walk(&request, &Sessions::new()).await.unwrap_err();
    assert_eq!(diagnosis.code(), "handshake/out-of-time");
    assert!(diagnosis.to_string().contains("Heard   nothing, after 1.0 s,"), "{diagnosis}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeout_bounds_the_whole_wherever_it_hangs() {
    let bench = Bench::new();
    let timeout = Duration::from_secs(3);
    let (blackhole, silent) = (lab::Blackhole::start().unwrap(), lab::Peer::start(lab::Manners::Silent).unwrap());
    let mut requests = vec![bench.within(timeout); 4];
    ssh_at(&mut requests[0]).port = port(blackhole.port());
    ssh_at(&mut requests[1]).port = port(silent.port());
    database_at(&mut requests[2]).port = port(blackhole.port());
    database_at(&mut requests[3]).port = port(silent.port());
    let mut checks = JoinSet::new();
    for (request, stage) in requests.into_iter().zip([Stage::Connect, Stage::Handshake, Stage::Forward, Stage::Tls]) {
        checks.spawn(async move {
            let began = Instant::now();
            let diagnosis = walk(&request, &Sessions::new()).await.unwrap_err();
            (diagnosis.code(), format!("{stage}/out-of-time"), began.elapsed())
        });
    }
    for (code, expected, took) in checks.join_all().await {
        assert_eq!(code, expected);
        assert!(took >= timeout && took < timeout.mul_f64(1.1), "{code} after {took:?}");
    }
    bench.is_left_alone();
}
