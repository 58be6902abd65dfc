//! A connection is proven with the object that the same apply wrote, and not with what the bastion worked with before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lab::Deny;
use serde_json::Value;

use crate::bucket_path::{BASTION, Place};
use crate::support::{Block, USER, assert_says, quote};

const KEYS: &str = "bastion_authorized_keys.keys";

/// Longer than any test: the bastion syncs when it is told to.
const NEVER: Duration = Duration::from_secs(3600);

/// Shorter than the pause after a refused key, so that a version that does not come is asked for once.
const IMPATIENT: &str = "{ timeout = \"20s\", wait = { key = \"1s\" } }";

/// A tunnel with these `key_pairs`, its object, and a connection that wants the object's version.
fn blocks(place: &Place, rotation: u8) -> [Block; 3] {
    let [tunnel, keys, connection] = place.blocks(rotation);
    [tunnel, keys, connection.without("triggers").set("keys", format!("{KEYS}.version")).set("verify", IMPATIENT)]
}

/// A path that stands, through a bastion that syncs when it is told to.
fn standing() -> (Place, [Block; 3]) {
    let place = Place::that_syncs_every(NEVER);
    let blocks = blocks(&place, 1);
    place.settle(&[&blocks[0], &blocks[1]]);
    place.bench.lab.bastion.sync_now().unwrap();
    place.settle(&blocks.each_ref());
    (place, blocks)
}

/// The targets of the bench's two databases, as `permit_open` takes them.
fn targets(place: &Place) -> [String; 2] {
    let lab = &place.bench.lab;
    [lab.logical.port(), lab.ordinary.port()].map(|port| quote(&format!("{}:{port}", lab::DATABASE_HOST)))
}

/// A connection to the other database.
fn another(place: &Place, connection: &Block) -> Block {
    connection.clone().named("another").text("name", "another").set("port", place.bench.lab.ordinary.port().to_string())
}

/// Whether the bastion works with the lines in state.
fn is_synced(place: &Place) -> bool {
    let lines = place.bench.attributes(KEYS)["authorized_keys"].as_str().unwrap().to_owned();
    place.bench.lab.bastion.authorized_keys(USER).is_some_and(|file| file.ends_with(&lines))
}

#[test]
fn lines_that_break_the_path_are_not_proven_by_those_before() {
    let (place, [tunnel, keys, connection]) = standing();
    let narrowed = keys.clone().set("permit_open", "[\"DB.internal:5432\"]");
    let all = [&tunnel, &narrowed, &connection];
    assert_says(&place.apply(&all).failed().unwrap(), &["The bastion does not work with the new keys yet", "sync/not-synced"]);
    place.bench.lab.bastion.sync_now().unwrap();
    assert_says(&place.apply(&all).failed().unwrap(), &["forward/prohibited"]);
    // Equal lines are equal: that the version is the one before does not mean that the bastion works with it.
    let all = [&tunnel, &keys, &connection];
    assert_says(&place.apply(&all).failed().unwrap(), &["sync/not-synced"]);
    assert_says(&place.apply(&all).failed().unwrap(), &["sync/not-synced"]);
    place.bench.lab.bastion.sync_now().unwrap();
    place.settle(&all);
}

/// Applies, while the bastion syncs only after it has seen two more logins: an apply that is satisfied with the first has ended by then.
fn apply_and_sync_late(place: &Place, blocks: &[&Block]) {
    let bastion = &place.bench.lab.bastion;
    let (before, ended) = (bastion.logins().len(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let waited = || ended.load(Ordering::Relaxed) || bastion.logins().len() >= before + 2;
            lab::wait_until("a second login", Duration::from_secs(60), waited).unwrap();
            if !ended.load(Ordering::Relaxed) {
                bastion.sync_now().unwrap();
            }
        });
        let applied = place.apply(blocks);
        ended.store(true, Ordering::Relaxed);
        applied.ok().unwrap();
    });
    assert!(is_synced(place), "the apply ended before the bastion had synced");
    assert!(place.bench.terraform.settled().unwrap());
}

#[test]
fn an_apply_ends_once_the_bastion_works_with_what_it_wrote() {
    let (place, [tunnel, keys, connection]) = standing();
    let connection = connection.set("verify", "{ timeout = \"1m\" }");
    let [first, second] = targets(&place);
    let both = keys.clone().set("permit_open", format!("[{first}, {second}]"));
    // A database is added, and the connection to it in the same apply; then it goes again.
    apply_and_sync_late(&place, &[&tunnel, &both, &connection, &another(&place, &connection)]);
    apply_and_sync_late(&place, &[&tunnel, &keys, &connection]);
}

#[test]
fn an_object_where_the_bastion_does_not_look_is_not_proven_by_the_one_before() {
    let (place, [tunnel, keys, connection]) = standing();
    let said = place.apply(&[&tunnel, &keys.text("prefix", "keys/"), &connection]).failed().unwrap();
    assert_says(&said, &["sync/not-synced", "compare `bucket` and `prefix` with those of its sync job"]);
}

/// Both keys of the rotation are known to the bastion or to nobody: without the question for the version it would be green, and the next
/// rotation would lock out.
#[test]
fn a_rotation_over_a_broken_sync_fails_and_is_proven_once_it_is_mended() {
    let place = Place::new();
    let patient = |rotation| {
        let [tunnel, keys, connection] = blocks(&place, rotation);
        [tunnel, keys, connection.set("verify", "{ timeout = \"1m\" }")]
    };
    place.settle(&patient(1).each_ref());
    place.aws.deny(Deny::of("s3:GetObject").to(BASTION));
    let said = place.apply(&blocks(&place, 2).each_ref()).failed().unwrap();
    assert_says(&said, &["sync/not-synced", "the bastion may not read the object"]);
    assert!(!is_synced(&place));
    place.aws.deny_nothing();
    place.settle(&patient(2).each_ref());
    assert!(is_synced(&place));
}

#[test]
fn a_version_is_given_alone_or_in_a_list_and_is_that_of_the_tunnels_login() {
    let (place, [tunnel, keys, connection]) = standing();
    let other = keys.clone().named("other").text("user", "materialize");
    let with = |versions: &str| connection.clone().set("keys", versions.to_owned());
    place.settle(&[&tunnel, &keys, &other, &with(&format!("[{KEYS}.version]"))]);
    let refused = |versions: &str, words: &[&str]| {
        let said = place.apply(&[&tunnel, &keys, &other, &with(versions)]).failed().unwrap();
        assert_says(&said, words);
        assert!(said.lines().any(|line| line.contains(" keys = ")), "not on keys:\n{said}");
    };
    refused("bastion_authorized_keys.other.version", &["The version is that of another login", "`materialize`"]);
    refused(&format!("[{KEYS}.version, bastion_ssh_tunnel_connection.bastion.keys_version]"), &["Two versions are given for one login"]);
    refused(&format!("{KEYS}.etag"), &["This is not a version of a login's keys"]);
    refused("[null]", &["This is not a version of a login's keys"]);
    refused("3", &["This is not a version of a login's keys"]);
}

#[test]
fn without_a_canary_a_change_is_warned_of_and_proven_with_what_is_there() {
    let (place, [tunnel, keys, connection]) = standing();
    let [first, second] = targets(&place);
    let warning = "A change of this object cannot be seen to arrive";
    let bare = keys.set("canary", "false");
    assert_says(&place.apply(&[&tunnel, &bare, &connection]).ok().unwrap(), &[warning]);
    assert_eq!(place.bench.attributes(KEYS)["version"], Value::Null);
    let said = place.apply(&[&tunnel, &bare, &connection]).ok().unwrap();
    assert!(!said.contains(warning), "nothing changes, and there is nothing to warn of:\n{said}");
    // The standby key is still asked for where it is given in the object's stead.
    let asked = connection.set("keys", "bastion_ssh_tunnel_connection.bastion.keys_version");
    place.settle(&[&tunnel, &bare, &asked]);
    let wider = bare.set("permit_open", format!("[{first}, {second}]"));
    assert_says(&place.apply(&[&tunnel, &wider, &asked]).ok().unwrap(), &[warning]);
    assert!(!is_synced(&place), "the lines from before let the key in");
    let rotated = blocks(&place, 2)[0].clone();
    assert_says(&place.apply(&[&rotated, &wider, &asked]).failed().unwrap(), &["sync/not-synced"]);
}

/// A trigger proves again, and asks for no version: what still lets the key in is good enough, and what does not is waited for.
#[test]
fn triggers_alone_prove_again_with_whatever_the_bastion_works_with() {
    let (place, [tunnel, keys, connection]) = standing();
    let [first, second] = targets(&place);
    let triggered = connection.without("keys").set("triggers", format!("{{ keys = {KEYS}.etag }}"));
    place.settle(&[&tunnel, &keys, &triggered]);
    let logins = place.bench.lab.bastion.logins().len();
    let both = keys.set("permit_open", format!("[{first}, {second}]"));
    place.settle(&[&tunnel, &both, &triggered]);
    assert!(place.bench.lab.bastion.logins().len() > logins, "it was proven again");
    assert!(!is_synced(&place), "with the lines from before");
    let said = place.apply(&[&tunnel, &both, &triggered, &another(&place, &triggered)]).failed().unwrap();
    assert_says(&said, &["forward/prohibited"]);
    place.bench.lab.bastion.sync_now().unwrap();
    place.settle(&[&tunnel, &both, &triggered, &another(&place, &triggered)]);
}
