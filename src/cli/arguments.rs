//! What `bastion check` takes, and how its help reads.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::key::KeysVersion;
use crate::path::duration;
use crate::path::stage::Stage;

/// Below the arguments: what no single one of them says.
pub(super) const AFTER_HELP: &str = "\
Stages: configure, admit, resolve, connect, handshake, host_key, authenticate, sync, forward, dial, tls, login, open, ready.

Environment, where neither a flag nor the URL says otherwise:
  BASTION_URL                       the URL (here it may hold a password)
  PGHOST PGPORT PGUSER PGDATABASE PGSSLMODE PGSSLROOTCERT PGSSLCERT PGSSLKEY
  BASTION_PASSWORD, else PGPASSWORD the role's password
  BASTION                           the bastion, USER@HOST[:PORT]
  BASTION_IDENTITY, BASTION_PASSPHRASE, BASTION_KNOWN_HOSTS
  NO_COLOR                          no colours

Exit codes:
  0  the path is proven
  1  this program or this machine is at fault
  2  wrong arguments: nothing was tried (configure)
  3  the first hop is not reached (admit, resolve, connect)
  4  the bastion is not believed (handshake, host_key)
  5  the bastion refuses the login, or works with earlier keys (authenticate, sync)
  6  the bastion does not get to the database (forward, dial)
  7  no TLS with the database (tls)
  8  the database refuses the login (login, open)
  9  the database is not ready (ready)
  10 out of time or interrupted, without a verdict

Examples:
  bastion check postgres://app@db.internal/orders --bastion tf@bastion.example.com \\
    -i key --known-hosts known_hosts --ask-password
  bastion check --bastion tf@bastion.example.com -i key \\
    --known-hosts known_hosts --until authenticate
  bastion check postgres://app@localhost/orders --sslmode disable --json";

/// How long a check may take unless told otherwise: it asks whether the path holds now, and a minute bridges a restart.
const DEFAULT_TIMEOUT: &str = "1m";

#[derive(Args)]
pub(super) struct CheckArguments {
    /// The database: postgres://USER@HOST:PORT/DATABASE?sslmode=… , without a password.
    pub(super) url: Option<String>,

    /// The database server, as the bastion sees it.
    #[arg(long, help_heading = "Database")]
    pub(super) host: Option<String>,
    /// Its port [default: 5432].
    #[arg(long, help_heading = "Database")]
    pub(super) port: Option<String>,
    /// The role.
    #[arg(long, help_heading = "Database")]
    pub(super) user: Option<String>,
    /// The database.
    #[arg(long, help_heading = "Database")]
    pub(super) database: Option<String>,
    /// disable, allow, prefer, require, verify-ca or verify-full, as in libpq [default: require].
    #[arg(long, help_heading = "Database")]
    pub(super) sslmode: Option<String>,
    /// Authorities that may sign the server's certificate, in PEM; `system` for those of this machine.
    #[arg(long, value_name = "FILE", help_heading = "Database")]
    pub(super) sslrootcert: Option<String>,
    /// Client certificate, in PEM.
    #[arg(long, value_name = "FILE", help_heading = "Database")]
    pub(super) sslcert: Option<String>,
    /// Its key, in PEM.
    #[arg(long, value_name = "FILE", help_heading = "Database")]
    pub(super) sslkey: Option<String>,
    /// The role's password, alone in a file.
    #[arg(long, value_name = "FILE", help_heading = "Database", conflicts_with = "ask_password")]
    pub(super) password_file: Option<PathBuf>,
    /// Ask for the role's password on the terminal.
    #[arg(long, help_heading = "Database")]
    pub(super) ask_password: bool,

    /// The bastion and the login on it; absent: connect directly.
    #[arg(long, value_name = "USER@HOST[:PORT]", help_heading = "Bastion")]
    pub(super) bastion: Option<String>,
    /// The login's private key.
    #[arg(short, long, value_name = "FILE", help_heading = "Bastion")]
    pub(super) identity: Option<PathBuf>,
    /// The key's passphrase, alone in a file. Without it, an encrypted key's is asked for on the terminal.
    #[arg(long, value_name = "FILE", help_heading = "Bastion")]
    pub(super) passphrase_file: Option<PathBuf>,
    /// A host key of the bastion, `type base64`. Any of several is accepted.
    #[arg(long, value_name = "KEY", help_heading = "Bastion")]
    pub(super) host_key: Vec<String>,
    /// A known_hosts file with the bastion in it.
    #[arg(long, value_name = "FILE", help_heading = "Bastion")]
    pub(super) known_hosts: Option<PathBuf>,
    /// `version` of the login's bastion_authorized_keys: the path counts only once the bastion works with that version.
    #[arg(long, value_name = "VERSION", help_heading = "Bastion")]
    pub(super) keys: Option<KeysVersion>,
    /// Let this machine in while it walks, by a rule of this security group for its one address [default: the one that
    /// checkip.amazonaws.com sees].
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "GROUP[=ADDRESS]", help_heading = "Bastion")]
    pub(super) admit: Option<super::admit::Admit>,
    /// Accept any host key. Whoever sits in between is not noticed.
    #[arg(long, help_heading = "Bastion", conflicts_with_all = ["host_key", "known_hosts"])]
    pub(super) insecure_ignore_host_key: bool,

    /// End after this stage: `authenticate` tests the bastion alone, and needs no database.
    #[arg(long, value_name = "STAGE", help_heading = "Check")]
    pub(super) until: Option<Stage>,
    /// Prove that logical replication can start.
    #[arg(long, help_heading = "Check")]
    pub(super) replication: bool,
    /// Prove that this publication exists and contains the tables.
    #[arg(long, value_name = "NAME", help_heading = "Check")]
    pub(super) publication: Option<String>,
    /// Prove that the role may SELECT from this table; several allowed.
    #[arg(long, value_name = "TABLE", help_heading = "Check")]
    pub(super) table: Vec<String>,
    /// Bounds the whole check: 30s, 10m. What can heal is tried again until then.
    #[arg(long, default_value = DEFAULT_TIMEOUT, value_parser = duration::parse, help_heading = "Check")]
    pub(super) timeout: Duration,

    /// Print one JSON object.
    #[arg(long, help_heading = "Output", conflicts_with = "mermaid")]
    pub(super) json: bool,
    /// Print the path as a Mermaid flowchart.
    #[arg(long, help_heading = "Output")]
    pub(super) mermaid: bool,
}
