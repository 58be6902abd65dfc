//! `bastion check`: walks a path, shows its stages as they are walked, and ends with the verdict.

use std::io::{self, Write};
use std::time::Instant;

use super::arguments::CheckArguments;
use super::error::CliError;
use super::exit::Exit;
use super::live::{Shown, Skips};
use super::request::{Understood, understand};
use super::{Environment, block_on, json, live, mermaid, say};
use crate::check::{Report, Request, Sessions, Status, Survey, Walked, survey};
use crate::key::HostKeys;
use crate::path::picture::{self, Reach};
use crate::path::stage::Stage;
use crate::postgres::{Readiness, SslMode};

pub(super) fn run(arguments: &CheckArguments, environment: Environment<'_>) -> Result<Exit, CliError> {
    let Understood { request, ignored } = match understand(arguments, environment) {
        Ok(understood) => understood,
        Err(error) if arguments.json => {
            say(&json::refusal(&error))?;
            return Ok(error.exit());
        }
        Err(error) => return Err(error),
    };
    if !ignored.is_empty() {
        // Names only: a value may be anything.
        let _told = writeln!(io::stderr(), "note: of the URL's parameters these mean nothing to a check: {}", ignored.join(", "));
    }
    if request.route.bastion.as_ref().is_some_and(|bastion| bastion.host_keys == HostKeys::Any)
        && request.until.is_none_or(|until| until > Stage::Connect)
    {
        let _told = writeln!(io::stderr(), "warning: the bastion's host key is not checked: whoever sits in between is not noticed");
    }
    let began = Instant::now();
    let shown = if arguments.json || arguments.mermaid { Shown::ToPeople } else { Shown::ToEverybody };
    let observer = live::observer(environment, shown, Skips::of(&request));
    let survey = block_on(async |cancelled| survey(&request, &Sessions::new(), observer.as_ref(), &cancelled).await)?;
    // Takes the spinner off the screen before the verdict.
    drop(observer);
    if arguments.json {
        say(&json::verdict(&survey, request.until, began.elapsed()))?;
    } else if arguments.mermaid {
        say(&mermaid::flowchart(&request.route, &survey, reach(&request)))?;
    } else {
        say(&text(&request, &survey, began.elapsed().as_secs_f64()))?;
    }
    Ok(survey.verdict.as_ref().map_or_else(|diagnosis| Exit::of(diagnosis), |_| Exit::Proven))
}

impl Skips {
    fn of(request: &Request) -> Self {
        let mut stages = Vec::new();
        if request.tls.mode() == SslMode::Disable {
            stages.push(Stage::Tls);
        }
        if request.readiness == Readiness::default() {
            stages.push(Stage::Ready);
        }
        Self(stages)
    }
}

/// How far a proven walk came: what was not asked for has no verdict.
pub(super) fn reach(request: &Request) -> Reach {
    match request.until {
        None | Some(Stage::Ready | Stage::Hold) => Reach::Proven,
        // One answer settles two stages each.
        Some(Stage::Handshake) => Reach::Asked(Stage::HostKey),
        Some(Stage::Forward) => Reach::Asked(Stage::Dial),
        Some(stage) => Reach::Asked(stage),
    }
}

fn text(request: &Request, survey: &Survey, seconds: f64) -> String {
    match &survey.verdict {
        Err(diagnosis) => format!("Error: {}\n\n{diagnosis}\n", diagnosis.summary()),
        Ok(Report { server_version, path }) => {
            let picture = picture::draw(&request.route, reach(request));
            let (skipped, passed): (Vec<_>, Vec<_>) = path.iter().partition(|walked| walked.status == Status::Skipped);
            let last = passed.last().map_or(Stage::Configure, |walked| walked.stage);
            let version = if server_version.is_empty() { String::new() } else { format!(", PostgreSQL {server_version}") };
            let mut text = format!("{picture}\n\n  Proven  up to {last}{version}, after {seconds:.1} s, from this machine.\n");
            for Walked { stage, note, .. } in skipped {
                text.push_str(&format!("  Skipped {stage}: {note}.\n"));
            }
            text
        }
    }
}
