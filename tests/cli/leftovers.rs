//! `bastion leftovers`: what is marked is listed by owner, and an owner's claims are taken away without touching another's.

use std::io::Write;
use std::process::Stdio;

use lab::{Allow, Aws, BucketOptions, Direction, Fault};
use serde_json::json;

use crate::support::{Said, bastion};

const MARK: &str = "terraform-provider-bastion";

/// An account with a group in which a rule is one owner's, one is shared, one an earlier version's and one nobody's.
fn group() -> (Aws, String) {
    let aws = Aws::start().unwrap();
    let group = aws.make_vpc_group("bastion").unwrap();
    let ours = |peer: &str, name: &str| Allow::tcp(Direction::Ingress, 22, peer).tag("managed-by", MARK).tag("Name", name);
    let claim = |digit: &str| digit.repeat(16);
    aws.allow(&group, &ours("10.0.0.1/32", "ingress/old").tag("bastion-owner/team/old", &claim("1"))).unwrap();
    let shared = ours("10.0.0.2/32", "ingress/both").tag("bastion-owner/team/old", &claim("2")).tag("bastion-owner/team/new", &claim("3"));
    aws.allow(&group, &shared).unwrap();
    aws.allow(&group, &Allow::tcp(Direction::Egress, 5432, "10.0.0.3/32").tag("managed-by", MARK).tag("bastion-owner", &claim("a")))
        .unwrap();
    aws.allow(&group, &Allow::tcp(Direction::Ingress, 22, "10.0.0.4/32")).unwrap();
    (aws, group)
}

fn command(aws: &Aws, arguments: &[&str]) -> std::process::Command {
    let mut command = bastion(&[&["leftovers"], arguments].concat());
    command.env("AWS_ACCESS_KEY_ID", aws.access_key()).env("AWS_SECRET_ACCESS_KEY", aws.secret_key());
    command.env("AWS_ENDPOINT_URL", aws.endpoint()).env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_MAX_ATTEMPTS", "1");
    command.args(["--region", aws.region()]);
    command
}

fn run(aws: &Aws, arguments: &[&str]) -> Said {
    Said::of(&command(aws, arguments).output().unwrap())
}

fn peers(aws: &Aws, group: &str) -> Vec<String> {
    aws.rules(group).into_iter().map(|rule| rule.peer).collect()
}

#[test]
fn marked_rules_are_listed_by_owner_and_nothing_is_touched() {
    let (aws, group) = group();
    let id = |peer: &str| aws.rules(&group).into_iter().find(|rule| rule.peer == peer).unwrap().id;
    let (old, both, earlier) = (id("10.0.0.1/32"), id("10.0.0.2/32"), id("10.0.0.3/32"));
    let said = run(&aws, &[&group]);
    let expected = format!(
        "aaaaaaaaaaaaaaaa\n  {earlier}  egress tcp-5432 to 10.0.0.3/32\n\
         team/new\n  {both}  ingress tcp-22 from 10.0.0.2/32, as ingress/both; also claimed by team/old\n\
         team/old\n  {old}  ingress tcp-22 from 10.0.0.1/32, as ingress/old\n  \
         {both}  ingress tcp-22 from 10.0.0.2/32, as ingress/both; also claimed by team/new\n"
    );
    assert_eq!((said.code, said.out.as_str()), (0, expected.as_str()), "{}", said.err);
    let listed = run(&aws, &[&group, "--owner", "team/new", "--json"]).json();
    let claims = json!([{ "id": both, "what": "ingress tcp-22 from 10.0.0.2/32, as ingress/both", "owners": ["team/new", "team/old"] }]);
    assert_eq!(
        (&listed["ok"], &listed["target"], &listed["claims"], &listed["released"]),
        (&json!(true), &json!(group), &claims, &json!([]))
    );
    assert!(aws.calls().iter().all(|call| call.action.starts_with("Describe")), "{:?}", aws.calls());
    let both = format!("team/new\n  {both}  ingress tcp-22 from 10.0.0.2/32, as ingress/both; also claimed by team/old\n");
    assert_eq!(run(&aws, &[&group, "--owner", "team/new"]).out, both, "who is not asked for has no heading");
    let empty = aws.make_vpc_group("empty").unwrap();
    run(&aws, &[&empty]).expect(0, &[&format!("Nothing in {empty} bears this provider's mark.")]);
}

#[test]
fn an_owners_rules_go_and_what_another_claims_stays() {
    let (aws, group) = group();
    let said = run(&aws, &[&group, "--owner", "team/old", "--remove", "--yes"]);
    said.expect(0, &[": removed; nobody but team/old claimed it", ": no longer claimed by team/old; stays for team/new"]);
    assert_eq!(peers(&aws, &group), ["10.0.0.2/32", "10.0.0.3/32", "10.0.0.4/32"]);
    let said = run(&aws, &[&group, "--owner", "team/new", "--owner", "aaaaaaaaaaaaaaaa", "--remove", "--yes", "--json"]).json();
    let released: Vec<_> = said["released"].as_array().unwrap().iter().map(|one| (one["owner"].clone(), one["removed"].clone())).collect();
    assert_eq!(released, [(json!("team/new"), json!(true)), (json!("aaaaaaaaaaaaaaaa"), json!(true))]);
    assert_eq!(peers(&aws, &group), ["10.0.0.4/32"], "what nobody marked is nobody's to remove");
}

#[test]
fn an_owners_objects_go_and_what_another_claims_stays() {
    let aws = Aws::start().unwrap();
    let bucket = aws.make_bucket("bastion", BucketOptions::default()).unwrap();
    // An earlier version marked an object, and not who uses it.
    let mark = [("x-amz-meta-managed-by", MARK)];
    aws.put_object_with(&bucket, "public-keys/earlier.pub", "a line\n", &mark).unwrap();
    aws.put_object(&bucket, "public-keys/somebody.pub", "somebody else's\n").unwrap();
    let (old, new) = ("# bastion-owner: team/old 1111111111111111\n", "# bastion-owner: team/new 2222222222222222\n");
    let owners = [mark[0], ("x-amz-meta-bastion-owners", "team/new:2222222222222222 team/old:1111111111111111")];
    aws.put_object_with(&bucket, "public-keys/shared.pub", format!("{new}{old}a line\n"), &owners).unwrap();
    let said = run(&aws, &[&bucket]);
    let expected = "earlier-version\n  public-keys/earlier.pub  login earlier\n\
                    team/new\n  public-keys/shared.pub  login shared; also claimed by team/old\n\
                    team/old\n  public-keys/shared.pub  login shared; also claimed by team/new\n";
    assert_eq!((said.code, said.out.as_str()), (0, expected), "{}", said.err);
    run(&aws, &[&bucket, "--prefix", "elsewhere/"]).expect(0, &[&format!("Nothing in {bucket}/elsewhere/ bears this provider's mark.")]);
    let said = run(&aws, &[&bucket, "--owner", "earlier-version", "--remove", "--yes"]);
    said.expect(0, &["public-keys/earlier.pub: removed"]);
    let said = run(&aws, &[&bucket, "--owner", "team/old", "--remove", "--yes"]);
    said.expect(0, &["public-keys/shared.pub: no longer claimed by team/old; stays for team/new"]);
    let left = aws.get_object(&bucket, "public-keys/shared.pub").unwrap().unwrap();
    assert_eq!(String::from_utf8(left).unwrap(), format!("{new}a line\n"));
    run(&aws, &[&bucket, "--owner", "team/new", "--remove", "--yes"]).expect(0, &["removed; nobody but team/new claimed it"]);
    assert_eq!(aws.object_keys(&bucket).unwrap(), ["public-keys/somebody.pub"]);
}

#[test]
fn nothing_is_removed_that_was_not_asked_for() {
    let (aws, group) = group();
    let all = peers(&aws, &group);
    run(&aws, &[&group, "--remove"]).expect(2, &["--owner"]);
    let nobody = format!("Nothing in {group} is claimed by nobody; owners there: aaaaaaaaaaaaaaaa, team/new, team/old.");
    run(&aws, &[&group, "--owner", "nobody", "--owner", "team/new"]).expect(0, &[&nobody, "team/new\n"]);
    run(&aws, &[&group, "--owner", "nobody", "--owner", "team/old", "--remove", "--yes"]).expect(2, &[&format!("--owner: {nobody}")]);
    run(&aws, &[&group, "--owner", "-x"]).expect(0, &["is claimed by -x; owners there"]);
    run(&aws, &[&group, "--prefix", "public-keys/"]).expect(2, &["--prefix: a security group has none"]);
    let bucket = aws.make_bucket("bastion", BucketOptions::default()).unwrap();
    let nobody = format!("Nothing in {bucket}/public-keys/ is claimed by nobody; nothing there is claimed by anybody.");
    run(&aws, &[&bucket, "--owner", "nobody", "--remove", "--yes"]).expect(2, &[&nobody]);
    run(&aws, &[&group, "--owner", "a b"]).expect(2, &["an owner has 1 to 64"]);
    run(&aws, &["sg-x"]).expect(2, &["SG|BUCKET:"]);
    run(&aws, &["No_Bucket"]).expect(2, &["SG|BUCKET: this is not the name of a bucket"]);
    // Nobody can be asked; then somebody says no; then yes.
    let script = |typed: &str| {
        let program = env!("CARGO_BIN_EXE_bastion");
        let line = format!("'{program}' leftovers {group} --owner team/old --remove --region {}", aws.region());
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm").env("SHELL", "/bin/sh");
        script.env("AWS_ACCESS_KEY_ID", aws.access_key()).env("AWS_SECRET_ACCESS_KEY", aws.secret_key());
        script.env("AWS_ENDPOINT_URL", aws.endpoint()).env("AWS_EC2_METADATA_DISABLED", "true");
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("script is needed here");
        child.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
        Said::of(&child.wait_with_output().unwrap())
    };
    script("no\n")
        .expect(10, &["as ingress/old", "Take the claims of team/old away? Type yes: ", "it was not confirmed: nothing was removed"]);
    assert_eq!(peers(&aws, &group), all);
    script("yes\n").expect(0, &["removed; nobody but team/old claimed it"]);
    assert_eq!(peers(&aws, &group).len(), all.len() - 1);
}

#[test]
fn a_listing_that_never_ends_is_an_error() {
    let aws = Aws::start().unwrap();
    let bucket = aws.make_bucket("bastion", BucketOptions::default()).unwrap();
    aws.put_object(&bucket, "public-keys/neosync.pub", "a line\n").unwrap();
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken></ListBucketResult>";
    aws.fault("ListObjectsV2", Fault::Text(page.to_owned()));
    for arguments in [vec![bucket.as_str()], vec![&bucket, "--owner", "team/old", "--remove", "--yes"]] {
        aws.forget_calls();
        run(&aws, &arguments).expect(11, &["The bucket cannot be listed to its end", "bucket/unlisted"]);
        assert!(aws.count("ListObjectsV2") <= 20, "{}", aws.count("ListObjectsV2"));
    }
}

#[test]
fn what_aws_refuses_is_told_and_has_a_code_of_its_own() {
    let (aws, group) = group();
    run(&aws, &["sg-00000000000000000"]).expect(11, &["Error: The security group does not exist", "--region", "rules/group-missing"]);
    let denied = "You are not authorized to perform this operation. User: arn:aws:iam::1:user/x is not authorized to perform: \
                  ec2:DescribeSecurityGroupRules because no identity-based policy allows the ec2:DescribeSecurityGroupRules action";
    aws.fault("DescribeSecurityGroupRules", Fault::answer(403, "UnauthorizedOperation", denied));
    let said = run(&aws, &[&group, "--json"]);
    assert_eq!(said.code, 11, "{}", said.err);
    let said = said.json();
    assert_eq!((&said["ok"], &said["code"], &said["claims"]), (&json!(false), &json!("rules/denied"), &json!([])));
    assert_eq!(said["remedies"][0], "allow ec2:DescribeSecurityGroupRules in the identity's policy");
    let mut nobody = command(&aws, &[&group]);
    nobody.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    Said::of(&nobody.output().unwrap()).expect(11, &["No AWS credentials are found", "account/no-credentials"]);
}
