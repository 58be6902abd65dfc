//! `bastion leftovers`: what bears this provider's mark in a security group or a bucket, by owner, and the way to take an owner's claims away.

mod bucket;
mod group;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::error::CliError;
use super::exit::Exit;
use super::{block_on, input, json, say};
use crate::aws::authorized_keys::{BucketName, PREFIX, Prefix};
use crate::aws::security_group_rules::GroupId;
use crate::aws::{Account, Owner, Settings};
use crate::path::refusal::Refusal;

/// Below the arguments: what no single one of them says.
pub(super) const AFTER_HELP: &str = "\
What is listed is claimed, and not left over by itself: which owners are still in use, only your states know. An owner's name is the
argument `owner` of the resource, or was drawn when the resource was created.

Credentials, region and endpoints come from where the AWS CLI takes them: environment, profiles, SSO, instance metadata.

Exit codes:
  0  listed, or removed
  1  this program or this machine is at fault
  2  wrong arguments: nothing was asked for
  10 interrupted, or not confirmed
  11 AWS refuses, or is not reached

Examples:
  bastion leftovers my-bastion
  bastion leftovers sg-0123456789abcdef0 --region us-west-2 --json
  bastion leftovers my-bastion --owner neosync/old --remove";

#[derive(Args)]
pub(super) struct LeftoversArguments {
    /// The bastion's security group, `sg-…`, or its key bucket.
    #[arg(value_name = "SG|BUCKET")]
    target: String,
    /// Only what this owner claims; several allowed.
    // An owner's name may begin with a hyphen.
    #[arg(long, value_name = "OWNER", allow_hyphen_values = true)]
    owner: Vec<Owner>,
    /// Take the claims of the owners away. What nobody else claims is removed.
    #[arg(long, requires = "owner")]
    remove: bool,
    /// Do not ask back.
    #[arg(long, requires = "remove")]
    yes: bool,
    /// Where the logins' objects are in a bucket. Default `public-keys/`.
    #[arg(long)]
    prefix: Option<Prefix>,
    /// The region, else AWS_REGION or the profile's.
    #[arg(long)]
    region: Option<String>,
    /// A profile of the shared configuration files, else AWS_PROFILE.
    #[arg(long)]
    profile: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// One thing that bears marks.
struct Marked {
    /// By which AWS knows it.
    id: String,
    /// What it lets through.
    what: String,
    owners: BTreeSet<Owner>,
}

/// What became of one thing whose owner's claim was taken away.
enum Outcome {
    Removed,
    /// It stays for these.
    Kept(BTreeSet<Owner>),
}

/// What was done, by owner and id.
type Done = Vec<(Owner, String, Outcome)>;

pub(super) fn run(arguments: &LeftoversArguments) -> Result<Exit, CliError> {
    match told(arguments) {
        Err(error) if arguments.json => {
            say(&json::refusal(&error))?;
            Ok(error.exit())
        }
        told => told,
    }
}

/// What is known at the end: as much as there was before something failed.
#[derive(Default)]
struct Found {
    marked: Vec<Marked>,
    done: Done,
    refusal: Option<Refusal>,
}

fn told(arguments: &LeftoversArguments) -> Result<Exit, CliError> {
    let target = target(arguments)?;
    let settings = Settings { region: arguments.region.clone(), profile: arguments.profile.clone(), ..Settings::default() };
    let account = Account::new(settings);
    let mut found = Found::default();
    match block_on(async |cancelled| target.list(&account, &cancelled).await)? {
        Ok(marked) => found.marked = marked,
        Err(refusal) => found.refusal = Some(refusal),
    }
    if arguments.remove && found.refusal.is_none() {
        if let Some(nobody) = nobodies(&target, &arguments.owner, &found.marked).pop() {
            return Err(CliError::NoSuchOwner(nobody));
        }
        if !arguments.yes {
            let listing = listing(&target, &arguments.owner, &found.marked);
            input::confirm(&format!("{listing}\nTake the claims of {} away? Type yes: ", names(&arguments.owner)))?;
        }
        block_on(async |cancelled| remove(&arguments.owner, &target, &account, &mut found, &cancelled).await)?;
    }
    say(&if arguments.json { object(arguments, &found) } else { text(arguments, &target, &found) })?;
    Ok(found.refusal.as_ref().map_or(Exit::Proven, Exit::of_refusal))
}

/// Where the marks are.
enum Target {
    Group(GroupId),
    Bucket { bucket: BucketName, prefix: Prefix },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => f.write_str(group.as_str()),
            Self::Bucket { bucket, prefix } => write!(f, "{bucket}/{}", prefix.as_str()),
        }
    }
}

impl Target {
    async fn list(&self, account: &Account, cancelled: &CancellationToken) -> Result<Vec<Marked>, Refusal> {
        match self {
            Self::Group(group) => group::list(group, account, cancelled).await,
            Self::Bucket { bucket, prefix } => bucket::list(bucket, prefix, account, cancelled).await,
        }
    }
}

fn target(arguments: &LeftoversArguments) -> Result<Target, CliError> {
    let text = &arguments.target;
    if text.starts_with("sg-") {
        return match &arguments.prefix {
            None => text.parse().map(Target::Group).map_err(CliError::Group),
            Some(_) => Err(CliError::PrefixOfGroup),
        };
    }
    let bucket = text.parse().map_err(CliError::Bucket)?;
    let prefix = arguments.prefix.clone().map_or_else(|| PREFIX.parse(), Ok).map_err(CliError::Bucket)?;
    Ok(Target::Bucket { bucket, prefix })
}

/// Takes the claims away, owner by owner, until something fails.
async fn remove(owners: &[Owner], target: &Target, account: &Account, found: &mut Found, cancelled: &CancellationToken) {
    let Found { marked, done, refusal } = found;
    for owner in owners {
        let taken = match target {
            Target::Group(group) => group::take_off(group, account, owner, done, cancelled).await,
            Target::Bucket { bucket, .. } => bucket::take_off(bucket, account, owner, marked, done, cancelled).await,
        };
        *refusal = taken.err();
        if refusal.is_some() {
            return;
        }
    }
}

fn text(arguments: &LeftoversArguments, target: &Target, found: &Found) -> String {
    let mut text = String::new();
    if arguments.remove {
        for (owner, id, outcome) in &found.done {
            let line = match outcome {
                Outcome::Removed => format!("{id}: removed; nobody but {owner} claimed it\n"),
                Outcome::Kept(others) => format!("{id}: no longer claimed by {owner}; stays for {}\n", names(others)),
            };
            text.push_str(&line);
        }
    } else if found.refusal.is_none() {
        text.push_str(&listing(target, &arguments.owner, &found.marked));
    }
    if let Some(refusal) = &found.refusal {
        let _infallible = write!(text, "Error: {}\n\n{refusal}\n", refusal.summary());
    }
    text
}

/// All that is marked, by owner, or by those that were asked for; what several claim stands below each.
fn listing(target: &Target, asked: &[Owner], marked: &[Marked]) -> String {
    let mut by_owner: BTreeMap<&Owner, Vec<&Marked>> = BTreeMap::new();
    for one in marked {
        let owners = one.owners.iter().filter(|owner| asked.is_empty() || asked.contains(owner));
        owners.for_each(|owner| by_owner.entry(owner).or_default().push(one));
    }
    if marked.is_empty() {
        return format!("Nothing in {target} bears this provider's mark.\n");
    }
    let mut text: String = nobodies(target, asked, marked).into_iter().map(|nobody| nobody + "\n").collect();
    for (owner, claimed) in by_owner {
        let _infallible = writeln!(text, "{owner}");
        for Marked { id, what, owners } in claimed {
            let others: BTreeSet<Owner> = owners.iter().filter(|other| *other != owner).cloned().collect();
            let also = if others.is_empty() { String::new() } else { format!("; also claimed by {}", names(&others)) };
            let _infallible = writeln!(text, "  {id}  {what}{also}");
        }
    }
    text
}

fn object(arguments: &LeftoversArguments, found: &Found) -> String {
    let refusal = found.refusal.as_ref();
    let asked = |marked: &&Marked| arguments.owner.is_empty() || arguments.owner.iter().any(|owner| marked.owners.contains(owner));
    let claims =
        found.marked.iter().filter(asked).map(|Marked { id, what, owners }| json!({ "id": id, "what": what, "owners": list(owners) }));
    let of = |(owner, id, outcome): &(Owner, String, Outcome)| match outcome {
        Outcome::Removed => json!({ "owner": owner.as_str(), "id": id, "removed": true, "kept_for": [] }),
        Outcome::Kept(others) => json!({ "owner": owner.as_str(), "id": id, "removed": false, "kept_for": list(others) }),
    };
    let object = json!({
        "ok": refusal.is_none(),
        "target": arguments.target,
        "claims": claims.collect::<Vec<_>>(),
        "released": found.done.iter().map(of).collect::<Vec<_>>(),
        "code": refusal.map(Refusal::code),
        "summary": refusal.map(Refusal::summary),
        "heard": refusal.map(|refusal| refusal.heard.as_str()).filter(|heard| !heard.is_empty()),
        "means": refusal.map(Refusal::means),
        "remedies": refusal.map(Refusal::remedies).unwrap_or_default(),
    });
    format!("{object}\n")
}

/// A sentence for each owner that was asked for and claims nothing.
fn nobodies(target: &Target, asked: &[Owner], marked: &[Marked]) -> Vec<String> {
    let owners: BTreeSet<&Owner> = marked.iter().flat_map(|marked| &marked.owners).collect();
    let there = if owners.is_empty() {
        "nothing there is claimed by anybody".to_owned()
    } else {
        format!("owners there: {}", names(owners.iter().copied()))
    };
    let nobodies = asked.iter().filter(|owner| !owners.contains(owner));
    nobodies.map(|owner| format!("Nothing in {target} is claimed by {owner}; {there}.")).collect()
}

fn list(owners: &BTreeSet<Owner>) -> Vec<&str> {
    owners.iter().map(Owner::as_str).collect()
}

fn names<'a>(owners: impl IntoIterator<Item = &'a Owner>) -> String {
    owners.into_iter().map(Owner::as_str).collect::<Vec<_>>().join(", ")
}
