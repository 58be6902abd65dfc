//! What Terraform shows its user: errors and warnings, each on an attribute where there is one.

use super::attribute_path::AttributePath;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Terraform stops.
    Error,
    /// Terraform shows it and goes on.
    Warning,
}

/// One message. Terraform folds warnings with equal summaries into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// One general line, without values.
    pub summary: String,
    /// The rest: what, why, what to do.
    pub detail: String,
    /// Where to look; empty for the whole block.
    pub attribute: AttributePath,
}

/// An error's lower-case fragment as a sentence for a person.
#[must_use]
pub fn sentence(fragment: &str) -> String {
    let mut characters = fragment.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if fragment.ends_with(['.', '!']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}

/// Messages in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// No message.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds an error.
    pub fn error(&mut self, attribute: AttributePath, summary: impl Into<String>, detail: impl Into<String>) {
        self.push(Diagnostic { severity: Severity::Error, summary: summary.into(), detail: detail.into(), attribute });
    }

    /// Adds a warning.
    pub fn warning(&mut self, attribute: AttributePath, summary: impl Into<String>, detail: impl Into<String>) {
        self.push(Diagnostic { severity: Severity::Warning, summary: summary.into(), detail: detail.into(), attribute });
    }

    /// Adds a message.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds the messages of others, after the ones that are here.
    pub fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether Terraform has to stop.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The messages.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
