//! What AWS says when it refuses is heard to its end, and asked for where it is not said; the log shows each call.

use lab::{BucketOptions, Fault, On};

use crate::cloud::Cloud;
use crate::security_group_rules::bench;
use crate::support::{Block, assert_says};

/// What EC2 says to somebody who came through SSO: the action is not the call's own, and why stands at the end.
const SENTENCE: &str = "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/\
    AWSReservedSSO_AdministratorAccess_0123456789abcdef/firstname.lastname@example.com is not authorized to perform: ec2:CreateTags on resource: \
    arn:aws:ec2:us-west-2:123456789012:security-group-rule/* with an explicit deny in a service control policy. Encoded authorization failure \
    message: ";

fn keys(bucket: &str) -> Block {
    Block::new("bastion_authorized_keys", "keys")
        .text("bucket", bucket)
        .text("user", "neosync")
        .set("public_keys", "[\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ\"]")
}

/// An account with a bucket in which the keys are.
fn with_keys() -> (Cloud, Block) {
    let mut cloud = Cloud::new();
    cloud.arguments = "max_retries = 0".to_owned();
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default()).unwrap();
    let keys = keys(&bucket);
    cloud.settle(&[&keys]);
    (cloud, keys)
}

fn plan(cloud: &Cloud) -> lab::Ran {
    cloud.terraform.run(&["plan", "-detailed-exitcode", "-no-color", "-input=false"]).unwrap()
}

#[test]
fn the_end_of_a_sentence_is_heard() {
    let (cloud, _, block) = bench(&["10.0.0.1"]);
    let sentence = format!("{SENTENCE}{}", "4GIOHlTkIaWHQD0Q0m6XSnuUMCm-".repeat(40));
    cloud.aws.fault("AuthorizeSecurityGroupIngress", Fault::answer(403, "UnauthorizedOperation", &sentence));
    let said = cloud.apply(&[&block]).failed().unwrap();
    assert_says(
        &said,
        &[
            "with an explicit deny in a service control policy.\", from ec2:AuthorizeSecurityGroupIngress.",
            "Means ec2:CreateTags is denied: an explicit deny (service control policy) overrides every allow.",
            "Do 1. lift the explicit deny of ec2:CreateTags on arn:aws:ec2:us-west-2:123456789012:security-group-rule/* in the service control \
             policies of the organization",
            "rules/denied",
        ],
    );
    assert!(!said.contains("4GIOHl") && !said.contains("allow ec2:AuthorizeSecurityGroupIngress"), "{said}");
}

#[test]
fn a_role_that_is_not_to_be_had_is_told_in_the_words_of_sts() {
    let mut cloud = Cloud::new();
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default()).unwrap();
    cloud.arguments = "assume_role = { role_arn = \"arn:aws:iam::210987654321:role/terraform\" }".to_owned();
    let sentence = "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: sts:AssumeRole on resource: \
                    arn:aws:iam::210987654321:role/terraform";
    let said = |message: &str| {
        cloud.aws.fault("AssumeRole", Fault::answer(403, "AccessDenied", message));
        let said = cloud.apply(&[&keys(&bucket)]).failed().unwrap();
        cloud.aws.heal();
        said
    };
    let either = ["from sts:AssumeRole.", "a role has to trust this identity", "account/credentials-failed"];
    assert_says(&said(sentence), &either);
    let decided = said(&format!("{sentence} because no role trust policy allows the sts:AssumeRole action"));
    let remedy = "allow sts:AssumeRole on arn:aws:iam::210987654321:role/terraform in the trust policy of the role";
    assert_says(&decided, &["no role trust policy allows it", remedy, "account/denied"]);
}

#[test]
fn what_a_head_cannot_say_is_asked_for() {
    let (cloud, keys) = with_keys();
    let denied = "User: arn:aws:iam::1:user/x is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\" because no \
                  permissions boundary allows the s3:GetObject action";
    let kms = "User: arn:aws:iam::1:user/x is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-west-2:1:key/2 because no \
               resource-based policy allows the kms:Decrypt action";
    for (status, code, message, expected) in [
        (400, "ExpiredToken", "The provided token has expired.", "account/credentials-expired"),
        (403, "RequestTimeTooSkewed", "The difference is too large.", "account/clock-off"),
        (403, "InvalidAccessKeyId", "No such key.", "account/signature-refused"),
        (403, "SignatureDoesNotMatch", "No.", "account/signature-refused"),
        (400, "InvalidToken", "The provided token is malformed.", "account/signature-refused"),
        (403, "AccessDenied", denied, "permissions boundary allows it"),
        (403, "AccessDenied", kms, "bucket/kms-denied"),
    ] {
        for action in ["HeadObject", "GetObject"] {
            cloud.aws.fault(action, Fault::answer(status, code, message));
        }
        assert_says(&plan(&cloud).failed().unwrap(), &[code, expected]);
        cloud.aws.heal();
    }
    // Throttled, it is not asked again in another way.
    cloud.aws.fault("HeadObject", Fault::slow_down());
    cloud.aws.forget_calls();
    assert_says(&plan(&cloud).failed().unwrap(), &["AWS throttles the calls", "account/throttled"]);
    assert_eq!(cloud.aws.count("GetObject"), 0);
    cloud.aws.heal();
    // What the second question finds, counts.
    cloud.aws.fault("HeadObject", Fault::answer(403, "AccessDenied", "Access Denied"));
    assert_eq!(plan(&cloud).status.code(), Some(0), "the object is there as it was");
    cloud.aws.heal();
    cloud.settle(&[&keys]);
}

#[test]
fn the_log_shows_each_try_of_each_call_and_no_secret() {
    let mut cloud = Cloud::new();
    let role = format!("arn:aws:iam::{}:role/terraform", cloud.aws.account_id());
    cloud.arguments = format!(
        "assume_role = {{ role_arn = {role:?}, external_id = \"secret-word\" }}, allowed_account_ids = [{:?}]",
        cloud.aws.account_id()
    );
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default()).unwrap();
    let group = cloud.aws.make_vpc_group("bastion").unwrap();
    cloud.aws.fault(On::action("PutObject").times(1), Fault::slow_down());
    cloud.aws.fault(On::action("DescribeSecurityGroupRules").times(1), Fault::DropBefore);
    cloud.write(&[&keys(&bucket), &crate::security_group_rules::block(&group, &["10.0.0.1"])]);
    let mut command = cloud.terraform.command(&["apply", "-auto-approve", "-no-color", "-input=false"]);
    let output = command.env("TF_LOG_PROVIDER", "DEBUG").output().unwrap();
    assert!(output.status.success());
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = |words: &[&str]| log.lines().any(|line| words.iter().all(|word| line.contains(word)));
    for (action, service, attempt, status) in [
        ("AssumeRole", "sts", 1, "status=200"),
        ("GetCallerIdentity", "sts", 1, "status=200"),
        ("PutObject", "s3", 1, "status=503"),
        ("PutObject", "s3", 2, "status=200"),
        ("DescribeSecurityGroupRules", "ec2", 1, "was not reached"),
        ("DescribeSecurityGroupRules", "ec2", 2, "status=200"),
        ("AuthorizeSecurityGroupIngress", "ec2", 1, "status=200"),
    ] {
        let words =
            [format!("action={action}"), format!("service={service}"), format!("attempt={attempt}"), status.to_owned(), "ms=".to_owned()];
        assert!(line(&words.each_ref().map(String::as_str)), "{words:?} is not in the log:\n{log}");
    }
    assert!(
        log.lines().filter(|line| line.contains("status=")).all(|line| line.contains("request_id=") && !line.contains("request_id=\"\"")),
        "{log}"
    );
    for secret in [cloud.aws.secret_key(), "secret-word", "Signature", "Credential=", "AWS4-HMAC", "SessionToken"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
