//! A plan over a thousand objects of each resource, none of which changes: what the provider itself spends on each, and what it holds.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::{Aws, BucketOptions, Found, Terraform};

use super::plan::prepare;
use super::table::{Amount, Figure, Target};

/// A large state.
const OBJECTS: u32 = 1000;

/// Of the provider's processor time, for each object.
const MOST_TIME: Duration = Duration::from_millis(1);

/// What the provider may hold at its largest.
const MOST_MEMORY: Amount = Amount::Mebibytes(60.0);

/// The kernel counts processor time in hundredths of a second (USER_HZ).
const TICK: Duration = Duration::from_millis(10);

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

/// Each resource in use: a tunnel whose keys are encrypted, a connection through it, what the double of AWS is asked for at each plan.
fn resources(bucket: &str, group: &str) -> [(&'static str, String); 4] {
    [
        (
            "bastion_ssh_tunnel_connection",
            format!(
                "name = \"m\"\n host = \"bastion.example.com\"\n user = \"tf\"\n host_keys = [{KEY:?}]\n \
                 key_pairs = {{ passphrase_wo = \"correct horse\", passphrase_wo_version = 1 }}"
            ),
        ),
        (
            "bastion_postgres_connection",
            format!(
                "name = \"m\"\n host = \"db.internal\"\n user = \"app\"\n password_wo = \"x\"\n database = \"orders\"\n \
                 ssh_private_key_wo = {:?}\n ssh_tunnel = {{ host = \"bastion.example.com\", user = \"tf\", host_keys = [{KEY:?}] }}\n \
                 verify = {{ enabled = false }}",
                plain_key()
            ),
        ),
        (
            "bastion_authorized_keys",
            format!("bucket = {bucket:?}\n user = \"neosync\"\n public_keys = [{KEY:?}]\n permit_open = [\"db.internal:5432\"]"),
        ),
        (
            "bastion_security_group_rules",
            format!(
                "security_group_id = {group:?}\n ingress = {{ neosync = {{ port = 22, peers = [\"54.69.79.83\", \"44.235.108.235\"] }} }}\n \
                 egress = {{ postgres = {{ port = 5432, peers = [\"10.0.0.0/16\"] }}, sync = {{ port = 443, peers = [\"0.0.0.0/0\"] }} }}"
            ),
        ),
    ]
}

/// As HCL writes it within quotation marks.
fn plain_key() -> String {
    let key = bastion::key::PrivateKey::generate_ed25519().ok().and_then(|key| key.to_openssh().ok());
    key.map(|key| key.expose().clone()).unwrap_or_default()
}

/// One plan of each.
pub fn measure(provider: &Path) -> Result<Vec<Figure>> {
    let aws = Aws::start()?;
    let bucket = aws.make_bucket("bastion-keys", BucketOptions::default())?;
    let group = aws.make_vpc_group("bastion")?;
    let url = aws.endpoint();
    let head = format!(
        "terraform {{\n  required_providers {{\n    bastion = {{ source = {:?} }}\n  }}\n}}\n\
         provider \"bastion\" {{\n  aws = {{ region = {:?}, endpoints = {{ ec2 = {url:?}, s3 = {url:?}, sts = {url:?} }} }}\n}}\n",
        lab::SOURCE,
        aws.region()
    );
    let mut figures = Vec::new();
    for (resource, arguments) in resources(&bucket, &group) {
        let mut terraform = Terraform::new(provider, Found::Mirror)?;
        let account = [("AWS_ACCESS_KEY_ID", aws.access_key()), ("AWS_SECRET_ACCESS_KEY", aws.secret_key())];
        account.iter().for_each(|(name, value)| terraform.env(name, *value));
        let configuration = format!("{head}\nresource {resource:?} \"measured\" {{\n  count = COUNT\n {arguments}\n}}\n");
        prepare(&terraform, &configuration, usize::try_from(OBJECTS)?)?;
        let served = Served::start(provider, &account)?;
        terraform.env("TF_REATTACH_PROVIDERS", served.line.clone());
        let before = served.time()?;
        ensure!(terraform.settled()?, "the plan of {resource} is not empty");
        let each = (served.time()? - before) / OBJECTS;
        figures.push(figure(format!("plan of {OBJECTS} {resource}, provider's CPU each"), Amount::Time(each), Amount::Time(MOST_TIME)));
        figures.push(figure("  resident at the most".to_owned(), Amount::Mebibytes(served.peak()?), MOST_MEMORY));
    }
    Ok(figures)
}

fn figure(name: String, ours: Amount, most: Amount) -> Figure {
    Figure { name, ours, peer: None, target: Target::Below(most) }
}

/// A provider that runs by itself, so that its own time can be told from terraform's; killed when dropped.
struct Served {
    process: Child,
    line: String,
}

impl Served {
    fn start(provider: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(provider);
        command.arg("--debug").envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut served = Self { process: command.spawn()?, line: String::new() };
        let stdout = BufReader::new(served.process.stdout.take().context("no pipe from the provider")?);
        for line in stdout.lines() {
            let line = line?;
            if let Some((_, reattach)) = line.split_once("TF_REATTACH_PROVIDERS=") {
                reattach.trim().trim_matches('\'').clone_into(&mut served.line);
                return Ok(served);
            }
        }
        anyhow::bail!("the provider does not say where it serves")
    }

    /// User and system time so far.
    fn time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let (_, fields) = stat.rsplit_once(") ").context("not a stat line")?;
        // Fields 14 and 15 of proc(5), of which the first two are cut off.
        let ticks: Vec<u32> = fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        Ok(TICK * ticks.iter().sum())
    }

    /// The largest resident set so far, in MiB.
    fn peak(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the provider is gone")?;
        let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes / 1024.0)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
