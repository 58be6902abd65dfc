//! moto_server: Amazon's services as a program on loopback, forgiving ones.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    free_port,
    scratch::Scratch,
    server::{Ending, Server},
    wait_for,
};

/// The release that the rules of the proxy in front of it were written against; `scripts/moto-requirements.txt` has the same.
const VERSION: &str = "5.2.1";

/// How often to try another port: between the look at a port and moto's bind, another lab may take it.
const TRIES: usize = 5;

/// What moto says when its port is taken, and when it listens.
const PORT_TAKEN: &str = "in use";
const LISTENING: &str = "Running on http://127.0.0.1:";

/// How long moto may take to listen: 0.3 s on an idle machine, some 5 s on the first start, when Python compiles what it imports.
const START: Duration = Duration::from_secs(60);

/// It holds nothing but memory.
const ENDING: Ending = Ending { at_once: "KILL", gently: "KILL" };

/// A running moto_server on 127.0.0.1. It ends when the value is dropped or when the process that holds it dies.
pub struct Moto {
    _server: Server,
    port: u16,
}

impl Moto {
    /// Starts the release that `make setup` installed, and waits until it listens.
    pub fn start() -> Result<Moto> {
        let python = python()?;
        let scratch = Arc::new(Scratch::new()?);
        let mut last = None;
        for _ in 0..TRIES {
            let port = free_port()?;
            match start_on(&scratch, &python, port) {
                Ok(server) => return Ok(Moto { _server: server, port }),
                Err(error) if error.to_string().contains(PORT_TAKEN) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.context("moto_server was not started")?)
    }

    /// The port on 127.0.0.1 that all its services answer on.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The interpreter of the virtual environment.
fn python() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache"))).context("HOME is not set")?;
    let folder = cache.join("terraform-provider-bastion").join(format!("moto-{VERSION}"));
    // The file that the installation writes last.
    ensure!(folder.join("installed.txt").exists(), "moto_server {VERSION} is not in {}: run `make setup`", folder.display());
    Ok(folder.join("bin/python"))
}

fn start_on(scratch: &Arc<Scratch>, python: &Path, port: u16) -> Result<Server> {
    let name = format!("moto-{port}");
    let mut command: Vec<OsString> = vec![python.into()];
    command.extend(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()].map(OsString::from));
    // `nobody` cannot read root's cache folder.
    let server = Server::start_as_lab(scratch, &name, &ENDING, &command)?;
    let listening = format!("{LISTENING}{port}");
    wait_for("moto_server to listen", START, || {
        let log = server.log();
        if log.contains(&listening) {
            return Ok(Some(()));
        }
        if !server.runs() {
            bail!("moto_server ended: {}", log.trim());
        }
        Ok(None)
    })?;
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        net::{Ipv4Addr, TcpListener, TcpStream},
    };

    #[test]
    fn it_answers_on_its_port_and_ends_with_its_value() {
        let moto = Moto::start().unwrap();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, moto.port())).unwrap();
        stream.write_all(b"GET /moto-api/ HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let port = moto.port();
        drop(moto);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    }

    #[test]
    fn a_taken_port_is_told_from_other_ends() {
        let scratch = Arc::new(Scratch::new().unwrap());
        let port = free_port().unwrap();
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let error = start_on(&scratch, &python().unwrap(), port).err().unwrap();
        assert!(error.to_string().contains(PORT_TAKEN), "{error}");
        // Another port, so another log.
        let error = start_on(&scratch, Path::new("/bin/false"), free_port().unwrap()).err().unwrap();
        assert!(!error.to_string().contains(PORT_TAKEN), "{error}");
    }
}
