//! The promises of a login's object against LocalStack's S3, a second opinion on the lab's double: `make test-localstack` runs them.

use lab::{S3Call, S3Caller, S3Client, Terraform};

use crate::support::{Block, assert_says, planned, terraform, write_with};

const ADDRESS: &str = "bastion_authorized_keys.neosync";
const KEY: &str = "public-keys/neosync.pub";
const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const REGION: &str = "us-west-2";

/// A bucket in LocalStack, and a folder that reaches it.
struct Stack {
    endpoint: String,
    s3: S3Client,
    bucket: String,
    terraform: Terraform,
}

impl Stack {
    fn new() -> Self {
        let endpoint = std::env::var("BASTION_S3_ENDPOINT").expect("`make test-localstack` starts LocalStack and names its endpoint");
        let s3 = S3Client::new(S3Caller {
            endpoint: endpoint.clone(),
            region: REGION.to_owned(),
            access_key: "test".to_owned(),
            secret_key: "test".to_owned(),
        });
        let bucket = format!("bastion-{}", std::process::id());
        let place = format!("<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>");
        s3.call("PUT", &bucket, "", S3Call { body: place.as_bytes(), ..S3Call::default() }).unwrap().ok().unwrap();
        let mut terraform = terraform();
        terraform.env("AWS_ACCESS_KEY_ID", "test");
        terraform.env("AWS_SECRET_ACCESS_KEY", "test");
        Self { endpoint, s3, bucket, terraform }
    }

    fn write(&self, blocks: &[&Block]) {
        let url = &self.endpoint;
        let provider = format!("provider \"bastion\" {{\n  aws = {{ region = {REGION:?}, endpoints = {{ s3 = {url:?} }} }}\n}}\n");
        write_with(&self.terraform, &provider, blocks);
    }

    fn settle(&self, blocks: &[&Block]) {
        self.write(blocks);
        self.terraform.apply().unwrap().ok().unwrap();
        assert!(self.terraform.settled().unwrap(), "the second plan is not empty");
    }

    fn block(&self) -> Block {
        let keys = format!("[{ED25519:?}]");
        Block::new("bastion_authorized_keys", "neosync").text("bucket", &self.bucket).text("user", "neosync").set("public_keys", keys)
    }

    fn put(&self, body: &str) {
        self.s3.call("PUT", &self.bucket, KEY, S3Call { body: body.as_bytes(), ..S3Call::default() }).unwrap().ok().unwrap();
    }

    fn body(&self) -> Option<String> {
        let got = self.s3.call("GET", &self.bucket, KEY, S3Call::default()).unwrap();
        let lines = || got.text().unwrap().split_inclusive('\n').filter(|line| !line.starts_with("# bastion-owner: ")).collect();
        (got.status == 200).then(lines)
    }
}

#[test]
#[ignore = "make test-localstack runs it"]
fn an_object_is_made_changed_imported_mended_and_removed() {
    let stack = Stack::new();
    stack.settle(&[&stack.block()]);
    assert_eq!(stack.body().unwrap(), format!("restrict,port-forwarding {ED25519}\n"));
    stack.settle(&[&stack.block().set("permit_open", "[\"db.internal:5432\"]")]);
    assert!(stack.body().unwrap().contains("permitopen=\"db.internal:5432\""));

    stack.put("somebody else's");
    assert_eq!(planned(&stack.terraform)[ADDRESS], ["update"]);
    stack.settle(&[&stack.block()]);

    stack.terraform.run(&["state", "rm", ADDRESS]).unwrap().ok().unwrap();
    stack.terraform.run(&["import", "-input=false", ADDRESS, &format!("{}/{KEY}", stack.bucket)]).unwrap().ok().unwrap();
    assert!(stack.terraform.settled().unwrap(), "the plan after an import is not empty");

    stack.settle(&[]);
    assert_eq!(stack.body(), None);

    stack.put("a stranger's");
    stack.write(&[&stack.block()]);
    let said = stack.terraform.apply().unwrap().failed().unwrap();
    assert_says(&said, &["The object exists already", "terraform import ADDRESS"]);
    assert_eq!(stack.body().unwrap(), "a stranger's");
    stack.settle(&[&stack.block().set("adopt", "true")]);

    stack.write(&[&stack.block().text("bucket", "no-such-bucket-anywhere")]);
    assert_says(&stack.terraform.apply().unwrap().failed().unwrap(), &["The bucket does not exist", "bucket/missing"]);
}
