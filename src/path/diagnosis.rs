//! What went wrong on a walk, ready to be read: stage, what was heard, what it means, what to change.

use std::fmt;
use std::time::Duration;

use super::cause::{Cause, Scene};
use super::heard::Heard;
use super::picture::{self, Reach};
use super::route::Route;
use super::stage::Stage;
use crate::key::PublicKey;

/// The verdict on a walk that failed. Its `Display` is the text below the summary line, fourteen lines at the most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What is wrong.
    pub cause: Cause,
    /// The peer's own words, or the operating system's; empty after silence.
    pub heard: Heard,
    /// The walked route.
    pub route: Route,
    /// The key that was offered to the bastion.
    pub public_key: Option<PublicKey>,
    /// How long the failing stage took, retries included.
    pub took: Duration,
    /// How often it was tried, at least once.
    pub tries: u32,
}

impl Diagnosis {
    /// The stage that failed.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.cause.stage()
    }

    /// `forward/prohibited`: for searching, filtering and the docs.
    #[must_use]
    pub fn code(&self) -> String {
        format!("{}/{}", self.stage(), self.cause.slug())
    }

    /// One general line, without values.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        self.cause.words(self.scene()).summary
    }

    /// What to do, the likeliest first.
    #[must_use]
    pub fn remedies(&self) -> Vec<String> {
        self.cause.words(self.scene()).remedies
    }

    fn scene(&self) -> Scene<'_> {
        Scene { route: &self.route, public_key: self.public_key.as_ref() }
    }

    fn heard_line(&self) -> String {
        let what = if self.heard.is_empty() { "nothing".to_owned() } else { format!("\"{}\"", self.heard) };
        let tries = if self.tries > 1 { format!(", tried {} times", self.tries) } else { String::new() };
        format!("{what}, after {:.1} s{tries}, from this machine.", self.took.as_secs_f64())
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.cause.words(self.scene());
        writeln!(f, "{}\n", picture::draw(&self.route, Reach::Failed(self.stage())))?;
        writeln!(f, "  Heard   {}", self.heard_line())?;
        if !words.means.is_empty() {
            writeln!(f, "  Means   {}", words.means)?;
        }
        match words.remedies.as_slice() {
            [] => {}
            [only] => writeln!(f, "  Do      {only}")?,
            several => {
                for (index, remedy) in several.iter().enumerate() {
                    let head = if index == 0 { "Do" } else { "" };
                    writeln!(f, "  {head:<8}{}. {remedy}", index + 1)?;
                }
            }
        }
        write!(f, "  Code    {}", self.code())
    }
}

impl std::error::Error for Diagnosis {}
