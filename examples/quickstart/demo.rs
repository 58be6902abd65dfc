//! `make demo`: runs the quickstart against a lab of real parts, shows the path, rotates the keys, and cleans up.

mod provider;

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bastion::path::picture::{self, Reach};
use bastion::path::route::{Bastion, Database, Host, Port, Route};
use lab::{Found, Lab, Terraform};
use serde_json::{Value, json};

/// How long the lab's bastion takes to notice new keys: long enough to see the wait, short enough for a demonstration.
const SYNC_DELAY: Duration = Duration::from_secs(3);

/// The login on the bastion.
const USER: &str = "neosync";

fn main() -> Result<()> {
    let began = Instant::now();
    let provider = provider::build()?;
    let built = Instant::now();

    say("A lab on this machine: a real sshd as the bastion, a real Postgres behind it, nothing beyond loopback")?;
    let lab = Lab::start_with(lab::Bastion::builder().sync_delay(SYNC_DELAY))?;
    let database = &lab.logical;
    line(&format!(
        "bastion    {} (copies public keys from {} after {} s)",
        lab.bastion.host_port(),
        lab.bastion.drop_folder().display(),
        SYNC_DELAY.as_secs()
    ))?;
    line(&format!("database   {}:{}, a name that only the bastion resolves", lab::DATABASE_HOST, database.port()))?;

    let mut terraform = Terraform::new(&provider, Found::Mirror)?;
    terraform.copy_from(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart"))?;
    inputs(&mut terraform, &lab)?;

    say("terraform init")?;
    terraform.show(&["init", "-input=false"])?;
    say("terraform apply: make the keys, tell the bastion, prove the path")?;
    line(&format!(
        "The bastion notices new keys after {} s: the connection waits for that, and says so with TF_LOG_PROVIDER=INFO.",
        SYNC_DELAY.as_secs()
    ))?;
    terraform.show(&["plan", "-input=false", "-out=plan"])?;
    terraform.show(&["apply", "-input=false", "plan"])?;
    let refused = lab.bastion.failed_logins().len();
    ensure!(refused > 0, "the bastion knew the key at once, so nothing was waited for");
    line(&format!("sshd refused the key {refused} time(s) before it had synced; the connection waited."))?;
    show_path(&terraform, &lab)?;

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

    say("terraform destroy: nothing is left")?;
    terraform.show(&["destroy", "-input=false", "-auto-approve"])?;
    let left = std::fs::read_dir(lab.bastion.drop_folder())?.count();
    ensure!(left == 0, "{left} keys are left in the bastion's folder");
    ensure!(terraform.state()?.contains("\"resources\": []"), "objects are left in state");

    let took = (built - began, built.elapsed());
    say(&format!("Done in {:.0} s (and {:.0} s to build)", took.1.as_secs_f64(), took.0.as_secs_f64()))?;
    line("The configuration is examples/quickstart; docs/ has every argument.")?;
    line("`make install` puts the provider where terraform finds it; `cargo run -p lab -- up` leaves a lab running to play with.")?;
    Ok(())
}

fn inputs(terraform: &mut Terraform, lab: &Lab) -> Result<()> {
    let bastion = json!({
        "host": lab.bastion.host(),
        "port": lab.bastion.port(),
        "user": USER,
        "host_key": lab.bastion.host_public_key()?,
        "key_folder": lab.bastion.drop_folder(),
    });
    let database = json!({ "host": lab::DATABASE_HOST, "port": lab.logical.port(), "user": lab::ROLE, "name": lab::DATABASE, "ca": lab.authority.pem() });
    terraform.set("bastion", bastion.to_string());
    terraform.set("database", database.to_string());
    terraform.set("password", lab.password());
    terraform.set("passphrase", "a passphrase for the demo");
    Ok(())
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
    let bastion = Bastion {
        host: lab.bastion.host().parse()?,
        port: port(lab.bastion.port())?,
        user: USER.to_owned(),
        host_keys: bastion::key::HostKeys::Any,
    };
    let host: Host = lab::DATABASE_HOST.parse()?;
    let database = Database { host, port: port(lab.logical.port())?, user: lab::ROLE.to_owned(), name: lab::DATABASE.to_owned() };
    let stages: Vec<String> = serde_json::from_value(output(terraform, "path")?)?;
    ensure!(stages.len() == 11, "the path has {} stages", stages.len());
    let drawn = picture::draw(&Route { bastion: Some(bastion), database }, Reach::Proven);
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
