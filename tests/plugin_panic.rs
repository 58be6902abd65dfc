//! What stderr says of a panic: never its payload, and "crashed" only when nobody catches it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

use std::process::Command;

const ROLE: &str = "BASTION_TEST_PANICS";

fn panics() {
    bastion::tfplugin::process::log::install(|_| None);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let caught = runtime.block_on(async { tokio::spawn(async { panic!("with hunter2") }).await });
    assert!(caught.is_err());
    assert!(std::thread::spawn(|| panic!("with hunter2")).join().is_err());
}

#[test]
fn the_place_is_told_and_the_payload_is_not() {
    // A panic hook is the whole process's, so this test is its own child.
    if std::env::var_os(ROLE).is_some() {
        return panics();
    }
    let this = std::env::current_exe().unwrap();
    let child =
        Command::new(this).args(["--exact", "the_place_is_told_and_the_payload_is_not", "--nocapture"]).env(ROLE, "1").output().unwrap();
    let stderr = String::from_utf8(child.stderr).unwrap();
    assert!(child.status.success(), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
    let lines = stderr.lines().filter(|line| line.contains("plugin_panic.rs")).collect::<Vec<_>>();
    let [caught, uncaught] = lines[..] else { panic!("two lines: {stderr}") };
    let caught: serde_json::Value = serde_json::from_str(caught).unwrap();
    assert_eq!(caught["@level"], "error");
    assert!(caught["place"].as_str().unwrap().contains("plugin_panic.rs:"));
    assert!(uncaught.starts_with("panic: the provider has a fault at tests/plugin_panic.rs:"), "{uncaught}");
}
