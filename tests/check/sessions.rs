//! One session for all checks of a login, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use bastion::check::{Sessions, check, scan};
use bastion::path::event::Silent;
use bastion::path::position::Position;
use bastion::path::stage::Stage;
use lab::KeyType;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, LONG, SOON, USER, Waits, database_at, established, port, private, proven, walk, walk_all};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_checks_share_one_session_and_tell_the_same_path() {
    let bench = Bench::new();
    let reports: Vec<_> = walk_all(vec![bench.request(); 8], &Sessions::new()).await.into_iter().map(proven).collect();
    assert_eq!(bench.lab.bastion.logins().len(), 1);
    assert!(reports.iter().all(|report| *report == reports[0]), "{reports:#?}");
    let stages: Vec<_> = reports[0].path.iter().map(|walked| walked.at.stage).collect();
    // Nothing is asked of a security group, nor for a version of the keys.
    let asked = Stage::ALL.into_iter().filter(|stage| !matches!(stage, Stage::Configure | Stage::Admit | Stage::Sync | Stage::Hold));
    assert_eq!(stages, asked.collect::<Vec<_>>());
    bench.is_left_alone();
    assert_eq!(bench.lab.bastion.disconnects(), 1, "the session ends with a goodbye");
}

/// As Terraform walks a graph: a proof begins when another ends. A login that began earlier proves nothing to it.
#[tokio::test(flavor = "multi_thread")]
async fn proofs_that_begin_one_after_the_other_share_logins_that_began_after_them() {
    let bench = Bench::new();
    let sessions = Sessions::new();
    let mut proofs = tokio::task::JoinSet::new();
    for number in 0..25 {
        let (sessions, request) = (sessions.clone(), bench.request());
        proofs.spawn(async move {
            tokio::time::sleep(number * Duration::from_millis(10)).await;
            proven(walk(&request, &sessions).await);
        });
    }
    proofs.join_all().await;
    let in_turn = bench.lab.bastion.logins().len();
    // A quarter of a second of beginnings: who comes during a login shares the next one.
    assert!(in_turn <= 12, "{in_turn} logins of 25 that began within a quarter of a second");
    walk_all(vec![bench.request(); 25], &sessions).await.into_iter().for_each(|walked| drop(proven(walked)));
    let at_once = bench.lab.bastion.logins().len() - in_turn;
    assert!(at_once <= 3, "{at_once} logins of 25 at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_logins_at_once_are_never_turned_away() {
    let bench = Bench::new();
    // Stricter than sshd's default, 10:30:100: turns away every connection beyond eight that have not logged in. Four are ours, and sshd
    // may not have counted off the four before them yet.
    bench.lab.bastion.reconfigure(&["MaxStartups 8:100:8"]).unwrap();
    let keys: Vec<_> = (0..20).map(|_| bench.lab.bastion.client_key(KeyType::Ed25519).unwrap()).collect();
    bench.lab.bastion.authorize(USER, &keys.iter().map(|key| &key.public_key).collect::<Vec<_>>()).unwrap();
    let requests: Vec<_> = keys
        .iter()
        .map(|key| {
            let mut request = bench.request();
            request.keys = vec![private(key)];
            request
        })
        .collect();
    let sessions = Sessions::new();
    // The second time the bastion knows them, and they go four at a time.
    for round in 1..=2 {
        walk_all(requests.clone(), &sessions).await.into_iter().for_each(|walked| drop(proven(walked)));
        assert_eq!(bench.lab.bastion.logins().len(), 20 * round);
        assert!(!bench.lab.bastion.log().contains("MaxStartups"), "{}", bench.lab.bastion.log());
        bench.is_left_alone();
    }
}

/// Who wants the host key alone does not log in, and counts towards MaxStartups as long as the connection is there.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_visits_at_once_are_never_turned_away() {
    let bench = Bench::new();
    bench.lab.bastion.reconfigure(&["MaxStartups 8:100:8"]).unwrap();
    let mut request = bench.request();
    request.until = Some(Position::new(0, Stage::HostKey));
    walk_all(vec![request; 20], &Sessions::new()).await.into_iter().for_each(|walked| drop(proven(walked)));
    assert!(!bench.lab.bastion.log().contains("MaxStartups"), "{}", bench.lab.bastion.log());
    bench.is_left_alone();
}

/// A scan makes a connection for each kind of host key, one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_scans_at_once_are_never_turned_away() {
    let bench = Bench::new();
    bench.lab.bastion.reconfigure(&["MaxStartups 8:100:8"]).unwrap();
    let (at, sessions) = (bench.request().route.hops[0].at.clone(), Sessions::new());
    let mut scans = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (at, sessions) = (at.clone(), sessions.clone());
        scans.spawn(async move { scan(&at, None, LONG, &sessions, &Silent, &CancellationToken::new()).await });
    }
    for scanned in scans.join_all().await {
        assert_eq!(scanned.unwrap().len(), bench.lab.bastion.host_public_keys().unwrap().len());
    }
    assert!(!bench.lab.bastion.log().contains("MaxStartups"), "{}", bench.lab.bastion.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_failures_on_one_session_has_its_own_words() {
    let bench = Bench::new();
    let closed = port(lab::free_port().unwrap());
    let mut requests = vec![bench.request(); 24];
    for (number, request) in requests.iter_mut().enumerate() {
        // Neither is waited for.
        request.waits.reach = Some(Duration::ZERO);
        match number % 3 {
            0 => database_at(request).port = closed,
            1 => database_at(request).host = "nowhere.invalid".parse().unwrap(),
            _ => {}
        }
    }
    let walked = walk_all(requests, &Sessions::new()).await;
    for (number, walked) in walked.into_iter().enumerate() {
        let code = walked.map_or_else(|diagnosis| diagnosis.code(), |_| "proven".to_owned());
        assert_eq!(code, ["dial/refused", "dial/name-unknown", "proven"][number % 3]);
    }
    assert_eq!(bench.lab.bastion.logins().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_died_in_the_pool_is_replaced() {
    let bench = Bench::new();
    let (sessions, request) = (Sessions::new(), bench.request());
    proven(walk(&request, &sessions).await);
    bench.lab.bastion.kill_sessions().unwrap();
    proven(walk(&request, &sessions).await);
    assert_eq!(bench.lab.bastion.logins().len(), 2);
}

/// To Postgres's room the end of the tunnel looks like the end of the database.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_dies_under_a_check_is_not_blamed_on_the_database() {
    let bench = Bench::new();
    bench.lab.logical.pause();
    let request = bench.request();
    let waits = Arc::new(Waits::default());
    let observer = Arc::clone(&waits);
    let checking = tokio::spawn(async move { check(&request, &Sessions::new(), &*observer, &CancellationToken::new()).await });
    lab::wait_until("the login", SOON, || bench.lab.bastion.logins().len() == 1).unwrap();
    // Until the channel is open, the lost session is noticed in another place.
    lab::wait_until("the channel", SOON, || established(bench.lab.logical.port()) == 1).unwrap();
    bench.lab.bastion.kill_sessions().unwrap();
    bench.lab.logical.resume();
    proven(checking.await.unwrap());
    assert_eq!(*waits.0.lock().unwrap(), [(Stage::Forward, 1)]);
    assert_eq!(bench.lab.bastion.logins().len(), 2);
}

/// What is left of a runtime takes its sessions along, and the pool goes on in another.
#[test]
fn a_pool_outlives_its_runtime() {
    let bench = Bench::new();
    let (sessions, request) = (Sessions::new(), bench.request());
    for round in 1..=2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        proven(runtime.block_on(walk(&request, &sessions)));
        drop(runtime);
        // A process that another test starts in this moment holds a copy of the socket until it runs its program.
        lab::wait_until("the end of the connection", SOON, || established(bench.lab.bastion.port()) == 0).unwrap();
        assert_eq!(bench.lab.bastion.logins().len(), round);
    }
}
