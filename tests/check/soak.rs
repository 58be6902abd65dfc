//! What must hold however often it is repeated: bytes arrive whole, and what was opened is closed. Once here, for long in `make soak`.

use bastion::check::{Opened, Patience, Sessions, open_tunnel};
use bastion::path::event::Silent;
use bastion::path::route::{Address, Route};
use bastion::way::Way;
use ring::digest::{Context, Digest, SHA256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, SOON, connections, port, proven, walk_all};

/// How much goes each way: several windows of a channel.
const MUCH: usize = 6 * 1024 * 1024;

/// How many copies at a time.
const CLIENTS: u64 = 4;

/// Sends what follows from a seed, in pieces of odd sizes, and takes what the other side sends. Answers both hashes: sent, received.
async fn exchange<S: AsyncRead + AsyncWrite>(stream: S, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let (mut from, mut into) = tokio::io::split(stream);
    let send = async {
        let (mut hash, mut state, mut left) = (Context::new(&SHA256), seed, MUCH);
        while left > 0 {
            let length = left.min(1 + usize::try_from(state % 40_000).unwrap());
            let piece: Vec<u8> = (0..length).map(|at| state.rotate_left(u32::try_from(at % 61).unwrap()).to_le_bytes()[0]).collect();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            hash.update(&piece);
            into.write_all(&piece).await.unwrap();
            left -= length;
        }
        into.shutdown().await.unwrap();
        hash.finish()
    };
    let receive = async {
        let (mut hash, mut piece) = (Context::new(&SHA256), vec![0; 65_536]);
        loop {
            match from.read(&mut piece).await.unwrap() {
                0 => return hash.finish(),
                length => hash.update(&piece[..length]),
            }
        }
    };
    let bytes = |digest: Digest| digest.as_ref().to_vec();
    let (sent, received) = tokio::join!(send, receive);
    (bytes(sent), bytes(received))
}

/// A server that exchanges with one client after the other, each with a seed of its own.
async fn exchanges(clients: u64) -> (u16, tokio::task::JoinHandle<Vec<(Vec<u8>, Vec<u8>)>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let number = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let mut served = JoinSet::new();
        for seed in 0..clients {
            let (client, _) = listener.accept().await.unwrap();
            served.spawn(exchange(client, 1_000_003 + seed));
        }
        served.join_all().await
    });
    (number, served)
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_in_both_directions_arrive_whole() {
    let bench = Bench::new();
    for round in lab::Soak::of("four copies of 6 MiB in both directions") {
        let (number, served) = exchanges(CLIENTS).await;
        let (Route { hops, .. }, keys) = (bench.request().route, bench.request().keys);
        let way = Way::new(hops, keys, &Sessions::new(), Patience::DEFAULT);
        let tunnel = way.tunnel(&Address::new("127.0.0.1".parse().unwrap(), port(number))).await.unwrap();
        let mut copies = JoinSet::new();
        for client in 0..CLIENTS {
            let address = tunnel.address();
            copies.spawn(async move { exchange(TcpStream::connect(address).await.unwrap(), round * CLIENTS + client).await });
        }
        let mut here = copies.join_all().await;
        let mut there: Vec<_> = served.await.unwrap().into_iter().map(|(sent, received)| (received, sent)).collect();
        here.sort();
        there.sort();
        assert!(here == there, "what was sent is not what arrived");
    }
}

/// Connections and tasks, whether the bastion says goodbye, dies, or stands still and closes no channel any more.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_come_and_go_and_leave_nothing() {
    let bench = Bench::new();
    let runtime = tokio::runtime::Handle::current();
    let before = runtime.metrics().num_alive_tasks();
    for _ in lab::Soak::of("sessions that end in three ways") {
        for end in [|_: &lab::Bastion| {}, |bastion: &lab::Bastion| bastion.kill_sessions().unwrap(), lab::Bastion::pause] {
            let sessions = Sessions::new();
            walk_all(vec![bench.request(); 8], &sessions).await.into_iter().for_each(|walked| drop(proven(walked)));
            let opened = open_tunnel(bench.request(), &sessions, &Silent, &CancellationToken::new()).await;
            let Opened { tunnel, .. } = opened.unwrap_or_else(|error| panic!("no tunnel: {error}"));
            let mut client = TcpStream::connect(tunnel.address()).await.unwrap();
            client.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'S');
            end(&bench.lab.bastion);
            drop((client, tunnel, sessions));
            let left = || connections(bench.lab.bastion.port());
            lab::wait_until("the end of all connections to the bastion", SOON, || left() == 0).unwrap();
            lab::wait_until("the end of all tasks", SOON, || runtime.metrics().num_alive_tasks() <= before).unwrap();
            bench.lab.bastion.resume();
            bench.is_left_alone();
        }
    }
}
