//! A thousand hostile bastions and a thousand hostile databases: each says what a real one said, and lies in its own way.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bastion::check::{Patience, Request, Sessions, check_with};
use bastion::key::HostKeys;
use bastion::path::event::Silent;
use bastion::postgres::SslMode;
use lab::{Bastion, Flavour, Postgres};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::world::{Distance, World, port};

/// How many of each kind.
const SEEDS: u64 = 1000;

/// How many at a time: enough to hide their waiting.
const AT_A_TIME: usize = 16;

/// What each stage is given.
const LIMIT: Duration = Duration::from_millis(800);

/// What the whole is given: far more than all stages together, on a busy machine too. That no check ever ends by it shows that each stage
/// ended by its own limit, however late the machine's timers are.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How late a machine may be that sixteen checks share with whatever else it does. A stage that hangs is later: it ends by [`TIMEOUT`].
const BUSY: Duration = Duration::from_secs(15);

/// What all of it may take at most, in KiB: the project's own bound, for one process with sixteen checks and their peers.
const MEMORY: usize = 64 * 1024;

/// The most that a flood sends before it gives up: far more than anybody should read.
const FLOOD: usize = 16 * 1024 * 1024;

/// How long a liar waits for a question before it goes on: less than a check waits for an answer.
const QUESTION: Duration = Duration::from_millis(100);

/// By this the child knows what to do.
const KIND: &str = "BASTION_HOSTILE";

#[test]
fn no_bastion_can_harm() {
    in_a_process_of_its_own("bastion");
}

#[test]
fn no_database_can_harm() {
    in_a_process_of_its_own("database");
}

/// So that its memory is its own.
fn in_a_process_of_its_own(kind: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", "hostile::all_of_a_kind", "--ignored", "--nocapture"]).env(KIND, kind).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    said.lines().filter(|line| line.starts_with("soak:")).for_each(|line| println!("{line}"));
}

#[test]
#[ignore = "the two above run it, each in a process of its own"]
fn all_of_a_kind() {
    let kind = std::env::var(KIND).expect("bastion or database");
    let panics = Arc::new(AtomicUsize::new(0));
    let (count, report) = (Arc::clone(&panics), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        count.fetch_add(1, Ordering::SeqCst);
        report(panic);
    }));
    let (request, script) = if kind == "bastion" { honest_bastion() } else { honest_database() };
    let (request, script) = (Arc::new(request), Arc::new(script));
    let mut ends = BTreeMap::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for round in lab::Soak::of(if kind == "bastion" { "a thousand hostile bastions" } else { "a thousand hostile databases" }) {
        let seeds = round * SEEDS..(round + 1) * SEEDS;
        ends = runtime.block_on(all(seeds, &request, &script));
    }
    runtime.shutdown_background();
    let memory = peak_memory();
    println!("{kind}: {ends:?}, {memory} KiB at the most");
    assert_eq!(panics.load(Ordering::SeqCst), 0, "something panicked");
    assert!(memory <= MEMORY, "{memory} KiB");
    assert!(ends.len() >= 5, "the lies are all alike: {ends:?}");
}

/// How the checks ended, by code.
async fn all(seeds: Range<u64>, request: &Arc<Request>, script: &Arc<Script>) -> BTreeMap<String, usize> {
    let places = Arc::new(tokio::sync::Semaphore::new(AT_A_TIME));
    let mut checks = tokio::task::JoinSet::new();
    for seed in seeds {
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let (request, script) = (Arc::clone(request), Arc::clone(script));
        checks.spawn(async move {
            let code = one(seed, &request, &script).await;
            drop(place);
            code
        });
    }
    let mut ends = BTreeMap::new();
    for code in checks.join_all().await {
        *ends.entry(code).or_default() += 1;
    }
    ends
}

async fn one(seed: u64, request: &Request, script: &Script) -> String {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let number = listener.local_addr().unwrap().port();
    let lie = Lie::new(seed, script);
    let peer = tokio::spawn(async move {
        loop {
            let Ok((client, _)) = listener.accept().await else { return };
            tokio::spawn(lie.clone().tell(client));
        }
    });
    let mut request = request.clone();
    match request.route.hops.first_mut() {
        Some(hop) => hop.at.port = port(number),
        None => request.route.target.as_mut().unwrap().at_mut().port = port(number),
    }
    let mut patience = Patience::DEFAULT;
    let Patience { resolve, connect, handshake, authenticate, dial, lookup, tls, login, ready, .. } = &mut patience;
    for stage in [resolve, connect, handshake, authenticate, dial, lookup, tls, login, ready] {
        *stage = LIMIT;
    }
    let Patience { reach_window, key_window, open_window, .. } = &mut patience;
    for window in [reach_window, key_window, open_window] {
        *window = Duration::ZERO;
    }
    let began = Instant::now();
    let ended = check_with(&request, &patience, &Sessions::new(), &Silent, &CancellationToken::new()).await;
    let took = began.elapsed();
    peer.abort();
    assert!(took <= TIMEOUT + BUSY, "seed {seed} took {took:?}");
    match ended {
        Ok(_) => "proven".to_owned(),
        Err(diagnosis) => {
            assert!(diagnosis.took <= patience.limit(diagnosis.stage()) + BUSY, "seed {seed} took {:?}: {diagnosis}", diagnosis.took);
            assert!(diagnosis.to_string().lines().count() <= 14 && !diagnosis.to_string().contains("os error"), "seed {seed}: {diagnosis}");
            assert!(!diagnosis.code().ends_with("out-of-time"), "seed {seed}: each stage has its own limit: {diagnosis}");
            diagnosis.code()
        }
    }
}

/// A request to a bastion that accepts any key of any host, and what a real one said to it.
fn honest_bastion() -> (Request, Script) {
    let mut world = World::new(Distance::Near);
    let bastion = world.sshd(Bastion::builder());
    world.hop().host_keys = HostKeys::Any;
    world.request.timeout = TIMEOUT;
    let recorder = Recorder::start(bastion.port());
    world.bastion_at(recorder.port);
    walk(&world);
    (world.request, recorder.said())
}

/// A request to a database without a bastion, TLS and password, and what a real one said to it.
fn honest_database() -> (Request, Script) {
    let mut world = World::new(Distance::Near);
    let cluster = world.cluster(Postgres::builder(Flavour::Logical).hba(&["host all all all trust"]));
    cluster.postgres.sql(lab::DATABASE, "CREATE TABLE orders (id int); GRANT SELECT ON orders TO PUBLIC").unwrap();
    world.sslmode(SslMode::Disable);
    world.request.route.hops.clear();
    world.target().host = "127.0.0.1".parse().unwrap();
    world.request.postgres.readiness.replication = true;
    world.request.postgres.readiness.tables = vec!["orders".to_owned()];
    world.request.timeout = TIMEOUT;
    let recorder = Recorder::start(cluster.postgres.port());
    world.database_at(recorder.port);
    walk(&world);
    (world.request, recorder.said())
}

fn walk(world: &World) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Where it ends does not matter: what was said on the way is the script.
    let (sessions, cancelled) = (Sessions::new(), CancellationToken::new());
    let _ended = runtime.block_on(check_with(&world.request, &world.patience, &sessions, &Silent, &cancelled));
}

/// What a server said, and how much of that before each time that it listened.
#[derive(Clone, Default)]
struct Script {
    bytes: Vec<u8>,
    turns: Vec<usize>,
}

/// Passes one connection on, and keeps what the server said.
struct Recorder {
    port: u16,
    said: Arc<Mutex<Script>>,
}

impl Recorder {
    fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let said: Arc<Mutex<Script>> = Arc::default();
        let (record, listened) = (Arc::clone(&said), Arc::clone(&said));
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap();
            let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(length @ 1..) = from.read(&mut piece) {
                    let mut script = listened.lock().unwrap();
                    let before = script.bytes.len();
                    script.turns.push(before);
                    drop(script);
                    if into.write_all(&piece[..length]).is_err() {
                        return;
                    }
                }
            });
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = server.read(&mut piece) {
                record.lock().unwrap().bytes.extend(&piece[..length]);
                if client.write_all(&piece[..length]).is_err() {
                    return;
                }
            }
        });
        Self { port, said }
    }

    fn said(&self) -> Script {
        let said = self.said.lock().unwrap().clone();
        assert!(said.bytes.len() > 300 && said.turns.len() > 1, "{} bytes are no conversation", said.bytes.len());
        said
    }
}

/// A script, altered, and how it is told.
#[derive(Clone)]
struct Lie {
    script: Vec<u8>,
    turns: Vec<usize>,
    manner: Manner,
}

#[derive(Clone, Copy)]
enum Manner {
    /// As it was said, then the end.
    Close,
    /// As it was said, then silence.
    Silence,
    /// This long a tail of it, again and again.
    Flood(usize),
    /// Byte by byte, with a pause after each.
    Drip(Duration),
}

/// Numbers that follow from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

impl Lie {
    fn new(seed: u64, script: &Script) -> Self {
        let mut dice = Dice(seed);
        let Script { bytes: mut script, turns } = script.clone();
        let at = dice.below(script.len());
        let manner = match dice.below(4) {
            0 => Manner::Silence,
            _ => Manner::Close,
        };
        let manner = match seed % 7 {
            // Cut off.
            0 => {
                script.truncate(at);
                manner
            }
            // Some bits are others.
            1 => {
                for _ in 0..=dice.below(8) {
                    let at = dice.below(script.len());
                    script[at] ^= 1 << dice.below(8);
                }
                manner
            }
            // Four bytes, where a length may be, are another length.
            2 => {
                let lengths = [u32::MAX, i32::MAX.unsigned_abs(), 0, 3, 0x0010_0000, 35_001, 0xffff_0000];
                let at = at.min(script.len() - 4);
                script[at..at + 4].copy_from_slice(&lengths[dice.below(lengths.len())].to_be_bytes());
                manner
            }
            3 => {
                script.truncate(at + 1);
                Manner::Flood(1 + dice.below(script.len()))
            }
            4 => Manner::Drip(Duration::from_millis(1 + dice.next() % 5)),
            // Something that does not belong there.
            5 => {
                let noise: Vec<_> = (0..=dice.below(2000)).map(|_| dice.byte()).collect();
                script.splice(at..at, noise);
                manner
            }
            // A part again, or a part less.
            _ => {
                let part: Vec<_> = script[at..(at + 1 + dice.below(400)).min(script.len())].to_vec();
                if dice.below(2) == 0 {
                    script.splice(at..at, part);
                } else {
                    script.drain(at..at + part.len());
                }
                manner
            }
        };
        Self { script, turns, manner }
    }

    async fn tell(self, client: tokio::net::TcpStream) {
        let (mut from, mut into) = client.into_split();
        let (asked, mut questions) = tokio::sync::mpsc::unbounded_channel();
        // Whatever is asked, the script is the answer.
        let reading = tokio::spawn(async move {
            let mut piece = [0; 4096];
            while let Ok(1..) = from.read(&mut piece).await {
                let _left = asked.send(());
            }
        });
        let _told = self.say(&mut into, &mut questions).await;
        if matches!(self.manner, Manner::Silence) {
            let _gone = reading.await;
        }
    }

    /// What was said in answer is said in answer again, if there is a question.
    async fn recite(&self, into: &mut OwnedWriteHalf, questions: &mut UnboundedReceiver<()>) -> std::io::Result<()> {
        let mut said = 0;
        for turn in self.turns.iter().copied().chain([usize::MAX]) {
            let until = turn.clamp(said, self.script.len());
            into.write_all(&self.script[said..until]).await?;
            said = until;
            let _asked = tokio::time::timeout(QUESTION, questions.recv()).await;
        }
        Ok(())
    }

    async fn say(&self, into: &mut OwnedWriteHalf, questions: &mut UnboundedReceiver<()>) -> std::io::Result<()> {
        match self.manner {
            Manner::Close | Manner::Silence => self.recite(into, questions).await,
            Manner::Flood(tail) => {
                self.recite(into, questions).await?;
                let tail = &self.script[self.script.len() - tail..];
                let again = tail.repeat(1 + 16 * 1024 / tail.len());
                for _ in 0..FLOOD / again.len() {
                    into.write_all(&again).await?;
                }
                Ok(())
            }
            Manner::Drip(pause) => {
                for byte in &self.script {
                    into.write_all(&[*byte]).await?;
                    tokio::time::sleep(pause).await;
                }
                Ok(())
            }
        }
    }
}

/// By the kernel's count, in KiB.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
