//! The bastion works with the wanted version of a login's keys: it is asked for the canary in the connection that then logs in.

use std::time::Duration;

use bastion::check::{Sessions, Waits as Windows, check};
use bastion::key::{PublicKey, canary};
use bastion::path::stage::Stage;
use bastion::path::walked::Status;
use lab::KeyType;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, USER, Waits, proven, walk, walk_all};

const OLD: &str = "bucket/public-keys/old";
const NEW: &str = "bucket/public-keys/new";

/// The lines of a version, its canary last.
fn version(bench: &Bench, place: &str) -> (PublicKey, [String; 2]) {
    let canary = canary(place, "").unwrap();
    let lines = [bench.key.public_key.clone(), format!("restrict {canary}")];
    (canary, lines)
}

fn authorize(bench: &Bench, lines: &[String]) {
    bench.lab.bastion.authorize(USER, &lines.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_there_is_seen_in_the_login_itself() {
    let bench = Bench::new();
    let (canary, lines) = version(&bench, NEW);
    authorize(&bench, &lines);
    let mut request = bench.request();
    request.route.hops[0].canary = Some(canary);
    let report = proven(walk(&request, &Sessions::new()).await);
    let synced: Vec<_> = report.path.iter().filter(|walked| walked.at.stage == Stage::Sync).map(|walked| walked.status).collect();
    assert_eq!(synced, [Status::Passed]);
    assert_eq!((bench.lab.bastion.connections(), bench.lab.bastion.logins().len()), (1, 1), "one connection, one login");
    // Who asks for no version is told of none.
    request.route.hops[0].canary = None;
    let report = proven(walk(&request, &Sessions::new()).await);
    assert!(report.path.iter().all(|walked| walked.at.stage != Stage::Sync));
}

/// The old lines let the key in, and prove nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_version_is_waited_out_and_then_logged_in_afresh() {
    let bench = Bench::new();
    authorize(&bench, &version(&bench, OLD).1);
    let (canary, lines) = version(&bench, NEW);
    bench.lab.bastion.authorize_after(USER, &lines.iter().map(String::as_str).collect::<Vec<_>>(), Duration::from_secs(3));
    let (mut request, waits) = (bench.request(), Waits::default());
    request.route.hops[0].canary = Some(canary);
    proven(check(&request, &Sessions::new(), &waits, &CancellationToken::new()).await);
    assert_eq!(*waits.0.lock().unwrap(), [(Stage::Sync, 1)], "six seconds between the tries, as for any key");
    assert_eq!(bench.lab.bastion.logins().len(), 2, "the first one was with the earlier version");
    bench.is_left_alone();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_never_comes_is_not_proven_by_the_key_that_still_works() {
    let bench = Bench::new();
    authorize(&bench, &version(&bench, OLD).1);
    let mut request = bench.request();
    request.route.hops[0].canary = Some(version(&bench, NEW).0);
    request.waits.key = Some(Duration::from_secs(1));
    let diagnosis = walk(&request, &Sessions::new()).await.unwrap_err();
    assert_eq!((diagnosis.code().as_str(), diagnosis.stage()), ("sync/not-synced", Stage::Sync));
    // Who asks for the old one, or for none, is not concerned.
    request.route.hops[0].canary = Some(version(&bench, OLD).0);
    proven(walk(&request, &Sessions::new()).await);
    request.route.hops[0].canary = None;
    proven(walk(&request, &Sessions::new()).await);
}

/// Where one refused key ends the connection, the canary is that one: neither too many tries nor a refused key.
#[tokio::test(flavor = "multi_thread")]
async fn with_one_try_a_login_a_refused_canary_is_not_synced_yet() {
    let bench = Bench::new();
    bench.lab.bastion.reconfigure(&["MaxAuthTries 1"]).unwrap();
    authorize(&bench, &version(&bench, OLD).1);
    let (canary, lines) = version(&bench, NEW);
    let mut request = bench.request();
    request.route.hops[0].canary = Some(canary);
    request.waits.key = Some(Duration::from_secs(1));
    assert_eq!(walk(&request, &Sessions::new()).await.unwrap_err().code(), "sync/not-synced");
    authorize(&bench, &lines);
    request.waits.key = None;
    proven(walk(&request, &Sessions::new()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_told_as_a_refused_key() {
    let bench = Bench::new();
    let other = bench.lab.bastion.client_key(KeyType::Ed25519).unwrap();
    let (canary, mut lines) = version(&bench, NEW);
    lines[0] = other.public_key;
    authorize(&bench, &lines);
    let mut request = bench.request();
    request.waits.key = Some(Duration::ZERO);
    for canary in [canary, version(&bench, OLD).0] {
        request.route.hops[0].canary = Some(canary);
        assert_eq!(walk(&request, &Sessions::new()).await.unwrap_err().code(), "authenticate/key-refused");
    }
}

/// Many that want one version share its logins, the one that fails and the one that holds.
#[tokio::test(flavor = "multi_thread")]
async fn many_that_wait_for_one_version_log_in_as_one() {
    let bench = Bench::new();
    authorize(&bench, &version(&bench, OLD).1);
    let (canary, lines) = version(&bench, NEW);
    bench.lab.bastion.authorize_after(USER, &lines.iter().map(String::as_str).collect::<Vec<_>>(), Duration::from_secs(3));
    let mut request = bench.request();
    request.route.hops[0].canary = Some(canary);
    for walked in walk_all(vec![request; 10], &Sessions::new()).await {
        proven(walked);
    }
    let logins = bench.lab.bastion.logins().len();
    assert!(logins <= 4, "{logins} logins for ten connections");
}

/// sshd compares what it permits at the login: while nothing tells whether the new lines are there, a prohibited forward is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_permitted_in_a_moment_is_waited_for_where_it_may_have_changed() {
    let bench = Bench::new();
    let key = &bench.key.public_key;
    let at = |port: u16| format!("restrict,port-forwarding,permitopen=\"{}:{port}\" {key}", lab::DATABASE_HOST);
    authorize(&bench, &[at(1)]);
    let mut request = bench.request();
    assert_eq!(walk(&request, &Sessions::new()).await.unwrap_err().tries, 1, "nothing says that it may change");
    request.settling = true;
    request.waits.key = Some(Duration::from_secs(7));
    let diagnosis = walk(&request, &Sessions::new()).await.unwrap_err();
    assert_eq!(diagnosis.tries, 2);
    assert!(diagnosis.remedies()[0].contains("sync job"), "{diagnosis}");
    request.waits.key = None;
    bench.lab.bastion.authorize_after(USER, &[&at(bench.lab.logical.port())], Duration::from_secs(3));
    let waits = Waits::default();
    proven(check(&request, &Sessions::new(), &waits, &CancellationToken::new()).await);
    assert_eq!(*waits.0.lock().unwrap(), [(Stage::Forward, 1)]);
}

/// What is given for the whole extends the wait; what is given for a part bounds that part.
#[tokio::test(flavor = "multi_thread")]
async fn a_longer_time_waits_longer_and_a_window_of_its_own_is_kept() {
    let bench = Bench::new();
    bench.lab.bastion.stop().unwrap();
    let mut request = bench.request();
    request.waits = Windows { reach: Some(Duration::from_secs(2)), ..Windows::until(Duration::from_secs(600)) };
    let diagnosis = walk(&request, &Sessions::new()).await.unwrap_err();
    assert_eq!(diagnosis.code(), "connect/refused");
    assert!(diagnosis.took < Duration::from_secs(30), "{:?}", diagnosis.took);
}
