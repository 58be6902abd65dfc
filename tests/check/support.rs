//! A lab, a request to check a path in it, and ways to look at what a check leaves.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bastion::check::{Report, Request, Sessions, check};
use bastion::key::PrivateKey;
use bastion::path::diagnosis::Diagnosis;
use bastion::path::event::{Event, Observer, Silent};
use bastion::path::route::{Address, Hop, Host, Login, Port, Route, Target};
use bastion::path::stage::Stage;
use bastion::postgres::{SslMode, TlsSettings};
use bastion::secret::Secret;
use bastion::ssh::known_hosts;
use lab::{ClientKey, KeyType, Lab};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub const USER: &str = "neosync";
/// Far more than a check takes on the slowest machine.
pub const LONG: Duration = Duration::from_secs(60);
/// How long a server or a closed connection may take to show.
pub const SOON: Duration = Duration::from_secs(15);
/// The least time between two refusals: what OpenSSH's fines allow, less the log's delay.
pub const PACE: Duration = Duration::from_millis(5_800);

pub fn port(number: u16) -> Port {
    Port::try_from(i64::from(number)).unwrap()
}

pub fn private(key: &ClientKey) -> Arc<PrivateKey> {
    Arc::new(PrivateKey::parse(&Secret::from(key.private_key.as_str()), None).unwrap())
}

/// Where a request's bastion is.
pub fn ssh_at(request: &mut Request) -> &mut Address {
    &mut request.route.hops[0].at
}

/// Where a request's database is.
pub fn database_at(request: &mut Request) -> &mut Address {
    request.route.target.as_mut().unwrap().at_mut()
}

pub struct Bench {
    pub lab: Lab,
    /// Authorised for [`USER`].
    pub key: ClientKey,
}

impl Bench {
    pub fn new() -> Self {
        let lab = Lab::start().expect("the lab starts");
        let key = lab.bastion.client_key(KeyType::Ed25519).unwrap();
        lab.bastion.authorize(USER, &[&key.public_key]).unwrap();
        Self { lab, key }
    }

    /// Through the bastion to the logical cluster.
    pub fn request(&self) -> Request {
        let host: Host = self.lab.bastion.host().parse().unwrap();
        let ssh = port(self.lab.bastion.port());
        let host_keys = known_hosts::from_texts(&[&self.lab.bastion.host_public_key().unwrap()], &host, ssh).unwrap();
        let hop = Hop::new(Address::new(host, ssh), USER, host_keys);
        let login = Login { user: lab::ROLE.to_owned(), database: lab::DATABASE.to_owned() };
        let at = Address::new(lab::DATABASE_HOST.parse().unwrap(), port(self.lab.logical.port()));
        let mut request = Request::new(Route::new(vec![hop], Target::Postgres { at, login: Some(login) }));
        request.keys = vec![private(&self.key)];
        request.postgres.password = Some(Secret::from(self.lab.password()));
        request.postgres.tls = self.tls(SslMode::VerifyFull);
        request.timeout = LONG;
        request
    }

    /// The same with another limit for the whole.
    pub fn within(&self, timeout: Duration) -> Request {
        let mut request = self.request();
        request.timeout = timeout;
        request
    }

    pub fn tls(&self, mode: SslMode) -> TlsSettings {
        let authority = (mode == SslMode::VerifyFull).then(|| self.lab.authority.pem());
        TlsSettings::new(mode, authority.as_deref(), None).unwrap()
    }

    /// Waits until no client is connected to the bastion any more, logged in or not.
    pub fn is_left_alone(&self) {
        lab::wait_until("the end of all connections to the bastion", SOON, || established(self.lab.bastion.port()) == 0).unwrap();
        lab::wait_until("the end of all sessions", SOON, || self.lab.bastion.open_sessions() == 0).unwrap();
    }
}

/// How many connections to a port of 127.0.0.1 are established, by the kernel's own list.
pub fn established(port: u16) -> usize {
    in_states(port, &["01"])
}

/// How many clients hold, those included whose far end is closed.
pub fn connections(port: u16) -> usize {
    in_states(port, &["01", "08"])
}

fn in_states(port: u16, states: &[&str]) -> usize {
    let peer = format!("0100007F:{port:04X}");
    let list = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_one = |line: &&str| {
        line.split_whitespace().nth(2) == Some(&peer) && line.split_whitespace().nth(3).is_some_and(|state| states.contains(&state))
    };
    list.lines().filter(is_one).count()
}

pub async fn walk(request: &Request, sessions: &Sessions) -> Result<Report, Box<Diagnosis>> {
    check(request, sessions, &Silent, &CancellationToken::new()).await
}

/// Checks all at once.
pub async fn walk_all(requests: Vec<Request>, sessions: &Sessions) -> Vec<Result<Report, Box<Diagnosis>>> {
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
pub fn proven(walked: Result<Report, Box<Diagnosis>>) -> Report {
    walked.unwrap_or_else(|diagnosis| panic!("{}\n{diagnosis}", diagnosis.summary()))
}

/// The stages that were waited for, with the count of tries.
#[derive(Default)]
pub struct Waits(pub Mutex<Vec<(Stage, u32)>>);

impl Observer for Waits {
    fn event(&self, event: &Event) {
        if let Event::Waiting { at, tries, .. } = event {
            self.0.lock().unwrap().push((at.stage, *tries));
        }
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
