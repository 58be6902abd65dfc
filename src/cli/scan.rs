//! `bastion scan`: what a bastion presents, as known_hosts lines.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;

#[cfg(feature = "aws")]
use super::admit::{Admit, admitted};
use super::error::CliError;
use super::exit::Exit;
use super::live::{self, Shown};
use super::{Environment, block_on, endpoint, say};
use crate::check::{Sessions, scan};
use crate::path::duration;
use crate::path::route::{Address, Port};
use crate::ssh::known_hosts;

/// A server that is up answers in seconds; a machine that boots brings its sshd up within that.
const DEFAULT_TIMEOUT: &str = "30s";

#[derive(Args)]
pub(super) struct ScanArguments {
    /// The bastion. Default port 22; brackets around an IPv6 address.
    #[arg(value_name = "HOST[:PORT]")]
    target: String,
    /// Let this machine in while it scans, by a rule of this security group for its one address [default: the one that
    /// checkip.amazonaws.com sees].
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "GROUP[=ADDRESS]")]
    admit: Option<Admit>,
    /// Bounds the scan; what can heal is tried again until then.
    #[arg(long, default_value = DEFAULT_TIMEOUT, value_parser = duration::parse)]
    timeout: Duration,
}

pub(super) fn run(arguments: &ScanArguments, environment: Environment<'_>) -> Result<Exit, CliError> {
    let (host, port) = endpoint::parse(&arguments.target).map_err(|error| CliError::Endpoint { flag: "HOST[:PORT]", error })?;
    let at = Address::new(host, port.unwrap_or(Port::SSH));
    let observer = live::observer(environment, Shown::ToEverybody);
    let sessions = Sessions::new();
    let found = block_on(async |cancelled| {
        #[cfg(feature = "aws")]
        let scanned = admitted(arguments.admit.as_ref(), async |admission| {
            scan(&at, admission, arguments.timeout, &sessions, observer.as_ref(), &cancelled).await
        });
        #[cfg(not(feature = "aws"))]
        let scanned = scan(&at, None, arguments.timeout, &sessions, observer.as_ref(), &cancelled);
        scanned.await
    });
    // Takes the spinner off the screen before the answer.
    drop(observer);
    let keys = match found? {
        Ok(keys) => keys,
        Err(diagnosis) => {
            let _told = writeln!(io::stderr(), "Error: {}\n\n{diagnosis}", diagnosis.summary());
            return Ok(Exit::of(&diagnosis));
        }
    };
    let mut note = String::new();
    for key in &keys {
        say(&format!("{}\n", known_hosts::line(&at.host, at.port, key)))?;
        note.push_str(&format!("  {} {}\n", key.fingerprint(), key.algorithm()));
    }
    let _told = write!(
        io::stderr(),
        "\nA scan proves nothing by itself: whoever answers there presents keys. Before you pin one, compare its fingerprint\n\
         with the one that the bastion itself shows (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub):\n\n{note}"
    );
    Ok(Exit::Proven)
}
