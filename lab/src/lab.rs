//! The whole lab: a bastion, and behind it two private databases with a role, a table and a publication.

use std::{fs::File, io::Read, sync::Arc, thread};

use anyhow::{Result, anyhow};

use crate::{
    Authority, Bastion, BastionBuilder, Flavour, Postgres,
    postgres::{identifier, literal},
};

/// The name under which both clusters are known inside, and nowhere else.
pub const DATABASE_HOST: &str = "db.internal";

/// The database of the lab.
pub const DATABASE: &str = "orders";

/// The role that a data system would log in as.
pub const ROLE: &str = "neosync";

/// A table in it that the role may read.
pub const TABLE: &str = "public.orders";

/// A publication of that table, in the logical cluster alone.
pub const PUBLICATION: &str = "mz_source";

/// A bastion and two clusters, all running. Everything ends when it is dropped.
pub struct Lab {
    /// The only way in, as far as a tunnel is concerned.
    pub bastion: Bastion,
    /// `wal_level = replica`.
    pub ordinary: Postgres,
    /// `wal_level = logical`; the role may replicate.
    pub logical: Postgres,
    /// Issued the certificates of both.
    pub authority: Arc<Authority>,
    password: String,
}

impl Lab {
    /// Starts everything, in less than two seconds on an idle machine.
    pub fn start() -> Result<Lab> {
        Lab::start_with(Bastion::builder())
    }

    /// As [`Lab::start`], with a bastion of one's own making; it learns [`DATABASE_HOST`] and `orders.db.internal`.
    pub fn start_with(bastion: BastionBuilder) -> Result<Lab> {
        let authority = Arc::new(Authority::new()?);
        let password = random_password()?;
        let bastion = bastion.add_host(DATABASE_HOST, "127.0.0.1").add_host("orders.db.internal", "127.0.0.1");
        let cluster = |flavour| -> Result<Postgres> {
            let cluster = Postgres::builder(flavour).authority(&authority).start()?;
            furnish(&cluster, flavour, &password)?;
            Ok(cluster)
        };
        thread::scope(|scope| {
            let bastion = scope.spawn(|| bastion.start());
            let ordinary = scope.spawn(|| cluster(Flavour::Ordinary));
            let logical = cluster(Flavour::Logical)?;
            let joined = |_| anyhow!("a thread of the lab panicked");
            Ok((bastion.join().map_err(joined)??, ordinary.join().map_err(joined)??, logical))
        })
        .map(|(bastion, ordinary, logical)| Lab {
            bastion,
            ordinary,
            logical,
            authority: Arc::clone(&authority),
            password: password.clone(),
        })
    }

    /// The password of [`ROLE`], another in every lab.
    pub fn password(&self) -> &str {
        &self.password
    }
}

fn furnish(cluster: &Postgres, flavour: Flavour, password: &str) -> Result<()> {
    let (database, role) = (identifier(DATABASE), identifier(ROLE));
    let replication = if flavour == Flavour::Logical { "REPLICATION" } else { "" };
    let publication =
        if flavour == Flavour::Logical { format!("CREATE PUBLICATION {PUBLICATION} FOR TABLE {TABLE};") } else { String::new() };
    let text = format!(
        "CREATE ROLE {role} LOGIN PASSWORD {} {replication};
         CREATE DATABASE {database};
         \\connect {DATABASE}
         CREATE TABLE {TABLE} (id bigint PRIMARY KEY, item text NOT NULL);
         INSERT INTO {TABLE} VALUES (1, 'anvil'), (2, 'bellows'), (3, 'crucible');
         GRANT SELECT ON {TABLE} TO {role};
         {publication}",
        literal(password)
    );
    cluster.sql("postgres", &text).map(drop)
}

/// Sixteen random bytes, in hexadecimal.
fn random_password() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
