//! `make demo`: runs the quickstart against a lab of real parts and a double of AWS, shows the path, changes it, and cleans up.

mod provider;

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bastion::path::picture::{self, Reach};
use bastion::path::route::{Address, Hop, Login, Port, Route, Target};
use bastion::ssh::known_hosts;
use lab::{Aws, BucketOptions, Found, KeyBucket, Lab, S3Caller, Terraform};
use serde_json::{Value, json};

/// How often the lab's bastion copies keys from its bucket: seldom enough to see the wait, often enough for a demonstration.
const SYNC_PERIOD: Duration = Duration::from_secs(3);

/// From where the data system comes, and from where it comes later. Addresses for documentation (RFC 5737).
const EGRESS: [&str; 2] = [r#"["192.0.2.10", "192.0.2.11"]"#, r#"["192.0.2.11", "198.51.100.7"]"#];

/// The login on the bastion.
const USER: &str = "neosync";

fn main() -> Result<()> {
    let began = Instant::now();
    let provider = provider::build("demo")?;
    let built = Instant::now();

    say("A lab on this machine: a real sshd as the bastion, a real Postgres behind it, moto as AWS behind a strict proxy")?;
    let place = Place::start()?;
    let (lab, aws) = (&place.lab, &place.aws);
    line(&format!("bastion    {} (copies keys from s3://{} every {} s)", lab.bastion.host_port(), place.bucket, SYNC_PERIOD.as_secs()))?;
    line(&format!("database   {}:{}, a name that only the bastion resolves", lab::DATABASE_HOST, lab.logical.port()))?;
    line(&format!("AWS        {}, security group {}", aws.endpoint(), place.group))?;

    let mut terraform = Terraform::new(&provider, Found::Mirror)?;
    terraform.copy_from(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart"))?;
    place.inputs(&mut terraform)?;

    say("terraform init")?;
    terraform.show(&["init", "-input=false"])?;
    say("terraform apply: make the keys, put them into the bucket, open the security group, prove the path")?;
    line("The bastion does not know the keys before its next copy: the connection waits for that, and says so with TF_LOG_PROVIDER=INFO.")?;
    terraform.show(&["plan", "-input=false", "-out=plan"])?;
    terraform.show(&["apply", "-input=false", "plan"])?;
    // A login whose keys have never synced does not exist yet, which sshd notes in another way.
    let refused = lab.bastion.failed_logins().len() + lab.bastion.unknown_users().len();
    if refused > 0 {
        line(&format!("sshd refused the key {refused} time(s) before it had synced; the connection waited."))?;
    }
    show_path(&terraform, lab)?;
    place.show_group()?;

    say("terraform plan once more: nothing to do")?;
    ensure!(terraform.settled()?, "the second plan is not empty");
    line("No changes.")?;

    say("Rotate: key 2 becomes key 1, and the connection is proven with it")?;
    let standby = fingerprints(&terraform)?[1].clone();
    terraform.set("rotation", "2");
    terraform.show(&["apply", "-input=false", "-auto-approve"])?;
    let [used, fresh] = fingerprints(&terraform)?;
    ensure!(used == standby, "the key in use is not the one that stood by");
    let last = lab.bastion.logins().pop().context("nobody logged in")?;
    ensure!(last.fingerprint == used, "the last login used another key");
    line(&format!("in use     {used}  (what was key 2; sshd's log names it too)"))?;
    line(&format!("stands by  {fresh}  (new)"))?;

    say("The data system comes from other addresses: the new rule is there before the old one goes")?;
    terraform.set("egress_addresses", EGRESS[1]);
    aws.forget_calls();
    terraform.show(&["apply", "-input=false", "-auto-approve"])?;
    place.show_group()?;
    place.show_changes()?;

    say("terraform destroy: nothing is left")?;
    terraform.show(&["destroy", "-input=false", "-auto-approve"])?;
    let left = (aws.object_keys(&place.bucket)?, aws.rules(&place.group));
    ensure!(left.0.is_empty() && left.1.is_empty(), "keys or rules are left: {left:?}");
    ensure!(terraform.state()?.contains("\"resources\": []"), "objects are left in state");

    let took = (built - began, built.elapsed());
    say(&format!("Done in {:.0} s (and {:.0} s to build)", took.1.as_secs_f64(), took.0.as_secs_f64()))?;
    line("The configuration is examples/quickstart; docs/ has every argument.")?;
    line("`make install` puts the provider where terraform finds it; `cargo run -p lab -- up` leaves a lab running to play with.")?;
    Ok(())
}

/// What the quickstart works on.
struct Place {
    lab: Lab,
    aws: Aws,
    bucket: String,
    kms_key: String,
    group: String,
}

impl Place {
    fn start() -> Result<Self> {
        let aws = Aws::start()?;
        let kms_key = aws.make_kms_key();
        let bucket = aws.make_bucket("bastion", BucketOptions::default().kms_key(&kms_key).versioned())?;
        let group = aws.make_vpc_group("bastion")?;
        let caller = S3Caller {
            endpoint: aws.endpoint(),
            region: aws.region().to_owned(),
            access_key: "BASTIONSOWNKEY".to_owned(),
            secret_key: aws.secret_key().to_owned(),
        };
        let from = KeyBucket { bucket: bucket.clone(), caller };
        let lab = Lab::start_with(lab::Bastion::builder().bucket(from).sync_period(SYNC_PERIOD))?;
        Ok(Self { lab, aws, bucket, kms_key, group })
    }

    fn inputs(&self, terraform: &mut Terraform) -> Result<()> {
        let (lab, aws) = (&self.lab, &self.aws);
        let bastion = json!({
            "host": lab.bastion.host(),
            "port": lab.bastion.port(),
            "user": USER,
            "host_key": lab.bastion.host_public_key()?,
            "bucket": self.bucket,
            "kms_key_arn": self.kms_key,
            "security_group_id": self.group,
            "key_sync_peers": [aws.amazons_prefix_list("s3")?],
        });
        let database = json!({
            "host": lab::DATABASE_HOST,
            "port": lab.logical.port(),
            "user": lab::ROLE,
            "name": lab::DATABASE,
            "ca": lab.authority.pem(),
            "peers": [aws.make_subnet("10.20.0.0/24")?],
        });
        terraform.set("aws", json!({ "region": aws.region(), "endpoint": aws.endpoint() }).to_string());
        terraform.set("bastion", bastion.to_string());
        terraform.set("database", database.to_string());
        terraform.set("egress_addresses", EGRESS[0]);
        terraform.set("password", lab.password());
        terraform.set("passphrase", "a passphrase for the demo");
        terraform.env("AWS_ACCESS_KEY_ID", aws.access_key());
        terraform.env("AWS_SECRET_ACCESS_KEY", aws.secret_key());
        Ok(())
    }

    /// The security group as AWS has it.
    fn show_group(&self) -> Result<()> {
        say(&format!("The security group {}", self.group))?;
        let rules = self.aws.rules(&self.group);
        ensure!(rules.len() == 4, "{} rules are in the group", rules.len());
        rules.iter().try_for_each(|rule| {
            line(&format!("{:<8} {} {:<6} {}", format!("{:?}", rule.direction), rule.protocol, rule.from_port, rule.peer))
        })
    }

    /// The calls that changed the group, in their order.
    fn show_changes(&self) -> Result<()> {
        let changes = self.aws.calls().into_iter().filter(|call| call.service == "ec2" && !call.action.starts_with("Describe"));
        let changes: Vec<String> = changes.map(|call| call.action).collect();
        // The new rule, the mark on the old one that it leaves, a trial of its removal, and the removal.
        let [authorize, revoke] = ["AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"];
        ensure!(changes == [authorize, "CreateTags", revoke, revoke], "the group was changed by {changes:?}");
        line(&format!("The calls that changed it, in this order: {}", changes.join(", ")))
    }
}

fn output(terraform: &Terraform, name: &str) -> Result<Value> {
    let text = terraform.run(&["output", "-json", name])?.ok()?;
    serde_json::from_str(&text).with_context(|| text)
}

fn fingerprints(terraform: &Terraform) -> Result<[String; 2]> {
    Ok(serde_json::from_value(output(terraform, "fingerprints")?)?)
}

/// Draws the path that terraform has recorded.
fn show_path(terraform: &Terraform, lab: &Lab) -> Result<()> {
    say("The path, as it was proven")?;
    let port = |number: u16| Port::try_from(i64::from(number));
    let host_keys = known_hosts::from_texts(&[&lab.bastion.host_public_key()?], &lab.bastion.host().parse()?, port(lab.bastion.port())?)?;
    let hop = Hop::new(Address::new(lab.bastion.host().parse()?, port(lab.bastion.port())?), USER, host_keys);
    let login = Login { user: lab::ROLE.to_owned(), database: lab::DATABASE.to_owned() };
    let at = Address::new(lab::DATABASE_HOST.parse()?, port(lab.logical.port())?);
    let route = Route::new(vec![hop], Target::Postgres { at, login: Some(login) });
    let stages: Vec<String> = serde_json::from_value(output(terraform, "path")?)?;
    ensure!(stages.len() == 11, "the path has {} stages", stages.len());
    let drawn = picture::draw(&route, Reach::Proven);
    drawn.lines().chain([""]).chain(stages.iter().map(String::as_str)).try_for_each(line)
}

fn say(heading: &str) -> Result<()> {
    writeln!(std::io::stdout(), "\n\x1b[1m== {heading}\x1b[0m\n")?;
    Ok(())
}

fn line(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "  {text}")?;
    Ok(())
}
