//! `lab up`: the lab for people, until they have seen enough.

use std::{
    io::{Read, Write},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use lab::{
    Aws, Bastion, BucketOptions, ClientKey, DATABASE, DATABASE_HOST, KeyBucket, KeyType, Lab, PUBLICATION, Postgres, ROLE, S3Caller,
};
use serde_json::json;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

const HELP: &str = "\
A bastion and two private databases, for real, on loopback; with --aws also a double of AWS.

Usage: lab up [--aws] [--sync-delay 5s] [--json] [--until-eof]

  --aws                  a strict double of AWS, too: a bucket that the bastion copies keys from, a security group, a subnet
  --sync-delay DURATION  how long a dropped public key takes to become a login's (default 0s; units ms, s, m)
  --json                 print the endpoints as one line of JSON
  --until-eof            end when standard input ends, too; else only by Ctrl-C or SIGTERM
  --help                 print this

Everything that it started and wrote is gone when it ends, also when it is killed.
";

/// The login that has a key from the start, to try the lab by hand.
const GUEST: &str = "guest";

struct Up {
    cloud: Cloud,
    sync_delay: Duration,
    output: Output,
    end: End,
}

enum Cloud {
    None,
    Aws,
}

enum Output {
    Text,
    Json,
}

#[derive(PartialEq)]
enum End {
    Signal,
    SignalOrEof,
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: impl Iterator<Item = String>) -> Result<()> {
    let Some(up) = parse(arguments)? else {
        std::io::stdout().write_all(HELP.as_bytes())?;
        return Ok(());
    };
    // Before the start, so that a signal during it does not leave by the short way.
    let end = end(&up.end)?;
    let cloud = match up.cloud {
        Cloud::None => None,
        Cloud::Aws => Some(Account::start()?),
    };
    let bastion = Bastion::builder().sync_delay(up.sync_delay);
    let bastion = match &cloud {
        None => bastion,
        Some(account) => bastion.bucket(account.for_bastion()),
    };
    let lab = Lab::start_with(bastion)?;
    let key = lab.bastion.client_key(KeyType::Ed25519)?;
    lab.bastion.authorize(GUEST, &[&key.public_key])?;
    let text = match up.output {
        Output::Text => text(&lab, &key, up.sync_delay)? + &cloud.as_ref().map_or(String::new(), Account::text),
        Output::Json => format!("{}\n", json(&lab, &key, cloud.as_ref())?),
    };
    let mut stdout = std::io::stdout();
    // Whoever reads the endpoints may close the pipe when it has them.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    end.recv().context("nothing would end the lab")
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Up>> {
    match arguments.next().as_deref() {
        Some("up") => {}
        None | Some("--help" | "-h" | "help") => return Ok(None),
        Some(other) => bail!("`{other}` is no command; see --help"),
    }
    let mut up = Up { cloud: Cloud::None, sync_delay: Duration::ZERO, output: Output::Text, end: End::Signal };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--aws" => up.cloud = Cloud::Aws,
            "--json" => up.output = Output::Json,
            "--until-eof" => up.end = End::SignalOrEof,
            "--sync-delay" => up.sync_delay = duration(&arguments.next().context("--sync-delay wants a duration, such as 5s")?)?,
            other => bail!("`{other}` is no option; see --help"),
        }
    }
    Ok(Some(up))
}

fn duration(text: &str) -> Result<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number = number.parse::<u32>().map_err(|_| anyhow!("`{text}` is no duration, such as 5s"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number.into())),
        "s" => Ok(Duration::from_secs(number.into())),
        "m" => Ok(Duration::from_secs(number.into()) * 60),
        _ => bail!("`{text}` is no duration, such as 5s"),
    }
}

/// Hears of it when the lab is to end.
fn end(end: &End) -> Result<mpsc::Receiver<()>> {
    let (sender, receiver) = mpsc::channel();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("could not wait for signals")?;
    let by_signal = sender.clone();
    thread::spawn(move || signals.forever().next().map(|_| by_signal.send(())));
    if *end == End::SignalOrEof {
        thread::spawn(move || {
            // An error ends it as the end does.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            sender.send(())
        });
    }
    Ok(receiver)
}

/// A double of AWS with what a bastion has there.
struct Account {
    aws: Aws,
    bucket: String,
    kms_key: String,
    group: String,
    subnet: String,
    s3: String,
}

impl Account {
    fn start() -> Result<Account> {
        let aws = Aws::start()?;
        let kms_key = aws.make_kms_key();
        let bucket = aws.make_bucket("bastion", BucketOptions::default().kms_key(&kms_key).versioned())?;
        let (group, subnet) = (aws.make_vpc_group("bastion")?, aws.make_subnet("10.20.0.0/24")?);
        let s3 = aws.amazons_prefix_list("s3")?;
        Ok(Account { aws, bucket, kms_key, group, subnet, s3 })
    }

    fn for_bastion(&self) -> KeyBucket {
        let caller = S3Caller {
            endpoint: self.aws.endpoint(),
            region: self.aws.region().to_owned(),
            access_key: "BASTIONSOWNKEY".to_owned(),
            secret_key: self.aws.secret_key().to_owned(),
        };
        KeyBucket { bucket: self.bucket.clone(), caller }
    }

    fn text(&self) -> String {
        let Account { aws, bucket, kms_key, group, subnet, s3 } = self;
        let (endpoint, region, account, key, secret) = (aws.endpoint(), aws.region(), aws.account_id(), aws.access_key(), aws.secret_key());
        format!(
            "
A double of AWS, moto behind a strict proxy:

  endpoint   {endpoint}, region {region}, account {account}
  bucket     {bucket}, encrypted with {kms_key}
             public-keys/<login>.pub in there becomes the login's authorized_keys every 2 s
  group      {group}, without rules
  subnet     {subnet}, 10.20.0.0/24
  S3         {s3}, its prefix list

  export AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret} AWS_REGION={region} AWS_ENDPOINT_URL={endpoint}
"
        )
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "endpoint": self.aws.endpoint(),
            "region": self.aws.region(),
            "account_id": self.aws.account_id(),
            "access_key": self.aws.access_key(),
            "secret_key": self.aws.secret_key(),
            "bucket": self.bucket,
            "kms_key": self.kms_key,
            "security_group": self.group,
            "subnet": self.subnet,
            "s3_prefix_list": self.s3,
        })
    }
}

fn json(lab: &Lab, key: &ClientKey, cloud: Option<&Account>) -> Result<serde_json::Value> {
    let cluster = |cluster: &Postgres| json!({ "host": DATABASE_HOST, "address": "127.0.0.1", "port": cluster.port() });
    Ok(json!({
        "bastion": {
            "host": lab.bastion.host(),
            "port": lab.bastion.port(),
            "host_keys": lab.bastion.host_public_keys()?,
            "drop_folder": lab.bastion.drop_folder(),
            "guest": { "user": GUEST, "private_key_file": key.path },
        },
        "ordinary": cluster(&lab.ordinary),
        "logical": cluster(&lab.logical),
        "ca_file": lab.ordinary.ca_file(),
        "database": DATABASE,
        "role": ROLE,
        "password": lab.password(),
        "publication": PUBLICATION,
        "aws": cloud.map(Account::json),
    }))
}

fn text(lab: &Lab, key: &ClientKey, sync_delay: Duration) -> Result<String> {
    let (bastion, ca) = (&lab.bastion, lab.ordinary.ca_file());
    let (ca, key, drop) = (ca.display(), key.path.display(), bastion.drop_folder().display());
    let (host, port, host_key, password) = (bastion.host(), bastion.port(), bastion.host_public_key()?, lab.password());
    let (ordinary, logical, near) = (lab.ordinary.port(), lab.logical.port(), lab::free_port()?);
    let delay = sync_delay.as_secs_f32();
    Ok(format!(
        "\
A bastion and two private databases are up, until Ctrl-C.

  bastion    {host}:{port}, login {GUEST}
  host key   {host_key}
  key drop   {drop}
             <login>.pub in there becomes the login's authorized_keys after {delay} s
  ordinary   {DATABASE_HOST}:{ordinary}, as the bastion sees it
  logical    {DATABASE_HOST}:{logical}, with wal_level=logical and the publication {PUBLICATION}
  database   {DATABASE}, role {ROLE}, password {password}
  CA         {ca}

The same path by hand:

  ssh -i {key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \\
    -N -L {near}:{DATABASE_HOST}:{ordinary} -p {port} {GUEST}@{host}

  PGPASSWORD={password} psql \"host={DATABASE_HOST} hostaddr=127.0.0.1 port={near} dbname={DATABASE} user={ROLE} \\
    sslmode=verify-full sslrootcert={ca}\" -c 'TABLE orders'
"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Up>> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_parsed() {
        let up = parsed("up --sync-delay 250ms --json --until-eof").unwrap().unwrap();
        assert_eq!(up.sync_delay, Duration::from_millis(250));
        assert!(matches!(up.output, Output::Json) && up.end == End::SignalOrEof);
        assert!(parsed("").unwrap().is_none() && parsed("up --help").unwrap().is_none());
        assert!(parsed("down").is_err() && parsed("up --fast").is_err() && parsed("up --sync-delay").is_err());
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("5s").unwrap(), Duration::from_secs(5));
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        for text in ["", "5", "s", "5h", "-5s", "1.5s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
