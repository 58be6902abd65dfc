//! What the check promises about sessions, retries, time and cancellation, against a real sshd and a real Postgres.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use bastion::check::{Report, Request, Sessions, check};
use bastion::key::PrivateKey;
use bastion::path::diagnosis::Diagnosis;
use bastion::path::event::{Event, Observer, Silent};
use bastion::path::route::{Bastion, Database, Host, Port, Route};
use bastion::path::stage::Stage;
use bastion::postgres::{Readiness, SslMode, TlsSettings};
use bastion::secret::Secret;
use bastion::ssh::known_hosts;
use lab::{ClientKey, KeyType, Lab};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const USER: &str = "neosync";
/// Far more than a check takes on the slowest machine.
const LONG: Duration = Duration::from_secs(60);
/// How long a server or a closed connection may take to show.
const SOON: Duration = Duration::from_secs(15);
/// The least time between two refusals: what OpenSSH's fines allow, less the log's delay.
const PACE: Duration = Duration::from_millis(5_800);

fn port(number: u16) -> Port {
    Port::try_from(i64::from(number)).unwrap()
}

fn private(key: &ClientKey) -> Arc<PrivateKey> {
    Arc::new(PrivateKey::parse(&Secret::from(key.private_key.as_str()), None).unwrap())
}

struct Bench {
    lab: Lab,
    key: ClientKey,
}

impl Bench {
    fn new() -> Self {
        let lab = Lab::start().expect("the lab starts");
        let key = lab.bastion.client_key(KeyType::Ed25519).unwrap();
        lab.bastion.authorize(USER, &[&key.public_key]).unwrap();
        Self { lab, key }
    }

    /// Through the bastion to the logical cluster.
    fn request(&self) -> Request {
        let host: Host = self.lab.bastion.host().parse().unwrap();
        let ssh = port(self.lab.bastion.port());
        let host_keys = known_hosts::from_texts(&[&self.lab.bastion.host_public_key().unwrap()], &host, ssh).unwrap();
        let database = Database {
            host: lab::DATABASE_HOST.parse().unwrap(),
            port: port(self.lab.logical.port()),
            user: lab::ROLE.to_owned(),
            name: lab::DATABASE.to_owned(),
        };
        Request {
            route: Route { bastion: Some(Bastion { host, port: ssh, user: USER.to_owned(), host_keys }), database },
            key: Some(private(&self.key)),
            password: Some(Secret::from(self.lab.password())),
            tls: self.tls(SslMode::VerifyFull),
            readiness: Readiness::default(),
            timeout: LONG,
        }
    }

    fn tls(&self, mode: SslMode) -> TlsSettings {
        let authority = (mode == SslMode::VerifyFull).then(|| self.lab.authority.pem());
        TlsSettings::new(mode, authority.as_deref(), None).unwrap()
    }

    /// Waits until no client is connected to the bastion any more, logged in or not.
    fn is_left_alone(&self) {
        lab::wait_until("the end of all connections to the bastion", SOON, || established(self.lab.bastion.port()) == 0).unwrap();
        lab::wait_until("the end of all sessions", SOON, || self.lab.bastion.open_sessions() == 0).unwrap();
    }
}

/// How many connections to a port of 127.0.0.1 clients hold, by the kernel's own list.
fn established(port: u16) -> usize {
    let peer = format!("0100007F:{port:04X}");
    let list = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_open = |line: &&str| line.split_whitespace().nth(2) == Some(&peer) && line.split_whitespace().nth(3) == Some("01");
    list.lines().filter(is_open).count()
}

async fn walk(request: &Request, sessions: &Sessions) -> Result<Report, Box<Diagnosis>> {
    check(request, sessions, &Silent, &CancellationToken::new()).await
}

/// Checks all at once.
async fn walk_all(requests: Vec<Request>, sessions: &Sessions) -> Vec<Result<Report, Box<Diagnosis>>> {
    let mut checks = JoinSet::new();
    for (number, request) in requests.into_iter().enumerate() {
        let sessions = sessions.clone();
        checks.spawn(async move { (number, walk(&request, &sessions).await) });
    }
    let mut ended = checks.join_all().await;
    ended.sort_by_key(|(number, _)| *number);
    ended.into_iter().map(|(_, ended)| ended).collect()
}

/// The report, or the whole story of why there is none.
fn proven(walked: Result<Report, Box<Diagnosis>>) -> Report {
    walked.unwrap_or_else(|diagnosis| panic!("{}\n{diagnosis}", diagnosis.summary()))
}

/// The stages that were waited for, with the count of tries.
#[derive(Default)]
struct Waits(Mutex<Vec<(Stage, u32)>>);

impl Observer for Waits {
    fn event(&self, event: &Event) {
        if let Event::Waiting { stage, tries, .. } = event {
            self.0.lock().unwrap().push((*stage, *tries));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_checks_share_one_session_and_tell_the_same_path() {
    let bench = Bench::new();
    let reports: Vec<_> = walk_all(vec![bench.request(); 8], &Sessions::new()).await.into_iter().map(proven).collect();
    assert_eq!(bench.lab.bastion.logins().len(), 1);
    assert!(reports.iter().all(|report| *report == reports[0]), "{reports:#?}");
    let stages: Vec<_> = reports[0].path.iter().map(|walked| walked.stage).collect();
    assert_eq!(stages, Stage::ALL[1..12]);
    bench.is_left_alone();
    assert_eq!(bench.lab.bastion.disconnects(), 1, "the session ends with a goodbye");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_logins_at_once_are_never_turned_away() {
    let bench = Bench::new();
    // sshd's own default is 10:30:100. This one turns away every connection beyond four that have not logged in, and one more for the
    // moment between our knowing of a login and sshd's.
    bench.lab.bastion.reconfigure(&["MaxStartups 5:100:5"]).unwrap();
    let keys: Vec<_> = (0..20).map(|_| bench.lab.bastion.client_key(KeyType::Ed25519).unwrap()).collect();
    bench.lab.bastion.authorize(USER, &keys.iter().map(|key| &key.public_key).collect::<Vec<_>>()).unwrap();
    let requests: Vec<_> = keys.iter().map(|key| Request { key: Some(private(key)), ..bench.request() }).collect();
    let sessions = Sessions::new();
    // The second time the bastion knows them, and they go four at a time.
    for round in 1..=2 {
        walk_all(requests.clone(), &sessions).await.into_iter().for_each(|walked| drop(proven(walked)));
        assert_eq!(bench.lab.bastion.logins().len(), 20 * round);
        assert!(!bench.lab.bastion.log().contains("MaxStartups"), "{}", bench.lab.bastion.log());
        bench.is_left_alone();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_keys_are_offered_every_six_seconds_whoever_they_belong_to() {
    let bench = Bench::new();
    bench.lab.bastion.authorize(USER, &[] as &[&str]).unwrap();
    bench.lab.bastion.authorize("other", &[] as &[&str]).unwrap();
    let mut requests = vec![Request { timeout: Duration::from_secs(15), ..bench.request() }; 4];
    for request in &mut requests[2..] {
        request.route.bastion.as_mut().unwrap().user = "other".to_owned();
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
    let request = Request { timeout: Duration::from_secs(14), ..bench.request() };
    let checking = tokio::spawn(async move { walk(&request, &Sessions::new()).await });
    lab::wait_until("the refusal", SOON, || !bench.lab.bastion.failed_logins().is_empty()).unwrap();
    bench.lab.bastion.stop().unwrap();
    let diagnosis = checking.await.unwrap().unwrap_err();
    assert_eq!(diagnosis.code(), "authenticate/key-refused");
    assert!(diagnosis.tries > 1, "the refused connections count");
}

/// A wrong password, a changed host key and a prohibited forward heal by no waiting, and each try can lock somebody out.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_heal_is_tried_once() {
    let bench = Bench::new();
    let wrong = Request { password: Some(Secret::from("wrong")), ..bench.request() };
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

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_failures_on_one_session_has_its_own_words() {
    let bench = Bench::new();
    let closed = port(lab::free_port().unwrap());
    let mut requests = vec![bench.request(); 24];
    for (number, request) in requests.iter_mut().enumerate() {
        match number % 3 {
            0 => request.route.database.port = closed,
            1 => request.route.database.host = "nowhere.invalid".parse().unwrap(),
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
    let mut request = bench.request();
    request.route.database.port = port(silent.port());
    let (sessions, cancelled) = (Sessions::new(), CancellationToken::new());
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let observer = move |event: &Event| {
        if *event == (Event::Started { stage: Stage::Tls }) {
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
    proven(walk(&bench.request(), &sessions).await);
    assert_eq!(bench.lab.bastion.logins().len(), 1, "the session was there to be used");
    bench.is_left_alone();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeout_bounds_the_whole_wherever_it_hangs() {
    let bench = Bench::new();
    let timeout = Duration::from_secs(3);
    let (blackhole, silent) = (lab::Blackhole::start().unwrap(), lab::Peer::start(lab::Manners::Silent).unwrap());
    let mut requests = vec![Request { timeout, ..bench.request() }; 4];
    requests[0].route.bastion.as_mut().unwrap().port = port(blackhole.port());
    requests[1].route.bastion.as_mut().unwrap().port = port(silent.port());
    requests[2].route.database.port = port(blackhole.port());
    requests[3].route.database.port = port(silent.port());
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

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bastion_the_path_is_direct() {
    let bench = Bench::new();
    let mut request = bench.request();
    request.route.bastion = None;
    request.key = None;
    request.route.database.host = "127.0.0.1".parse().unwrap();
    request.tls = bench.tls(SslMode::Require);
    let report = proven(walk(&request, &Sessions::new()).await);
    let stages: Vec<_> = report.path.iter().map(|walked| walked.stage).collect();
    assert_eq!(stages, [Stage::Resolve, Stage::Connect, Stage::Tls, Stage::Login, Stage::Open, Stage::Ready]);
    assert_eq!(bench.lab.bastion.connections(), 0);
    request.route.database.port = port(lab::free_port().unwrap());
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
        let mut request = Request { tls: bench.tls(mode), ..bench.request() };
        proven(walk(&request, &Sessions::new()).await);
        request.password = Some(Secret::from("wrong"));
        assert_eq!(walk(&request, &Sessions::new()).await.unwrap_err().code(), "login/password-refused", "{mode}");
    }
    bench.lab.logical.set_hba(&["host all all 127.0.0.2/32 scram-sha-256"]).unwrap();
    for mode in [SslMode::Allow, SslMode::Prefer] {
        let request = Request { tls: bench.tls(mode), ..bench.request() };
        assert_eq!(walk(&request, &Sessions::new()).await.unwrap_err().code(), "login/no-hba-entry", "{mode}");
    }
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
        assert_eq!(established(bench.lab.bastion.port()), 0);
        assert_eq!(bench.lab.bastion.logins().len(), round);
    }
}

#[test]
fn loopback_is_counted() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_eq!(established(port), 0);
    let client = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert_eq!(established(port), 1);
    drop(client);
    lab::wait_until("the end", SOON, || established(port) == 0).unwrap();
}
