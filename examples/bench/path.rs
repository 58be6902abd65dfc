//! One check and a hundred, against `ssh -L` with psql.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bastion::check::{Request, Sessions, check};
use bastion::key::PrivateKey;
use bastion::path::event::Silent;
use bastion::path::route::{Address, Hop, Host, Login, Port, Route, Target as Destination};
use bastion::postgres::{SslMode, TlsSettings};
use bastion::secret::Secret;
use bastion::ssh::known_hosts;
use futures_util::{StreamExt as _, stream};
use lab::{ClientKey, Forward, KeyType, Lab};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::table::{Amount, Figure, Target, median};

/// The argument by which this program makes one check, with what it reads on stdin, and ends: a fresh process, as its peers are.
pub const ONE_CHECK: &str = "one-check";

/// A check in a process of its own, of what `ssh -L` and psql take. From prototypes.
const COLD: f64 = 0.3;
/// A check over a session that is up, of the same.
const WARM: f64 = 0.1;
/// As many checks as a large apply has.
const BURST: usize = 100;
/// Of such a burst, login and all.
const SLOWEST_BURST: Duration = Duration::from_millis(600);
/// How many operations terraform has under way at a time, unless told otherwise.
const PARALLELISM: usize = 10;
/// Rounds of one check each; a round takes half a second.
const ROUNDS: usize = 25;
/// Rounds of bursts; a round takes four seconds.
const BURSTS: usize = 5;
/// More than anything takes here: a check that waits is no figure but a fault.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The login on the bastion.
const USER: &str = "neosync";

/// How the database is spoken to.
#[derive(Clone, Copy)]
enum Mode {
    Plain,
    Tls,
}

impl Mode {
    const ALL: [Self; 2] = [Self::Plain, Self::Tls];

    const fn sslmode(self) -> &'static str {
        match self {
            Self::Plain => "disable",
            Self::Tls => "verify-full",
        }
    }
}

/// A lab that is ready to be measured.
struct Scene<'a> {
    lab: &'a Lab,
    key: ClientKey,
}

/// What one way takes, round by round.
#[derive(Default)]
struct Times {
    cold: Vec<Duration>,
    warm: Vec<Duration>,
    peer: Vec<Duration>,
    warm_peer: Vec<Duration>,
}

/// Everything that the path costs.
pub fn measure(lab: &Lab) -> Result<Vec<Figure>> {
    // A hundred clients at a time are more than a cluster takes by default.
    lab.ordinary.set(&[("max_connections", "200")])?;
    let scene = Scene { lab, key: lab.bastion.client_key(KeyType::Ed25519)? };
    lab.bastion.authorize(USER, &[&scene.key.public_key])?;
    let mut figures = Vec::new();
    let mut times = [Times::default(), Times::default()];
    for round in 0..=ROUNDS {
        for (mode, times) in Mode::ALL.into_iter().zip(&mut times) {
            scene.round(mode, times)?;
            if round == 0 {
                // The first of each kind finds cold caches.
                *times = Times::default();
            }
        }
    }
    for (mode, times) in Mode::ALL.into_iter().zip(times) {
        let (peer, warm, sslmode) = (median(times.peer), median(times.warm), mode.sslmode());
        figures.push(figure(format!("one check, cold : ssh -L and psql, {sslmode}"), median(times.cold), peer, Target::Ratio(COLD))?);
        figures.push(figure(format!("one check, session open : ssh -L and psql, {sslmode}"), warm, peer, Target::Ratio(WARM))?);
        let name = format!("one check, session open : psql alone, ssh -L open, {sslmode}");
        figures.push(figure(name, warm, median(times.warm_peer), Target::None)?);
    }
    figures.extend(scene.bursts()?);
    Ok(figures)
}

fn figure(name: String, ours: Option<Duration>, peer: Option<Duration>, target: Target) -> Result<Figure> {
    Ok(Figure { name, ours: Amount::Time(ours.context("nothing was measured")?), peer: peer.map(Amount::Time), target })
}

impl Scene<'_> {
    /// Each way once.
    fn round(&self, mode: Mode, times: &mut Times) -> Result<()> {
        times.cold.push(self.cold(mode)?);
        let (peer, warm_peer) = self.peer(mode)?;
        times.peer.push(peer);
        times.warm_peer.push(warm_peer);
        times.warm.push(self.warm(mode)?);
        Ok(())
    }

    /// A check in a process of its own.
    fn cold(&self, mode: Mode) -> Result<Duration> {
        let order = self.order(mode)?.to_string();
        let began = Instant::now();
        let mut process = Command::new(std::env::current_exe()?).arg(ONE_CHECK).stdin(Stdio::piped()).spawn()?;
        process.stdin.take().context("no pipe to the check")?.write_all(order.as_bytes())?;
        let status = process.wait()?;
        let took = began.elapsed();
        ensure!(status.success(), "a check failed");
        Ok(took)
    }

    /// A check over a session that an earlier one left open.
    fn warm(&self, mode: Mode) -> Result<Duration> {
        let mut request = request(&self.order(mode)?)?;
        // Nothing has changed since: the login of the first check is good enough for the second.
        request.since = Some(Instant::now());
        runtime()?.block_on(async {
            let sessions = Sessions::new();
            prove(&request, &sessions).await?;
            let began = Instant::now();
            prove(&request, &sessions).await?;
            Ok(began.elapsed())
        })
    }

    /// ssh, psql and the end of both; and psql alone, once more in between.
    fn peer(&self, mode: Mode) -> Result<(Duration, Duration)> {
        let target = format!("{}:{}", lab::DATABASE_HOST, self.lab.ordinary.port());
        let began = Instant::now();
        let forward = Forward::start(&self.lab.bastion, USER, &self.key, &target)?;
        self.psql(mode, forward.port())?;
        let first = began.elapsed();
        let began = Instant::now();
        self.psql(mode, forward.port())?;
        let alone = began.elapsed();
        let began = Instant::now();
        drop(forward);
        Ok((first + began.elapsed(), alone))
    }

    fn psql(&self, mode: Mode, port: u16) -> Result<()> {
        let mut psql = Command::new(lab::postgres_folder()?.join("psql"));
        let question = format!("select has_table_privilege('{}', 'select')", lab::TABLE);
        psql.args(["-X", "-q", "-A", "-t", "-w", "-c", &question]).env("PGPASSWORD", self.lab.password()).stdin(Stdio::null());
        psql.env("PGHOST", lab::DATABASE_HOST).env("PGHOSTADDR", "127.0.0.1").env("PGPORT", port.to_string());
        psql.env("PGUSER", lab::ROLE).env("PGDATABASE", lab::DATABASE);
        psql.env("PGSSLMODE", mode.sslmode()).env("PGSSLROOTCERT", self.lab.ordinary.ca_file());
        let output = psql.output()?;
        ensure!(output.stdout == b"t\n", "psql failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Bursts of every kind, taking turns; their peers go to the database without a bastion, and show what Postgres itself takes.
    fn bursts(&self) -> Result<Vec<Figure>> {
        let mut kinds = Vec::new();
        for (at_a_time, name) in [(BURST, "at once"), (PARALLELISM, "10 at a time")] {
            for mode in Mode::ALL {
                let name = format!("{BURST} checks {name}, one session : without a bastion, {}", mode.sslmode());
                kinds.push((name, at_a_time, request(&self.order(mode)?)?, self.direct(mode)?, Vec::new(), Vec::new()));
            }
        }
        for _ in 0..BURSTS {
            for (_, at_a_time, through, direct, ours, peer) in &mut kinds {
                ours.push(self.burst(through, *at_a_time)?);
                peer.push(self.burst(direct, *at_a_time)?);
            }
        }
        let target = Target::Below(Amount::Time(SLOWEST_BURST));
        kinds.into_iter().map(|(name, .., ours, peer)| figure(name, median(ours), median(peer), target)).collect()
    }

    /// Many checks at a time; through a bastion, over one session that the first of them opens.
    fn burst(&self, request: &Request, at_a_time: usize) -> Result<Duration> {
        let logins = self.lab.bastion.logins().len();
        let took = runtime()?.block_on(async {
            let sessions = Sessions::new();
            let began = Instant::now();
            let mut checks = stream::iter(0..BURST).map(|_| prove(request, &sessions)).buffer_unordered(at_a_time);
            while let Some(proven) = checks.next().await {
                proven?;
            }
            Ok::<_, anyhow::Error>(began.elapsed())
        })?;
        let logins = self.lab.bastion.logins().len() - logins;
        // Ten at a time, and those under way share a login: each proves what stands after it began.
        let most = if request.route.is_direct() { 0 } else { BURST / 2 };
        ensure!(logins <= most, "{logins} sessions were opened");
        Ok(took)
    }

    /// The same database, from this machine. Its certificate is for the name that only the bastion resolves, so the chain alone is verified.
    fn direct(&self, mode: Mode) -> Result<Request> {
        let mut request = request(&self.order(mode)?)?;
        request.route.hops.clear();
        request.route.target.as_mut().context("no target")?.at_mut().host = "127.0.0.1".parse()?;
        if matches!(mode, Mode::Tls) {
            request.postgres.tls = TlsSettings::new(SslMode::VerifyCa, Some(&self.lab.authority.pem()), None)?;
        }
        Ok(request)
    }

    /// What a check needs, as a fresh process is told it.
    fn order(&self, mode: Mode) -> Result<Value> {
        Ok(json!({
            "host": self.lab.bastion.host(),
            "port": self.lab.bastion.port(),
            "user": USER,
            "host_key": self.lab.bastion.host_public_key()?,
            "private_key": self.key.private_key,
            "database_port": self.lab.ordinary.port(),
            "password": self.lab.password(),
            "sslmode": mode.sslmode(),
            "sslrootcert": self.lab.authority.pem(),
        }))
    }
}

fn request(order: &Value) -> Result<Request> {
    let text = |name: &str| order.get(name).and_then(Value::as_str).with_context(|| format!("no {name}"));
    let port = |name: &str| anyhow::Ok(Port::try_from(order.get(name).and_then(Value::as_i64).unwrap_or_default())?);
    let (host, bastion_port): (Host, _) = (text("host")?.parse()?, port("port")?);
    let host_keys = known_hosts::from_texts(&[text("host_key")?], &host, bastion_port)?;
    let (mode, authorities) = match text("sslmode")? {
        "disable" => (SslMode::Disable, None),
        "verify-full" => (SslMode::VerifyFull, Some(text("sslrootcert")?)),
        other => bail!("sslmode {other} is not measured"),
    };
    let at = Address::new(lab::DATABASE_HOST.parse()?, port("database_port")?);
    let login = Login { user: lab::ROLE.to_owned(), database: lab::DATABASE.to_owned() };
    let hop = Hop::new(Address::new(host, bastion_port), text("user")?, host_keys);
    let mut request = Request::new(Route::new(vec![hop], Destination::Postgres { at, login: Some(login) }));
    request.keys = vec![Arc::new(PrivateKey::parse(&Secret::from(text("private_key")?), None)?)];
    request.postgres.password = Some(text("password")?.into());
    request.postgres.tls = TlsSettings::new(mode, authorities, None)?;
    // As psql is asked.
    request.postgres.readiness.tables = vec![lab::TABLE.to_owned()];
    request.timeout = TIMEOUT;
    Ok(request)
}

async fn prove(request: &Request, sessions: &Sessions) -> Result<()> {
    match check(request, sessions, &Silent, &CancellationToken::new()).await {
        Ok(_) => Ok(()),
        Err(diagnosis) => bail!("{}\n{diagnosis}", diagnosis.summary()),
    }
}

/// One thread, as the provider has it.
fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// The fresh process.
pub fn one_check() -> Result<()> {
    let request = request(&serde_json::from_reader(std::io::stdin().lock())?)?;
    runtime()?.block_on(prove(&request, &Sessions::new()))
}
