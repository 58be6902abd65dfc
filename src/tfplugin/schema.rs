//! What a resource's configuration may hold.

use std::collections::BTreeMap;

/// A type constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `string`
    String,
    /// `number`
    Number,
    /// `bool`
    Bool,
    /// Any type; travels with the value.
    Dynamic,
    /// `list(T)`
    List(Box<Type>),
    /// `set(T)`
    Set(Box<Type>),
    /// `map(T)`
    Map(Box<Type>),
    /// `object({…})`: attribute name to type.
    Object(BTreeMap<String, Type>),
    /// `tuple([…])`
    Tuple(Vec<Type>),
}

/// How nested objects repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// One object.
    Single,
    /// A list of objects.
    List,
    /// A set of objects.
    Set,
    /// A map of objects.
    Map,
}

/// The shape of one attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A plain type.
    Type(Type),
    /// Attributes of its own, each with a description and flags.
    Nested(Nesting, Vec<Attribute>),
}

/// Who gives the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The user must.
    Required,
    /// The user may.
    Optional,
    /// The provider does.
    Computed,
    /// The user may, else the provider does.
    OptionalComputed,
}

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// Who gives it.
    pub presence: Presence,
    /// What it means, in Markdown, for the docs and the language server.
    pub description: &'static str,
    /// Hidden on screen (not in state).
    pub sensitive: bool,
    /// Never kept: not in plan, not in state.
    pub write_only: bool,
    /// Why not to use it any more.
    pub deprecated: Option<&'static str>,
}

/// A resource's, data source's, ephemeral resource's or provider's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Raised when stored state has to be upgraded.
    pub version: i64,
    /// One line or more of Markdown: what it is for.
    pub description: &'static str,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
}

impl Attribute {
    /// An attribute the user must give.
    #[must_use]
    pub const fn required(name: &'static str, shape: Shape, description: &'static str) -> Self {
        Self::new(name, shape, Presence::Required, description)
    }

    /// An attribute the user may give.
    #[must_use]
    pub const fn optional(name: &'static str, shape: Shape, description: &'static str) -> Self {
        Self::new(name, shape, Presence::Optional, description)
    }

    /// An attribute the provider gives.
    #[must_use]
    pub const fn computed(name: &'static str, shape: Shape, description: &'static str) -> Self {
        Self::new(name, shape, Presence::Computed, description)
    }

    /// An attribute the user may give and the provider gives otherwise: a default.
    #[must_use]
    pub const fn optional_computed(name: &'static str, shape: Shape, description: &'static str) -> Self {
        Self::new(name, shape, Presence::OptionalComputed, description)
    }

    const fn new(name: &'static str, shape: Shape, presence: Presence, description: &'static str) -> Self {
        Self { name, shape, presence, description, sensitive: false, write_only: false, deprecated: None }
    }

    /// Hidden on screen.
    #[must_use]
    pub const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Never kept in plan or state.
    #[must_use]
    pub const fn write_only(mut self) -> Self {
        self.write_only = true;
        self
    }
}
