//! What went wrong on a walk, ready to be read: stage, what was heard, what it means, what to change.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::cause::Cause;
use super::heard::Heard;
use super::picture::{self, Reach};
use super::position::Position;
use super::route::Route;
use super::stage::Stage;
use super::words::{Scene, TIE, Words};
use crate::key::PublicKey;

/// The verdict on a walk that failed. Its `Display` is the text below the summary line, fourteen lines at the most.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Where.
    pub at: Position,
    /// What is wrong.
    pub cause: Cause,
    /// The peer's own words, or the operating system's; empty after silence.
    pub heard: Heard,
    /// The walked route.
    pub route: Route,
    /// The key that is offered on that leg.
    pub public_key: Option<PublicKey>,
    /// How long the failing stage took, retries included.
    pub took: Duration,
    /// How often it was tried, at least once.
    pub tries: u32,
}

impl Diagnosis {
    /// Of a failure of which nothing was heard.
    #[must_use]
    pub fn new(route: Route, at: Position, cause: Cause) -> Self {
        Self { at, cause, heard: Heard::default(), route, public_key: None, took: Duration::ZERO, tries: 1 }
    }

    /// The stage that failed.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.at.stage
    }

    /// Where the failed leg leads, such as `bastion.example.com:22`; empty before anything is walked.
    #[must_use]
    pub fn hop(&self) -> String {
        self.route.address(self.at.leg).map_or_else(String::new, ToString::to_string)
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

    /// What it means; empty where the summary says all.
    #[must_use]
    pub fn means(&self) -> String {
        self.cause.words(self.scene()).means.replace(TIE, " ")
    }

    /// How far the walk came, for a picture.
    #[must_use]
    pub fn reach(&self) -> Reach {
        match self.cause {
            Cause::Interrupted { .. } | Cause::OutOfTime { .. } => Reach::Ended(self.at),
            _ => self.cause.note().map_or(Reach::Failed(self.at), |note| Reach::Broken(self.at, note)),
        }
    }

    /// What to do, the likeliest first.
    #[must_use]
    pub fn remedies(&self) -> Vec<String> {
        self.cause.words(self.scene()).remedies.into_iter().map(|remedy| remedy.replace(TIE, " ")).collect()
    }

    fn scene(&self) -> Scene<'_> {
        Scene { route: &self.route, leg: self.at.leg, public_key: self.public_key.as_ref(), heard: &self.heard, tries: self.tries }
    }

    fn heard_line(&self, economy: Economy) -> String {
        let tries = if self.tries > 1 { format!(", tried {} times", self.tries) } else { String::new() };
        let most = if economy < Economy::Quote { usize::MAX } else { SHORT_QUOTE };
        let what = match self.heard.as_str().char_indices().nth(most) {
            _ if self.heard.is_empty() => "nothing".to_owned(),
            Some((end, _)) => format!("\"{}…\"", self.heard.as_str().get(..end).unwrap_or_default()),
            None => format!("\"{}\"", self.heard),
        };
        format!("{what}, after {:.1} s{tries}, from {}.", self.took.as_secs_f64(), self.route.from())
    }
}

/// The width at which text is folded: Terraform's frame takes two columns of a 100-column terminal, and it folds no line that is indented.
const WIDTH: usize = 96;

/// The longest quote in one line, with room for the times behind it.
const SHORT_QUOTE: usize = 40;

/// Where the text of a labelled line begins.
const MARGIN: usize = 10;

/// The most lines a message has: it is read whole, or not at all.
const MOST_LINES: usize = 14;

/// What is left out of a text that would be too long, the least needed first; each measure comes on top of those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Economy {
    None,
    /// The picture in two lines, long names without their middles.
    Picture,
    /// The quote in one line.
    Quote,
    /// No line between the picture and the words.
    Gap,
    /// No meaning: the summary stands above.
    Meaning,
    /// Not all remedies: a database that lacks much says the rest when this much is mended.
    Remedies,
}

impl Economy {
    const ALL: [Self; 6] = [Self::None, Self::Picture, Self::Quote, Self::Gap, Self::Meaning, Self::Remedies];
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut page = String::new();
        for economy in Economy::ALL {
            page.clear();
            self.write(&mut page, economy)?;
            if page.lines().count() <= MOST_LINES {
                break;
            }
        }
        f.write_str(&page)
    }
}

impl Diagnosis {
    /// Whether a walk that was ended has something to say of its last stage: what was heard, or that nothing was in all the time it had.
    fn is_heard_until_its_end(&self) -> bool {
        match self.cause {
            Cause::Interrupted { .. } => !self.heard.is_empty(),
            Cause::OutOfTime { .. } => !self.heard.is_empty() || self.at > Position::START,
            _ => false,
        }
    }

    fn write(&self, page: &mut String, economy: Economy) -> fmt::Result {
        let words = self.cause.words(self.scene());
        let draw = if economy < Economy::Picture { picture::draw } else { picture::draw_in_two_lines };
        writeln!(page, "{}", draw(&self.route, self.reach()))?;
        if economy < Economy::Gap {
            writeln!(page)?;
        }
        let heard = (self.cause.is_heard() || self.is_heard_until_its_end()).then(|| self.heard_line(economy));
        let code = format!("{}, see docs/diagnoses.md#{}", self.code(), self.cause.anchor());
        write_words(page, heard.as_deref(), &words, economy, &code)
    }
}

/// Writes what follows the picture: what was heard, what it means, what to do, the code.
pub(super) fn write_words(page: &mut String, heard: Option<&str>, words: &Words, economy: Economy, code: &str) -> fmt::Result {
    if let Some(heard) = heard {
        labelled(page, "Heard", "", heard)?;
    }
    if !words.means.is_empty() && economy < Economy::Meaning {
        labelled(page, "Means", "", &words.means)?;
    }
    write_remedies(page, &words.remedies, economy)?;
    write!(page, "  Code    {code}")
}

fn write_remedies(page: &mut String, remedies: &[String], economy: Economy) -> fmt::Result {
    let several = remedies.len() > 1;
    for (index, remedy) in remedies.iter().enumerate() {
        let label = if index == 0 { "Do" } else { "" };
        let number = if several { format!("{}. ", index + 1) } else { String::new() };
        let before = page.len();
        labelled(page, label, &number, remedy)?;
        // What has to follow: that there is more, and the code.
        let needed = if index + 1 < remedies.len() { 2 } else { 1 };
        if economy == Economy::Remedies && page.lines().count() + needed > MOST_LINES {
            page.truncate(before);
            return writeln!(page, "{:MARGIN$}and {} more", "", remedies.len() - index);
        }
    }
    Ok(())
}

/// Writes a labelled line, folded between words, what follows the first line aligned under its text.
fn labelled(f: &mut String, label: &str, number: &str, text: &str) -> fmt::Result {
    write!(f, "  {label:<8}{number}")?;
    let indent = MARGIN + number.len();
    let mut column = indent;
    for word in text.split(' ') {
        let width = word.chars().count();
        if column > indent && column + 1 + width > WIDTH {
            write!(f, "\n{:indent$}", "")?;
            column = indent;
        } else if column > indent {
            f.write_str(" ")?;
            column += 1;
        }
        f.write_str(&word.replace(TIE, " "))?;
        column += width;
    }
    writeln!(f)
}

impl std::error::Error for Diagnosis {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PrivateKey;
    use crate::path::catalogue::examples;
    use crate::path::finding::Finding;
    use crate::path::route::Target;
    use crate::path::route::tests::{route, two_hops};

    /// Of 4096 bits: the longest line that has to be copied.
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAACAQC2nGd4PbBvddXelmnd2+FkTWfgKKIArXGCS5snR0MjZlDkzfHzykS0dK/65WH9nkkkBRqmlz\
        jpspO0XYQRGROlqx/Aps0yeJzpD34rZhRPXinY1lWtFaAispE70ODEb52VghwwxibZ5RtucHALbJRUeiK7AAg8CU49kPp3CkCqZg0y6ExTXcHj\
        IzIZHFnSxfodcCqbtm6OZMxquZOsHLnTp8yIGR4gsdyPFUc1NHNUiVs05BeQQbZ4JE5jB+Fs84UIDK9qTvIJ+L4UlMF3qmuQfccT1wjVT+xEA0\
        4Vi/HSBAL6JAklnOhUNK+F5DoGrb2gjBhC8xAcBzmwxrwcTzHLG6elNNOe9EOlmzC0xiqDUlAEFo0HaKhUFVYVZr0sx/h1M4lb6g4ajQ1yr4L1\
        j1x0unqk4ovmUWoqqUG/6G3lczOZ1pmP++z/SIEqn2+LiwF63a5XnjgtwKcPkxVx2wncO2PDfZOGm2m2+2oHuidy3Gp3lBA14vcgDBMaf7wqwQ\
        ud1aEZafnR2j7Ho0O7ko7V2ooWpjNCwBqQycH111/RjOxgXAAT6aZ2lzebmRdo3SdIJbBFvCH7rcVa4/BGahlYLW81o+EDlbrm+BoWtVuosMZy\
        oZkzuXPHf6MOhiNtGveqZ7N4t5ua1pnD20G2Ldl4OVFwgqn/arf8B7nAQKp0Jw==";

    fn told(cause: Cause, key: &PublicKey) -> Diagnosis {
        let (route, heard) = (route("db.internal"), Heard::from_text("some words"));
        let at = route.position(cause.stage()).unwrap();
        Diagnosis { at, cause, heard, route, public_key: Some(key.clone()), took: Duration::from_millis(230), tries: 1 }
    }

    #[test]
    fn every_cause_has_words_of_its_own_in_fourteen_lines() {
        let key = PrivateKey::generate_ed25519().unwrap().public();
        let mut codes = std::collections::BTreeSet::new();
        for cause in examples(&key) {
            let told = told(cause, &key);
            let text = told.to_string();
            assert!(!told.summary().is_empty() && !told.remedies().is_empty(), "{}", told.code());
            assert!(text.lines().count() <= 14, "{text}");
            assert!(!told.summary().contains(['`', '?']), "a summary is general: {}", told.summary());
            assert!(text.lines().all(|line| line.is_empty() || line.starts_with("  ")), "Terraform folds what is not indented: {text}");
            codes.insert(told.code());
        }
        // The three kinds of "no pg_hba.conf entry" share a code.
        assert_eq!(codes.len(), examples(&key).len() - 2, "{codes:?}");
    }

    #[test]
    fn whatever_it_holds_it_has_fourteen_lines_and_all_findings_are_told_at_last() {
        let key: PublicKey = RSA.parse().unwrap();
        let findings: Vec<_> = (0..40).map(|number| Finding::NoSelect { table: format!("public.table_{number}") }).collect();
        let lacking = Cause::NotReady { findings, publication: None };
        for cause in examples(&key).into_iter().chain([lacking.clone()]) {
            let mut told = told(cause, &key);
            told.heard = Heard::from_text(&"many words ".repeat(40));
            told.route.hops[0].user = Some("u".repeat(32));
            told.route.target.as_mut().unwrap().at_mut().host = format!("{}.{}", "d".repeat(63), "e".repeat(63)).parse().unwrap();
            let text = told.to_string();
            assert!(text.lines().count() <= MOST_LINES, "{} lines\n{text}", text.lines().count());
            assert!(text.contains("  Do      ") && text.contains("  Code    "), "{text}");
        }
        let told = told(lacking, &key);
        assert!(told.to_string().contains("and 30 more"), "{told}");
        assert_eq!(told.remedies().len(), 40);
    }

    #[test]
    fn told_to_stop_it_still_says_what_was_heard() {
        let key = PrivateKey::generate_ed25519().unwrap().public();
        let mut stopped = told(Cause::Interrupted { stage: Stage::Authenticate }, &key);
        assert!(stopped.to_string().contains("Heard   \"some words\""), "{stopped}");
        stopped.heard = Heard::default();
        assert!(!stopped.to_string().contains("Heard"), "{stopped}");
        stopped.cause = Cause::OutOfTime { stage: Stage::Authenticate };
        assert!(stopped.to_string().contains("Heard   nothing, after 0.2 s"), "{stopped}");
    }

    #[test]
    fn no_name_moves_a_cursor() {
        let key = PrivateKey::generate_ed25519().unwrap().public();
        let raw = "a\u{1b}[31mb";
        let lacking = vec![Finding::PublicationMissing { publication: raw.to_owned() }, Finding::NoSelect { table: raw.to_owned() }];
        for cause in examples(&key).into_iter().chain([Cause::NotReady { findings: lacking, publication: None }]) {
            let mut told = told(cause, &key);
            let Some(Target::Postgres { login: Some(login), .. }) = &mut told.route.target else { panic!("no login") };
            for name in [&mut login.user, &mut login.database, told.route.hops[0].user.as_mut().unwrap()] {
                raw.clone_into(name);
            }
            let text = format!("{told}{}{}", told.means(), told.remedies().join("\n"));
            assert!(text.contains("a\u{fffd}[31mb") && !text.contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn a_diagnosis_reads_as_a_page() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ".parse().unwrap();
        let pages: Vec<_> = examples(&key)
            .into_iter()
            .map(|cause| told(cause, &key))
            .map(|told| format!("== {} [{}]\n\n{told}\n", told.summary(), told.code()))
            .collect();
        insta::assert_snapshot!(pages.join("\n"));
    }

    #[test]
    fn of_several_hops_the_broken_one_is_named() {
        let key: PublicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ".parse().unwrap();
        let broken = [
            (0, Cause::KeyRefused),
            (1, Cause::ForwardProhibited),
            (1, Cause::DialRefused),
            (1, Cause::HandshakeSilent),
            (1, Cause::HostKeyChanged { presented: key.clone() }),
            (1, Cause::KeyRefused),
            (2, Cause::DialNameUnknown),
        ];
        let page = |(leg, cause): (usize, Cause)| {
            let route = two_hops("db.internal");
            let told = Diagnosis { at: Position::new(leg, cause.stage()), route, ..told(cause, &key) };
            format!("== {} [{}, {}]\n\n{told}\n", told.summary(), told.code(), told.hop())
        };
        insta::assert_snapshot!(broken.map(page).join("\n"));
    }
}
