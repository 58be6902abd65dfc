//! The stages of a walk as they are walked: a spinner on a terminal, a line each elsewhere. On stderr: stdout has the verdict.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Environment;
use super::input::variable;
use crate::path::event::{Event, Observer, Silent};
use crate::path::position::Position;
use crate::path::walked::Status;

/// How often the spinner turns: slower looks stuck, faster is a flicker.
const TURN: Duration = Duration::from_millis(100);

/// Whom the stages are for. Where a program reads the answer, nobody reads lines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    ToPeople,
    ToEverybody,
}

pub(super) fn observer(environment: Environment<'_>, shown: Shown) -> Box<dyn Observer> {
    match (io::stderr().is_terminal(), shown) {
        (true, _) => Box::new(Spinner::new(variable(environment, "NO_COLOR").is_none())),
        (false, Shown::ToEverybody) => Box::new(Lines),
        (false, Shown::ToPeople) => Box::new(Silent),
    }
}

/// What is said of an event; nothing of a beginning.
fn line(event: &Event) -> Option<(&'static str, String)> {
    let row = |at: &Position, note: &str| format!("{:<13} {note}", at.stage.name()).trim_end().to_owned();
    match event {
        Event::Started { .. } => None,
        Event::Passed { at, status: Status::Skipped, note, .. } => Some(("skipped", row(at, note))),
        Event::Passed { at, note, took, .. } => Some(("passed", row(at, &format!("{note} ({:.2} s)", took.as_secs_f64())))),
        Event::Waiting { at, tries, next_try_in, heard } => {
            let heard = if heard.is_empty() { String::new() } else { format!("\"{heard}\", ") };
            let note = format!("{heard}tried {tries} times, again in {:.1} s", next_try_in.as_secs_f64());
            Some(("waits", row(at, &note.replace("tried 1 times", "tried once"))))
        }
        Event::Failed { at } => Some(("failed", row(at, ""))),
    }
}

/// One line an event.
struct Lines;

impl Observer for Lines {
    fn event(&self, event: &Event) {
        if let Some((status, row)) = line(event) {
            // Where nobody can read it, the walk goes on.
            let _told = writeln!(io::stderr(), "  {status:<7} {row}");
        }
    }
}

/// The stage under way turns; those that ended stay above it.
struct Spinner {
    bar: ProgressBar,
    coloured: bool,
}

impl Spinner {
    fn new(coloured: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // A template that is wrong would be seen at once; the default one shows the message too.
        bar.set_style(ProgressStyle::with_template("  {spinner}       {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(TURN);
        Self { bar, coloured }
    }
}

impl Observer for Spinner {
    fn event(&self, event: &Event) {
        match event {
            Event::Started { at } => self.bar.set_message(at.stage.name()),
            Event::Waiting { at, .. } => self.bar.set_message(format!("{at}, waiting for the next try")),
            Event::Passed { .. } | Event::Failed { .. } => self.bar.set_message(""),
        }
        if let Some((status, row)) = line(event) {
            let colour = match event {
                _ if !self.coloured => "",
                Event::Passed { .. } => "\u{1b}[32m",
                Event::Failed { .. } => "\u{1b}[31m",
                Event::Started { .. } | Event::Waiting { .. } => "\u{1b}[33m",
            };
            let end = if self.coloured { "\u{1b}[0m" } else { "" };
            self.bar.println(format!("  {colour}{status:<7}{end} {row}"));
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::heard::Heard;
    use crate::path::stage::Stage;

    #[test]
    fn each_event_is_one_plain_line() {
        let at = |stage| Position::new(0, stage);
        let passed = |status| {
            let took = Duration::from_millis(250);
            line(&Event::Passed { at: at(Stage::Dial), status, note: "db:5432".to_owned(), took })
        };
        assert_eq!(passed(Status::Skipped), Some(("skipped", "dial          db:5432".to_owned())));
        assert_eq!(passed(Status::Passed), Some(("passed", "dial          db:5432 (0.25 s)".to_owned())));
        let waits = |tries| {
            let heard = Heard::from_text("Permission denied");
            line(&Event::Waiting { at: at(Stage::Authenticate), tries, next_try_in: Duration::from_millis(6200), heard }).unwrap().1
        };
        assert_eq!(waits(1), "authenticate  \"Permission denied\", tried once, again in 6.2 s");
        assert_eq!(waits(11), "authenticate  \"Permission denied\", tried 11 times, again in 6.2 s");
        assert_eq!(line(&Event::Failed { at: at(Stage::Tls) }), Some(("failed", "tls".to_owned())));
        assert_eq!(line(&Event::Started { at: at(Stage::Tls) }), None);
    }
}
