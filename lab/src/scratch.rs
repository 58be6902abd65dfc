//! A folder that the servers of the lab work in, removed when the last of them is gone, however that came about.

use std::{
    ffi::OsStr,
    fs,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{PermissionsExt, chown},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::wait_until;

const JANITOR: &str = include_str!("janitor.sh");

/// How long the end of a folder may take: its janitor tries for 2 s, and 100 MB on a slow disk want some more.
const REMOVAL: Duration = Duration::from_secs(10);

/// A file system in memory, where there is one: making and removing clusters of a thousand files over and over costs an ext4 some
/// seconds, and this some tenths of one.
const MEMORY: &str = "/dev/shm";

/// The least free space that makes it fit: thirty clusters of 35 MB, more than the tests of any one process start. Containers often
/// have no more than 64 MB there.
const MEMORY_NEEDED: u64 = 1 << 30;

/// Where the lab's folders are made: `TMPDIR` if that is set, else in memory if there is room, else the folder for temporary files.
/// The account that servers run as has to get through to it.
pub fn base_folder() -> PathBuf {
    let room = || rustix::fs::statvfs(MEMORY).is_ok_and(|memory| memory.f_bavail * memory.f_frsize >= MEMORY_NEEDED);
    if std::env::var_os("TMPDIR").is_none() && room() { MEMORY.into() } else { std::env::temp_dir() }
}

/// The folder, and the account that servers in it run as.
///
/// sshd and Postgres refuse to run as root, or behave differently; when the lab runs as root they run as `nobody`, otherwise as the lab.
pub(crate) struct Scratch {
    path: PathBuf,
    account: Account,
    janitor: Child,
    /// Held by this process and by every supervisor: the janitor reads its end.
    held: Option<OwnedFd>,
    serial: AtomicU32,
}

impl Scratch {
    /// A new folder below [`base_folder`].
    pub(crate) fn new() -> Result<Scratch> {
        let account = Account::of_servers()?;
        let path = tempfile::Builder::new()
            .prefix("bastion-lab-")
            .tempdir_in(base_folder())
            .context("could not make a folder for the lab")?
            .keep();
        let mut janitor = Command::new("/bin/sh");
        janitor.args(["-c", JANITOR, "janitor"]).arg(&path).current_dir("/");
        // A process group of its own: the Ctrl-C that ends the lab must not end its janitor.
        janitor.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut janitor = janitor.spawn().context("could not start /bin/sh")?;
        let held = janitor.stdin.take().map(OwnedFd::from);
        let scratch = Scratch { path, account, janitor, held, serial: AtomicU32::new(0) };
        scratch.give(&scratch.path, 0o700)?;
        Ok(scratch)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// Makes a folder below this one, for the servers' account.
    pub(crate) fn folder(&self, name: &str, mode: u32) -> Result<PathBuf> {
        let path = self.path.join(name);
        if !path.is_dir() {
            fs::create_dir(&path).with_context(|| format!("could not make {}", path.display()))?;
        }
        self.give(&path, mode)?;
        Ok(path)
    }

    /// Writes a file for the servers' account, in one step: a reader sees all of the old or all of the new.
    pub(crate) fn write(&self, name: impl AsRef<Path>, mode: u32, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path.join(name);
        let new = self.path.join(format!("new-{}", self.serial.fetch_add(1, Ordering::Relaxed)));
        let write = || {
            fs::write(&new, content)?;
            self.give(&new, mode)?;
            fs::rename(&new, &path).map_err(anyhow::Error::from)
        };
        write().with_context(|| format!("could not write {}", path.display()))?;
        Ok(path)
    }

    fn give(&self, path: &Path, mode: u32) -> Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        if let Account::Other { uid, gid } = self.account {
            chown(path, Some(uid), Some(gid))?;
        }
        Ok(())
    }

    /// A command that runs as the servers' account, with an environment of nothing but PATH.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.own_command(program);
        if let Account::Other { uid, gid } = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// As [`Scratch::command`], as the lab's own account.
    pub(crate) fn own_command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin").env("LC_ALL", "C").current_dir("/");
        command
    }

    /// An end of the janitor's pipe: the folder stays as long as a process holds it.
    pub(crate) fn hold(&self) -> Result<Stdio> {
        let held = self.held.as_ref().context("the folder is being removed")?;
        Ok(held.try_clone()?.into())
    }

    /// Runs a command of [`Scratch::command`] to its end. Its standard input keeps the folder; its output goes into the error.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        let name = Path::new(command.get_program()).display().to_string();
        let output = command.stdin(self.hold()?).output().with_context(|| format!("could not run {name}"))?;
        if !output.status.success() {
            bail!("{name} failed: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.held = None;
        if wait_until("the janitor", REMOVAL, || !matches!(self.janitor.try_wait(), Ok(None))).is_err() {
            eprintln!("lab: {} was not removed", self.path.display());
        }
    }
}

/// Whom servers run as.
pub(crate) enum Account {
    /// The account of the lab itself.
    Own {
        /// Numeric user.
        uid: u32,
        /// Numeric group.
        gid: u32,
    },
    /// Another, without privileges, because the lab runs as root.
    Other {
        /// Numeric user.
        uid: u32,
        /// Numeric group.
        gid: u32,
    },
}

impl Account {
    fn of_servers() -> Result<Account> {
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            return Ok(Account::Own { uid: uid.as_raw(), gid: rustix::process::getegid().as_raw() });
        }
        let passwd = fs::read_to_string("/etc/passwd").context("could not read /etc/passwd")?;
        let (uid, gid) =
            nobody(&passwd).ok_or_else(|| anyhow!("the lab runs as root, and there is no account `nobody` for its servers"))?;
        Ok(Account::Other { uid, gid })
    }

    /// User and group, as numbers.
    pub(crate) fn ids(&self) -> (u32, u32) {
        match *self {
            Account::Own { uid, gid } | Account::Other { uid, gid } => (uid, gid),
        }
    }
}

fn nobody(passwd: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.starts_with("nobody:"))?;
    let mut ids = line.split(':').skip(2);
    Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_gone_with_its_value() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        scratch.folder("a", 0o700).unwrap();
        let file = scratch.write("a/b", 0o600, "text").unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "text");
        assert!(path.is_dir());
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn commands_run_without_privileges_and_without_the_environment() {
        let scratch = Scratch::new().unwrap();
        let output = scratch.command("/bin/sh").args(["-c", "id -u; id -G; echo ${HOME:-no home}"]).output().unwrap();
        let (uid, gid) = scratch.account().ids();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_ne!(uid, 0);
        assert!(text.starts_with(&format!("{uid}\n{gid}")), "{text}");
        assert!(text.ends_with("no home\n"), "{text}");
    }

    #[test]
    fn nobody_is_found_by_name() {
        assert_eq!(nobody("root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533:n:/:/bin/false\n"), Some((65534, 65533)));
        assert_eq!(nobody("root:x:0:0::/root:/bin/sh\n"), None);
    }
}
