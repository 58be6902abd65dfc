//! A login's object under stress: stores that only look like S3, an interrupt, and many who come and go at once.

use std::time::Duration;

use bastion::aws::authorized_keys::{
    AuthorizedKeys, BucketName, Claim, Content, Held, Left, ObjectKey, PREFIX, Prefix, Stranger, Wanted, leftovers, release,
};
use bastion::aws::{Account, Endpoints, Settings};
use bastion::path::refusal::{BucketReason, Reason};
use lab::{BucketOptions, Fault};
use tokio_util::sync::CancellationToken;

use crate::cloud::Cloud;
use crate::support::{Block, assert_says, attributes, quote};

const ADDRESS: &str = "bastion_authorized_keys.neosync";
const KEY: &str = "public-keys/neosync.pub";
const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

fn block(bucket: &str) -> Block {
    let block = Block::new("bastion_authorized_keys", "neosync").text("bucket", bucket).text("user", "neosync");
    block.set("public_keys", format!("[{}]", quote(ED25519)))
}

fn bucket(cloud: &Cloud) -> String {
    cloud.aws.make_bucket("bastion", BucketOptions::default()).unwrap()
}

fn text(cloud: &Cloud, bucket: &str) -> Option<String> {
    cloud.aws.get_object(bucket, KEY).unwrap().map(|text| String::from_utf8(text).unwrap())
}

#[test]
fn a_store_that_ignores_conditions_is_refused_with_its_name_and_nothing_is_overwritten() {
    let cloud = Cloud::new();
    let bucket = bucket(&cloud);
    cloud.settle(&[&block(&bucket)]);
    let before = text(&cloud, &bucket);
    cloud.aws.ignore_conditions();
    let store = cloud.aws.endpoint().replace("http://", "");
    let refused = |block: &Block| {
        let said = cloud.apply(&[block]).failed().unwrap();
        assert_says(&said, &["The store ignores the conditions of a write", &store, "bucket/unconditional"]);
    };
    refused(&block(&bucket).set("public_keys", format!("[{}]", quote(OTHER))));
    assert_eq!(text(&cloud, &bucket), before);
    cloud.apply(&[]).ok().unwrap();
    assert_eq!(text(&cloud, &bucket), None, "who leaves is not held back");
    refused(&block(&bucket));
    assert_eq!(text(&cloud, &bucket), None, "what was made to find out is gone");
    assert!(attributes(&cloud.terraform, ADDRESS).is_none());
    cloud.aws.put_object(&bucket, KEY, "somebody else's").unwrap();
    assert_says(&cloud.apply(&[&block(&bucket)]).failed().unwrap(), &["The object exists already"]);
    assert_eq!(text(&cloud, &bucket).unwrap(), "somebody else's");
}

#[test]
fn an_interrupt_during_advice_loses_nothing() {
    let cloud = Cloud::new();
    let (own, other) = (cloud.aws.make_kms_key(), cloud.aws.make_kms_key());
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default().kms_key(&own)).unwrap();
    cloud.write(&[&block(&bucket).text("kms_key_id", &other)]);
    let held = cloud.aws.pause_before("GetBucketEncryption");
    let mut apply = cloud.start(&["apply", "-auto-approve"]);
    held.wait(Duration::from_secs(30)).unwrap();
    // The call is held for ever.
    cloud.interrupt(&mut apply, || {});
    drop(held);
    assert!(attributes(&cloud.terraform, ADDRESS).is_some(), "the object that was written is in state");
    cloud.settled();
    // Nor does advice that nobody gives hold up anything.
    cloud.aws.fault("GetBucketEncryption", Fault::Delay(Duration::from_mins(10)));
    cloud.settle(&[&block(&bucket).text("kms_key_id", &own)]);
}

#[test]
fn a_create_that_is_interrupted_after_the_write_is_in_state_and_not_tainted() {
    let cloud = Cloud::new();
    let bucket = bucket(&cloud);
    cloud.write(&[&block(&bucket)]);
    let held = cloud.aws.pause_after("PutObject");
    let mut apply = cloud.start(&["apply", "-auto-approve"]);
    held.wait(Duration::from_secs(30)).unwrap();
    cloud.interrupt(&mut apply, || drop(held));
    cloud.settled();
}

/// Runs a test of this file again, as a process whose environment has credentials: the library finds them nowhere else.
fn as_account(cloud: &Cloud, bucket: &str, test: &str) {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("authorized_keys_stores::{test}"), "--nocapture"]);
    command.env("AWS_ACCESS_KEY_ID", cloud.aws.access_key()).env("AWS_SECRET_ACCESS_KEY", cloud.aws.secret_key());
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", cloud.aws.region());
    let ran = command.env(ENDPOINT, cloud.aws.endpoint()).env(BUCKET, bucket).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

/// Where the process that [`as_account`] started finds the bucket.
const ENDPOINT: &str = "BASTION_TEST_ENDPOINT";
const BUCKET: &str = "BASTION_TEST_BUCKET";

/// An account of its own shares nothing with others but the bucket, as that of another process.
fn account(endpoint: &str) -> Account {
    let url = || Some(endpoint.to_owned());
    Account::new(Settings { endpoints: Endpoints { s3: url(), sts: url(), ec2: url(), checkip: None }, ..Settings::default() })
}

/// Somebody with a claim.
#[derive(Clone)]
struct Somebody {
    object: AuthorizedKeys,
    claim: Claim,
    content: Content,
}

impl Somebody {
    fn new(endpoint: &str, bucket: &BucketName) -> Self {
        let content = Content::new(&[ED25519.parse().unwrap()], &bastion::key::LineOptions::default()).unwrap();
        let object = AuthorizedKeys::new(&account(endpoint), bucket.clone(), KEY.parse().unwrap(), None, None);
        Self { object, claim: Claim::draw(None).unwrap(), content }
    }

    async fn join(self) {
        let wanted = Wanted { content: &self.content, claim: &self.claim, stranger: Stranger::Respect };
        self.object.create(&wanted).await.unwrap_or_else(|refusal| panic!("{refusal}"));
    }

    async fn leave(self) {
        let (lines, claim) = (Some(self.content.as_str().to_owned()), Some(self.claim.clone()));
        let held = Held { etag: "not known any more".to_owned(), lines, claim, imported: false };
        let left = self.object.leave(&held).await.unwrap_or_else(|refusal| panic!("{refusal}"));
        assert!(matches!(left, Left::Shared(_) | Left::Gone), "{left:?}");
    }
}

#[test]
fn whoever_comes_and_goes_at_once_the_text_has_exactly_the_living_claims() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else {
        let cloud = Cloud::new();
        let bucket = bucket(&cloud);
        as_account(&cloud, &bucket, "whoever_comes_and_goes_at_once_the_text_has_exactly_the_living_claims");
        assert_eq!(text(&cloud, &bucket), None);
        assert_eq!(cloud.aws.calls().iter().filter(|call| call.action == "DeleteObject" && call.code.is_none()).count(), 1);
        return;
    };
    let bucket: BucketName = std::env::var(BUCKET).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let first = Somebody::new(&endpoint, &bucket);
        first.clone().join().await;
        let mut there = vec![first];
        for round in 0..50 {
            // All but the first leave, while others come.
            let leaving = there.split_off(1);
            let coming: Vec<_> = (0..3).map(|_| Somebody::new(&endpoint, &bucket)).collect();
            let leave = leaving.into_iter().map(|somebody| tokio::spawn(somebody.leave()));
            let tasks: Vec<_> = leave.chain(coming.iter().cloned().map(|somebody| tokio::spawn(somebody.join()))).collect();
            for task in tasks {
                task.await.unwrap();
            }
            there.extend(coming);
            let found = there[0].object.fetch().await.unwrap().unwrap();
            let mut living: Vec<_> = there.iter().map(|somebody| somebody.claim.clone()).collect();
            living.sort();
            assert_eq!(found.claims.iter().cloned().collect::<Vec<_>>(), living, "round {round}");
            assert_eq!(found.lines, there[0].content.as_str());
        }
        let tasks: Vec<_> = there.into_iter().map(|somebody| tokio::spawn(somebody.leave())).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn more_claims_than_metadata_hold_are_kept_in_the_text() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else {
        let cloud = Cloud::new();
        let bucket = bucket(&cloud);
        as_account(&cloud, &bucket, "more_claims_than_metadata_hold_are_kept_in_the_text");
        assert_eq!(text(&cloud, &bucket), None);
        return;
    };
    let bucket: BucketName = std::env::var(BUCKET).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let all: Vec<_> = (0..60).map(|_| Somebody::new(&endpoint, &bucket)).collect();
        for somebody in &all {
            somebody.clone().join().await;
        }
        let found = all[0].object.fetch().await.unwrap().unwrap();
        assert_eq!((found.claims.iter().count(), found.seen.claims), (60, None));
        for somebody in all {
            somebody.leave().await;
        }
    });
}

#[test]
fn what_a_killed_run_left_is_listed_and_released() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else {
        let cloud = Cloud::new();
        let bucket = bucket(&cloud);
        // S3 lists a thousand objects a page.
        for number in 0..1005 {
            cloud.aws.put_object(&bucket, &format!("public-keys/a{number}"), "not a login's").unwrap();
        }
        cloud.aws.put_object(&bucket, "public-keys/somebody.pub", "somebody else's").unwrap();
        let mark = [("x-amz-meta-managed-by", "terraform-provider-bastion")];
        cloud.aws.put_object_with(&bucket, "public-keys/earlier.pub", "a line\n", &mark).unwrap();
        as_account(&cloud, &bucket, "what_a_killed_run_left_is_listed_and_released");
        assert_eq!(text(&cloud, &bucket), None);
        let left: Vec<_> = cloud.aws.object_keys(&bucket).unwrap();
        assert!(!left.contains(&"public-keys/earlier.pub".to_owned()));
        return;
    };
    let bucket: BucketName = std::env::var(BUCKET).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (account, prefix, cancelled) = (account(&endpoint), PREFIX.parse::<Prefix>().unwrap(), CancellationToken::new());
        let (one, two) = (Somebody::new(&endpoint, &bucket), Somebody::new(&endpoint, &bucket));
        one.clone().join().await;
        two.clone().join().await;
        let listed = leftovers(&account, &bucket, &prefix, &cancelled).await.unwrap();
        let keys: Vec<_> = listed.iter().map(|leftover| (leftover.key.to_string(), leftover.claims.iter().count())).collect();
        assert_eq!(keys, [("public-keys/earlier.pub".to_owned(), 1), (KEY.to_owned(), 2)]);
        let key: ObjectKey = KEY.parse().unwrap();
        let release = async |key: &ObjectKey, owner| release(&account, &bucket, key, owner, &cancelled).await.unwrap();
        assert_eq!(release(&key, &one.claim.owner).await, Left::Shared([two.claim.owner.clone()].into()));
        assert_eq!(release(&key, &one.claim.owner).await, Left::Foreign);
        assert_eq!(release(&key, &two.claim.owner).await, Left::Gone);
        let earlier = &listed[0];
        assert_eq!(release(&earlier.key, &earlier.claims.iter().next().unwrap().owner).await, Left::Gone);
        let somebodys = "public-keys/somebody.pub".parse().unwrap();
        assert_eq!(release(&somebodys, &one.claim.owner).await, Left::Foreign);

        let missing = "no-such-bucket-anywhere".parse().unwrap();
        let refusal = leftovers(&account, &missing, &prefix, &cancelled).await.unwrap_err();
        assert!(matches!(refusal.reason, Reason::Bucket(BucketReason::Missing { .. })), "{refusal}");
        cancelled.cancel();
        assert!(leftovers(&account, &bucket, &prefix, &cancelled).await.is_err());
    });
}
