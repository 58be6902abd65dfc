//! `make bench`: what the provider costs, against `ssh -L` with psql and against terraform without it, measured in the same run. Arguments
//! choose parts of it: `start`, `checks`, `plan`, `scale`.

mod path;
mod plan;
#[path = "../quickstart/provider.rs"]
mod provider;
mod scale;
mod startup;
mod table;

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lab::Lab;

use self::table::{Amount, Figure, Target};

/// Of the stripped binary: half of it for all that is ours, from prototypes, and half for Amazon's clients, of which link-time optimisation
/// leaves that much.
const LARGEST_BINARY: Amount = Amount::Megabytes(18.0);

/// What can be measured by itself.
const PARTS: [&str; 4] = ["start", "checks", "plan", "scale"];

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some(path::ONE_CHECK) {
        return path::one_check();
    }
    let parts: Vec<_> = std::env::args().skip(1).collect();
    if let Some(other) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        bail!("{other} is no part of the bench: {}", PARTS.join(", "));
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let provider = provider::build("bench")?;
    let (before, began) = (load()?, Instant::now());

    let mut figures = Vec::new();
    if wanted("start") {
        step("provider start")?;
        figures.push(size(&provider)?);
        figures.extend(startup::measure(&provider)?);
    }
    if wanted("checks") {
        step("checks, and ssh -L with psql")?;
        figures.extend(path::measure(&Lab::start()?)?);
    }
    if wanted("plan") {
        step("terraform plan, with and without the provider")?;
        figures.extend(plan::measure(&provider)?);
    }

    if wanted("scale") {
        step("terraform plan of a thousand objects of each resource")?;
        figures.extend(scale::measure(&provider)?);
    }

    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{}", table::draw(&figures))?;
    let met = figures.iter().filter(|figure| figure.met() == Some(true)).count();
    let aimed = figures.iter().filter(|figure| figure.met().is_some()).count();
    writeln!(
        out,
        "{met} of {aimed} targets met. Medians; each figure and its peer took turns in this run of {:.0} s.",
        began.elapsed().as_secs_f64()
    )?;
    writeln!(
        out,
        "psql is the program itself, not the wrapper that Debian puts on the PATH; a fresh process is compared with fresh processes."
    )?;
    writeln!(out, "{} processors, load average {before} before, {} after.", processors(), load()?)?;
    Ok(())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The load average of the last minute: what else the machine did.
fn load() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

fn size(binary: &Path) -> Result<Figure> {
    let bytes = u32::try_from(std::fs::metadata(binary)?.len()).context("a binary of more than 4 GB")?;
    let ours = Amount::Megabytes(f64::from(bytes) / 1e6);
    Ok(Figure { name: "binary, stripped".to_owned(), ours, peer: None, target: Target::Below(LARGEST_BINARY) })
}

fn step(what: &str) -> Result<()> {
    writeln!(std::io::stderr(), "measuring: {what}")?;
    Ok(())
}
