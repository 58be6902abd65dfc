//! The sync job of a Guimove-style bastion: the objects of a bucket become logins and their authorized_keys.
//!
//! It does what the module's script does, in its order, also where that is harsh: when the listing fails it takes nothing for
//! everything, and deletes every login that it made. Left out are the HEAD before each GET and the retries that awscli makes.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{Bastion, logins::Logins};
use crate::{S3Call, S3Caller, S3Client, aws::s3::client::child_text};

/// How often the job runs unless told otherwise. The real one runs every five minutes.
pub(super) const PERIOD: Duration = Duration::from_secs(2);

/// Where the script looks; its role may list nothing else.
const PREFIX: &str = "public-keys/";

/// How many objects a call lists: what S3 gives at most and awscli asks for.
const PAGE: &str = "1000";

/// Accounts that are there before the script: it takes them for logins that others made, and ignores their objects for ever. They are
/// those of Amazon Linux 2, as well as is known without one, and `postgres`.
const HOST_ACCOUNTS: &[&str] = &[
    "root",
    "bin",
    "daemon",
    "adm",
    "lp",
    "sync",
    "shutdown",
    "halt",
    "mail",
    "operator",
    "games",
    "ftp",
    "nobody",
    "systemd-network",
    "dbus",
    "rpc",
    "libstoragemgmt",
    "sshd",
    "rngd",
    "rpcuser",
    "nfsnobody",
    "ec2-instance-connect",
    "postfix",
    "chrony",
    "tcpdump",
    "ec2-user",
    "postgres",
    "cwagent",
    "ssm-user",
];

/// The bucket that a bastion gets its keys from, and as whom. It has no `Debug`: a secret key is in it.
#[derive(Clone)]
pub struct KeyBucket {
    /// The bucket's name.
    pub bucket: String,
    /// With an access key of its own, so that the bastion's calls can be told from others'.
    pub caller: S3Caller,
}

/// A background thread that lives as long as this value.
pub(super) struct BucketSync {
    job: Arc<Job>,
    /// Dropped, it ends the thread.
    alive: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Job {
    client: S3Client,
    bucket: String,
    logins: Arc<Logins>,
    /// Also serialises the runs.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Keys of objects from which a login was made; the script has them in a file.
    installed: BTreeSet<String>,
    runs: usize,
    last_failure: Option<String>,
}

impl BucketSync {
    /// Runs the job for the first time after one period, as cron does.
    pub(super) fn start(logins: Arc<Logins>, bucket: KeyBucket, period: Duration) -> BucketSync {
        let KeyBucket { bucket, caller } = bucket;
        let job = Arc::new(Job { client: S3Client::new(caller), bucket, logins, state: Mutex::default() });
        let (alive, ended) = mpsc::channel();
        let thread = std::thread::spawn({
            let job = Arc::clone(&job);
            move || {
                while ended.recv_timeout(period) == Err(mpsc::RecvTimeoutError::Timeout) {
                    job.run();
                }
            }
        });
        BucketSync { job, alive: Some(alive), thread: Some(thread) }
    }
}

impl Drop for BucketSync {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Job {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One run, from the listing to the removals. What fails is noted, and the run goes on: a script without `set -e`.
    fn run(&self) {
        let mut state = self.state();
        let mut failure = None;
        let mut listed = Vec::new();
        note(&mut failure, || "list-objects".to_owned(), list(&self.client, &self.bucket, PAGE, &mut listed));
        for key in &listed {
            let Some(user) = login(key) else { continue };
            if !self.exists(&user) {
                match self.logins.add(&user) {
                    Ok(()) => drop(state.installed.insert(key.clone())),
                    failed => note(&mut failure, || "adduser".to_owned(), failed),
                }
            }
            if state.installed.contains(key) {
                note(&mut failure, || format!("s3 cp {key}"), self.copy(key, &user));
            }
        }
        let gone: Vec<String> = state.installed.extract_if(.., |key| !listed.contains(key)).collect();
        for user in gone.iter().filter_map(|key| login(key)) {
            note(&mut failure, || format!("userdel {user}"), self.logins.remove(&user));
        }
        state.runs += 1;
        state.last_failure = failure;
    }

    fn exists(&self, user: &str) -> bool {
        HOST_ACCOUNTS.contains(&user) || self.logins.exists(user)
    }

    /// The object over the login's file, whole. A file appears only when all of it is there, so a failure leaves what was.
    fn copy(&self, key: &str, user: &str) -> Result<()> {
        // The script has no quotes around it.
        anyhow::ensure!(!key.contains(char::is_whitespace), "more than one word");
        let object = self.client.call("GET", &self.bucket, key, S3Call::default())?.ok()?;
        self.logins.install(user, &object.body)
    }
}

/// Appends the keys of all objects with content, in the bucket's order, so many a call. awscli prints page by page, so what came before
/// a failure counts.
fn list(client: &S3Client, bucket: &str, page_size: &str, keys: &mut Vec<String>) -> Result<()> {
    let mut marker = String::new();
    loop {
        let query = [("max-keys", page_size), ("prefix", PREFIX), ("marker", marker.as_str())];
        let query = if marker.is_empty() { &query[..2] } else { &query };
        let answer = client.call("GET", bucket, "", S3Call { query, ..S3Call::default() })?.ok()?;
        let tree = roxmltree::Document::parse(answer.text()?)?;
        let page = tree.root_element();
        let mut last = None;
        for object in page.children().filter(|child| child.tag_name().name() == "Contents") {
            let key = child_text(object, "Key").context("an object without a key")?;
            if child_text(object, "Size").context("an object without a size")? != "0" {
                keys.push(key.to_owned());
            }
            last = Some(key);
        }
        match (child_text(page, "IsTruncated"), last) {
            (Some("true"), Some(last)) => marker = last.to_owned(),
            _ => return Ok(()),
        }
    }
}

/// Keeps the first failure of a run.
fn note(first: &mut Option<String>, what: impl FnOnce() -> String, outcome: Result<()>) {
    if let (None, Err(error)) = (&first, outcome) {
        *first = Some(format!("{}: {error:#}", what()));
    }
}

/// The login of an object: what follows the last slash, without any `.pub`, if that is `^[a-z][-a-z0-9]*$`.
fn login(key: &str) -> Option<String> {
    let name = key.rsplit('/').next()?.replace(".pub", "");
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits)).then_some(name)
}

impl Bastion {
    /// Lets the job run now, besides its period, and waits for its end. The job itself never fails: see
    /// [`Bastion::last_sync_failure`].
    pub fn sync_now(&self) -> Result<()> {
        self.bucket_sync()?.job.run();
        Ok(())
    }

    /// How often the job has run.
    pub fn sync_runs(&self) -> Result<usize> {
        Ok(self.bucket_sync()?.job.state().runs)
    }

    /// What failed first in the last run, `s3 cp public-keys/neosync.pub: 403 AccessDenied`; on a real bastion, cron mails it to root.
    pub fn last_sync_failure(&self) -> Result<Option<String>> {
        Ok(self.bucket_sync()?.job.state().last_failure.clone())
    }

    fn bucket_sync(&self) -> Result<&BucketSync> {
        self.bucket_sync.as_ref().context("this bastion was started without a bucket")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Aws, BucketOptions, Deny, scratch::Scratch, wait_until};

    /// Longer than any test: the job runs when it is told to.
    const NEVER: Duration = Duration::from_secs(3600);

    const LIMIT: Duration = Duration::from_secs(10);

    struct Bench {
        // Dropped before the account: a run that is under way has somebody to ask.
        sync: BucketSync,
        logins: Arc<Logins>,
        bucket: KeyBucket,
        aws: Aws,
    }

    impl Bench {
        fn start(period: Duration) -> Bench {
            let aws = Aws::start().unwrap();
            let scratch = Arc::new(Scratch::new().unwrap());
            let logins = Arc::new(Logins::new(&scratch).unwrap());
            let caller = aws.s3_caller(aws.region(), aws.access_key());
            let bucket = KeyBucket { bucket: aws.make_bucket("keys", BucketOptions::default()).unwrap(), caller };
            Bench { sync: BucketSync::start(Arc::clone(&logins), bucket.clone(), period), logins, bucket, aws }
        }

        fn put(&self, key: &str, body: &str) {
            self.aws.put_object(&self.bucket.bucket, key, body).unwrap();
        }

        fn delete(&self, key: &str) {
            self.aws.delete_object(&self.bucket.bucket, key).unwrap();
        }

        fn run(&self) -> Option<String> {
            self.sync.job.run();
            self.sync.job.state().last_failure.clone()
        }

        fn keys(&self, user: &str) -> Option<String> {
            self.logins.authorized_keys(user)
        }
    }

    #[test]
    fn names_are_what_the_script_makes_of_them() {
        for (key, user) in [
            ("public-keys/neosync.pub", "neosync"),
            ("public-keys/team/mat.pub", "mat"),
            ("public-keys//dbl.pub", "dbl"),
            ("public-keys/noext", "noext"),
            ("public-keys/foo.publisher.pub", "foolisher"),
            ("public-keys/x y/sp.pub", "sp"),
        ] {
            assert_eq!(login(key).as_deref(), Some(user), "{key}");
        }
        for name in ["mz_prod.pub", "Upper.pub", "9abc.pub", "a.b.pub", "with space.pub", "README.txt", ".pub", ""] {
            assert_eq!(login(&format!("{PREFIX}{name}")), None, "{name}");
        }
    }

    #[test]
    fn an_object_becomes_a_login_follows_its_changes_and_goes() {
        let bench = Bench::start(NEVER);
        bench.put("public-keys/neosync.pub", "one\r\ntwo");
        assert_eq!(bench.run(), None);
        assert_eq!(bench.keys("neosync").unwrap(), "one\r\ntwo");
        bench.put("public-keys/neosync.pub", "three\n");
        assert_eq!(bench.keys("neosync").unwrap(), "one\r\ntwo");
        assert_eq!(bench.run(), None);
        assert_eq!(bench.keys("neosync").unwrap(), "three\n");
        bench.put("public-keys/neosync.pub", "");
        assert_eq!(bench.run(), None);
        assert!(!bench.logins.exists("neosync"));
    }

    #[test]
    fn what_the_script_ignores_is_ignored() {
        let bench = Bench::start(NEVER);
        bench.logins.authorize("byhand", &["mine".to_owned()]).unwrap();
        for name in ["root", "ec2-user", "postgres", "byhand", "mz_prod"] {
            bench.put(&format!("public-keys/{name}.pub"), "key\n");
        }
        for key in ["/public-keys/slash.pub", "public-keysX/other.pub"] {
            bench.put(key, "key\n");
        }
        bench.put("public-keys/empty.pub", "");
        bench.put(&format!("public-keys/{}.pub", "a".repeat(33)), "key\n");
        bench.put("public-keys/x y/sp.pub", "key\n");
        let failure = bench.run().unwrap();
        assert!(failure.contains("adduser"), "{failure}");
        for user in ["root", "ec2-user", "postgres", "mz_prod", "slash", "other", "empty"] {
            assert!(!bench.logins.exists(user), "{user}");
        }
        assert_eq!(bench.keys("byhand").unwrap(), "mine\n");
        bench.delete("public-keys/byhand.pub");
        bench.run();
        assert_eq!(bench.keys("byhand").unwrap(), "mine\n");
        assert!(bench.logins.exists("sp"));
        assert_eq!(bench.keys("sp"), None);
    }

    #[test]
    fn of_two_objects_the_first_wins_and_its_end_costs_the_login_a_run() {
        let bench = Bench::start(NEVER);
        bench.put("public-keys/a/mat.pub", "first\n");
        bench.put("public-keys/mat.pub", "second\n");
        bench.run();
        assert_eq!(bench.keys("mat").unwrap(), "first\n");
        bench.delete("public-keys/a/mat.pub");
        bench.run();
        assert!(!bench.logins.exists("mat"));
        bench.run();
        assert_eq!(bench.keys("mat").unwrap(), "second\n");
    }

    #[test]
    fn a_failed_listing_deletes_every_login_and_the_next_good_one_makes_them_again() {
        let bench = Bench::start(NEVER);
        bench.logins.authorize("byhand", &["mine".to_owned()]).unwrap();
        bench.put("public-keys/neosync.pub", "one\n");
        bench.run();
        assert!(bench.logins.exists("neosync"));
        bench.aws.deny(Deny::of("s3:ListBucket"));
        assert_eq!(bench.run().unwrap(), "list-objects: 403 AccessDenied");
        assert!(!bench.logins.exists("neosync"));
        assert!(bench.logins.exists("byhand"));
        bench.aws.deny_nothing();
        assert_eq!(bench.run(), None);
        assert_eq!(bench.keys("neosync").unwrap(), "one\n");
    }

    #[test]
    fn more_than_a_page_of_objects_is_listed() {
        let bench = Bench::start(NEVER);
        let names = ["public-keys/a.pub", "public-keys/b.pub", "public-keys/c.pub", "public-keys/d.pub", "public-keys/e.pub"];
        names.iter().for_each(|key| bench.put(key, "key\n"));
        let mut keys = Vec::new();
        list(&S3Client::new(bench.bucket.caller.clone()), &bench.bucket.bucket, "2", &mut keys).unwrap();
        assert_eq!(keys, names);
    }

    #[test]
    fn it_runs_by_itself() {
        let bench = Bench::start(Duration::from_millis(50));
        bench.put("public-keys/neosync.pub", "one\n");
        wait_until("the keys", LIMIT, || bench.keys("neosync").is_some()).unwrap();
        assert!(bench.sync.job.state().runs > 0);
    }
}
