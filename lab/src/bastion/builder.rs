//! How a bastion is to start.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result};

use super::{
    Bastion, KeyBucket, KeyType, Settings,
    bucket_sync::{self, BucketSync},
    check_config,
    key_sync::KeySync,
    logins::Logins,
    make_host_keys, owned, start_sshd, write_config, write_hosts,
};
use crate::{free_port, scratch::Scratch, tools};

/// How often to try another port: between the look at a port and sshd's bind, another lab may take it.
const TRIES: usize = 5;

/// What sshd says when its port is taken.
const PORT_TAKEN: &str = "Cannot bind any address";

/// Settings of a [`Bastion`] that is yet to start.
pub struct BastionBuilder {
    lines: Vec<String>,
    host_keys: Vec<KeyType>,
    hosts: Vec<(String, String)>,
    sync_delay: Duration,
    bucket: Option<KeyBucket>,
    sync_period: Duration,
}

impl BastionBuilder {
    pub(super) fn new() -> BastionBuilder {
        BastionBuilder {
            lines: Vec::new(),
            host_keys: vec![KeyType::Ed25519],
            hosts: Vec::new(),
            sync_delay: Duration::ZERO,
            bucket: None,
            sync_period: bucket_sync::PERIOD,
        }
    }

    /// Lines for sshd_config; they win over the lab's own.
    pub fn sshd_config(mut self, lines: &[&str]) -> Self {
        self.lines = owned(lines);
        self
    }

    /// The types of the host keys, instead of one ed25519 key.
    pub fn host_keys(mut self, types: &[KeyType]) -> Self {
        self.host_keys = types.to_vec();
        self
    }

    /// A name that resolves for the bastion alone.
    pub fn add_host(mut self, name: &str, address: &str) -> Self {
        self.hosts.push((name.to_owned(), address.to_owned()));
        self
    }

    /// How long a file in the drop folder stays unchanged before it becomes keys; zero by default. A real bastion takes up to 5 min.
    pub fn sync_delay(mut self, delay: Duration) -> Self {
        self.sync_delay = delay;
        self
    }

    /// Lets the objects `public-keys/<login>.pub` of a bucket become logins, as on a Guimove-style bastion.
    pub fn bucket(mut self, bucket: KeyBucket) -> Self {
        self.bucket = Some(bucket);
        self
    }

    /// How often the bucket is looked at, 2 s by default, and for the first time after one period. A real bastion takes 5 min.
    pub fn sync_period(mut self, period: Duration) -> Self {
        self.sync_period = period;
        self
    }

    /// Starts sshd and waits until it listens, some 50 ms.
    pub fn start(self) -> Result<Bastion> {
        let scratch = Arc::new(Scratch::new()?);
        let logins = Arc::new(Logins::new(&scratch)?);
        let drop_folder = scratch.folder("drop", 0o700)?;
        make_host_keys(&scratch, &self.host_keys)?;
        write_hosts(&scratch, &self.hosts)?;
        let version = tools::sshd_version()?;
        let settings = Settings { lines: self.lines, host_keys: self.host_keys, hosts: self.hosts, version };
        let (port, server) = start_on_a_free_port(&scratch, &settings)?;
        let sync = KeySync::start(Arc::clone(&logins), drop_folder.clone(), self.sync_delay);
        let bucket_sync = self.bucket.map(|bucket| BucketSync::start(Arc::clone(&logins), bucket, self.sync_period));
        Ok(Bastion {
            sync,
            bucket_sync,
            server: Mutex::new(Some(server)),
            logins,
            settings: Mutex::new(settings),
            port,
            drop_folder,
            scratch,
        })
    }
}

fn start_on_a_free_port(scratch: &Arc<Scratch>, settings: &Settings) -> Result<(u16, crate::server::Server)> {
    let mut last = None;
    for _ in 0..TRIES {
        let port = free_port()?;
        write_config(scratch, port, settings)?;
        check_config(scratch)?;
        match start_sshd(scratch) {
            Ok(server) => return Ok((port, server)),
            Err(error) if error.to_string().contains(PORT_TAKEN) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.context("sshd was not started")?)
}
