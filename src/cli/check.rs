//! `bastion check`: walks a path, shows its stages as they are walked, and ends with the verdict.

use std::io::{self, Write};
use std::time::Instant;

#[cfg(feature = "aws")]
use super::admit::admitted;
use super::arguments::CheckArguments;
use super::error::CliError;
use super::exit::Exit;
use super::live::Shown;
use super::request::{Understood, understand};
use super::{Environment, block_on, json, live, mermaid, say};
use crate::check::{Request, Sessions, Survey, survey};
use crate::key::HostKeys;
use crate::path::picture::{self, Reach};
use crate::path::position::Position;
use crate::path::route::Route;
use crate::path::stage::Stage;
use crate::path::walked::{Status, Walked};

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
    let recognises = request.until.is_none_or(|until| until > Position::new(0, Stage::Connect));
    if recognises && request.route.hops.iter().any(|hop| hop.host_keys == HostKeys::Any) {
        let _told = writeln!(io::stderr(), "warning: the bastion's host key is not checked: whoever sits in between is not noticed");
    }
    let began = Instant::now();
    let shown = if arguments.json || arguments.mermaid { Shown::ToPeople } else { Shown::ToEverybody };
    let observer = live::observer(environment, shown);
    let survey = block_on(async |cancelled| {
        #[cfg(feature = "aws")]
        let survey = admitted(arguments.admit.as_ref(), async |admission| {
            let request = Request { admission, ..request.clone() };
            survey(&request, &Sessions::new(), observer.as_ref(), &cancelled).await
        });
        #[cfg(not(feature = "aws"))]
        let survey = survey(&request, &Sessions::new(), observer.as_ref(), &cancelled);
        survey.await
    })?;
    // Takes the spinner off the screen before the verdict.
    drop(observer);
    if arguments.json {
        say(&json::verdict(&survey, request.until.map(|until| until.stage), began.elapsed()))?;
    } else if arguments.mermaid {
        say(&mermaid::flowchart(&request.route, &survey, reach(&request)))?;
    } else {
        say(&text(&request, &survey, began.elapsed().as_secs_f64()))?;
    }
    Ok(survey.verdict.as_ref().map_or_else(|diagnosis| Exit::of(diagnosis), |_| Exit::Proven))
}

/// How far a proven walk came: what was not asked for has no verdict.
pub(super) fn reach(request: &Request) -> Reach {
    match request.until {
        None | Some(Position { stage: Stage::Ready | Stage::Hold, .. }) => Reach::Proven,
        // One answer settles two stages each.
        Some(Position { leg, stage: Stage::Handshake }) => Reach::Asked(Position::new(leg, Stage::HostKey)),
        Some(Position { leg, stage: Stage::Forward }) => Reach::Asked(Position::new(leg, Stage::Dial)),
        Some(at) => Reach::Asked(at),
    }
}

fn text(request: &Request, survey: &Survey, seconds: f64) -> String {
    match &survey.verdict {
        Err(diagnosis) => format!("Error: {}\n\n{diagnosis}\n", diagnosis.summary()),
        Ok(report) => {
            let picture = picture::draw(&request.route, reach(request));
            let (skipped, passed): (Vec<_>, Vec<_>) = report.path.iter().partition(|walked| walked.status == Status::Skipped);
            let last = passed.last().map_or(Position::START, |walked| walked.at);
            let version = report.server_version().map_or_else(String::new, |version| format!(", PostgreSQL {version}"));
            let from = Route { seen_as: report.seen_as, ..request.route.clone() }.from();
            let mut text = format!("{picture}\n\n  Proven  up to {last}{version}, after {seconds:.1} s, from {from}.\n");
            for Walked { at, note, .. } in skipped {
                text.push_str(&format!("  Skipped {at}: {note}.\n"));
            }
            text
        }
    }
}
