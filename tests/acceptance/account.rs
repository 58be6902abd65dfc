//! The provider block's `aws`: lazy, bounded to the accounts that are allowed, and clear about what it lacks.

use std::time::Duration;

use lab::{BucketOptions, Manners, Peer, Relay, Terraform};

use crate::cloud::{Cloud, provider};
use crate::support::{Block, assert_says, terraform, write_with};

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

fn keys(bucket: &str) -> Block {
    Block::new("bastion_authorized_keys", "keys")
        .text("bucket", bucket)
        .text("user", "neosync")
        .set("public_keys", format!("[{ED25519:?}]"))
}

fn tunnel() -> Block {
    Block::new("bastion_ssh_tunnel_connection", "tunnel")
        .text("name", "tunnel")
        .text("host", "bastion.example.com")
        .text("user", "neosync")
        .set("insecure_ignore_host_key", "true")
        .set("key_pairs", "{ allow_plaintext_in_state = true }")
}

/// What instance metadata would be, counted: it closes every connection.
fn metadata() -> (Peer, Relay) {
    let service = Peer::start(Manners::Close).unwrap();
    let counted = Relay::start(([127, 0, 0, 1], service.port())).unwrap();
    (service, counted)
}

/// A folder whose only source of credentials would be instance metadata.
fn on_an_instance(metadata: &Relay) -> Terraform {
    let mut terraform = terraform();
    terraform.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://127.0.0.1:{}", metadata.port()));
    terraform.env("AWS_CONFIG_FILE", "/nonexistent");
    terraform.env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
    terraform
}

#[test]
fn who_needs_no_aws_never_asks_for_credentials() {
    let (_service, metadata) = metadata();
    let terraform = on_an_instance(&metadata);
    for block in ["", "provider \"bastion\" {\n  aws = { region = \"us-west-2\" }\n}\n"] {
        write_with(&terraform, block, &[&tunnel()]);
        terraform.apply().unwrap().ok().unwrap();
        assert!(terraform.settled().unwrap());
    }
    assert_eq!(metadata.connections(), 0, "instance metadata was asked");
}

#[test]
fn a_lack_of_region_or_credentials_is_said_in_words() {
    let (_service, metadata) = metadata();
    let mut terraform = on_an_instance(&metadata);
    write_with(&terraform, "provider \"bastion\" {\n  aws = { region = \"us-west-2\", max_retries = 0 }\n}\n", &[&keys("my-bastion")]);
    let said = terraform.apply().unwrap().failed().unwrap();
    assert_says(&said, &["No AWS credentials are found", "aws sso login", "account/no-credentials"]);
    assert!(metadata.connections() > 0, "the chain was not followed to its end");
    terraform.env("AWS_EC2_METADATA_DISABLED", "true");
    write_with(&terraform, "", &[&keys("my-bastion")]);
    assert_says(&terraform.apply().unwrap().failed().unwrap(), &["No AWS region is given", "AWS_REGION", "account/no-region"]);
    terraform.env("AWS_REGION", "us-west-2");
    // Several resources that ask at a time hear the same, and of the profile.
    terraform.env("AWS_PROFILE", "nobody");
    let blocks = ["one", "two", "three"].map(|user| keys("my-bastion").named(user).text("user", user));
    write_with(&terraform, "", &blocks.each_ref());
    let said = terraform.apply().unwrap().failed().unwrap();
    assert_eq!(said.matches("No AWS credentials are found").count(), 3, "{said}");
    assert_says(&said, &["The profile `nobody` gives none, or does not exist"]);
    terraform.write("profiles", "[profile broken]\ncredential_process = /bin/false\n").unwrap();
    terraform.env("AWS_CONFIG_FILE", terraform.work().join("profiles").display().to_string());
    terraform.env("AWS_PROFILE", "broken");
    write_with(&terraform, "", &[&keys("my-bastion")]);
    assert_says(&terraform.apply().unwrap().failed().unwrap(), &["The AWS credentials cannot be loaded", "account/credentials-failed"]);
}

#[test]
fn an_account_that_is_not_allowed_is_not_touched() {
    let mut cloud = Cloud::new();
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default()).unwrap();
    cloud.arguments = "allowed_account_ids = [\"210987654321\"]".to_owned();
    let said = cloud.apply(&[&keys(&bucket)]).failed().unwrap();
    assert_says(&said, &["The credentials lead to another AWS account", cloud.aws.account_id(), "account/other-account"]);
    let actions = |cloud: &Cloud| cloud.aws.calls().into_iter().map(|call| call.action).collect::<Vec<_>>();
    assert_eq!(actions(&cloud), ["GetCallerIdentity"]);
    cloud.arguments = format!("allowed_account_ids = [\"{}\"]", cloud.aws.account_id());
    cloud.aws.forget_calls();
    cloud.apply(&[&keys(&bucket)]).ok().unwrap();
    // What the store makes of the conditions of a write is found out once.
    assert_eq!(actions(&cloud), ["GetCallerIdentity", "HeadObject", "PutObject", "PutObject", "ListObjectsV2"]);
}

#[test]
fn a_role_is_taken_on_and_the_calls_name_their_sender() {
    let mut cloud = Cloud::new();
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default()).unwrap();
    let role = format!("arn:aws:iam::{}:role/terraform", cloud.aws.account_id());
    cloud.arguments = format!("assume_role = {{ role_arn = {role:?}, session_name = \"here\", external_id = \"secret-word\" }}");
    cloud.settle(&[&keys(&bucket)]);
    let calls = cloud.aws.calls();
    assert_eq!(calls[0].action, "AssumeRole");
    let put = calls.iter().find(|call| call.action == "PutObject").unwrap();
    assert_ne!(put.access_key, cloud.aws.access_key(), "the role's own credentials sign");
    let sender = concat!("terraform-provider-bastion/", env!("CARGO_PKG_VERSION"));
    assert!(calls.iter().all(|call| call.user_agent.contains(sender)), "{calls:?}");
}

#[test]
fn a_source_of_credentials_is_asked_once_a_process() {
    let mut cloud = Cloud::new();
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default()).unwrap();
    let group = cloud.aws.make_vpc_group("bastion").unwrap();
    // As one with a second factor would, it says each time for which process it was run.
    let script = cloud.terraform.work().join("source.sh");
    let (log, key, secret) = (cloud.terraform.work().join("asked"), cloud.aws.access_key(), cloud.aws.secret_key());
    let answer = format!("{{\"Version\": 1, \"AccessKeyId\": {key:?}, \"SecretAccessKey\": {secret:?}}}");
    // The parent is the shell that the SDK runs the command in; its parent is the provider.
    let parent = "$(awk '/^PPid/ { print $2 }' /proc/$PPID/status)";
    let text = format!("echo {parent} >> {log:?}\nprintf '%s' '{answer}'\n");
    cloud.terraform.write("source.sh", &text).unwrap();
    cloud.terraform.write("profiles", &format!("[profile process]\ncredential_process = /bin/sh {}\n", script.display())).unwrap();
    cloud.terraform.env("AWS_CONFIG_FILE", cloud.terraform.work().join("profiles").display().to_string());
    cloud.terraform.env("AWS_PROFILE", "process");
    cloud.terraform.env("AWS_ACCESS_KEY_ID", "");
    cloud.terraform.env("AWS_SECRET_ACCESS_KEY", "");
    let role = format!("arn:aws:iam::{}:role/terraform", cloud.aws.account_id());
    cloud.arguments = format!("assume_role = {{ role_arn = {role:?} }}, allowed_account_ids = [{:?}]", cloud.aws.account_id());
    let rules = Block::new("bastion_security_group_rules", "it")
        .text("security_group_id", &group)
        .set("ingress", "{ neosync = { port = 22, peers = [\"10.0.0.1\"] } }");
    let blocks = ["one", "two", "three"].map(|user| keys(&bucket).named(user).text("user", user));
    let [one, two, three] = blocks.each_ref();
    cloud.apply(&[one, two, three, &rules]).ok().unwrap();
    let asked = std::fs::read_to_string(&log).unwrap();
    let processes: std::collections::BTreeSet<_> = asked.lines().collect();
    assert_eq!(asked.lines().count(), processes.len(), "one process asked more than once:\n{asked}");
    assert_eq!(cloud.aws.count("AssumeRole"), processes.len());
    assert_eq!(cloud.aws.count("GetCallerIdentity"), processes.len());
}

#[test]
fn a_search_for_credentials_ends_with_an_interrupt() {
    let mut cloud = Cloud::new();
    let group = cloud.aws.make_vpc_group("bastion").unwrap();
    let role = format!("arn:aws:iam::{}:role/terraform", cloud.aws.account_id());
    cloud.arguments = format!("assume_role = {{ role_arn = {role:?} }}");
    let rules = Block::new("bastion_security_group_rules", "it")
        .text("security_group_id", &group)
        .set("ingress", "{ neosync = { port = 22, peers = [\"10.0.0.1\"] } }");
    cloud.write(&[&rules]);
    let held = cloud.aws.pause_before("AssumeRole");
    let mut command = cloud.terraform.command(&["apply", "-auto-approve", "-no-color", "-input=false"]);
    let apply = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    held.wait(Duration::from_secs(30)).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&apply), rustix::process::Signal::INT).unwrap();
    // The source still has not answered when terraform has ended; a try of it is given up after thirty seconds by itself.
    let output = apply.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_says(&said, &["The call was interrupted", "account/interrupted"]);
    drop(held);
    assert_eq!(cloud.aws.count("AssumeRole"), 0, "it was given up, and not made");
    cloud.settle(&[&rules]);
}

#[test]
fn a_configuration_that_is_known_only_after_apply_postpones() {
    let cloud = Cloud::new();
    let bucket = cloud.aws.make_bucket("bastion", BucketOptions::default()).unwrap();
    let region = Block::new("terraform_data", "region").text("input", cloud.aws.region());
    let late = provider(&cloud.aws, "").replace(&format!("{:?}", cloud.aws.region()), "terraform_data.region.output");
    assert!(late.contains("terraform_data.region.output"));
    write_with(&cloud.terraform, &late, &[&region, &keys(&bucket)]);
    cloud.terraform.apply().unwrap().ok().unwrap();
    assert!(cloud.terraform.settled().unwrap());
    // Unknown again: state is kept as it is, and nothing is asked for.
    let replaced = region.set("triggers_replace", "\"other\"");
    write_with(&cloud.terraform, &late, &[&replaced, &keys(&bucket)]);
    cloud.aws.forget_calls();
    cloud.terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().ok().unwrap();
    assert!(cloud.aws.calls().is_empty(), "{:?}", cloud.aws.calls());
}

#[test]
fn what_cannot_be_meant_is_refused_at_plan() {
    let terraform = terraform();
    let refused = |argument: &str, words: &str| {
        write_with(&terraform, &format!("provider \"bastion\" {{\n  aws = {{ {argument} }}\n}}\n"), &[&tunnel()]);
        assert_says(&terraform.run(&["plan", "-no-color", "-input=false"]).unwrap().failed().unwrap(), &[words]);
    };
    refused("region = \"ap-north-east2\"", "The region is not a region");
    refused("endpoints = { s3 = \"localhost:9000\" }", "The endpoint is not a URL");
    refused("max_retries = -1", "The number of retries is out of range");
    refused("allowed_account_ids = [\"123\"]", "The account id is not an account id");
    refused("assume_role = { role_arn = \"terraform\" }", "The role is not a role");
    refused("default_tags = { \"aws:x\" = \"y\" }", "The tag cannot be set");
    refused("default_tags = { Name = \"y\" }", "The tag cannot be set");
}
