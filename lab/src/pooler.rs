//! A real pgbouncer before a cluster: what RDS Proxy, Supavisor and their like are to a client.

use std::{net::TcpStream, sync::Arc, time::Duration};

use anyhow::{Result, ensure};

use crate::{
    Postgres, free_port,
    scratch::Scratch,
    server::{Ending, Server},
    tools, wait_for,
};

/// How long it may take to listen: some 20 ms on an idle machine.
const START: Duration = Duration::from_secs(20);

/// TERM: at once. INT: sessions end first.
const ENDING: Ending = Ending { at_once: "TERM", gently: "INT" };

/// A pgbouncer on 127.0.0.1 that passes one role's sessions on to a cluster, without TLS towards its clients. It ends when it is dropped.
pub struct Pooler {
    port: u16,
    _server: Server,
}

impl Pooler {
    /// Starts it for a role of a cluster.
    pub fn start(postgres: &Postgres, role: &str, password: &str) -> Result<Pooler> {
        let (program, scratch, port) = (tools::pgbouncer()?, Arc::new(Scratch::new()?), free_port()?);
        let users = scratch.write("users.txt", 0o600, format!("\"{role}\" \"{}\"\n", password.replace('"', "\"\"")))?;
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\n",
            postgres.port(),
            users.display(),
        );
        let config = scratch.write("pgbouncer.ini", 0o600, config)?;
        let server = Server::start(&scratch, "pgbouncer", &ENDING, &[program.into(), config.into()])?;
        wait_for("pgbouncer to listen", START, || {
            ensure!(server.runs(), "pgbouncer ended: {}", server.log());
            Ok(TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(()))
        })?;
        Ok(Pooler { port, _server: server })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}
