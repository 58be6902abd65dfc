//! The figures of a run, and the table that shows them.

use std::fmt;
use std::time::Duration;

/// A measured quantity, or the bound of one.
#[derive(Clone, Copy)]
pub enum Amount {
    /// Of time.
    Time(Duration),
    /// Of memory, in 2^20 bytes.
    Mebibytes(f64),
    /// Of a file, in 10^6 bytes.
    Megabytes(f64),
}

impl Amount {
    fn number(self) -> f64 {
        match self {
            Self::Time(time) => time.as_secs_f64(),
            Self::Mebibytes(number) | Self::Megabytes(number) => number,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Time(time) if *time >= Duration::from_secs(1) => format!("{:.2} s", time.as_secs_f64()),
            Self::Time(time) => format!("{:.1} ms", time.as_secs_f64() * 1e3),
            Self::Mebibytes(number) => format!("{number:.1} MiB"),
            Self::Megabytes(number) => format!("{number:.1} MB"),
        };
        f.pad(&text)
    }
}

/// What is aimed at.
#[derive(Clone, Copy)]
pub enum Target {
    /// Less than this.
    Below(Amount),
    /// At most this part of the peer.
    Ratio(f64),
    /// Nothing: the figure is for orientation.
    None,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(amount) => f.pad(&format!("< {amount}")),
            Self::Ratio(ratio) => f.pad(&format!("<= {ratio:.2} x")),
            Self::None => f.pad(""),
        }
    }
}

/// One line of the table.
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// Ours.
    pub ours: Amount,
    /// The same by other means.
    pub peer: Option<Amount>,
    /// What is aimed at.
    pub target: Target,
}

impl Figure {
    fn ratio(&self) -> Option<f64> {
        self.peer.map(|peer| self.ours.number() / peer.number())
    }

    /// Whether the target is met, if there is one.
    pub fn met(&self) -> Option<bool> {
        match self.target {
            Target::Below(bound) => Some(self.ours.number() < bound.number()),
            Target::Ratio(bound) => self.ratio().map(|ratio| ratio <= bound),
            Target::None => None,
        }
    }
}

/// The middle of an odd number of values, the upper middle of an even one.
pub fn median<T: Copy + PartialOrd>(mut values: Vec<T>) -> Option<T> {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied()
}

/// The table, for a person.
pub fn draw(figures: &[Figure]) -> String {
    let width = figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or_default();
    let mut table = format!("{:<width$}  {:>9}  {:>9}  {:>7}  {:>10}  met\n", "figure", "ours", "peer", "ratio", "target");
    for figure in figures {
        let peer = figure.peer.map(|peer| peer.to_string()).unwrap_or_default();
        let ratio = figure.ratio().map(|ratio| format!("{ratio:.2} x")).unwrap_or_default();
        let met = figure.met().map_or("", |met| if met { "yes" } else { "NO" });
        let line = format!("{:<width$}  {:>9}  {peer:>9}  {ratio:>7}  {:>10}  {met}", figure.name, figure.ours, figure.target);
        table.extend([line.trim_end(), "\n"]);
    }
    table
}
