//! Finds the installed programs; what is missing is named together with the remedy.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow};

/// Where Debian, Fedora and a local build put server programs, which the PATH of an ordinary user does not show.
const SERVER_FOLDERS: [&str; 5] = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/local/bin", "/usr/bin"];

/// Where distributions put shared libraries; Debian has a folder for each architecture below the first.
const LIBRARY_FOLDERS: [&str; 4] = ["/usr/lib", "/usr/lib64", "/lib", "/usr/local/lib"];

/// The path of `sshd`: it has to be started by its whole path.
pub(crate) fn sshd() -> Result<PathBuf> {
    in_path("sshd").ok_or_else(|| missing("sshd", "openssh-server"))
}

/// The path of a program of the OpenSSH client.
pub(crate) fn ssh_client(name: &str) -> Result<PathBuf> {
    in_path(name).ok_or_else(|| missing(name, "openssh-client"))
}

/// The path of pgbouncer.
pub(crate) fn pgbouncer() -> Result<PathBuf> {
    in_path("pgbouncer").ok_or_else(|| missing("pgbouncer", "pgbouncer"))
}

/// The version of the installed sshd, as (major, minor).
pub(crate) fn sshd_version() -> Result<(u32, u32)> {
    // Old ones do not know -V and print their version with the complaint.
    let output = Command::new(sshd()?).arg("-V").output().context("could not run sshd -V")?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    version(&text).ok_or_else(|| anyhow!("sshd does not say its version: {text}"))
}

fn version(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.split_once("OpenSSH_")?.1.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The path of the library that gives a process its own passwd, group and hosts files.
pub(crate) fn nss_wrapper() -> Result<PathBuf> {
    const NAME: &str = "libnss_wrapper.so";
    let folders = LIBRARY_FOLDERS.iter().flat_map(|folder| {
        let below = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        std::iter::once(PathBuf::from(folder)).chain(below.filter(|path| path.to_string_lossy().contains("-linux-")))
    });
    folders.map(|folder| folder.join(NAME)).find(|path| path.exists()).ok_or_else(|| missing(NAME, "libnss-wrapper"))
}

/// The folder with the programs of the newest installed Postgres, `initdb`, `postgres` and `psql` among them. On Debian, what is on the
/// PATH under the same names are wrappers in Perl.
pub fn postgres_folder() -> Result<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOLDER.get_or_init(|| {
        let told = Command::new("pg_config").arg("--bindir").output().ok();
        let told = told.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
        let on_path = in_path("initdb").and_then(|path| Some(fs::canonicalize(path).ok()?.parent()?.to_owned()));
        told.into_iter().chain(debian_clusters()).chain(on_path).find(|folder| folder.join("initdb").exists())
    });
    found.as_deref().ok_or_else(|| missing("postgres", "postgresql"))
}

/// Debian's folders of Postgres programs, newest first.
fn debian_clusters() -> Vec<PathBuf> {
    let entries = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<(u32, PathBuf)> =
        entries.filter_map(|entry| entry.ok().and_then(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))).collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, path)| path.join("bin")).collect()
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SERVER_FOLDERS.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_absolute() && file.is_file())
}

fn missing(what: &str, package: &str) -> anyhow::Error {
    anyhow!("{what} is not installed: run `make setup`, or install the package `{package}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_old_and_new_servers_are_read() {
        assert_eq!(version("OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19"), Some((9, 2)));
        assert_eq!(version("unknown option -- V\nOpenSSH_7.4p1, OpenSSL 1.0.2k\nusage: sshd"), Some((7, 4)));
        assert_eq!(version("OpenSSH_10.0p2"), Some((10, 0)));
        assert_eq!(version("dropbear"), None);
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        assert!(in_path("no-such-program").is_none());
        assert_eq!(
            missing("sshd", "openssh-server").to_string(),
            "sshd is not installed: run `make setup`, or install the package `openssh-server`"
        );
    }
}
