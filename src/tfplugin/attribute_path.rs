//! The way from the root of a configuration to one value in it.

use std::fmt;

/// One step of an [`AttributePath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// An attribute of a block or an object.
    Attribute(String),
    /// An element of a map.
    Key(String),
    /// An element of a list or tuple. Elements of sets cannot be addressed: stop at the set.
    Index(i64),
}

/// A path, relative to the resource's own configuration. The empty path is the whole block.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributePath(Vec<Step>);

impl AttributePath {
    /// The whole block.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// `AttributePath::of("key_pairs").attribute("passphrase_wo")`.
    #[must_use]
    pub fn of(attribute: &str) -> Self {
        Self::root().attribute(attribute)
    }

    /// One attribute deeper.
    #[must_use]
    pub fn attribute(self, name: &str) -> Self {
        self.then(Step::Attribute(name.to_owned()))
    }

    /// One map element deeper.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    /// One list element deeper.
    #[must_use]
    pub fn index(self, index: i64) -> Self {
        self.then(Step::Index(index))
    }

    fn then(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    /// The steps, outermost first.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl FromIterator<Step> for AttributePath {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if position == 0 => write!(f, "{name}")?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
