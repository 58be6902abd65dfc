//! A client holds a tunnel and opens others while the addresses that may come in change thirty times: it is never locked out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bastion::check::{Sessions, check, open_tunnel};
use bastion::key::PrivateKey;
use bastion::path::event::Silent;
use bastion::secret::Secret;
use tokio_util::sync::CancellationToken;

use crate::cloud::Cloud;
use crate::rotation::request;

use crate::support::{Bench, Block};

/// Where the client comes from. It is wanted all the time.
const CLIENT: &str = "127.0.0.1/32";

/// How often the client opens a tunnel.
const PERIOD: Duration = Duration::from_millis(100);

/// Postgres's SSLRequest: a length of eight bytes and the code (PostgreSQL, Message Formats).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

#[test]
fn a_client_that_holds_and_opens_tunnels_is_never_locked_out() {
    let (bench, cloud) = (Bench::new(), Cloud::new());
    let group = cloud.aws.make_vpc_group("bastion").unwrap();
    let gate = cloud.aws.guard(&group, bench.lab.bastion.port()).unwrap();
    let block = |peers: &[&str]| {
        let ingress = format!("{{ neosync = {{ port = {}, peers = {peers:?} }} }}", gate.port());
        Block::new("bastion_security_group_rules", "it").text("security_group_id", &group).set("ingress", ingress)
    };
    cloud.apply(&[&block(&[CLIENT])]).ok().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| client(&bench, gate.port(), &stop));
        for round in 0..30_u32 {
            let others: Vec<String> =
                (0..5).filter(|number| (round * 7 + number * 3) % 4 != 0).map(|number| format!("10.0.0.{number}")).collect();
            let peers: Vec<&str> = others.iter().map(String::as_str).chain([CLIENT]).collect();
            cloud.apply(&[&block(&peers)]).ok().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        let (opened, failures) = client.join().unwrap();
        assert!(failures.is_empty(), "{} of {opened} tunnels failed: {failures:#?}", failures.len());
        assert!(opened > 30, "only {opened} tunnels were opened");
    });
}

/// Opens tunnels, each over a session of its own, through a port whose packets are dropped while no rule lets them in.
fn client(bench: &Bench, port: u16, stop: &AtomicBool) -> (usize, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let key = PrivateKey::parse(&Secret::from(bench.key.private_key.as_str()), None).unwrap();
    let mut request = request(bench);
    request.keys = vec![Arc::new(key)];
    request.route.hops[0].at.port = i64::from(port).try_into().unwrap();
    // A lost packet is sent again after a second: a walk that needs one was locked out.
    request.timeout = Duration::from_millis(900);
    let (token, sessions) = (CancellationToken::new(), Sessions::new());
    let held = runtime.block_on(open_tunnel(request.clone(), &sessions, &Silent, &token));
    let held = held.unwrap_or_else(|error| panic!("the first tunnel does not open: {error}"));
    let (mut opened, mut failures) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        opened += 1;
        let checked = runtime.block_on(check(&request, &Sessions::new(), &Silent, &token));
        failures.extend(checked.err().map(|diagnosis| diagnosis.to_string()));
        std::thread::sleep(PERIOD);
    }
    // Through the session that was held all the time; a connection that said nothing for a minute would have been ended by Postgres.
    let mut stream = TcpStream::connect(held.tunnel.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(&SSL_REQUEST).unwrap();
    let mut answer = [0; 1];
    if stream.read_exact(&mut answer).is_err() || answer != *b"S" {
        failures.push("the tunnel that was held is dead".to_owned());
    }
    (opened, failures)
}
