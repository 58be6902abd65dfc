//! A real Postgres cluster on loopback, with TLS by the lab's own authority.

mod builder;
mod template;

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

pub use builder::PostgresBuilder;

use crate::{
    Authority, Certificate, Identity,
    scratch::Scratch,
    server::{self, Ending, Server},
    tools, wait_for,
};

/// How long a cluster may take to be ready: 0.15 s on an idle machine, some seconds after a kill under load.
const START: Duration = Duration::from_secs(20);

/// QUIT: the data goes with the lab, so nothing needs to be written. INT ("fast"): sessions end, the data stays good.
const ENDING: Ending = Ending { at_once: "QUIT", gently: "INT" };

/// What the cluster is set up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// As installed: `wal_level = replica`.
    Ordinary,
    /// Ready for logical replication: `wal_level = logical`, ten WAL senders, ten slots.
    Logical,
}

/// Whether the cluster answers a request for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// `ssl = on`.
    On,
    /// `ssl = off`: it answers `N`.
    Off,
}

/// A running cluster of the newest installed version, on 127.0.0.1. It ends, with its data, when the value is dropped or when the
/// process that holds it dies.
///
/// Over TCP a role needs what [`Postgres::set_hba`] says, SCRAM by default. The superuser `postgres` comes in through the unix socket only.
pub struct Postgres {
    server: Mutex<Option<Server>>,
    settings: Mutex<Settings>,
    authority: Arc<Authority>,
    names: Vec<String>,
    port: u16,
    data: PathBuf,
    scratch: Arc<Scratch>,
}

/// What postgresql.conf is made from.
struct Settings {
    flavour: Flavour,
    tls: Tls,
    values: Vec<(String, String)>,
    port: u16,
}

impl Postgres {
    /// A cluster with the default settings of its flavour.
    pub fn start(flavour: Flavour) -> Result<Postgres> {
        Postgres::builder(flavour).start()
    }

    /// For anything but the defaults.
    pub fn builder(flavour: Flavour) -> PostgresBuilder {
        PostgresBuilder::new(flavour)
    }

    /// The port on 127.0.0.1; the same after every restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port, `127.0.0.1:5432`.
    pub fn host_port(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The certificate of the authority that issued the server's.
    pub fn ca_pem(&self) -> String {
        self.authority.pem()
    }

    /// The same as a file, for `sslrootcert`.
    pub fn ca_file(&self) -> PathBuf {
        self.scratch.path().join("ca.pem")
    }

    /// A client certificate that the cluster trusts, for a role of that name; pg_hba.conf says with `clientcert` or `cert` who needs it.
    pub fn client_certificate(&self, role: &str) -> Result<Identity> {
        self.authority.client(role)
    }

    /// Presents another certificate from now on.
    pub fn set_certificate(&self, kind: Certificate) -> Result<()> {
        write_identity(&self.scratch, &self.authority.server(kind, &self.names)?)?;
        self.reload()
    }

    /// Turns TLS on or off for new connections.
    pub fn set_tls(&self, tls: Tls) -> Result<()> {
        self.settings().tls = tls;
        write_config(&self.scratch, &self.settings())?;
        self.reload()
    }

    /// Replaces the lines of pg_hba.conf for TCP. Fails, and changes nothing for connections, when Postgres refuses a line.
    pub fn set_hba(&self, lines: &[&str]) -> Result<()> {
        write_hba(&self.scratch, lines)?;
        self.reload()
    }

    /// Changes settings of postgresql.conf and restarts, because many want that.
    pub fn set(&self, values: &[(&str, &str)]) -> Result<()> {
        self.settings().values.extend(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        write_config(&self.scratch, &self.settings())?;
        self.restart()
    }

    /// Runs SQL as superuser over the unix socket; answers the rows as `psql -At` prints them, without the last line's end.
    ///
    /// The text goes through a pipe: a password in it shows in no list of processes.
    pub fn sql(&self, database: &str, text: &str) -> Result<String> {
        let mut psql = Command::new(tools::postgres_folder()?.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-p", &self.port.to_string(), "-h"]);
        psql.arg(self.scratch.path().join("socket")).args(["-f", "-"]).env_clear().current_dir("/");
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        // Its end is what psql waits for, so it is dropped at once; one that does not read has said why on stderr.
        let _ = child.stdin.take().context("no pipe to psql")?.write_all(text.as_bytes());
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())
    }

    /// Makes a role that may log in, with a password and further attributes (`REPLICATION`, `NOLOGIN`, …).
    pub fn create_role(&self, name: &str, password: &str, attributes: &str) -> Result<()> {
        self.sql("postgres", &format!("CREATE ROLE {} LOGIN PASSWORD {} {attributes}", identifier(name), literal(password))).map(drop)
    }

    /// How many sessions clients hold open over TCP.
    pub fn sessions(&self) -> Result<usize> {
        let count = self.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE client_addr IS NOT NULL")?;
        count.parse().with_context(|| format!("`{count}` is no count"))
    }

    /// Ends all sessions of clients, as an administrator does.
    pub fn kill_sessions(&self) -> Result<()> {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_addr IS NOT NULL";
        self.sql("postgres", end).map(drop)
    }

    /// Stops the cluster: sessions are ended, the data stays, the port refuses.
    pub fn stop(&self) -> Result<()> {
        self.server().take().map_or(Ok(()), Server::stop)
    }

    /// Begins a "smart" stop: no new sessions ("the database system is shutting down"), and open ones may take their time. Returns at once.
    pub fn begin_smart_stop(&self) {
        self.server().iter().for_each(|server| server.signal(Signal::TERM));
    }

    /// Starts a stopped cluster, on the same port. Does nothing when it runs.
    pub fn start_again(&self) -> Result<()> {
        let mut server = self.server();
        if server.as_ref().is_none_or(|server| !server.runs()) {
            // First the supervisor of one that ended by itself.
            *server = None;
            *server = Some(start_postgres(&self.scratch, &self.data)?);
        }
        Ok(())
    }

    /// Stops and starts it.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start_again()
    }

    /// Stops all processes where they stand: the port accepts, and nothing answers.
    pub fn pause(&self) {
        self.server().iter().for_each(Server::pause);
    }

    /// Undoes [`Postgres::pause`].
    pub fn resume(&self) {
        self.server().iter().for_each(Server::resume);
    }

    /// Everything that the cluster has said; `log_connections` is on.
    pub fn log(&self) -> String {
        server::read(&log_file(&self.scratch))
    }

    /// Lets a running cluster read its files again, and waits until new connections see them.
    fn reload(&self) -> Result<()> {
        const HEARD: &str = "received SIGHUP, reloading configuration files";
        let server = self.server();
        let Some(server) = server.as_ref() else { return Ok(()) };
        let before = self.log().len();
        server.signal(Signal::HUP);
        wait_for("Postgres to reload", START, || {
            ensure!(server.runs(), "Postgres ended: {}", self.log());
            Ok(self.log().get(before..).is_some_and(|new| new.contains(HEARD)).then_some(()))
        })?;
        // The postmaster answers no connection before it has read everything; what it did not like is then in the log.
        self.sql("postgres", "SELECT 1")?;
        let log = self.log();
        let new = log.get(before..).unwrap_or_default();
        ensure!(!["not reloaded", "contains errors"].iter().any(|bad| new.contains(bad)), "Postgres refuses its configuration: {new}");
        Ok(())
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name, quoted for SQL.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text, quoted for SQL with `standard_conforming_strings`.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn write_config(scratch: &Scratch, settings: &Settings) -> Result<()> {
    let folder = scratch.path().display();
    let mut text = format!("listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{folder}/socket'\n", settings.port);
    // The data lives as long as a test: what protects it from a power cut only costs time. A statement that fails may hold a password,
    // so the log has the error without it.
    text.push_str("fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nshared_buffers = 16MB\nmax_wal_size = 64MB\n");
    // In the data folder, so that a killed cluster leaves none behind in /dev/shm.
    text.push_str("dynamic_shared_memory_type = mmap\n");
    text.push_str("log_connections = on\nlog_min_error_statement = panic\npassword_encryption = scram-sha-256\n");
    let _ = writeln!(text, "ssl_ca_file = '{folder}/ca.pem'\nssl_cert_file = '{folder}/server.pem'\nssl_key_file = '{folder}/server.key'");
    text.push_str(match settings.tls {
        Tls::On => "ssl = on\n",
        Tls::Off => "ssl = off\n",
    });
    text.push_str(match settings.flavour {
        Flavour::Ordinary => "wal_level = replica\n",
        Flavour::Logical => "wal_level = logical\nmax_wal_senders = 10\nmax_replication_slots = 10\n",
    });
    // Of two lines Postgres takes the last.
    for (name, value) in &settings.values {
        let _ = writeln!(text, "{name} = {}", literal(value));
    }
    scratch.write("data/postgresql.conf", 0o600, text).map(drop)
}

fn write_hba(scratch: &Scratch, lines: &[impl AsRef<str>]) -> Result<()> {
    let lines: String = lines.iter().flat_map(|line| [line.as_ref(), "\n"]).collect();
    scratch.write("data/pg_hba.conf", 0o600, format!("local all all trust\n{lines}")).map(drop)
}

fn write_identity(scratch: &Scratch, identity: &Identity) -> Result<()> {
    scratch.write("server.pem", 0o600, &identity.certificate)?;
    scratch.write("server.key", 0o600, &identity.private_key).map(drop)
}

fn log_file(scratch: &Scratch) -> PathBuf {
    scratch.path().join("postgres.log")
}

/// Starts the postmaster and waits until it says, in its pid file, that it is ready.
fn start_postgres(scratch: &Arc<Scratch>, data: &Path) -> Result<Server> {
    let program = tools::postgres_folder()?.join("postgres");
    let server = Server::start(scratch, "postgres", &ENDING, &[program.into(), "-D".into(), data.into()])?;
    let pid = server.pid().to_string();
    wait_for("Postgres to be ready", START, || {
        // The first line is the pid, so that a file that a killed one left is not believed; the last is the state.
        let file = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        if file.lines().next().is_some_and(|first| first == pid) && file.lines().last().is_some_and(|last| last.trim() == "ready") {
            return Ok(Some(()));
        }
        if !server.runs() {
            let log = server.log();
            bail!("Postgres ended: {}", log.lines().rev().take(3).collect::<Vec<_>>().join("; "));
        }
        Ok(None)
    })?;
    Ok(server)
}
