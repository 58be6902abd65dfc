//! `bastion check`: walks a path, shows its stages as they are walked, and ends with the verdict.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use super::arguments::CheckArguments;
use super::error::CliError;
use super::exit::Exit;
use super::request::{Understood, understand};
use super::{Environment, block_on, input, json, live, mermaid, say};
use crate::check::{Report, Request, Sessions, Survey, survey};
use crate::path::event::{Observer, Silent};
use crate::path::picture::{self, Reach};
use crate::path::stage::Stage;

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
    let began = Instant::now();
    let observer = observer(arguments, environment);
    let survey = block_on(async |cancelled| survey(&request, &Sessions::new(), observer.as_ref(), &cancelled).await)?;
    // Takes the spinner off the screen before the verdict.
    drop(observer);
    if arguments.json {
        say(&json::verdict(&survey, began.elapsed()))?;
    } else if arguments.mermaid {
        say(&mermaid::flowchart(&request.route, &survey, reach(&request)))?;
    } else {
        say(&text(&request, &survey, began.elapsed().as_secs_f64()))?;
    }
    Ok(survey.verdict.as_ref().map_or_else(|diagnosis| Exit::of(diagnosis), |_| Exit::Proven))
}

/// Where a program reads the answer, stages are shown to a person only.
fn observer(arguments: &CheckArguments, environment: Environment<'_>) -> Box<dyn Observer> {
    let terminal = io::stderr().is_terminal();
    let coloured = terminal && input::variable(environment, "NO_COLOR").is_none();
    match (terminal, arguments.json || arguments.mermaid) {
        (true, _) => Box::new(live::Spinner::new(coloured)),
        (false, false) => Box::new(live::Lines),
        (false, true) => Box::new(Silent),
    }
}

/// How far a proven walk came: what was not asked for has no verdict.
pub(super) fn reach(request: &Request) -> Reach {
    match request.until {
        None | Some(Stage::Ready | Stage::Hold) => Reach::Proven,
        Some(Stage::Configure | Stage::Resolve | Stage::Connect) => Reach::Ended(Stage::Handshake),
        Some(Stage::Handshake | Stage::HostKey) => Reach::Ended(Stage::Authenticate),
        Some(Stage::Authenticate) => Reach::Ended(Stage::Forward),
        Some(Stage::Forward | Stage::Dial | Stage::Tls) => Reach::Ended(Stage::Login),
        Some(Stage::Login | Stage::Open) => Reach::Ended(Stage::Ready),
    }
}

fn text(request: &Request, survey: &Survey, seconds: f64) -> String {
    match &survey.verdict {
        Err(diagnosis) => format!("Error: {}\n\n{diagnosis}\n", diagnosis.summary()),
        Ok(Report { server_version, path }) => {
            let picture = picture::draw(&request.route, reach(request));
            let last = path.last().map_or("configure", |walked| walked.stage.name());
            let version = if server_version.is_empty() { String::new() } else { format!(", PostgreSQL {server_version}") };
            format!("{picture}\n\n  Proven  up to {last}{version}, after {seconds:.1} s, from this machine.\n")
        }
    }
}
