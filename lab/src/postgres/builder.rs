//! How a cluster is to start.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};

use super::{Flavour, Postgres, Settings, Tls, start_postgres, template, write_config, write_hba, write_identity};
use crate::{Authority, Certificate, free_port, scratch::Scratch};

/// How often to try another port: between the look at a port and Postgres' bind, another lab may take it.
const TRIES: usize = 5;

/// What Postgres says when its port is taken.
const PORT_TAKEN: &str = "could not create any TCP/IP sockets";

/// The names in a server certificate. `localhost` and `127.0.0.1` are not among them: whoever verifies the near end of a tunnel instead
/// of the database fails.
const NAMES: [&str; 2] = ["db.internal", "orders.db.internal"];

/// Every role may log in by password, with TLS and without, from anywhere.
const HBA: [&str; 2] = ["host all all all scram-sha-256", "host replication all all scram-sha-256"];

/// Settings of a [`Postgres`] that is yet to start.
pub struct PostgresBuilder {
    flavour: Flavour,
    authority: Option<Arc<Authority>>,
    names: Vec<String>,
    values: Vec<(String, String)>,
    hba: Vec<String>,
}

impl PostgresBuilder {
    pub(super) fn new(flavour: Flavour) -> PostgresBuilder {
        let owned = |text: &[&str]| text.iter().map(|line| (*line).to_owned()).collect();
        PostgresBuilder { flavour, authority: None, names: owned(&NAMES), values: Vec::new(), hba: owned(&HBA) }
    }

    /// The authority that issues its certificates, instead of one of its own.
    pub fn authority(mut self, authority: &Arc<Authority>) -> Self {
        self.authority = Some(Arc::clone(authority));
        self
    }

    /// The names and addresses in its certificate, instead of `db.internal` and `orders.db.internal`.
    pub fn names(mut self, names: &[&str]) -> Self {
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Settings of postgresql.conf.
    pub fn settings(mut self, values: &[(&str, &str)]) -> Self {
        self.values.extend(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    /// The lines of pg_hba.conf for TCP, instead of SCRAM for everybody.
    pub fn hba(mut self, lines: &[&str]) -> Self {
        self.hba = lines.iter().map(|line| (*line).to_owned()).collect();
        self
    }

    /// Starts the cluster and waits until it is ready: some 0.3 s, and 0.7 s more for the first of a process.
    pub fn start(self) -> Result<Postgres> {
        let scratch = Arc::new(Scratch::new()?);
        let data = template::copy_to(&scratch)?;
        let authority = self.authority.map_or_else(|| Authority::new().map(Arc::new), Ok)?;
        scratch.folder("socket", 0o700)?;
        scratch.write("ca.pem", 0o600, authority.pem())?;
        write_identity(&scratch, &authority.server(Certificate::Valid, &self.names)?)?;
        write_hba(&scratch, &self.hba)?;
        let mut settings = Settings { flavour: self.flavour, tls: Tls::On, values: self.values, port: 0 };
        let mut last = None;
        for _ in 0..TRIES {
            settings.port = free_port()?;
            write_config(&scratch, &settings)?;
            match start_postgres(&scratch, &data) {
                Ok(server) => {
                    let (port, server, settings) = (settings.port, Mutex::new(Some(server)), Mutex::new(settings));
                    return Ok(Postgres { server, settings, authority, names: self.names, port, data, scratch });
                }
                Err(error) if error.to_string().contains(PORT_TAKEN) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.context("Postgres was not started")?)
    }
}
