//! The logins of the bastion: accounts that exist only in its own passwd file, and their authorized_keys.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};

use crate::scratch::Scratch;

/// The longest name that `adduser` takes on a bastion (facts of the Guimove module: 33 characters fail, 32 work).
const LONGEST_NAME: usize = 32;

pub(crate) struct Logins {
    scratch: Arc<Scratch>,
    /// Also serialises all changes, of tests and of the key drop.
    names: Mutex<BTreeSet<String>>,
}

impl Logins {
    pub(crate) fn new(scratch: &Arc<Scratch>) -> Result<Logins> {
        scratch.folder("home", 0o755)?;
        let (_, gid) = scratch.account().ids();
        scratch.write("group", 0o644, format!("lab:x:{gid}:\n"))?;
        let logins = Logins { scratch: Arc::clone(scratch), names: Mutex::default() };
        logins.write_passwd(&BTreeSet::new())?;
        Ok(logins)
    }

    pub(crate) fn add(&self, user: &str) -> Result<()> {
        self.change(user, || Ok(()))
    }

    /// Whether there is such a login, with or without keys.
    pub(crate) fn exists(&self, user: &str) -> bool {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).contains(user)
    }

    /// The whole authorized_keys file of a login, which is made when it does not exist yet.
    pub(crate) fn authorize(&self, user: &str, lines: &[String]) -> Result<()> {
        let content: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        self.install(user, content.as_bytes())
    }

    /// As [`Logins::authorize`], byte for byte.
    pub(crate) fn install(&self, user: &str, content: &[u8]) -> Result<()> {
        self.change(user, || self.scratch.write(format!("home/{user}/.ssh/authorized_keys"), 0o600, content).map(drop))
    }

    /// Removes the login with all it has.
    pub(crate) fn remove(&self, user: &str) -> Result<()> {
        check(user)?;
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.remove(user) {
            self.write_passwd(&names)?;
            fs::remove_dir_all(self.scratch.path().join("home").join(user)).context("could not remove a home folder")?;
        }
        Ok(())
    }

    /// Takes the login's authorized_keys file away; the login stays.
    pub(crate) fn revoke(&self, user: &str) -> Result<()> {
        self.change(user, || match fs::remove_file(self.file(user)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        })
    }

    pub(crate) fn chmod(&self, user: &str, mode: u32) -> Result<()> {
        self.change(user, || {
            fs::set_permissions(self.file(user), fs::Permissions::from_mode(mode))
                .with_context(|| format!("`{user}` has no authorized_keys"))
        })
    }

    /// The login's authorized_keys file as it is; none when there is none.
    pub(crate) fn authorized_keys(&self, user: &str) -> Option<String> {
        fs::read_to_string(self.file(user)).ok()
    }

    fn file(&self, user: &str) -> PathBuf {
        self.scratch.path().join("home").join(user).join(".ssh/authorized_keys")
    }

    fn change(&self, user: &str, change: impl FnOnce() -> Result<()>) -> Result<()> {
        check(user)?;
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.insert(user.to_owned()) {
            self.scratch.folder(&format!("home/{user}"), 0o700)?;
            self.scratch.folder(&format!("home/{user}/.ssh"), 0o700)?;
            self.write_passwd(&names)?;
        }
        change()
    }

    /// All logins share one uid: a process without privileges can become nobody else.
    fn write_passwd(&self, names: &BTreeSet<String>) -> Result<()> {
        let (uid, gid) = self.scratch.account().ids();
        let home = self.scratch.path().join("home");
        // sshd looks its own account up, too.
        let own = "lab-sshd".to_owned();
        let lines = names.iter().chain([&own]).map(|name| format!("{name}:x:{uid}:{gid}::{}/{name}:/bin/sh\n", home.display()));
        self.scratch.write("passwd", 0o644, lines.collect::<String>()).map(drop)
    }
}

/// A name becomes a path and a line of a passwd file, so it is what a bastion's sync script takes: `^[a-z][-a-z0-9]*$`, or `_` in it,
/// which sshd takes and the script does not.
pub(crate) fn check(user: &str) -> Result<()> {
    let first = user.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    let rest = user.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    ensure!(first && rest && user.len() <= LONGEST_NAME, "`{user}` is no name for a login");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_before_they_become_paths() {
        assert!(check("neosync").is_ok() && check("mz-prod1").is_ok() && check(&"a".repeat(32)).is_ok());
        for name in ["", "../x", "a/b", "Upper", "9abc", "a.b", "a:b", "with space", "-a", &"a".repeat(33)] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_login_lives_in_the_passwd_file_of_the_lab() {
        let scratch = Arc::new(Scratch::new().unwrap());
        let logins = Logins::new(&scratch).unwrap();
        let passwd = || fs::read_to_string(scratch.path().join("passwd")).unwrap();
        logins.authorize("neo", &["one".to_owned(), "two".to_owned()]).unwrap();
        assert!(passwd().contains("neo:x:"));
        assert_eq!(logins.authorized_keys("neo").unwrap(), "one\ntwo\n");
        logins.revoke("neo").unwrap();
        assert_eq!(logins.authorized_keys("neo"), None);
        assert!(logins.chmod("neo", 0o666).is_err());
        logins.remove("neo").unwrap();
        assert!(!passwd().contains("neo"));
    }
}
