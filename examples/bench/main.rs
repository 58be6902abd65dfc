//! `make bench`: what the provider costs, against `ssh -L` with psql and against terraform without it, measured in the same run.

mod path;
mod plan;
#[path = "../quickstart/provider.rs"]
mod provider;
mod startup;
mod table;

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context, Result};
use lab::Lab;

use self::table::{Amount, Figure, Target};

/// Of the stripped binary, before the AWS client comes in. From prototypes, with room for the rest of the provider.
const LARGEST_BINARY: Amount = Amount::Megabytes(9.0);

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some(path::ONE_CHECK) {
        return path::one_check();
    }
    let provider = provider::build()?;
    let began = Instant::now();

    let mut figures =
        vec![Figure { name: "binary, stripped".to_owned(), ours: size(&provider)?, peer: None, target: Target::Below(LARGEST_BINARY) }];
    step("provider start")?;
    figures.extend(startup::measure(&provider)?);
    step("checks, and ssh -L with psql")?;
    let lab = Lab::start()?;
    figures.extend(path::measure(&lab)?);
    drop(lab);
    step("terraform plan, with and without the provider")?;
    figures.extend(plan::measure(&provider)?);

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
    Ok(())
}

fn size(binary: &std::path::Path) -> Result<Amount> {
    let bytes = u32::try_from(std::fs::metadata(binary)?.len()).context("a binary of more than 4 GB")?;
    Ok(Amount::Megabytes(f64::from(bytes) / 1e6))
}

fn step(what: &str) -> Result<()> {
    writeln!(std::io::stderr(), "measuring: {what}")?;
    Ok(())
}
