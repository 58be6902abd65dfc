//! Paths of several hops: walked by the same code as those of one, and told by the hop that is broken.

use bastion::check::{Request, Sessions};
use bastion::path::position::Position;
use bastion::path::route::{Address, Hop};
use bastion::path::stage::Stage;
use bastion::ssh::known_hosts;
use bastion::way::{Patience, Way};
use lab::{Bastion, ClientKey, KeyType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Bench, established, port, private, proven, walk, walk_all};

/// The login on the second bastion.
const INNER_USER: &str = "jump";

/// A second bastion behind that of the bench, with a key of its own.
struct Inner {
    bastion: Bastion,
    key: ClientKey,
}

impl Inner {
    fn new() -> Self {
        let bastion = Bastion::builder().add_host(lab::DATABASE_HOST, "127.0.0.1").start().unwrap();
        let key = bastion.client_key(KeyType::Ed25519).unwrap();
        bastion.add_user(INNER_USER).unwrap();
        bastion.authorize(INNER_USER, &[&key.public_key]).unwrap();
        Self { bastion, key }
    }

    /// The bench's path with this one in it.
    fn request(&self, bench: &Bench) -> Request {
        let at = Address::new("127.0.0.1".parse().unwrap(), port(self.bastion.port()));
        let host_keys = known_hosts::from_texts(&[&self.bastion.host_public_key().unwrap()], &at.host, at.port).unwrap();
        let mut request = bench.request();
        request.route.hops.push(Hop::new(at, INNER_USER, host_keys));
        request.keys.push(private(&self.key));
        request
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_two_hops_is_proven_and_its_sessions_are_shared() {
    let (bench, inner) = (Bench::new(), Inner::new());
    let reports: Vec<_> = walk_all(vec![inner.request(&bench); 6], &Sessions::new()).await.into_iter().map(proven).collect();
    let hop = [Stage::Handshake, Stage::HostKey, Stage::Authenticate];
    let legs: Vec<_> = reports[0].path.iter().map(|walked| (walked.at.leg, walked.at.stage)).collect();
    let expected: Vec<_> = [Stage::Resolve, Stage::Connect]
        .into_iter()
        .chain(hop)
        .map(|stage| (0, stage))
        .chain([Stage::Forward, Stage::Dial].into_iter().chain(hop).map(|stage| (1, stage)))
        .chain([Stage::Forward, Stage::Dial, Stage::Tls, Stage::Login, Stage::Open, Stage::Ready].map(|stage| (2, stage)))
        .collect();
    assert_eq!(legs, expected);
    assert!(reports.iter().all(|report| *report == reports[0]), "{reports:#?}");
    assert!(reports[0].path[5].hop.ends_with(&inner.bastion.port().to_string()), "{:?}", reports[0].path[5]);
    assert_eq!((bench.lab.bastion.logins().len(), inner.bastion.logins().len()), (1, 1));
    bench.is_left_alone();
    lab::wait_until("the end of the inner session", crate::support::SOON, || established(inner.bastion.port()) == 0).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broken_hop_is_named() {
    let (bench, inner) = (Bench::new(), Inner::new());
    // Each with sessions of its own: after a refused key the next offer waits.
    let told = async |request: &Request| {
        let told = walk(request, &Sessions::new()).await.unwrap_err();
        (told.code(), told.at.leg)
    };
    let mut request = inner.request(&bench);
    request.timeout = std::time::Duration::from_secs(4);

    let mut wrong = request.clone();
    wrong.route.hops[1].user = Some("nobody-here".to_owned());
    assert_eq!(told(&wrong).await, ("authenticate/key-refused".to_owned(), 1));

    let mut wrong = request.clone();
    wrong.route.hops[1].host_keys = wrong.route.hops[0].host_keys.clone();
    assert_eq!(told(&wrong).await, ("host_key/changed".to_owned(), 1));

    let mut closed = request.clone();
    closed.route.hops[1].at.port = port(lab::free_port().unwrap());
    let known =
        known_hosts::from_texts(&[&inner.bastion.host_public_key().unwrap()], &closed.route.hops[1].at.host, closed.route.hops[1].at.port);
    closed.route.hops[1].host_keys = known.unwrap();
    assert_eq!(told(&closed).await, ("dial/refused".to_owned(), 1));

    inner.bastion.reconfigure(&["AllowTcpForwarding no"]).unwrap();
    assert_eq!(told(&inner.request(&bench)).await, ("forward/prohibited".to_owned(), 2));
    bench.lab.bastion.reconfigure(&["AllowTcpForwarding no"]).unwrap();
    assert_eq!(told(&inner.request(&bench)).await, ("forward/prohibited".to_owned(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_may_end_on_any_leg() {
    let (bench, inner) = (Bench::new(), Inner::new());
    let sessions = Sessions::new();
    for (leg, stage, last) in [
        (0, Stage::Connect, Stage::Connect),
        (0, Stage::Authenticate, Stage::Authenticate),
        (1, Stage::Forward, Stage::Dial),
        (1, Stage::Handshake, Stage::HostKey),
        (1, Stage::Authenticate, Stage::Authenticate),
        (2, Stage::Dial, Stage::Dial),
        (2, Stage::Login, Stage::Open),
    ] {
        let mut request = inner.request(&bench);
        request.until = Some(Position::new(leg, stage));
        let report = proven(walk(&request, &sessions).await);
        assert_eq!(report.path.last().unwrap().at, Position::new(leg, last), "until {leg} {stage}");
    }
}

/// Who uses the library gets a stream, and no port of this machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_through_two_hops_is_opened_and_what_broke_is_remade() {
    let (bench, inner) = (Bench::new(), Inner::new());
    let request = inner.request(&bench);
    let way = Way::new(request.route.hops.clone(), request.keys.clone(), &Sessions::new(), Patience::DEFAULT);
    let to = request.route.target.as_ref().unwrap().at();
    for hop in [None, Some(&inner.bastion), Some(&bench.lab.bastion)] {
        if let Some(hop) = hop {
            hop.kill_sessions().unwrap();
        }
        let mut stream = way.open(to).await.unwrap_or_else(|told| panic!("{told}"));
        stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'S');
    }
    drop(way);
    bench.is_left_alone();
}
