//! Type constraints as JSON, the form in which schemas and dynamic values carry them.

use serde_json::{Map, Value as Json};

use super::codec_error::{DecodeError, Problem, Trouble};
use crate::tfplugin::schema::Type;

impl Type {
    /// The constraint as Terraform reads it: `["list","string"]`.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.json().to_string()
    }

    pub(super) fn json(&self) -> Json {
        let pair = |name: &str, inner: Json| Json::Array(vec![name.into(), inner]);
        match self {
            Self::String => "string".into(),
            Self::Number => "number".into(),
            Self::Bool => "bool".into(),
            Self::Dynamic => "dynamic".into(),
            Self::List(inner) => pair("list", inner.json()),
            Self::Set(inner) => pair("set", inner.json()),
            Self::Map(inner) => pair("map", inner.json()),
            Self::Object(types) => {
                pair("object", Json::Object(types.iter().map(|(name, inner)| (name.clone(), inner.json())).collect::<Map<_, _>>()))
            }
            Self::Tuple(types) => pair("tuple", Json::Array(types.iter().map(Self::json).collect())),
        }
    }

    /// Reads a constraint. An object's third element, the names of its optional attributes, says nothing about values and is dropped.
    ///
    /// # Errors
    ///
    /// On anything else; also on more than some 60 levels of objects, where serde_json stops.
    pub fn from_json(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self::parse(bytes).map_err(Trouble::from)?)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        Self::from_value(serde_json::from_slice(bytes).map_err(|_not_json| Problem::NotType)?)
    }

    pub(super) fn from_value(json: Json) -> Result<Self, Problem> {
        let parts = match json {
            Json::String(name) => return Self::primitive(&name),
            Json::Array(parts) => parts,
            _ => return Err(Problem::NotType),
        };
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Json::String(name)), Some(inner), optional, None) => Self::compound(&name, inner, optional),
            _ => Err(Problem::NotType),
        }
    }

    fn primitive(name: &str) -> Result<Self, Problem> {
        match name {
            "string" => Ok(Self::String),
            "number" => Ok(Self::Number),
            "bool" => Ok(Self::Bool),
            "dynamic" => Ok(Self::Dynamic),
            _ => Err(Problem::NotType),
        }
    }

    fn compound(name: &str, inner: Json, optional: Option<Json>) -> Result<Self, Problem> {
        match (name, inner, optional) {
            ("list", inner, None) => Ok(Self::List(Box::new(Self::from_value(inner)?))),
            ("set", inner, None) => Ok(Self::Set(Box::new(Self::from_value(inner)?))),
            ("map", inner, None) => Ok(Self::Map(Box::new(Self::from_value(inner)?))),
            ("tuple", Json::Array(types), None) => Ok(Self::Tuple(types.into_iter().map(Self::from_value).collect::<Result<_, _>>()?)),
            ("object", Json::Object(types), None | Some(Json::Array(_))) => {
                let types = types.into_iter().map(|(name, inner)| Ok((name, Self::from_value(inner)?)));
                Ok(Self::Object(types.collect::<Result<_, Problem>>()?))
            }
            _ => Err(Problem::NotType),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_read_and_write_as_terraform_does() {
        for text in [
            r#""string""#,
            r#""number""#,
            r#""bool""#,
            r#""dynamic""#,
            r#"["list","string"]"#,
            r#"["set",["map","number"]]"#,
            r#"["tuple",[]]"#,
            r#"["tuple",["string",["list","bool"]]]"#,
            r#"["object",{}]"#,
            r#"["object",{"a":"string","b":["object",{"c":"dynamic"}]}]"#,
        ] {
            assert_eq!(Type::from_json(text.as_bytes()).unwrap().to_json(), text);
        }
    }

    #[test]
    fn optional_attributes_are_dropped() {
        let read = Type::from_json(br#" ["object", {"a": "string", "b": "bool"}, ["b"]] "#).unwrap();
        assert_eq!(read.to_json(), r#"["object",{"a":"string","b":"bool"}]"#);
    }

    #[test]
    fn what_is_no_constraint_is_refused() {
        let deep = format!("{}{}{}", r#"["list","#.repeat(100_000), r#""string""#, "]".repeat(100_000));
        for text in [
            "",
            "null",
            "1",
            "{}",
            "[]",
            r#""text""#,
            r#"["list"]"#,
            r#"["list","string","string"]"#,
            r#"["tuple",{}]"#,
            r#"["object",[]]"#,
            r#"["object",{},["a"],1]"#,
            r#"["object",{},{}]"#,
            r#"[["list"],"string"]"#,
            r#""string" "string""#,
            &deep,
        ] {
            assert_eq!(Type::from_json(text.as_bytes()).unwrap_err().problem, Problem::NotType, "{text:.40}");
        }
    }
}
