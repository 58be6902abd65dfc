//! What S3 refuses and shows, and moto alone would not: one promise a test.
#![cfg(test)]

use std::time::Duration;

use lab::{Aws, Bastion, BucketOptions, Deny, Elsewhere, Fault, KeyBucket, On, S3Answer, S3Call, S3Client};

/// MD5 of `key\n`, by openssl.
const MD5: &str = "\"146c07ef2479cedcd54c7c2af5cf3a80\"";

const KEY: &str = "public-keys/neosync.pub";

/// The bastion's own.
const BASTION: &str = "AKIABASTION";

/// An account with a client in its region.
struct World {
    aws: Aws,
    s3: S3Client,
}

impl World {
    fn start() -> World {
        let aws = Aws::start().unwrap();
        let s3 = S3Client::new(aws.s3_caller(aws.region(), aws.access_key()));
        World { aws, s3 }
    }

    fn bucket(&self, options: BucketOptions) -> String {
        self.aws.make_bucket("keys", options).unwrap()
    }

    fn call(&self, method: &str, bucket: &str, key: &str, headers: &[(&str, &str)]) -> S3Answer {
        let body: &[u8] = if method == "PUT" { b"key\n" } else { b"" };
        self.s3.call(method, bucket, key, S3Call { headers, body, ..S3Call::default() }).unwrap()
    }

    fn list(&self, bucket: &str, query: &[(&str, &str)]) -> String {
        self.s3.call("GET", bucket, "", S3Call { query, ..S3Call::default() }).unwrap().ok().unwrap().text().unwrap().to_owned()
    }
}

/// Status and code.
fn said(answer: &S3Answer) -> (u16, String) {
    (answer.status, answer.code().unwrap_or_default())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn message(answer: &S3Answer) -> String {
    let text = answer.text().unwrap();
    text.split_once("<Message>").unwrap().1.split_once("</Message>").unwrap().0.replace("&quot;", "\"")
}

#[test]
fn a_bucket_of_another_region_is_named_in_the_answer() {
    let world = World::start();
    let bucket = world.bucket(BucketOptions::default().region("eu-west-1"));
    let answer = world.call("GET", &bucket, KEY, &[]);
    assert_eq!(said(&answer), refused(301, "PermanentRedirect"));
    assert_eq!(answer.header("x-amz-bucket-region"), Some("eu-west-1"));
    let head = world.call("HEAD", &bucket, KEY, &[]);
    assert_eq!((head.status, head.header("x-amz-bucket-region"), head.body.len()), (301, Some("eu-west-1"), 0));
    world.aws.elsewhere(Elsewhere::Malformed);
    let answer = world.call("PUT", &bucket, KEY, &[]);
    assert_eq!(said(&answer), refused(400, "AuthorizationHeaderMalformed"));
    assert_eq!(message(&answer), "The authorization header is malformed; the region 'us-west-2' is wrong; expecting 'eu-west-1'");
    assert_eq!(answer.header("x-amz-bucket-region"), Some("eu-west-1"));
    let there = S3Client::new(world.aws.s3_caller("eu-west-1", world.aws.access_key()));
    there.call("PUT", &bucket, KEY, S3Call::default()).unwrap().ok().unwrap();
}

#[test]
fn a_bucket_that_is_not_there_or_is_anothers_is_refused() {
    let world = World::start();
    assert_eq!(said(&world.call("PUT", "no-such-bucket", KEY, &[])), refused(404, "NoSuchBucket"));
    let bucket = world.bucket(BucketOptions::default());
    let owner = "x-amz-expected-bucket-owner";
    world.call("PUT", &bucket, KEY, &[(owner, world.aws.account_id())]).ok().unwrap();
    assert_eq!(said(&world.call("PUT", &bucket, KEY, &[(owner, "000000000000")])), refused(403, "AccessDenied"));
    assert_eq!(world.call("HEAD", &bucket, KEY, &[(owner, "000000000000")]).status, 403);
    let foreign = world.aws.make_bucket("foreign", BucketOptions::default().owner("000000000000")).unwrap();
    assert_eq!(said(&world.call("PUT", &foreign, KEY, &[])), refused(403, "AccessDenied"));
}

#[test]
fn without_kms_the_etag_is_the_md5_and_s3_encrypts_by_itself() {
    let world = World::start();
    let bucket = world.bucket(BucketOptions::default());
    for (method, body) in [("PUT", ""), ("GET", "key\n"), ("HEAD", "")] {
        let answer = world.call(method, &bucket, KEY, &[]).ok().unwrap();
        assert_eq!(answer.header("etag"), Some(MD5), "{method}");
        assert_eq!(answer.header("x-amz-server-side-encryption"), Some("AES256"), "{method}");
        assert_eq!(answer.text().unwrap(), body, "{method}");
    }
    assert!(world.list(&bucket, &[("encryption", "")]).contains("<SSEAlgorithm>AES256</SSEAlgorithm>"));
}

#[test]
fn under_kms_the_etag_is_another_with_each_put_and_the_same_everywhere() {
    let world = World::start();
    let arn = world.aws.make_kms_key();
    let bucket = world.bucket(BucketOptions::default().kms_key(&arn).versioned());
    let first = world.call("PUT", &bucket, KEY, &[]).ok().unwrap();
    assert_eq!(first.header("x-amz-server-side-encryption-aws-kms-key-id"), Some(arn.as_str()));
    let first = first.header("etag").unwrap().to_owned();
    let second = world.call("PUT", &bucket, KEY, &[]).ok().unwrap().header("etag").unwrap().to_owned();
    assert_eq!(first.len(), MD5.len());
    assert!(first != MD5 && second != MD5 && first != second, "{first} {second}");
    for method in ["GET", "HEAD"] {
        let answer = world.call(method, &bucket, KEY, &[]).ok().unwrap();
        assert_eq!(answer.header("etag"), Some(second.as_str()), "{method}");
        assert_eq!(answer.header("x-amz-server-side-encryption"), Some("aws:kms"), "{method}");
    }
    let bare = |etag: &str| format!("<ETag>&quot;{}&quot;</ETag>", etag.trim_matches('"'));
    for query in [&[("prefix", "public-keys/")][..], &[("list-type", "2"), ("prefix", "public-keys/")], &[("encoding-type", "url")]] {
        let text = world.list(&bucket, query);
        assert!(text.contains(&bare(&second)) && !text.contains(&bare(&first)), "{text}");
    }
    let text = world.list(&bucket, &[("versions", "")]);
    assert!(text.contains(&bare(&second)) && text.contains(&bare(&first)), "{text}");
    assert!(world.list(&bucket, &[("encryption", "")]).contains(&format!("<KMSMasterKeyID>{arn}</KMSMasterKeyID>")));
}

#[test]
fn a_condition_holds_for_the_etag_that_was_shown_and_no_other() {
    let world = World::start();
    let arn = world.aws.make_kms_key();
    let plain = BucketOptions::default();
    let kinds = [("plain", plain.clone()), ("kms", plain.clone().kms_key(&arn)), ("versions", plain.kms_key(&arn).versioned())];
    for (name, options) in kinds {
        let bucket = world.aws.make_bucket(name, options).unwrap();
        let create = [("if-none-match", "*")];
        let old = world.call("PUT", &bucket, KEY, &create).ok().unwrap().header("etag").unwrap().to_owned();
        assert_eq!(said(&world.call("PUT", &bucket, KEY, &create)), refused(412, "PreconditionFailed"));
        let new = world.aws.put_object(&bucket, KEY, "other\n").unwrap();
        assert_eq!(said(&world.call("PUT", &bucket, KEY, &[("if-match", &old)])), refused(412, "PreconditionFailed"));
        assert_eq!(said(&world.call("DELETE", &bucket, KEY, &[("if-match", &old)])), refused(412, "PreconditionFailed"));
        assert_eq!(world.call("GET", &bucket, KEY, &[("if-match", &old)]).status, 412);
        assert_eq!(world.call("GET", &bucket, KEY, &[("if-none-match", &format!("\"{new}\""))]).status, 304);
        // With and without quotes.
        let newest = world.call("PUT", &bucket, KEY, &[("if-match", &new)]).ok().unwrap().header("etag").unwrap().to_owned();
        world.call("DELETE", &bucket, KEY, &[("if-match", &newest)]).ok().unwrap();
        assert_eq!(said(&world.call("PUT", &bucket, KEY, &[("if-match", &newest)])), refused(404, "NoSuchKey"));
        // A marker counts as nothing.
        world.call("PUT", &bucket, KEY, &create).ok().unwrap();
        assert_eq!(said(&world.call("PUT", &bucket, KEY, &[("if-none-match", &newest)])), refused(501, "NotImplemented"));
    }
}

#[test]
fn the_md5_of_an_object_under_kms_is_no_condition() {
    let world = World::start();
    let bucket = world.bucket(BucketOptions::default().kms_key(&world.aws.make_kms_key()));
    world.call("PUT", &bucket, KEY, &[]).ok().unwrap();
    assert_eq!(said(&world.call("PUT", &bucket, KEY, &[("if-match", MD5)])), refused(412, "PreconditionFailed"));
}

#[test]
fn a_body_that_did_not_arrive_whole_is_not_stored() {
    let world = World::start();
    let bucket = world.bucket(BucketOptions::default());
    for header in [("x-amz-checksum-crc32", "AAAAAA=="), ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")] {
        assert_eq!(said(&world.call("PUT", &bucket, KEY, &[header])), refused(400, "BadDigest"));
    }
    assert_eq!(world.aws.head(&bucket, KEY).unwrap(), None);
}

#[test]
fn keys_are_taken_as_they_are_up_to_1024_bytes() {
    let world = World::start();
    let bucket = world.bucket(BucketOptions::default());
    let longest = "k".repeat(1024);
    let keys = ["/public-keys/a.pub", "a b/ü+c.pub", "a//b.pub", longest.as_str()];
    keys.iter().for_each(|key| drop(world.call("PUT", &bucket, key, &[]).ok().unwrap()));
    let mut found = world.aws.object_keys(&bucket).unwrap();
    found.sort();
    assert_eq!(found, keys);
    assert_eq!(said(&world.call("PUT", &bucket, &"k".repeat(1025), &[])), refused(400, "KeyTooLongError"));
}

#[test]
fn a_key_of_kms_has_to_be_there_and_enabled() {
    let world = World::start();
    let arn = world.aws.make_kms_key();
    let bucket = world.bucket(BucketOptions::default());
    let with = |key: &str| {
        let headers = [("x-amz-server-side-encryption", "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", key)];
        world.call("PUT", &bucket, KEY, &headers)
    };
    world.aws.name_kms_key(&arn, "alias/keys");
    assert_eq!(with("alias/keys").ok().unwrap().header("x-amz-server-side-encryption-aws-kms-key-id"), Some(arn.as_str()));
    assert_eq!(said(&with(&arn.replace("us-west-2", "us-east-1"))), refused(400, "KMS.NotFoundException"));
    assert_eq!(said(&with("alias/none")), refused(400, "KMS.NotFoundException"));
    world.aws.disable_kms_key(&arn).unwrap();
    assert_eq!(said(&with(&arn)), refused(400, "KMS.DisabledException"));
    assert_eq!(said(&world.call("GET", &bucket, KEY, &[])), refused(400, "KMS.DisabledException"));
    world.call("HEAD", &bucket, KEY, &[]).ok().unwrap();
    world.aws.enable_kms_key(&arn).unwrap();
    world.call("GET", &bucket, KEY, &[]).ok().unwrap();
    world.aws.delete_kms_key(&arn).unwrap();
    assert_eq!(said(&with(&arn)), refused(400, "KMS.NotFoundException"));
}

#[test]
fn kms_without_a_key_means_amazons_own_and_not_the_buckets() {
    let world = World::start();
    let arn = world.aws.make_kms_key();
    let bucket = world.bucket(BucketOptions::default().kms_key(&arn));
    world.call("PUT", &bucket, KEY, &[("x-amz-server-side-encryption", "aws:kms")]).ok().unwrap();
    let key = world.aws.head(&bucket, KEY).unwrap().unwrap().kms_key.unwrap();
    assert!(key != arn && key.starts_with("arn:aws:kms:us-west-2:"), "{key}");
    world.aws.encrypt_bucket(&bucket, None).unwrap();
    world.call("PUT", &bucket, KEY, &[]).ok().unwrap();
    assert_eq!(world.aws.head(&bucket, KEY).unwrap().unwrap().kms_key, None);
    assert_eq!(said(&world.call("PUT", &bucket, KEY, &[("x-amz-server-side-encryption", "rot13")])), refused(400, "InvalidArgument"));
}

#[test]
fn what_policies_deny_is_refused_in_amazons_words() {
    let world = World::start();
    let (arn, account) = (world.aws.make_kms_key(), world.aws.account_id().to_owned());
    let bucket = world.bucket(BucketOptions::default().kms_key(&arn));
    world.call("PUT", &bucket, KEY, &[]).ok().unwrap();
    world.aws.deny(Deny::of("kms:GenerateDataKey"));
    let answer = world.call("PUT", &bucket, KEY, &[]);
    assert_eq!(said(&answer), refused(403, "AccessDenied"));
    let expected = format!(
        "User: arn:aws:iam::{account}:user/lab is not authorized to perform: kms:GenerateDataKey on resource: {arn} because no \
         identity-based policy allows the kms:GenerateDataKey action"
    );
    assert_eq!(message(&answer), expected);
    world.aws.deny(Deny::of("kms:Decrypt").to(world.aws.access_key()));
    assert!(message(&world.call("GET", &bucket, KEY, &[])).contains("kms:Decrypt"));
    assert_eq!(world.call("HEAD", &bucket, KEY, &[("x-amz-checksum-mode", "ENABLED")]).status, 403);
    world.call("HEAD", &bucket, KEY, &[]).ok().unwrap();
    let other = S3Client::new(world.aws.s3_caller(world.aws.region(), BASTION));
    other.call("GET", &bucket, KEY, S3Call::default()).unwrap().ok().unwrap();
    world.aws.deny(Deny::of("s3:PutObject").on("neosync"));
    let answer = world.call("PUT", &bucket, KEY, &[]);
    assert!(message(&answer).contains(&format!("s3:PutObject on resource: \"arn:aws:s3:::{bucket}/{KEY}\"")), "{}", message(&answer));
    world.aws.deny_nothing();
    world.call("PUT", &bucket, KEY, &[]).ok().unwrap();
}

#[test]
fn an_update_needs_to_read_and_a_missing_key_hides_from_who_may_not_list() {
    let world = World::start();
    let bucket = world.bucket(BucketOptions::default());
    let etag = world.aws.put_object(&bucket, KEY, "key\n").unwrap();
    assert_eq!(world.call("HEAD", &bucket, "none", &[]).status, 404);
    world.aws.deny(Deny::of("s3:ListBucket"));
    assert_eq!(world.call("HEAD", &bucket, "none", &[]).status, 403);
    assert_eq!(said(&world.call("GET", &bucket, "", &[])), refused(403, "AccessDenied"));
    world.aws.deny(Deny::of("s3:GetObject"));
    assert_eq!(said(&world.call("PUT", &bucket, KEY, &[("if-match", &etag)])), refused(403, "AccessDenied"));
    world.call("PUT", &bucket, KEY, &[]).ok().unwrap();
}

#[test]
fn calls_are_named_as_in_the_reference_and_the_unknown_is_refused() {
    let world = World::start();
    let bucket = world.bucket(BucketOptions::default());
    world.call("PUT", &bucket, KEY, &[]);
    world.call("GET", &bucket, "", &[]);
    world.list(&bucket, &[("list-type", "2")]);
    let torrent = S3Call { query: &[("torrent", "")], ..S3Call::default() };
    assert_eq!(said(&world.s3.call("GET", &bucket, KEY, torrent).unwrap()), refused(501, "NotImplemented"));
    let calls: Vec<(String, Option<u16>)> = world.aws.calls().into_iter().map(|call| (call.action, call.status)).collect();
    let expected = [("PutObject", 200), ("ListObjects", 200), ("ListObjectsV2", 200), ("GET torrent", 501)];
    assert_eq!(calls, expected.map(|(action, status)| (action.to_owned(), Some(status))));
    assert_eq!(world.aws.calls()[0].target, format!("{bucket}/{KEY}"));
}

#[test]
fn metadata_comes_back_and_foreign_hands_show_in_the_etag() {
    let world = World::start();
    let bucket = world.bucket(BucketOptions::default());
    world.call("PUT", &bucket, KEY, &[("x-amz-meta-owner", "1234"), ("x-amz-meta-managed-by", "lab")]).ok().unwrap();
    let head = world.aws.head(&bucket, KEY).unwrap().unwrap();
    assert_eq!(head.metadata, [("managed-by".to_owned(), "lab".to_owned()), ("owner".to_owned(), "1234".to_owned())]);
    assert_eq!((head.size, head.version_id), (4, None));
    world.aws.put_object(&bucket, KEY, "theirs\n").unwrap();
    assert_ne!(world.aws.head(&bucket, KEY).unwrap().unwrap().etag, head.etag);
    assert_eq!(world.aws.get_object(&bucket, KEY).unwrap().unwrap(), b"theirs\n");
    world.aws.delete_object(&bucket, KEY).unwrap();
    assert_eq!(world.aws.get_object(&bucket, KEY).unwrap(), None);
}

#[test]
fn a_bastion_behind_the_proxy_syncs_and_loses_its_logins_when_the_listing_fails() {
    let world = World::start();
    let bucket = world.bucket(BucketOptions::default().kms_key(&world.aws.make_kms_key()));
    let caller = world.aws.s3_caller(world.aws.region(), BASTION);
    // The period is longer than the test: it says itself when the job runs.
    let bastion =
        Bastion::builder().bucket(KeyBucket { bucket: bucket.clone(), caller }).sync_period(Duration::from_secs(3600)).start().unwrap();
    let run = || {
        bastion.sync_now().unwrap();
        bastion.last_sync_failure().unwrap()
    };
    world.call("PUT", &bucket, KEY, &[]).ok().unwrap();
    world.aws.deny(Deny::of("kms:Decrypt").to(BASTION));
    assert_eq!(run().unwrap(), format!("s3 cp {KEY}: 403 AccessDenied"));
    assert_eq!(bastion.authorized_keys("neosync"), None);
    world.aws.deny_nothing();
    assert_eq!(run(), None);
    assert_eq!(bastion.authorized_keys("neosync").unwrap(), "key\n");
    world.aws.fault(On::action("ListObjects").times(1), Fault::slow_down());
    assert_eq!(run().unwrap(), "list-objects: 503 SlowDown");
    assert_eq!(bastion.authorized_keys("neosync"), None);
    assert_eq!(run(), None);
    assert_eq!(bastion.authorized_keys("neosync").unwrap(), "key\n");
    assert_eq!(bastion.sync_runs().unwrap(), 4);
    assert!(world.aws.calls().iter().all(|call| (call.access_key == BASTION) == (call.action != "PutObject")));
}
