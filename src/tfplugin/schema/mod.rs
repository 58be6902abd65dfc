//! What a resource's configuration may hold.

mod check;
mod presence;
pub mod transform;

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

impl Type {
    /// What it asks for, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Number => "a number",
            Self::Bool => "a bool",
            Self::Dynamic => "a value with its own type",
            Self::List(_) => "a list",
            Self::Set(_) => "a set",
            Self::Map(_) => "a map",
            Self::Object(_) => "an object",
            Self::Tuple(_) => "a tuple",
        }
    }

    /// `list(inner)`
    #[must_use]
    pub fn list(inner: Self) -> Self {
        Self::List(Box::new(inner))
    }

    /// `set(inner)`
    #[must_use]
    pub fn set(inner: Self) -> Self {
        Self::Set(Box::new(inner))
    }

    /// `map(inner)`
    #[must_use]
    pub fn map(inner: Self) -> Self {
        Self::Map(Box::new(inner))
    }

    /// `object({…})`
    #[must_use]
    pub fn object<const N: usize>(attributes: [(&str, Self); N]) -> Self {
        Self::Object(attributes.into_iter().map(|(name, inner)| (name.to_owned(), inner)).collect())
    }
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
    /// The same where the provider gives the value, of what is nested in it too.
    #[must_use]
    pub fn into_computed(self) -> Self {
        let shape = match self.shape {
            Shape::Nested(nesting, attributes) => Shape::Nested(nesting, attributes.into_iter().map(Self::into_computed).collect()),
            shape @ Shape::Type(_) => shape,
        };
        Self { shape, presence: Presence::Computed, ..self }
    }

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

    /// Not to be used any more, and why.
    #[must_use]
    pub const fn deprecated(mut self, why: &'static str) -> Self {
        self.deprecated = Some(why);
        self
    }
}

impl Shape {
    /// The type of its values.
    #[must_use]
    pub fn value_type(&self) -> Type {
        match self {
            Self::Type(plain) => plain.clone(),
            Self::Nested(nesting, attributes) => {
                let object = object_type(attributes);
                match nesting {
                    Nesting::Single => object,
                    Nesting::List => Type::list(object),
                    Nesting::Set => Type::set(object),
                    Nesting::Map => Type::map(object),
                }
            }
        }
    }
}

/// The type of an object with these attributes.
pub(super) fn object_type(attributes: &[Attribute]) -> Type {
    Type::Object(attributes.iter().map(|attribute| (attribute.name.to_owned(), attribute.shape.value_type())).collect())
}

impl Schema {
    /// The first version of a schema.
    #[must_use]
    pub const fn new(description: &'static str, attributes: Vec<Attribute>) -> Self {
        Self { version: 0, description, attributes }
    }

    /// The type of its configuration, plan and state.
    #[must_use]
    pub fn block_type(&self) -> Type {
        object_type(&self.attributes)
    }
}

/// A `string`.
#[must_use]
pub const fn string() -> Shape {
    Shape::Type(Type::String)
}

/// A `number`.
#[must_use]
pub const fn number() -> Shape {
    Shape::Type(Type::Number)
}

/// A `bool`.
#[must_use]
pub const fn boolean() -> Shape {
    Shape::Type(Type::Bool)
}

/// A value of any type.
#[must_use]
pub const fn dynamic() -> Shape {
    Shape::Type(Type::Dynamic)
}

/// A `list(inner)`.
#[must_use]
pub fn list_of(inner: Type) -> Shape {
    Shape::Type(Type::list(inner))
}

/// A `set(inner)`.
#[must_use]
pub fn set_of(inner: Type) -> Shape {
    Shape::Type(Type::set(inner))
}

/// A `map(inner)`.
#[must_use]
pub fn map_of(inner: Type) -> Shape {
    Shape::Type(Type::map(inner))
}

/// An `object({…})`: its attributes have neither descriptions nor flags; see [`nested_single`] for that.
#[must_use]
pub fn object<const N: usize>(attributes: [(&str, Type); N]) -> Shape {
    Shape::Type(Type::object(attributes))
}

/// One object with attributes of its own.
#[must_use]
pub const fn nested_single(attributes: Vec<Attribute>) -> Shape {
    Shape::Nested(Nesting::Single, attributes)
}

/// A list of objects with attributes of their own.
#[must_use]
pub const fn nested_list(attributes: Vec<Attribute>) -> Shape {
    Shape::Nested(Nesting::List, attributes)
}

/// A set of objects with attributes of their own.
#[must_use]
pub const fn nested_set(attributes: Vec<Attribute>) -> Shape {
    Shape::Nested(Nesting::Set, attributes)
}

/// A map of objects with attributes of their own.
#[must_use]
pub const fn nested_map(attributes: Vec<Attribute>) -> Shape {
    Shape::Nested(Nesting::Map, attributes)
}
