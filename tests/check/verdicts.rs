//! What is said of a path is what this walk saw: no older login, no other walk's hope, no cut that looks like an end.

use std::time::{Duration, Instant};

use bastion::check::{Opened, Request, Sessions, open_tunnel};
use bastion::path::event::Silent;
use bastion::path::position::Position;
use bastion::path::route::Target;
use bastion::path::stage::Stage;
use bastion::path::walked::Status;
use bastion::postgres::SslMode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, LONG, SOON, USER, database_at, port, proven, ssh_at, walk, walk_all};

async fn opened(request: Request) -> Opened {
    open_tunnel(request, &Sessions::new(), &Silent, &CancellationToken::new()).await.unwrap_or_else(|error| panic!("no tunnel: {error}"))
}

/// A request for a tunnel to a port of the bastion's own machine.
fn to(bench: &Bench, number: u16) -> Request {
    let mut request = bench.request();
    let mut at = request.route.target.as_ref().unwrap().at().clone();
    (at.host, at.port) = ("127.0.0.1".parse().unwrap(), port(number));
    request.route.target = Some(Target::Tcp(at));
    request
}

/// sshd reads keys and permissions at the login: a session that is open says nothing of what is permitted now.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_of_a_login_made_after_it_began() {
    let bench = Bench::new();
    let sessions = Sessions::new();
    bench.lab.bastion.authorize(USER, &[&format!("restrict {}", bench.key.public_key)]).unwrap();
    let _held = open_session(&bench, &sessions).await;
    assert_eq!(walk(&bench.request(), &sessions).await.unwrap_err().code(), "forward/prohibited");
    bench.lab.bastion.authorize(USER, &[&bench.key.public_key]).unwrap();
    proven(walk(&bench.request(), &sessions).await);
    bench.lab.bastion.revoke(USER).unwrap();
    let told = walk(&bench.within(Duration::from_secs(3)), &sessions).await.unwrap_err();
    assert_eq!(told.code(), "authenticate/key-refused");
}

/// A pooler answers every question about replication as the server behind it does, and lets no replication connection through.
#[tokio::test(flavor = "multi_thread")]
async fn replication_is_not_proven_through_a_pooler() {
    let bench = Bench::new();
    let pooler = lab::Pooler::start(&bench.lab.logical, lab::ROLE, bench.lab.password()).unwrap();
    let mut request = bench.request();
    request.postgres.tls = bench.tls(SslMode::Disable);
    request.postgres.readiness.replication = true;
    proven(walk(&request, &Sessions::new()).await);
    database_at(&mut request).port = port(pooler.port());
    let told = walk(&request, &Sessions::new()).await.unwrap_err();
    assert_eq!(told.code(), "ready/not-ready");
    assert!(told.to_string().contains("unsupported startup parameter: replication"), "{told}");
    request.postgres.readiness.replication = false;
    proven(walk(&request, &Sessions::new()).await);
}

/// Keeps the session of the checks up, as another check under way does.
async fn open_session(bench: &Bench, sessions: &Sessions) -> tokio::task::JoinHandle<()> {
    let (mut request, sessions) = (bench.request(), sessions.clone());
    request.until = Some(Position::new(0, Stage::Authenticate));
    request.route.target = None;
    let logins = bench.lab.bastion.logins().len();
    let held = tokio::spawn(async move {
        let _held = bastion::check::hold(&request, &bastion::check::Patience::DEFAULT, &sessions, &Silent, &CancellationToken::new()).await;
    });
    lab::wait_until("the session", SOON, || bench.lab.bastion.logins().len() > logins).unwrap();
    held
}

/// An older session may not know a new permission: it is asked once more over a fresh one before it is told.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_adopted_session_refuses_is_asked_again_over_a_fresh_one() {
    let bench = Bench::new();
    let (sessions, start) = (Sessions::new(), Instant::now());
    bench.lab.bastion.authorize(USER, &[&format!("restrict {}", bench.key.public_key)]).unwrap();
    let _held = open_session(&bench, &sessions).await;
    bench.lab.bastion.authorize(USER, &[&bench.key.public_key]).unwrap();
    let mut request = bench.request();
    request.since = Some(start);
    proven(walk(&request, &sessions).await);
    assert_eq!(bench.lab.bastion.logins().len(), 2);
}

/// Nobody of them came as far as the host key.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_place_is_drawn_as_nowhere() {
    let bench = Bench::new();
    let blackhole = lab::Blackhole::start().unwrap();
    let requests: Vec<_> = (0..6)
        .map(|number| {
            let mut request = bench.within(Duration::from_secs(3));
            ssh_at(&mut request).port = port(blackhole.port());
            request.route.hops[0].user = Some(format!("user{number}"));
            request
        })
        .collect();
    let mut codes = Vec::new();
    for told in walk_all(requests, &Sessions::new()).await {
        let told = told.unwrap_err();
        assert!(!told.to_string().contains("reached, key"), "{told}");
        codes.push(told.code());
    }
    assert!(codes.iter().all(|code| ["connect/out-of-time", "configure/out-of-time"].contains(&code.as_str())), "{codes:?}");
    assert!(codes.iter().filter(|code| *code == "connect/out-of-time").count() >= 3, "they connect at the same time: {codes:?}");
}

/// The one that waits has heard what the other's try came to.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_same_login_tells_what_that_try_met() {
    let bench = Bench::new();
    let mut request = bench.within(Duration::from_secs(4));
    ssh_at(&mut request).port = port(lab::free_port().unwrap());
    for told in walk_all(vec![request; 4], &Sessions::new()).await {
        assert_eq!(told.unwrap_err().code(), "connect/refused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_may_be_all_the_time_in_the_world() {
    let bench = Bench::new();
    proven(walk(&bench.within(Duration::MAX), &Sessions::new()).await);
}

/// Sends without end to whoever connects.
async fn flood() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let number = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move { while client.write_all(&[7; 65536]).await.is_ok() {} });
        }
    });
    number
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_delays_nobody_and_is_not_cut() {
    let bench = Bench::new();
    let Opened { tunnel, .. } = opened(to(&bench, flood().await)).await;
    let mut stuck = Vec::new();
    // More of them than there are sessions to share.
    for _ in 0..12 {
        let mut client = TcpStream::connect(tunnel.address()).await.unwrap();
        let served = tokio::time::timeout(Duration::from_secs(5), client.read_exact(&mut [0; 1024])).await;
        served.expect("a client waits behind one that does not read").unwrap();
        stuck.push(client);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for client in &mut stuck {
        tokio::time::timeout(LONG, client.read_exact(&mut vec![0; 8 * 1024 * 1024])).await.expect("it goes on").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_session_cuts_off_ends_in_a_reset() {
    let bench = Bench::new();
    let Opened { tunnel, .. } = opened(to(&bench, flood().await)).await;
    let mut client = TcpStream::connect(tunnel.address()).await.unwrap();
    client.read_exact(&mut [0; 1024]).await.unwrap();
    bench.lab.bastion.kill_sessions().unwrap();
    let mut rest = Vec::new();
    let end = tokio::time::timeout(LONG, client.read_to_end(&mut rest)).await.expect("it never ends");
    assert!(end.is_err(), "{} bytes look complete", rest.len());
}

/// Each finds out by itself, not one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn clients_of_a_tunnel_whose_bastion_is_gone_are_hung_up_on_together() {
    let bench = Bench::new();
    let relay = lab::Relay::start(([127, 0, 0, 1], bench.lab.bastion.port())).unwrap();
    let mut request = bench.request();
    ssh_at(&mut request).port = port(relay.port());
    let Opened { tunnel, .. } = opened(request).await;
    let address = tunnel.address();
    relay.freeze();
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        clients.spawn(async move {
            let mut client = TcpStream::connect(address).await.unwrap();
            let _ended = tokio::time::timeout(LONG, client.read(&mut [0])).await.expect("nobody hangs up");
        });
    }
    clients.join_all().await;
    // One handshake that is not answered, and not four.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// Without TLS nothing else would have come from the peer.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_ends_before_the_login_ends_at_a_postgres_that_answers() {
    let bench = Bench::new();
    let silent = lab::Peer::start(lab::Manners::Silent).unwrap();
    for mode in [SslMode::Disable, SslMode::Allow] {
        let mut request = bench.request();
        request.postgres.tls = bench.tls(mode);
        request.until = Some(Position::new(1, Stage::Tls));
        let report = proven(walk(&request, &Sessions::new()).await);
        let last = report.path.last().unwrap();
        assert_eq!((last.at.stage, last.status), (Stage::Tls, Status::Skipped), "{mode}");
        database_at(&mut request).port = port(silent.port());
        request.waits.reach = Some(Duration::ZERO);
        request.timeout = Duration::from_secs(15);
        let told = walk(&request, &Sessions::new()).await.unwrap_err();
        assert_eq!(told.stage(), Stage::Tls, "{mode}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_drop_was_interrupted_is_not_to_be_opened_again() {
    let bench = Bench::new();
    bench.lab.logical.sql(lab::DATABASE, "CREATE DATABASE half").unwrap();
    bench.lab.logical.sql(lab::DATABASE, "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'").unwrap();
    let mut request = bench.request();
    let Some(Target::Postgres { login: Some(login), .. }) = &mut request.route.target else { panic!("no login") };
    login.database = "half".to_owned();
    let told = walk(&request, &Sessions::new()).await.unwrap_err();
    assert_eq!(told.code(), "open/database-closed");
    assert!(told.to_string().contains("invalid database") && told.remedies()[1].contains("DROP DATABASE"), "{told}");
}

/// As a copy of the table needs it.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_all_columns_may_read_the_table() {
    let bench = Bench::new();
    let sql = |text: &str| bench.lab.logical.sql(lab::DATABASE, text).unwrap();
    sql("CREATE TABLE by_column (a int, b int, c int)");
    sql("ALTER TABLE by_column DROP COLUMN c");
    let mut request = bench.request();
    request.postgres.readiness.tables = vec!["by_column".to_owned()];
    sql(&format!("GRANT SELECT (a) ON by_column TO {}", lab::ROLE));
    assert_eq!(walk(&request, &Sessions::new()).await.unwrap_err().code(), "ready/not-ready");
    sql(&format!("GRANT SELECT (b) ON by_column TO {}", lab::ROLE));
    proven(walk(&request, &Sessions::new()).await);
}
