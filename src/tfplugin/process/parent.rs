//! Notices that Terraform is gone: a launcher that is killed says goodbye to nobody.

use std::io;
use std::os::unix::process::parent_id;
use std::thread;
use std::time::Duration;

/// The provider has to be gone within a second of its parent; four looks a second leave time to clean up and cost nothing.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Small: the thread compares two numbers and removes one folder.
const STACK: usize = 128 * 1024;

/// Calls `orphaned` once, as soon as this process has another parent than `parent`.
///
/// From a thread of its own, because the runtime may be busy or stuck just then; by looking, because Linux's death signal follows the
/// parent's *thread*, and other systems have none.
///
/// # Errors
/// When the system gives no thread.
pub fn watch(parent: u32, orphaned: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let look = move || {
        while parent_id() == parent {
            thread::sleep(LOOK_EVERY);
        }
        orphaned();
    };
    thread::Builder::new().name("parent".to_owned()).stack_size(STACK).spawn(look).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn another_parent_is_noticed() {
        let (send, heard) = mpsc::channel();
        watch(parent_id().wrapping_add(1), move || send.send(()).unwrap()).unwrap();
        heard.recv_timeout(Duration::from_secs(5)).unwrap();
    }

    #[test]
    fn the_same_parent_is_not() {
        let (send, heard) = mpsc::channel::<()>();
        watch(parent_id(), move || drop(send)).unwrap();
        assert_eq!(heard.recv_timeout(LOOK_EVERY * 3), Err(mpsc::RecvTimeoutError::Timeout));
    }
}
