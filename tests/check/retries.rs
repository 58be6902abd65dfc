//! What is tried again, how often, and what is told of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bastion::check::{Sessions, check};
use bastion::path::route::Address;
use bastion::path::stage::Stage;
use bastion::postgres::SslMode;
use bastion::secret::Secret;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, PACE, SOON, USER, Waits, database_at, port, proven, ssh_at, walk, walk_all};

#[tokio::test(flavor = "multi_thread")]
async fn refused_keys_are_offered_every_six_seconds_whoever_they_belong_to() {
    let bench = Bench::new();
    bench.lab.bastion.revoke(USER).unwrap();
    bench.lab.bastion.add_user("other").unwrap();
    let mut requests = vec![bench.within(Duration::from_secs(15)); 4];
    for request in &mut requests[2..] {
        request.route.hops[0].user = Some("other".to_owned());
    }
    let sessions = Sessions::new();
    let checks = tokio::spawn(async move { walk_all(requests, &sessions).await });
    let mut refusals = Vec::new();
    while !checks.is_finished() {
        let count = bench.lab.bastion.failed_logins().len();
        while refusals.len() < count {
            refusals.push(Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for walked in checks.await.unwrap() {
        let code = walked.unwrap_err().code();
        assert!(["authenticate/key-refused", "configure/out-of-time"].contains(&code.as_str()), "{code}");
    }
    let users: BTreeSet<_> = bench.lab.bastion.failed_logins().into_iter().map(|login| login.user).collect();
    assert_eq!(users.len(), 2, "both logins have their turn");
    assert!(refusals.len() >= 2 && refusals.windows(2).all(|pair| pair[1] - pair[0] >= PACE), "{refusals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_key_is_waited_for_and_the_tries_are_told() {
    let bench = Bench::new();
    bench.lab.bastion.revoke(USER).unwrap();
    bench.lab.bastion.authorize_after(USER, &[&bench.key.public_key], Duration::from_secs(3));
    let waits = Waits::default();
    proven(check(&bench.request(), &Sessions::new(), &waits, &CancellationToken::new()).await);
    assert_eq!(*waits.0.lock().unwrap(), [(Stage::Authenticate, 1)]);
    assert_eq!((bench.lab.bastion.failed_logins().len(), bench.lab.bastion.logins().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_error_is_told_though_later_ones_differ() {
    let bench = Bench::new();
    bench.lab.bastion.revoke(USER).unwrap();
    let request = bench.within(Duration::from_secs(14));
    let checking = tokio::spawn(async move { walk(&request, &Sessions::new()).await });
    lab::wait_until("the refusal", SOON, || !bench.lab.bastion.failed_logins().is_empty()).unwrap();
    bench.lab.bastion.stop().unwrap();
    let diagnosis = checking.await.unwrap().unwrap_err();
    assert_eq!(diagnosis.code(), "authenticate/key-refused");
    assert_eq!(diagnosis.tries, 1, "the key was offered once; the refused connections are another stage's");
}

/// A wrong password, a changed host key and a prohibited forward heal by no waiting, and each try can lock somebody out.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_heal_is_tried_once() {
    let bench = Bench::new();
    let mut wrong = bench.request();
    wrong.postgres.password = Some(Secret::from("wrong"));
    let diagnosis = walk(&wrong, &Sessions::new()).await.unwrap_err();
    assert_eq!((diagnosis.code().as_str(), diagnosis.tries), ("login/password-refused", 1));
    assert_eq!(bench.lab.logical.log().matches("password authentication failed").count(), 1);

    let pinned = bench.request();
    bench.lab.bastion.replace_host_key().unwrap();
    let connections = bench.lab.bastion.connections();
    let diagnosis = walk(&pinned, &Sessions::new()).await.unwrap_err();
    assert_eq!((diagnosis.code().as_str(), diagnosis.tries), ("host_key/changed", 1));
    assert_eq!(bench.lab.bastion.connections(), connections + 1);

    bench.lab.bastion.reconfigure(&["AllowTcpForwarding no"]).unwrap();
    let connections = bench.lab.bastion.connections();
    let diagnosis = walk(&bench.request(), &Sessions::new()).await.unwrap_err();
    assert_eq!((diagnosis.code().as_str(), diagnosis.tries), ("forward/prohibited", 1));
    assert_eq!(bench.lab.bastion.connections(), connections + 1);
    bench.is_left_alone();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bastion_that_comes_up_is_waited_for() {
    let bench = Bench::new();
    bench.lab.bastion.stop().unwrap();
    let request = bench.request();
    let waits = Arc::new(Waits::default());
    let observer = Arc::clone(&waits);
    let checking = tokio::spawn(async move { check(&request, &Sessions::new(), &*observer, &CancellationToken::new()).await });
    lab::wait_until("two tries", SOON, || waits.0.lock().unwrap().len() >= 2).unwrap();
    bench.lab.bastion.start_again().unwrap();
    proven(checking.await.unwrap());
    let tries: Vec<_> = waits.0.lock().unwrap().iter().map(|(stage, tries)| (*stage, usize::try_from(*tries).unwrap())).collect();
    let expected: Vec<_> = (1..=tries.len()).map(|number| (Stage::Connect, number)).collect();
    assert_eq!(tries, expected);
}

/// The connection stands for a moment, and is found to be none in the handshake: that overcomes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_hung_up_on_counts_as_a_failed_one() {
    let bench = Bench::new();
    let balancer = lab::Peer::start(lab::Manners::Close).unwrap();
    let mut request = bench.within(Duration::from_secs(6));
    ssh_at(&mut request).port = port(balancer.port());
    let waits = Waits::default();
    let diagnosis = check(&request, &Sessions::new(), &waits, &CancellationToken::new()).await.unwrap_err();
    let tries: Vec<_> = waits.0.lock().unwrap().clone();
    let expected: Vec<_> = (1..).take(tries.len()).map(|number| (Stage::Connect, number)).collect();
    assert_eq!(tries, expected);
    assert_eq!(diagnosis.code(), "connect/reset");
    assert!(diagnosis.tries >= 3 && diagnosis.to_string().contains(&format!("tried {} times", diagnosis.tries)), "{diagnosis}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bastion_the_path_is_direct() {
    let bench = Bench::new();
    let mut request = bench.request();
    request.route.hops.clear();
    request.keys.clear();
    database_at(&mut request).host = "127.0.0.1".parse().unwrap();
    request.postgres.tls = bench.tls(SslMode::Require);
    let report = proven(walk(&request, &Sessions::new()).await);
    let stages: Vec<_> = report.path.iter().map(|walked| walked.at.stage).collect();
    assert_eq!(stages, [Stage::Resolve, Stage::Connect, Stage::Tls, Stage::Login, Stage::Open, Stage::Ready]);
    assert_eq!(bench.lab.bastion.connections(), 0);
    database_at(&mut request).port = port(lab::free_port().unwrap());
    request.timeout = Duration::from_secs(2);
    assert_eq!(walk(&request, &Sessions::new()).await.unwrap_err().code(), "connect/refused");
}

/// `allow` and `prefer` try twice; what is told is the try that came further.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_encryptions_the_more_telling_failure_is_told() {
    let bench = Bench::new();
    let cases =
        [(SslMode::Allow, "hostssl all all 127.0.0.1/32 scram-sha-256"), (SslMode::Prefer, "hostnossl all all 127.0.0.1/32 scram-sha-256")];
    for (mode, line) in cases {
        bench.lab.logical.set_hba(&[line]).unwrap();
        let mut request = bench.request();
        request.postgres.tls = bench.tls(mode);
        proven(walk(&request, &Sessions::new()).await);
        request.postgres.password = Some(Secret::from("wrong"));
        assert_eq!(walk(&request, &Sessions::new()).await.unwrap_err().code(), "login/password-refused", "{mode}");
    }
    bench.lab.logical.set_hba(&["host all all 127.0.0.2/32 scram-sha-256"]).unwrap();
    for mode in [SslMode::Allow, SslMode::Prefer] {
        let mut request = bench.request();
        request.postgres.tls = bench.tls(mode);
        assert_eq!(walk(&request, &Sessions::new()).await.unwrap_err().code(), "login/no-hba-entry", "{mode}");
    }
    bench.lab.logical.set_tls(lab::Tls::Off).unwrap();
    for mode in [SslMode::Allow, SslMode::Prefer] {
        let mut request = bench.request();
        request.postgres.tls = bench.tls(mode);
        let diagnosis = walk(&request, &Sessions::new()).await.unwrap_err();
        assert_eq!(diagnosis.code(), "login/no-hba-entry", "{mode}");
        assert!(diagnosis.remedies()[0].contains("add to pg_hba.conf: host "), "TLS cannot help: {diagnosis}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_path_blames_no_bastion() {
    let bench = Bench::new();
    let hangs_up = lab::Peer::start(lab::Manners::Close).unwrap();
    let mut request = bench.request();
    request.route.hops.clear();
    *database_at(&mut request) = Address::new("127.0.0.1".parse().unwrap(), port(hangs_up.port()));
    let told = walk(&request, &Sessions::new()).await.unwrap_err();
    assert_eq!(told.code(), "tls/closed");
    bench.lab.logical.set_tls(lab::Tls::Off).unwrap();
    database_at(&mut request).port = port(bench.lab.logical.port());
    let told = walk(&request, &Sessions::new()).await.unwrap_err();
    assert_eq!(told.code(), "tls/not-offered");
    assert!(!told.to_string().contains("bastion"), "{told}");
}

/// What breaks on the way to the second of two encryptions says nothing of the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_connection_that_fails_is_told_as_it_is() {
    let bench = Bench::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let number = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut client, _) = listener.accept().unwrap();
        drop(listener);
        client.read_exact(&mut [0; 8]).unwrap();
        client.write_all(b"N").unwrap();
    });
    let mut request = bench.within(Duration::from_secs(3));
    request.route.hops.clear();
    request.postgres.tls = bench.tls(SslMode::Prefer);
    *database_at(&mut request) = Address::new("127.0.0.1".parse().unwrap(), port(number));
    let told = walk(&request, &Sessions::new()).await.unwrap_err();
    assert_eq!(told.code(), "connect/refused");
    assert!(told.tries > 1, "it heals: {told}");
}
