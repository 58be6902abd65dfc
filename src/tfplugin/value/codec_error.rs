//! What can be wrong with an encoded value or type, and where in it.

use crate::tfplugin::attribute_path::{AttributePath, Step};

/// A value that cannot be decoded or encoded. Never quotes the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", prefix(path))]
pub struct CodecError {
    /// Where in the value; stops at sets, whose elements have no address.
    pub path: AttributePath,
    /// What is wrong there.
    pub problem: Problem,
}

/// Bytes that are not a value of the type.
pub type DecodeError = CodecError;

/// A value that is not of the type.
pub type EncodeError = CodecError;

/// What is wrong. Bytes come from Terraform, values from the provider: the one that sent it is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A message was cut.
    #[error("the value ends too early")]
    Truncated,
    /// Two values where one is expected.
    #[error("something follows after the value")]
    Trailing,
    /// The byte 0xc1, which msgpack never uses.
    #[error("the value is not msgpack")]
    NotMsgpack,
    /// Broken JSON.
    #[error("the value is not JSON")]
    NotJson,
    /// Deeper than [`MAX_DEPTH`].
    #[error("the value is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// Of another type than the schema says.
    #[error("{needed} is needed, but this is {found}")]
    Mismatch {
        /// By the schema.
        needed: &'static str,
        /// On the wire.
        found: &'static str,
    },
    /// Bytes that are no text.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// NaN or an infinity, which Terraform has no numbers for.
    #[error("the number is not finite")]
    NotFinite,
    /// Text that is no decimal number.
    #[error("the text is not a decimal number")]
    NotDecimal,
    /// Written out, it would have more digits than anybody needs.
    #[error("the number has more than {} digits", super::number::MAX_DIGITS)]
    NumberTooLong,
    /// An object with an attribute that its type does not have.
    #[error("there is no attribute {0:?}")]
    NoSuchAttribute(String),
    /// An object without one of its attributes.
    #[error("the attribute {0:?} is missing")]
    MissingAttribute(String),
    /// The same key twice.
    #[error("the key {0:?} is there twice")]
    DuplicateKey(String),
    /// A tuple of another length.
    #[error("{needed} elements are needed, but there are {found}")]
    Length {
        /// By the type.
        needed: usize,
        /// On the wire.
        found: usize,
    },
    /// A dynamic value that is not a pair of type and value, or whose type is `dynamic` again.
    #[error("a value of any type must come as a pair of its type and itself")]
    NotTyped,
    /// A type constraint that is not one.
    #[error("the type constraint is not one that Terraform knows")]
    NotType,
    /// An extension 12 whose payload is not a refinement.
    #[error("what is known of the unknown value is malformed")]
    NotRefinement,
    /// JSON has no way to write it.
    #[error("the value is unknown, which JSON cannot say")]
    UnknownInJson,
    /// More elements or bytes than the format can count.
    #[error("the value is too long for msgpack")]
    TooLong,
}

/// How deep a value may be nested. Terraform's own JSON reader and serde_json both stop near 128, and a stack holds that easily.
pub const MAX_DEPTH: usize = 128;

/// How much of a hostile name an error quotes; Terraform's own names are shorter than 64 bytes.
const MAX_QUOTED: usize = 64;

fn prefix(path: &AttributePath) -> String {
    if path.steps().is_empty() { String::new() } else { format!("`{path}`: ") }
}

pub(super) fn quoted(name: &str) -> String {
    name.chars().take(MAX_QUOTED).collect()
}

/// An error on its way out: steps are added innermost first, so that a value without errors costs no path.
pub(super) struct Trouble {
    problem: Problem,
    outward: Vec<Step>,
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self { problem, outward: Vec::new() }
    }
}

impl Trouble {
    pub(super) fn in_attribute(mut self, name: &str) -> Self {
        self.outward.push(Step::Attribute(quoted(name)));
        self
    }

    pub(super) fn in_key(mut self, key: &str) -> Self {
        self.outward.push(Step::Key(quoted(key)));
        self
    }

    pub(super) fn in_index(mut self, index: usize) -> Self {
        self.outward.push(Step::Index(i64::try_from(index).unwrap_or(i64::MAX)));
        self
    }

    /// What is inside a set's element has no address: the path ends at the set.
    pub(super) fn in_set(mut self) -> Self {
        self.outward.clear();
        self
    }
}

impl From<Trouble> for CodecError {
    fn from(trouble: Trouble) -> Self {
        Self { path: trouble.outward.into_iter().rev().collect(), problem: trouble.problem }
    }
}
