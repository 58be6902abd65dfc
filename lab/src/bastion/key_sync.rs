//! The key sync of the bastion: keys that arrive later, and a folder whose files become authorized_keys.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::logins::{Logins, check};

/// How often the folder is looked at and late keys are handed out: a tenth of the shortest delay that a test would set.
const PERIOD: Duration = Duration::from_millis(20);

/// A background thread that lives as long as this value.
pub(crate) struct KeySync {
    late: Arc<Mutex<Vec<Late>>>,
    /// Dropped, it ends the thread.
    alive: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Keys that a login gets at a time to come.
struct Late {
    due: Instant,
    user: String,
    lines: Vec<String>,
}

impl KeySync {
    /// Watches `<folder>/<user>.pub`.
    pub(crate) fn start(logins: Arc<Logins>, folder: PathBuf, delay: Duration) -> KeySync {
        let late: Arc<Mutex<Vec<Late>>> = Arc::default();
        let (alive, ended) = mpsc::channel();
        let queue = Arc::clone(&late);
        let thread = std::thread::spawn(move || {
            let mut seen = HashMap::new();
            while ended.recv_timeout(PERIOD) == Err(mpsc::RecvTimeoutError::Timeout) {
                if let Err(error) = hand_out(&queue, &logins).and_then(|()| look(&folder, delay, &mut seen, &logins)) {
                    eprintln!("lab: the key sync failed: {error:#}");
                }
            }
        });
        KeySync { late, alive: Some(alive), thread: Some(thread) }
    }

    pub(crate) fn later(&self, delay: Duration, user: &str, lines: &[String]) {
        let late = Late { due: Instant::now() + delay, user: user.to_owned(), lines: lines.to_vec() };
        self.late.lock().unwrap_or_else(PoisonError::into_inner).push(late);
    }
}

impl Drop for KeySync {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn hand_out(queue: &Mutex<Vec<Late>>, logins: &Logins) -> Result<()> {
    let now = Instant::now();
    let due: Vec<Late> = queue.lock().unwrap_or_else(PoisonError::into_inner).extract_if(.., |late| late.due <= now).collect();
    due.iter().try_for_each(|late| logins.authorize(&late.user, &late.lines))
}

/// A file of the folder as it was last seen.
struct Seen {
    /// None: the file is gone.
    content: Option<Vec<u8>>,
    since: Instant,
    installed: bool,
}

/// As a bastion's cron job does it: a file is copied over the login's authorized_keys as a whole, and a login whose file is gone goes,
/// too. Names that such a script skips are skipped; so are empty files.
fn look(folder: &Path, delay: Duration, seen: &mut HashMap<String, Seen>, logins: &Logins) -> Result<()> {
    let now = Instant::now();
    let mut files: HashMap<String, Vec<u8>> = HashMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let user = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".pub").map(str::to_owned));
        // A file may vanish between the listing and the reading; the next look sees that.
        if let (Some(user), Ok(content)) = (user, fs::read(&path))
            && check(&user).is_ok()
            && !content.is_empty()
        {
            files.insert(user, content);
        }
    }
    for (user, entry) in seen.iter_mut() {
        let content = files.remove(user);
        if entry.content != content {
            *entry = Seen { content, since: now, installed: false };
        }
    }
    seen.extend(files.into_iter().map(|(user, content)| (user, Seen { content: Some(content), since: now, installed: false })));
    for (user, entry) in seen.iter_mut().filter(|(_, entry)| !entry.installed && now.duration_since(entry.since) >= delay) {
        match &entry.content {
            Some(content) => logins.install(user, content)?,
            None => logins.remove(user)?,
        }
        entry.installed = true;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{scratch::Scratch, wait_until};

    const LIMIT: Duration = Duration::from_secs(5);

    fn start(delay: Duration) -> (Arc<Logins>, PathBuf, KeySync) {
        let scratch = Arc::new(Scratch::new().unwrap());
        let logins = Arc::new(Logins::new(&scratch).unwrap());
        let folder = scratch.folder("drop", 0o700).unwrap();
        let sync = KeySync::start(Arc::clone(&logins), folder.clone(), delay);
        (logins, folder, sync)
    }

    #[test]
    fn a_file_becomes_keys_after_the_delay_and_its_end_ends_the_login() {
        let delay = Duration::from_millis(200);
        let (logins, folder, _sync) = start(delay);
        let dropped = Instant::now();
        fs::write(folder.join("neo.pub"), "key one\n").unwrap();
        fs::write(folder.join("Bad.pub"), "never\n").unwrap();
        wait_until("the first keys", LIMIT, || logins.authorized_keys("neo").as_deref() == Some("key one\n")).unwrap();
        assert!(dropped.elapsed() >= delay);
        fs::write(folder.join("neo.pub"), "key two\n").unwrap();
        wait_until("the new keys", LIMIT, || logins.authorized_keys("neo").as_deref() == Some("key two\n")).unwrap();
        fs::remove_file(folder.join("neo.pub")).unwrap();
        wait_until("the end of the login", LIMIT, || logins.authorized_keys("neo").is_none()).unwrap();
        assert_eq!(logins.authorized_keys("Bad"), None);
    }

    #[test]
    fn late_keys_are_not_early() {
        let (logins, _folder, sync) = start(Duration::ZERO);
        let begin = Instant::now();
        sync.later(Duration::from_millis(150), "neo", &["late".to_owned()]);
        wait_until("the keys", LIMIT, || logins.authorized_keys("neo").is_some()).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(150));
    }
}
