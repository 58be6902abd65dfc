//! The world of one fault: the parts of a path, started when they are asked for, and the check that is to walk it.

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::time::Duration;

use bastion::check::{Patience, Request};
use bastion::key::{HostKeys, PrivateKey};
use bastion::path::route::{Address, Hop, Login, Port, Route, Target};
use bastion::path::stage::Stage;
use bastion::postgres::{SslMode, TlsSettings};
use bastion::secret::Secret;
use bastion::ssh::known_hosts;
use lab::{Authority, Bastion, BastionBuilder, ClientKey, Flavour, KeyType, Peer, Postgres, PostgresBuilder, Relay};

pub const USER: &str = "tf";
pub const PASSWORD: &str = "correct horse battery";

/// How long a server may take to show what was done to it.
pub const SOON: Duration = Duration::from_secs(15);

/// Far more than all stages together.
const TIMEOUT: Duration = Duration::from_secs(180);

/// How far away everything is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// On loopback.
    Near,
    /// What passes on either leg takes 200 ms, give or take 100, in each direction.
    Far,
}

impl Distance {
    pub const DELAY: Duration = Duration::from_millis(200);
    pub const JITTER: Duration = Duration::from_millis(100);

    /// Limits short enough for a test and far longer than an honest answer takes.
    pub fn patience(self) -> Patience {
        let limit = Duration::from_secs(match self {
            Self::Near => 3,
            Self::Far => 12,
        });
        let mut patience = Patience::DEFAULT;
        let Patience { resolve, connect, handshake, authenticate, dial, tls, login, ready, .. } = &mut patience;
        for stage in [resolve, connect, handshake, authenticate, dial, tls, login, ready] {
            *stage = limit;
        }
        (patience.keepalive, patience.keepalive_answer) = (limit / 4, limit / 2);
        patience
    }
}

pub struct World {
    pub request: Request,
    pub patience: Patience,
    distance: Distance,
    key: Option<ClientKey>,
    /// Where one runs.
    pub bastion: Option<Arc<Bastion>>,
    /// What is done when a stage begins.
    pub on: Option<(Stage, Box<dyn FnOnce() + Send>)>,
    /// What mends the fault, done when the check waits for that.
    pub mend: Option<Box<dyn FnOnce() + Send>>,
    kept: Vec<Box<dyn Any + Send>>,
}

impl World {
    /// A request whose bastion and database do not exist yet.
    pub fn new(distance: Distance) -> Self {
        let nowhere = Port::try_from(9).unwrap();
        let hop = Hop::new(Address::new("127.0.0.1".parse().unwrap(), nowhere), USER, HostKeys::Any);
        let login = Login { user: lab::ROLE.to_owned(), database: lab::DATABASE.to_owned() };
        let target = Target::Postgres { at: Address::new(lab::DATABASE_HOST.parse().unwrap(), nowhere), login: Some(login) };
        let mut request = Request::new(Route::new(vec![hop], target));
        request.keys = vec![Arc::new(PrivateKey::generate_ed25519().unwrap())];
        request.postgres.password = Some(Secret::from(PASSWORD));
        request.timeout = TIMEOUT;
        Self { request, patience: distance.patience(), distance, key: None, bastion: None, on: None, mend: None, kept: Vec::new() }
    }

    pub fn keep(&mut self, part: impl Any + Send) {
        self.kept.push(Box::new(part));
    }

    pub fn hop(&mut self) -> &mut Hop {
        &mut self.request.route.hops[0]
    }

    /// The bastion is that port of loopback, and nothing delays it.
    pub fn bastion_at(&mut self, number: u16) {
        self.hop().at.port = port(number);
    }

    /// As [`World::bastion_at`], as far away as everything is.
    pub fn bastion_behind(&mut self, number: u16) {
        let number = self.far(number);
        self.bastion_at(number);
    }

    /// A peer of bad manners in the bastion's place.
    pub fn bastion_peer(&mut self, peer: Peer) {
        self.bastion_behind(peer.port());
        self.keep(peer);
    }

    /// A real sshd that knows the key, and whose host key is pinned.
    pub fn sshd(&mut self, builder: BastionBuilder) -> Arc<Bastion> {
        let bastion = self.sshd_apart(builder);
        self.bastion_behind(bastion.port());
        bastion
    }

    /// The same behind a relay of its own.
    pub fn relayed_sshd(&mut self) -> (Arc<Bastion>, Arc<Relay>) {
        let bastion = self.sshd_apart(Bastion::builder());
        let relay = Arc::new(self.relay(bastion.port()));
        self.bastion_at(relay.port());
        (bastion, relay)
    }

    fn sshd_apart(&mut self, builder: BastionBuilder) -> Arc<Bastion> {
        let bastion = Arc::new(builder.add_host(lab::DATABASE_HOST, "127.0.0.1").start().unwrap());
        let key = bastion.client_key(KeyType::Ed25519).unwrap();
        bastion.authorize(USER, &[&key.public_key]).unwrap();
        self.request.keys = vec![Arc::new(PrivateKey::parse(&Secret::from(key.private_key.as_str()), None).unwrap())];
        self.key = Some(key);
        let hop = self.hop();
        hop.host_keys = known_hosts::from_texts(&[&bastion.host_public_key().unwrap()], &hop.at.host, hop.at.port).unwrap();
        self.bastion = Some(Arc::clone(&bastion));
        bastion
    }

    /// The line that sshd has for the key, without options.
    pub fn key_line(&self) -> String {
        self.key.as_ref().unwrap().public_key.clone()
    }

    /// The database is that port, as the bastion sees it, and nothing delays it.
    pub fn database_at(&mut self, number: u16) {
        self.target().port = port(number);
    }

    /// Where the database is.
    pub fn target(&mut self) -> &mut Address {
        self.request.route.target.as_mut().unwrap().at_mut()
    }

    /// The login to the database.
    pub fn login(&mut self) -> &mut Login {
        let Some(Target::Postgres { login: Some(login), .. }) = &mut self.request.route.target else { panic!("no login") };
        login
    }

    /// A relay in front of the database.
    pub fn relay_database(&mut self) -> Arc<Relay> {
        let number = self.target().port.get();
        let relay = Arc::new(self.relay(number));
        self.database_at(relay.port());
        self.keep(Arc::clone(&relay));
        relay
    }

    /// Does this when that stage begins.
    pub fn on(&mut self, stage: Stage, act: impl FnOnce() + Send + 'static) {
        self.on = Some((stage, Box::new(act)));
    }

    /// Nothing is tried again.
    pub fn hurry(&mut self) {
        let Patience { reach_window, key_window, open_window, .. } = &mut self.patience;
        for window in [reach_window, key_window, open_window] {
            *window = Duration::ZERO;
        }
    }

    /// Does this when the check waits.
    pub fn mend(&mut self, act: impl FnOnce() + Send + 'static) {
        self.mend = Some(Box::new(act));
    }

    /// As [`World::database_at`], as far away as everything is.
    pub fn database_behind(&mut self, number: u16) {
        let number = self.far(number);
        self.database_at(number);
    }

    /// A peer of bad manners in the database's place.
    pub fn database_peer(&mut self, peer: Peer) {
        self.database_behind(peer.port());
        self.keep(peer);
    }

    /// The cluster that all share who do not change it: `wal_level = logical`.
    pub fn shared_cluster(&mut self) -> &'static Cluster {
        static SHARED: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(Postgres::builder(Flavour::Logical)));
        self.use_cluster(&SHARED);
        &SHARED
    }

    /// A cluster of its own.
    pub fn cluster(&mut self, builder: PostgresBuilder) -> Arc<Cluster> {
        let cluster = Arc::new(Cluster::start(builder));
        self.use_cluster(&cluster);
        self.keep(Arc::clone(&cluster));
        cluster
    }

    fn use_cluster(&mut self, cluster: &Cluster) {
        self.database_behind(cluster.postgres.port());
        self.request.postgres.tls = TlsSettings::new(SslMode::VerifyFull, Some(&cluster.authority.pem()), None).unwrap();
    }

    /// Logs in as this role from now on.
    pub fn role(&mut self, name: &str) {
        name.clone_into(&mut self.login().user);
    }

    pub fn sslmode(&mut self, mode: SslMode) {
        self.request.postgres.tls = TlsSettings::new(mode, None, None).unwrap();
    }

    fn far(&mut self, number: u16) -> u16 {
        match self.distance {
            Distance::Near => number,
            Distance::Far => {
                let relay = self.relay(number);
                let number = relay.port();
                self.keep(relay);
                number
            }
        }
    }

    fn relay(&self, number: u16) -> Relay {
        let relay = Relay::start(([127, 0, 0, 1], number)).unwrap();
        if self.distance == Distance::Far {
            relay.delay_unevenly(Distance::DELAY, Distance::JITTER);
        }
        relay
    }
}

/// A cluster with the lab's role, database and table.
pub struct Cluster {
    pub postgres: Postgres,
    pub authority: Arc<Authority>,
}

impl Cluster {
    fn start(builder: PostgresBuilder) -> Self {
        let authority = Arc::new(Authority::new().unwrap());
        let postgres = builder.authority(&authority).start().unwrap();
        postgres.create_role(lab::ROLE, PASSWORD, "REPLICATION").unwrap();
        postgres.sql("postgres", &format!("CREATE DATABASE {}", lab::DATABASE)).unwrap();
        Self { postgres, authority }
    }

    pub fn sql(&self, text: &str) {
        self.postgres.sql("postgres", text).unwrap();
    }

    /// A name that nothing in the cluster has.
    pub fn new_name(&self, kind: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        format!("{kind}_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
    }

    /// A role with the password of all and these attributes.
    pub fn new_role(&self, attributes: &str) -> String {
        let name = self.new_name("role");
        self.sql(&format!("CREATE ROLE {name} PASSWORD '{PASSWORD}' {attributes}"));
        name
    }
}

/// So many clients of the ordinary kind, which stay as long as the cluster does.
pub fn occupy(cluster: &Cluster, clients: usize) {
    let config =
        format!("host=127.0.0.1 port={} user={} password='{PASSWORD}' dbname={}", cluster.postgres.port(), lab::ROLE, lab::DATABASE);
    let (tell, connected) = mpsc::channel();
    for _ in 0..clients {
        let (config, tell) = (config.clone(), tell.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let connect = || runtime.block_on(tokio_postgres::connect(&config, tokio_postgres::NoTls)).ok();
            // Whoever used the slot last may not have left it yet.
            let (_client, connection) = lab::wait_for("a slot", SOON, || Ok(connect())).unwrap();
            tell.send(()).unwrap();
            // Ends with the cluster.
            let _ended = runtime.block_on(connection);
        });
    }
    for _ in 0..clients {
        connected.recv_timeout(SOON).expect("a client");
    }
}

pub fn port(number: u16) -> Port {
    Port::try_from(i64::from(number)).unwrap()
}
