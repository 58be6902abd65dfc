//! A login's object in the bastion's bucket: written as the sync job takes it, and only as far as it is ours.

use lab::{BucketOptions, Deny, Elsewhere, Fault, On};

use crate::cloud::Cloud;
use crate::support::{Block, assert_says, quote};

const ADDRESS: &str = "bastion_authorized_keys.neosync";
const KEY: &str = "public-keys/neosync.pub";
const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

/// What a canary's line begins with; no key's does.
const CANARY: &str = "restrict ssh-ed25519 ";

fn block(bucket: &str) -> Block {
    Block::new("bastion_authorized_keys", "neosync")
        .text("bucket", bucket)
        .text("user", "neosync")
        .set("public_keys", format!("[{}]", quote(ED25519)))
        .set("permit_open", "[\"db.internal:5432\"]")
}

fn bucket(cloud: &Cloud) -> String {
    cloud.aws.make_bucket("bastion", BucketOptions::default()).unwrap()
}

/// The text of an object without its claims and its canary.
fn body(cloud: &Cloud, bucket: &str, key: &str) -> Option<String> {
    let text = cloud.aws.get_object(bucket, key).unwrap().map(|body| String::from_utf8(body).unwrap())?;
    Some(text.split_inclusive('\n').filter(|line| !line.starts_with("# bastion-owner: ") && !line.starts_with(CANARY)).collect())
}

/// Writes and deletes that took effect.
fn writes(cloud: &Cloud) -> Vec<String> {
    let calls = cloud.aws.calls().into_iter().filter(|call| call.code.is_none() && !call.action.starts_with("Head"));
    calls.map(|call| call.action).collect()
}

fn line(key: &str) -> String {
    format!("restrict,port-forwarding,permitopen=\"db.internal:5432\" {key}\n")
}

#[test]
fn one_call_writes_what_the_sync_job_picks_up_and_the_second_plan_is_empty() {
    let cloud = Cloud::new();
    let key = cloud.aws.make_kms_key();
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default().kms_key(&key).versioned()).unwrap();
    let both = block(&bucket).set("public_keys", format!("[{}, {}]", quote(ED25519), quote(&format!("{OTHER} a comment"))));
    cloud.apply(&[&both]).ok().unwrap();
    assert_eq!(writes(&cloud), ["PutObject", "ListObjectsV2"], "one write, and one look for what a killed run may have left");
    assert_eq!(cloud.aws.object_keys(&bucket).unwrap(), [KEY]);
    assert_eq!(body(&cloud, &bucket, KEY).unwrap(), line(ED25519) + &line(OTHER));
    let head = cloud.aws.head(&bucket, KEY).unwrap().unwrap();
    assert_eq!(head.kms_key.as_deref(), Some(key.as_str()), "the bucket's own encryption applies");
    cloud.settled();
    let attributes = cloud.attributes(ADDRESS);
    assert_eq!(attributes["etag"], head.etag);
    assert_eq!(attributes["version_id"].as_str(), head.version_id.as_deref());
    assert_eq!(attributes["id"], format!("{bucket}/{KEY}"));
    assert!(
        cloud.aws.calls().iter().all(|call| matches!(call.action.as_str(), "PutObject" | "HeadObject" | "ListObjectsV2")),
        "{:?}",
        cloud.aws.calls()
    );
    cloud.settle(&[]);
    assert!(cloud.aws.object_keys(&bucket).unwrap().is_empty());
}

#[test]
fn every_argument_is_updated_in_place_and_a_new_object_comes_before_the_old_one_goes() {
    let cloud = Cloud::new();
    let (first, second) = (bucket(&cloud), cloud.aws.make_bucket("second", BucketOptions::default()).unwrap());
    let key = cloud.aws.make_kms_key();
    let mut block = block(&first);
    cloud.settle(&[&block]);
    let both = |a: &str, b: &str| format!("[{}, {}]", quote(a), quote(b));
    let steps: [(&str, String, &[&str]); 8] = [
        ("public_keys", both(ED25519, OTHER), &["PutObject"]),
        ("permit_open", "[\"db.internal:5432\", \"b:1\"]".to_owned(), &["PutObject"]),
        ("kms_key_id", quote(&key), &["PutObject", "GetBucketEncryption"]),
        ("user", quote("materialize"), &["PutObject", "DeleteObject"]),
        ("prefix", quote("elsewhere/"), &["PutObject", "DeleteObject"]),
        ("bucket", quote(&second), &["PutObject", "DeleteObject"]),
        ("adopt", "true".to_owned(), &[]),
        ("expected_bucket_owner", quote(cloud.aws.account_id()), &[]),
    ];
    for (argument, value, expected) in steps {
        block = block.set(argument, value);
        cloud.write(&[&block]);
        assert_eq!(cloud.plans(ADDRESS), ["update"], "{argument}");
        cloud.aws.forget_calls();
        cloud.apply(&[&block]).ok().unwrap();
        let made = writes(&cloud);
        let made: Vec<_> =
            made.iter().filter(|action| expected.contains(&"GetBucketEncryption") || *action != "GetBucketEncryption").collect();
        assert_eq!(made, expected.iter().collect::<Vec<_>>(), "{argument}");
        cloud.settled();
    }
    assert!(cloud.aws.object_keys(&first).unwrap().is_empty());
    assert_eq!(cloud.aws.object_keys(&second).unwrap(), ["elsewhere/materialize.pub"]);
    let reordered = block.set("public_keys", both(OTHER, ED25519));
    cloud.write(&[&reordered]);
    cloud.settled();
}

#[test]
fn an_import_is_followed_by_an_empty_plan() {
    let cloud = Cloud::new();
    let key = cloud.aws.make_kms_key();
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default().kms_key(&key)).unwrap();
    let text = format!("restrict,port-forwarding,permitopen=\"db.internal:5432\" {ED25519}\n");
    cloud.aws.put_object(&bucket, KEY, text).unwrap();
    cloud.write(&[&block(&bucket)]);
    let import = |id: &str| cloud.terraform.run(&["import", "-input=false", "-no-color", ADDRESS, id]).unwrap();
    assert_says(&import(&bucket).failed().unwrap(), &["The id is not that of a login's object", "bucket/key"]);
    let missing = format!("{bucket}/public-keys/nobody-here.pub");
    assert_says(&import(&missing).failed().unwrap(), &["The object does not exist", "bucket/object-missing"]);
    import(&format!("{bucket}/{KEY}")).ok().unwrap();
    cloud.settled();
}

#[test]
fn drift_is_seen_and_mended() {
    let cloud = Cloud::new();
    let key = cloud.aws.make_kms_key();
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default().kms_key(&key)).unwrap();
    let block = block(&bucket);
    cloud.settle(&[&block]);

    cloud.aws.put_object(&bucket, KEY, "somebody else's").unwrap();
    assert_eq!(cloud.plans(ADDRESS), ["update"], "overwritten");
    cloud.settle(&[&block]);
    assert_eq!(body(&cloud, &bucket, KEY).unwrap(), line(ED25519));

    cloud.aws.delete_object(&bucket, KEY).unwrap();
    assert_eq!(cloud.plans(ADDRESS), ["create"], "deleted");
    cloud.settle(&[&block]);

    let foreign = cloud.aws.make_kms_key();
    let headers = [("x-amz-server-side-encryption", "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", foreign.as_str())];
    cloud.aws.put_object_with(&bucket, KEY, line(ED25519), &headers).unwrap();
    assert_eq!(cloud.plans(ADDRESS), ["update"], "the same text, which the bastion cannot read any more");
    cloud.settle(&[&block]);
    assert_eq!(cloud.aws.head(&bucket, KEY).unwrap().unwrap().kms_key.as_deref(), Some(key.as_str()));

    // Who may write and not read still sees that it was changed.
    cloud.aws.put_object(&bucket, KEY, "somebody else's").unwrap();
    cloud.aws.deny(Deny::of("kms:Decrypt").to(cloud.aws.access_key()));
    assert_eq!(cloud.plans(ADDRESS), ["update"], "overwritten and unreadable");
}

#[test]
fn a_foreign_object_is_left_alone_unless_it_is_to_be_adopted() {
    let cloud = Cloud::new();
    let bucket = bucket(&cloud);
    cloud.aws.put_object(&bucket, KEY, "somebody's").unwrap();
    let said = cloud.apply(&[&block(&bucket)]).failed().unwrap();
    let import = format!("terraform import ADDRESS {bucket}/{KEY}");
    assert_says(&said, &["The object exists already", &import, "`adopt = true`", "bucket/foreign-object"]);
    assert_eq!(body(&cloud, &bucket, KEY).unwrap(), "somebody's");
    cloud.settle(&[&block(&bucket).set("adopt", "true")]);
    assert_eq!(body(&cloud, &bucket, KEY).unwrap(), line(ED25519));
}

#[test]
fn what_somebody_else_wrote_since_the_plan_is_not_overwritten_or_removed() {
    let cloud = Cloud::new();
    let bucket = bucket(&cloud);
    let block = block(&bucket);
    cloud.settle(&[&block]);
    cloud.write(&[&block.clone().set("public_keys", format!("[{}]", quote(OTHER)))]);
    let saved = |arguments: &[&str]| cloud.terraform.run(arguments).unwrap();
    saved(&["plan", "-input=false", "-no-color", "-out=saved"]).ok().unwrap();
    cloud.aws.put_object(&bucket, KEY, "meanwhile").unwrap();
    let said = saved(&["apply", "-input=false", "-no-color", "saved"]).failed().unwrap();
    assert_says(&said, &["The object was changed by somebody else", "It was not touched", "bucket/changed"]);
    let said = saved(&["destroy", "-auto-approve", "-refresh=false", "-input=false", "-no-color"]).ok().unwrap();
    assert_says(&said, &["The object is not this resource's any more", "It was left as it is"]);
    assert_eq!(body(&cloud, &bucket, KEY).unwrap(), "meanwhile");
}

#[test]
fn an_apply_that_was_killed_is_finished_by_the_next_one() {
    for after in [false, true] {
        let cloud = Cloud::new();
        let bucket = bucket(&cloud);
        let first = block(&bucket).text("owner", "neosync/prod");
        let pause = |action: &str| if after { cloud.aws.pause_after(action) } else { cloud.aws.pause_before(action) };
        cloud.write(&[&first]);
        let held = pause("PutObject");
        cloud.kill_at(&held);
        drop(held);
        cloud.settle(&[&first]);
        let moved = first.text("user", "materialize").set("public_keys", format!("[{}]", quote(OTHER)));
        for action in ["PutObject", "DeleteObject"] {
            cloud.write(&[&moved]);
            let held = pause(action);
            cloud.kill_at(&held);
            drop(held);
        }
        cloud.settle(&[&moved]);
        assert_eq!(cloud.aws.object_keys(&bucket).unwrap(), ["public-keys/materialize.pub"], "after: {after}");
        cloud.settle(&[]);
        assert!(cloud.aws.object_keys(&bucket).unwrap().is_empty());
    }
}

#[test]
fn what_can_heal_is_tried_again() {
    let cloud = Cloud::new();
    let bucket = bucket(&cloud);
    cloud.aws.fault(On::action("PutObject").times(2), Fault::slow_down());
    cloud.settle(&[&block(&bucket)]);
    cloud.aws.fault(On::action("PutObject").times(2), Fault::answer(409, "ConditionalRequestConflict", "A conflicting operation."));
    cloud.settle(&[&block(&bucket).set("public_keys", format!("[{}]", quote(OTHER)))]);
    // The answer is lost, and the second try meets the first one's work. What the store makes of a condition is asked before.
    cloud.aws.fault(On::action("PutObject").skip(1).times(1), Fault::DropAfter);
    cloud.settle(&[&block(&bucket)]);
    assert_eq!(body(&cloud, &bucket, KEY).unwrap(), line(ED25519));
}

#[test]
fn a_delete_that_meets_another_write_is_tried_again() {
    let cloud = Cloud::new();
    let bucket = bucket(&cloud);
    cloud.settle(&[&block(&bucket)]);
    cloud.aws.fault(On::action("DeleteObject").times(2), Fault::answer(409, "ConditionalRequestConflict", "A conflicting operation."));
    cloud.settle(&[]);
    assert_eq!(body(&cloud, &bucket, KEY), None);
}

#[test]
fn what_is_gone_by_the_time_that_a_create_looks_at_it_is_made() {
    let cloud = Cloud::new();
    let bucket = bucket(&cloud);
    cloud.aws.put_object(&bucket, KEY, "somebody's").unwrap();
    cloud.write(&[&block(&bucket)]);
    let held = cloud.aws.pause_before("GetObject");
    let mut apply = cloud.start(&["apply", "-auto-approve"]);
    held.wait(std::time::Duration::from_secs(30)).unwrap();
    cloud.aws.delete_object(&bucket, KEY).unwrap();
    drop(held);
    assert!(apply.wait().unwrap().success());
    assert_eq!(body(&cloud, &bucket, KEY).unwrap(), line(ED25519));
    cloud.settled();
}

#[test]
fn a_bucket_in_another_region_is_followed_once() {
    let cloud = Cloud::new();
    for answer in [Elsewhere::Redirect, Elsewhere::Malformed] {
        cloud.aws.elsewhere(answer);
        let bucket =
            cloud.aws.make_bucket(&format!("far-{answer:?}").to_lowercase(), BucketOptions::default().region("eu-central-1")).unwrap();
        cloud.aws.forget_calls();
        cloud.apply(&[&block(&bucket)]).ok().unwrap();
        assert!(body(&cloud, &bucket, KEY).is_some());
        let refused: Vec<_> =
            cloud.aws.calls().into_iter().filter_map(|call| call.status.filter(|status| (300..=400).contains(status))).collect();
        assert_eq!((refused.len(), writes(&cloud)), (1, vec!["PutObject".to_owned(), "ListObjectsV2".to_owned()]), "one call found out");
        cloud.settle(&[]);
    }
}

#[test]
fn each_refusal_of_s3_has_words_of_its_own() {
    let mut cloud = Cloud::new();
    cloud.arguments = "max_retries = 1".to_owned();
    let key = cloud.aws.make_kms_key();
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default().kms_key(&key)).unwrap();
    let says = |block: &Block, words: &[&str]| {
        assert_says(&cloud.apply(&[block]).failed().unwrap(), words);
        assert_eq!(body(&cloud, &bucket, KEY), None);
    };
    says(&block("no-such-bucket-anywhere"), &["The bucket does not exist", "bucket_name", "bucket/missing"]);
    cloud.aws.deny(Deny::of("s3:PutObject"));
    says(&block(&bucket), &["The bucket denies the call", &format!("allow s3:PutObject on arn:aws:s3:::{bucket}/{KEY}"), "bucket/denied"]);
    cloud.aws.deny_nothing();
    cloud.aws.deny(Deny::of("kms:GenerateDataKey"));
    says(
        &block(&bucket),
        &["KMS key may not be used", &format!("allow kms:GenerateDataKey on {key} in the identity's policy"), &key, "bucket/kms-denied"],
    );
    cloud.aws.deny_nothing();
    let wrong = key.replace("key/", "key/0");
    says(&block(&bucket).text("kms_key_id", &wrong), &["The KMS key cannot be used", "bucket/kms-unusable"]);
    cloud.aws.disable_kms_key(&key).unwrap();
    says(&block(&bucket), &["The KMS key cannot be used", "enable the key"]);
    cloud.aws.enable_kms_key(&key).unwrap();
    says(&block(&bucket).text("expected_bucket_owner", "210987654321"), &["The bucket denies the call", "`expected_bucket_owner`"]);
    cloud.aws.fault("PutObject", Fault::slow_down());
    says(&block(&bucket), &["AWS throttles the calls", "`aws.max_retries`", "account/throttled"]);
    assert_eq!(
        cloud.aws.calls().iter().rev().take_while(|call| call.code.as_deref() == Some("SlowDown")).count(),
        2,
        "once more than max_retries"
    );
    cloud.aws.heal();
    cloud.aws.fault("PutObject", Fault::answer(403, "ExpiredToken", "The provided token has expired."));
    says(&block(&bucket), &["The AWS session has expired", "aws sso login"]);
    cloud.aws.heal();
    cloud.aws.fault("PutObject", Fault::answer(500, "InternalError", "We encountered an internal error."));
    says(&block(&bucket), &["AWS fails", "account/failed"]);
}

#[test]
fn another_key_than_the_buckets_own_is_warned_of() {
    let cloud = Cloud::new();
    let (own, other) = (cloud.aws.make_kms_key(), cloud.aws.make_kms_key());
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default().kms_key(&own)).unwrap();
    let said = cloud.apply(&[&block(&bucket).text("kms_key_id", &other)]).ok().unwrap();
    assert_says(&said, &["The bastion may not be able to read the object", &own]);
    cloud.settled();
    let said = cloud.apply(&[&block(&bucket).text("kms_key_id", &own)]).ok().unwrap();
    assert!(!said.contains("may not be able"), "{said}");
    // An alias is as good as the key, and stays as it is written.
    cloud.aws.name_kms_key(&own, "alias/bastion");
    cloud.settle(&[&block(&bucket).text("kms_key_id", "alias/bastion")]);
}

#[test]
fn what_the_bastion_would_skip_in_silence_is_refused_at_plan_without_a_call() {
    let cloud = Cloud::new();
    let refused = |block: &Block, argument: &str, words: &[&str]| {
        cloud.write(&[block]);
        let said = cloud.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().failed().unwrap();
        assert_says(&said, words);
        assert!(said.lines().any(|line| line.contains(&format!(" {argument} = "))), "not on {argument}:\n{said}");
    };
    let block = || block("my-bastion");
    for (user, words) in [
        ("mz_prod", "skips it in silence"),
        ("Upper", "skips it in silence"),
        ("a.b", "skips it in silence"),
        ("with space", "skips it in silence"),
        ("9abc", "skips it in silence"),
        ("neosync.pub", "leave .pub out"),
        ("root", "exists on the bastion's machine already"),
        ("ec2-user", "exists on the bastion's machine already"),
        (&"a".repeat(33), "33 characters"),
    ] {
        refused(&block().text("user", user), "user", &["The bastion would not make this login", words]);
    }
    for prefix in ["/public-keys/", "public-keys", "public-keys//", "./public-keys/"] {
        refused(&block().text("prefix", prefix), "prefix", &["The bastion would not look there"]);
    }
    refused(&block().set("public_keys", "[]"), "public_keys", &["No public key is given", "delete the login"]);
    refused(&block().set("public_keys", "[\"junk\"]"), "public_keys", &["A public key cannot be used"]);
    refused(&block().set("public_keys", "[null]"), "public_keys", &["An element is null"]);
    refused(&block().set("permit_open", "[\"db.internal\"]"), "permit_open", &["A target cannot be permitted"]);
    refused(&block().text("bucket", "s3://my-bastion"), "bucket", &["The bucket's name cannot be used"]);
    refused(&block().text("kms_key_id", "a key"), "kms_key_id", &["The KMS key is not a KMS key"]);
    refused(&block().text("expected_bucket_owner", "me"), "expected_bucket_owner", &["The bucket's owner is not an account"]);
    assert!(cloud.aws.calls().is_empty());
    cloud.write(&[&block().text("prefix", "elsewhere/")]);
    let said = cloud.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    assert_says(&said, &["The bastion may not look there"]);
}

#[test]
fn keys_that_are_made_in_the_same_apply_are_planned_and_written() {
    let cloud = Cloud::new();
    let bucket = bucket(&cloud);
    let tunnel = Block::new("bastion_ssh_tunnel_connection", "t")
        .text("name", "t")
        .text("host", "bastion.example.com")
        .text("user", "neosync")
        .set("insecure_ignore_host_key", "true")
        .set("key_pairs", "{ allow_plaintext_in_state = true }");
    let keys = block(&bucket)
        .set("public_keys", "bastion_ssh_tunnel_connection.t.public_keys")
        .set("user", "bastion_ssh_tunnel_connection.t.user");
    cloud.settle(&[&tunnel, &keys]);
    let rotated = tunnel.set("key_pairs", "{ allow_plaintext_in_state = true, rotation = 2 }");
    cloud.settle(&[&rotated, &keys]);
    let text = body(&cloud, &bucket, KEY).unwrap();
    let keys: Vec<String> = serde_json::from_value(cloud.attributes("bastion_ssh_tunnel_connection.t")["public_keys"].clone()).unwrap();
    assert!(keys.len() == 2 && keys.iter().all(|key| text.contains(key)), "{text}");
}
