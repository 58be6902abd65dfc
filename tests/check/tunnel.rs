//! A tunnel: proven, shared, made again when its session breaks, gone when it is dropped.

use std::net::SocketAddr;

use bastion::check::{Opened, Request, Sessions, TunnelError, open_tunnel};
use bastion::path::event::Silent;
use bastion::path::stage::Stage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, LONG, SOON, database_at, proven, walk};

async fn opened(request: Request, sessions: &Sessions) -> Result<Opened, TunnelError> {
    open_tunnel(request, sessions, &Silent, &CancellationToken::new()).await
}

/// Asks for TLS, as every client does first; Postgres answers `S`.
async fn asks(address: SocketAddr) -> Option<u8> {
    let mut client = TcpStream::connect(address).await.ok()?;
    client.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.ok()?;
    tokio::time::timeout(LONG, client.read_u8()).await.ok()?.ok()
}

/// A session each while there are few, so that nobody waits for another's reader.
#[tokio::test(flavor = "multi_thread")]
async fn clients_have_sessions_of_their_own_which_are_made_again_when_they_break() {
    let bench = Bench::new();
    let sessions = Sessions::new();
    let Opened { tunnel, report, .. } = opened(bench.request(), &sessions).await.ok().unwrap();
    assert_eq!(report.path.last().unwrap().at.stage, Stage::Dial);
    let address = tunnel.address();
    let mut clients = JoinSet::new();
    for _ in 0..20 {
        clients.spawn(asks(address));
    }
    assert_eq!(clients.join_all().await, vec![Some(b'S'); 20]);
    let logins = bench.lab.bastion.logins().len();
    assert!(logins <= 1 + 8, "{logins}");
    proven(walk(&bench.request(), &sessions).await);
    assert_eq!(bench.lab.bastion.logins().len(), logins + 1, "a check proves by a login of its own");
    bench.lab.bastion.kill_sessions().unwrap();
    lab::wait_until("the end of the sessions", SOON, || bench.lab.bastion.open_sessions() == 0).unwrap();
    assert_eq!(asks(address).await, Some(b'S'));
    assert_eq!(bench.lab.bastion.logins().len(), logins + 2);
    drop(tunnel);
    bench.is_left_alone();
    assert!(TcpStream::connect(address).await.is_err(), "the port is still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bastion_a_tunnel_leads_there_directly() {
    let bench = Bench::new();
    let mut request = bench.request();
    request.route.hops.clear();
    database_at(&mut request).host = "127.0.0.1".parse().unwrap();
    let Opened { tunnel, report, .. } = opened(request, &Sessions::new()).await.ok().unwrap();
    assert_eq!(report.path.last().unwrap().at.stage, Stage::Connect);
    assert_eq!(asks(tunnel.address()).await, Some(b'S'));
    assert_eq!(bench.lab.bastion.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_that_does_not_hold_is_diagnosed_before_a_port_is_given() {
    let bench = Bench::new();
    bench.lab.bastion.reconfigure(&["AllowTcpForwarding no"]).unwrap();
    let Err(TunnelError::Path(told)) = opened(bench.request(), &Sessions::new()).await else { panic!("it was opened") };
    assert_eq!(told.code(), "forward/prohibited");
}
