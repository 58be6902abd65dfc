//! A rotation that keeps the key before: a system that has a copy of it is never locked out, and is once the key is retired.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bastion::key::PrivateKey;
use bastion::secret::Secret;
use serde_json::{Value, json};

use crate::bucket_path::Place;
use crate::client::{Came, Ssh};
use crate::support::{Bench, Block, PASSPHRASE, assert_says};

const TUNNEL: &str = "bastion_ssh_tunnel_connection.bastion";

/// How often the system that has the old key logs in.
const PERIOD: Duration = Duration::from_millis(150);

/// The key in use, as somebody copies it who knows the passphrase.
fn copied(bench: &Bench) -> String {
    let text = bench.attributes(TUNNEL)["private_key"].as_str().unwrap().to_owned();
    let key = PrivateKey::parse(&Secret::from(text), Some(&Secret::from(PASSPHRASE))).unwrap();
    key.to_openssh().unwrap().expose().clone()
}

/// The runbook's steps: its blocks of `key_pairs`, in order.
fn runbook() -> Vec<String> {
    let guide = include_str!("../../docs/guides/rotation.md");
    let blocks = guide.split("```terraform\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let steps = blocks.filter_map(|block| block.strip_prefix("key_pairs = "));
    steps.map(|step| step.trim().replace("var.passphrase", &format!("{PASSPHRASE:?}"))).collect()
}

fn count(bench: &Bench) -> (Value, usize) {
    let tunnel = bench.attributes(TUNNEL);
    (tunnel["phase"].clone(), tunnel["public_keys"].as_array().unwrap().len())
}

#[test]
fn the_runbook_locks_nobody_out_before_the_key_is_retired() {
    let place = Place::new();
    let steps = runbook();
    let [first, kept, retired, next] = &steps[..] else { panic!("the runbook has other steps: {steps:#?}") };
    let blocks = |pairs: &str| {
        let [tunnel, keys, connection] = place.blocks(1);
        let connection = connection.without("triggers").set("keys", "bastion_authorized_keys.keys.version");
        [tunnel.set("key_pairs", pairs), keys, connection]
    };
    place.settle(&blocks(first).each_ref());
    assert_eq!(count(&place.bench), (json!("steady"), 2));
    let old = Ssh::new(&place.bench, &copied(&place.bench));
    let stop = AtomicBool::new(false);
    let (tries, retiring) = std::thread::scope(|scope| {
        let system = scope.spawn(|| old.tries_until(&stop, PERIOD));
        // Whatever fails here, the system is told to stop.
        let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            place.settle(&blocks(kept).each_ref());
            assert_eq!(count(&place.bench), (json!("previous kept"), 3));
            assert_eq!(Ssh::new(&place.bench, &copied(&place.bench)).tries(), Came::Through);
            let early = kept.replace("rotation              = 2", "rotation = 3");
            let said = place.apply(&blocks(&early).each_ref()).failed().unwrap();
            let previous = place.bench.attributes(TUNNEL)["previous_fingerprint"].as_str().unwrap().to_owned();
            assert_says(&said, &["The previous key is still kept", &previous, "set `retire = 2`"]);
            let log = place.bench.lab.bastion.logins();
            assert!(log.iter().any(|login| login.fingerprint == previous), "sshd's log tells who is still to be moved");
            let retiring = Instant::now();
            place.settle(&blocks(retired).each_ref());
            retiring
        }));
        stop.store(true, Ordering::Relaxed);
        (system.join().unwrap(), walked.unwrap_or_else(|failure| std::panic::resume_unwind(failure)))
    });
    let (before, after): (Vec<_>, Vec<_>) = tries.into_iter().partition(|(began, _)| *began < retiring);
    let failed: Vec<_> = before.iter().filter(|(_, came)| *came != Came::Through).collect();
    assert!(failed.is_empty(), "{} of {} logins failed: {failed:#?}", failed.len(), before.len());
    assert!(before.len() > 20, "only {} logins were made", before.len());
    let odd: Vec<_> = after.iter().filter(|(_, came)| !matches!(came, Came::Through | Came::Refused)).collect();
    assert!(odd.is_empty(), "{odd:#?}");
    assert_eq!(old.tries(), Came::Refused, "the apply was proven without the old key");
    assert_eq!(count(&place.bench), (json!("steady"), 2));
    // The next time the key of the second rotation is the one that is kept.
    let second = Ssh::new(&place.bench, &copied(&place.bench));
    place.settle(&blocks(next).each_ref());
    assert_eq!((count(&place.bench), second.tries()), ((json!("previous kept"), 3), Came::Through));
}

fn pairs(more: &str) -> String {
    format!("{{ passphrase_wo = {PASSPHRASE:?}, passphrase_wo_version = 1, {more} }}")
}

#[test]
fn the_previous_key_goes_with_each_of_its_arguments_and_stays_with_everything_else() {
    let bench = Bench::new();
    let tunnel = |more: &str| bench.tunnel().set("key_pairs", pairs(more));
    let late = |input: &str| Block::new("terraform_data", "late").set("input", input.to_owned());
    let kept = tunnel("rotation = 2, keep_previous = true");
    let (phase, kept_phase) = (|| bench.attributes(TUNNEL)["phase"].clone(), json!("previous kept"));
    let mut rotation = 1;
    let mut rotate = || {
        rotation += 1;
        bench.settle(&[&tunnel(&format!("rotation = {}", rotation - 1))]);
        let first = bench.attributes(TUNNEL)["public_key_1"].clone();
        bench.settle(&[&tunnel(&format!("rotation = {rotation}, keep_previous = true"))]);
        let after = bench.attributes(TUNNEL);
        assert_eq!((&after["phase"], &after["previous_public_key"], &after["public_keys"][2]), (&kept_phase, &first, &first));
        rotation
    };
    assert_eq!(rotate(), 2);
    // A new passphrase, and what `ignore_changes` keeps as it is.
    let sealed = "previous_passphrase_wo = \"correct-horse-battery\", rotation = 2, keep_previous = true";
    let sealed = bench.tunnel().set("key_pairs", format!("{{ passphrase_wo = \"another\", passphrase_wo_version = 2, {sealed} }}"));
    bench.settle(&[&sealed]);
    bench.settle(&[&tunnel("rotation = 2").text("name", "renamed").raw("lifecycle { ignore_changes = [key_pairs] }")]);
    assert_eq!(phase(), kept_phase);
    let back = "previous_passphrase_wo = \"another\", rotation = 2, keep_previous = true";
    bench.settle(&[&bench.tunnel().set("key_pairs", format!("{{ passphrase_wo = {PASSPHRASE:?}, passphrase_wo_version = 1, {back} }}"))]);
    bench.settle(&[&kept]);
    assert_eq!(phase(), kept_phase);
    // What is unknown at plan is decided at apply, one way or the other.
    bench.settle(&[&late("true"), &tunnel("rotation = 2, keep_previous = terraform_data.late.output")]);
    assert_eq!(phase(), kept_phase);
    bench.settle(&[&late("1"), &tunnel("rotation = 2, keep_previous = true, retire = terraform_data.late.output")]);
    assert_eq!(phase(), kept_phase);
    bench.settle(&[&late("2"), &tunnel("rotation = 2, keep_previous = true, retire = terraform_data.late.output")]);
    assert_eq!(phase(), json!("steady"));
    for gone in ["keep_previous = false", ""] {
        let rotation = rotate();
        bench.settle(&[&tunnel(&format!("rotation = {rotation}, {gone}"))]);
        let after = bench.attributes(TUNNEL);
        assert_eq!((&after["phase"], &after["previous_public_key"]), (&json!("steady"), &Value::Null));
        assert_eq!(after["public_keys"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn a_rotation_that_would_lock_a_system_out_is_refused_at_plan() {
    let bench = Bench::new();
    let tunnel = |more: &str| bench.tunnel().set("key_pairs", pairs(more));
    let refused = |more: &str, words: &[&str]| {
        bench.write(&[&tunnel(more)]);
        let said = bench.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().failed().unwrap();
        assert_says(&said, words);
    };
    bench.settle(&[&tunnel("rotation = 1, keep_previous = true")]);
    refused("rotation = 1, keep_previous = true, retire = 2", &["No such rotation has been made", "`rotation` is 1"]);
    refused("rotation = 1, retire = 0", &["There is no such rotation"]);
    refused("rotation = 2, keep_previous = true, retire = 2", &["kept and retired at once", "beyond rotation 2"]);
    bench.settle(&[&tunnel("rotation = 5, keep_previous = true")]);
    let before = bench.attributes(TUNNEL);
    refused("rotation = 6, keep_previous = true", &["The previous key is still kept", "set `retire = 5`"]);
    // One that is lowered, as by a configuration from before, gives nothing up.
    let said = bench.apply(&[&tunnel("rotation = 4, keep_previous = true, retire = 4")]).ok().unwrap();
    assert_says(&said, &["The rotation was lowered", "the keys stay as they are"]);
    assert_eq!(bench.attributes(TUNNEL)["public_keys"], before["public_keys"]);
    // Retiring the one and keeping the other can be said at once.
    bench.settle(&[&tunnel("rotation = 6, keep_previous = true, retire = 5")]);
    assert_eq!(bench.attributes(TUNNEL)["previous_public_key"], before["public_key_1"]);
    // A rotation that does without is one that gives up both.
    bench.settle(&[&tunnel("rotation = 7")]);
    assert_eq!(count(&bench), (json!("steady"), 2));
}

/// Where no object tells its version, the standby key is asked for: without it the next rotation would lock out.
#[test]
fn the_standby_key_is_proven_where_no_object_has_a_canary() {
    let bench = Bench::new();
    let tunnel = |rotation: u8| bench.tunnel().set("key_pairs", pairs(&format!("rotation = {rotation}")));
    let connection = bench
        .connection()
        .set("ssh_tunnel", "bastion_ssh_tunnel_connection.bastion.tunnel")
        .text("ssh_passphrase_wo", PASSPHRASE)
        .set("keys", "bastion_ssh_tunnel_connection.bastion.keys_version")
        .set("verify", "{ timeout = \"5s\", wait = { key = \"2s\" } }");
    bench.settle(&[&tunnel(1)]);
    bench.authorize_from_state();
    bench.settle(&[&tunnel(1), &connection]);
    let said = bench.apply(&[&tunnel(2), &connection]).failed().unwrap();
    assert_says(&said, &["The bastion does not work with the new keys yet", "sync/not-synced"]);
    bench.authorize_from_state();
    bench.settle(&[&tunnel(2), &connection]);
}
