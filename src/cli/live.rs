//! The stages of a walk as they are walked: a spinner on a terminal, a line each elsewhere. On stderr: stdout has the verdict.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Environment;
use super::input::variable;
use crate::path::event::{Event, Observer, Silent};
use crate::path::stage::Stage;

/// How often the spinner turns: slower looks stuck, faster is a flicker.
const TURN: Duration = Duration::from_millis(100);

/// Whom the stages are for. Where a program reads the answer, nobody reads lines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    ToPeople,
    ToEverybody,
}

pub(super) fn observer(environment: Environment<'_>, shown: Shown, skips: Skips) -> Box<dyn Observer> {
    match (io::stderr().is_terminal(), shown) {
        (true, _) => Box::new(Spinner::new(variable(environment, "NO_COLOR").is_none(), skips)),
        (false, Shown::ToEverybody) => Box::new(Lines(skips)),
        (false, Shown::ToPeople) => Box::new(Silent),
    }
}

/// The stages that pass because nothing is asked of them.
#[derive(Default)]
pub(super) struct Skips(pub(super) Vec<Stage>);

/// What is said of an event; nothing of a beginning.
fn line(event: &Event, skips: &Skips) -> Option<(&'static str, String)> {
    let row = |stage: Stage, note: &str| format!("{:<13} {note}", stage.name()).trim_end().to_owned();
    match event {
        Event::Started { .. } => None,
        Event::Passed { stage, note, .. } if skips.0.contains(stage) => Some(("skipped", row(*stage, note))),
        Event::Passed { stage, note, took } => Some(("passed", row(*stage, &format!("{note} ({:.2} s)", took.as_secs_f64())))),
        Event::Waiting { stage, tries, next_try_in, heard } => {
            let heard = if heard.is_empty() { String::new() } else { format!("\"{heard}\", ") };
            let note = format!("{heard}tried {tries} times, again in {:.1} s", next_try_in.as_secs_f64());
            Some(("waits", row(*stage, &note.replace("tried 1 times", "tried once"))))
        }
        Event::Failed { stage } => Some(("failed", row(*stage, ""))),
    }
}

/// One line an event.
struct Lines(Skips);

impl Observer for Lines {
    fn event(&self, event: &Event) {
        if let Some((status, row)) = line(event, &self.0) {
            // Where nobody can read it, the walk goes on.
            let _told = writeln!(io::stderr(), "  {status:<7} {row}");
        }
    }
}

/// The stage under way turns; those that ended stay above it.
struct Spinner {
    bar: ProgressBar,
    coloured: bool,
    skips: Skips,
}

impl Spinner {
    fn new(coloured: bool, skips: Skips) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // A template that is wrong would be seen at once; the default one shows the message too.
        bar.set_style(ProgressStyle::with_template("  {spinner}       {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(TURN);
        Self { bar, coloured, skips }
    }
}

impl Observer for Spinner {
    fn event(&self, event: &Event) {
        match event {
            Event::Started { stage } => self.bar.set_message(stage.name()),
            Event::Waiting { stage, .. } => self.bar.set_message(format!("{stage}, waiting for the next try")),
            Event::Passed { .. } | Event::Failed { .. } => self.bar.set_message(""),
        }
        if let Some((status, row)) = line(event, &self.skips) {
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

    #[test]
    fn each_event_is_one_plain_line() {
        let passed = Event::Passed { stage: Stage::Dial, note: "db:5432".to_owned(), took: Duration::from_millis(250) };
        assert_eq!(line(&passed, &Skips(vec![Stage::Dial])), Some(("skipped", "dial          db:5432".to_owned())));
        let line = |event: &Event| line(event, &Skips::default());
        assert_eq!(line(&passed), Some(("passed", "dial          db:5432 (0.25 s)".to_owned())));
        let waits = |tries| {
            let heard = Heard::from_text("Permission denied");
            line(&Event::Waiting { stage: Stage::Authenticate, tries, next_try_in: Duration::from_millis(6200), heard }).unwrap().1
        };
        assert_eq!(waits(1), "authenticate  \"Permission denied\", tried once, again in 6.2 s");
        assert_eq!(waits(11), "authenticate  \"Permission denied\", tried 11 times, again in 6.2 s");
        assert_eq!(line(&Event::Failed { stage: Stage::Tls }), Some(("failed", "tls".to_owned())));
        assert_eq!(line(&Event::Started { stage: Stage::Tls }), None);
    }
}
