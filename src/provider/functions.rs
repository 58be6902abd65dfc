//! `provider::bastion::…`: pure functions about keys and addresses.

use crate::cidr;
use crate::key::{CommentError, ExpiryError, LineOptions, PermitOpenError, PublicKey, authorized_keys_line};
use crate::tfplugin::kind::{Function, FunctionError, Parameter, Signature};
use crate::tfplugin::schema::Type;
use crate::tfplugin::value::Value;

/// `authorized_key(public_key, permit_open)`: a line for authorized_keys that narrows a key to forwarding.
pub(super) struct AuthorizedKey;

/// `fingerprint(public_key)`: as `ssh-keygen -l` prints it.
pub(super) struct Fingerprint;

fn public_key_parameter() -> Parameter {
    Parameter {
        name: "public_key",
        r#type: Type::String,
        description: "A public key, `type base64 [comment]`. The comment is dropped.",
        allow_null: false,
    }
}

/// The first argument.
fn public_key(arguments: &[Value]) -> Result<PublicKey, FunctionError> {
    let text = match arguments.first() {
        Some(Value::String(text)) => text.as_str(),
        _ => "",
    };
    text.parse().map_err(|error: crate::key::PublicKeyError| FunctionError { text: error.to_string(), argument: Some(0) })
}

impl Function for Fingerprint {
    fn name(&self) -> &'static str {
        "fingerprint"
    }

    fn signature(&self) -> Signature {
        Signature {
            summary: "The fingerprint of a public key",
            description: "The SHA-256 fingerprint of a public key, `SHA256:…`, as `ssh-keygen -l` and sshd's log print it.",
            parameters: vec![public_key_parameter()],
            variadic: None,
            returns: Type::String,
        }
    }

    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        Ok(Value::String(public_key(&arguments)?.fingerprint()))
    }
}

impl Function for AuthorizedKey {
    fn name(&self) -> &'static str {
        "authorized_key"
    }

    fn signature(&self) -> Signature {
        let permit_open = Parameter {
            name: "permit_open",
            r#type: Type::list(Type::String),
            description: "The targets that may be forwarded to, each `host:port` spelled as the connection spells it. Null: any. An empty list: none.",
            allow_null: true,
        };
        let options = Parameter {
            name: "options",
            r#type: Type::Dynamic,
            description: "At most one object with `from` (addresses, IP or CIDR, that the key is accepted from), `expires` (until when, in RFC 3339; \
                needs OpenSSH 7.7, and means that time of day in the bastion's own time zone) and `comment`, each of which may be left out: as in \
                `bastion_authorized_keys`.",
            allow_null: false,
        };
        Signature {
            summary: "A line for authorized_keys that narrows a key to forwarding",
            description: "A line for a bastion's authorized_keys, `restrict,port-forwarding,permitopen=\"host:port\" type base64`: by local forwarding \
                (`-L`) the key reaches the given targets only, and it gets no terminal, agent or X11. What such a line cannot take away, sshd_config does: \
                commands with `ForceCommand`, remote forwarding (`-R`) with `AllowTcpForwarding local`.",
            parameters: vec![public_key_parameter(), permit_open],
            variadic: Some(options),
            returns: Type::String,
        }
    }

    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let key = public_key(&arguments)?;
        let mut rest = arguments.into_iter().skip(1);
        let permit_open = match rest.next() {
            // A target that is left out would permit what it was meant to narrow.
            Some(Value::List(targets)) => Some(texts(targets).ok_or_else(|| refused(1, "a target is null; each is a host:port"))?),
            _ => None,
        };
        let targets = permit_open.map(|targets| targets.iter().map(|target| target.parse()).collect::<Result<_, PermitOpenError>>());
        let permit_open = targets.transpose().map_err(|error| refused(1, error))?;
        let options = rest.next().map_or_else(|| Ok(LineOptions::default()), |options| line_options(plain(options)))?;
        if rest.next().is_some() {
            return Err(refused(3, "there is one object of options"));
        }
        Ok(Value::String(authorized_keys_line(&key, &LineOptions { permit_open, ..options })))
    }
}

/// What is wrong with an argument.
fn refused(argument: i64, error: impl ToString) -> FunctionError {
    FunctionError { text: error.to_string(), argument: Some(argument) }
}

/// A value without the type that travels with it.
fn plain(value: Value) -> Value {
    match value {
        Value::Dynamic(typed) => plain(typed.1),
        other => other,
    }
}

/// The elements of a list of texts.
fn texts(elements: Vec<Value>) -> Option<Vec<String>> {
    let text = |element| match plain(element) {
        Value::String(text) => Some(text),
        _ => None,
    };
    elements.into_iter().map(text).collect()
}

/// The options of a line but `permitopen`.
fn line_options(options: Value) -> Result<LineOptions, FunctionError> {
    let Value::Map(fields) = options else { return Err(refused(2, "an object is needed, such as { comment = \"neosync\" }")) };
    let mut found = LineOptions::default();
    for (name, value) in fields {
        match (name.as_str(), plain(value)) {
            ("from" | "expires" | "comment", Value::Null) => {}
            ("from", Value::List(from)) if !from.is_empty() => {
                let from = texts(from).ok_or_else(|| refused(2, "`from`: an address is null"))?;
                let parse =
                    |text: &String| text.parse().map_err(|error: cidr::CidrError| refused(2, format!("`from`: \"{text}\": {error}")));
                found.from = from.iter().map(parse).collect::<Result<_, _>>()?;
            }
            ("from", _) => return Err(refused(2, "`from`: a list of addresses is needed, and an empty one would let nobody in")),
            ("expires", Value::String(text)) => {
                let parsed = text.parse().map_err(|error: ExpiryError| refused(2, format!("`expires`: \"{text}\": {error}")));
                found.expires = Some(parsed?);
            }
            ("comment", Value::String(text)) => {
                let parsed = text.parse().map_err(|error: CommentError| refused(2, format!("`comment`: {error}")));
                found.comment = Some(parsed?);
            }
            ("expires" | "comment", _) => return Err(refused(2, format!("`{name}`: a text is needed"))),
            _ => return Err(refused(2, format!("there is no option `{name}`; there are `from`, `expires` and `comment`"))),
        }
    }
    Ok(found)
}

/// `cidr(address)`: an address as the CIDR block that firewalls take.
pub(super) struct Cidr;

impl Function for Cidr {
    fn name(&self) -> &'static str {
        "cidr"
    }

    fn signature(&self) -> Signature {
        let address = Parameter {
            name: "address",
            r#type: Type::String,
            description: "An IP address, or a CIDR block without bits beyond its prefix.",
            allow_null: false,
        };
        Signature {
            summary: "An address as the CIDR block that firewalls take",
            description: "The CIDR block of an address: `54.69.79.83` becomes `54.69.79.83/32`, an IPv6 address its /128 in the shortest spelling. A \
                CIDR block stays what it is. `10.1.2.3/8` is refused, because a firewall would store `10.0.0.0/8`.",
            parameters: vec![address],
            variadic: None,
            returns: Type::String,
        }
    }

    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let text = match arguments.first() {
            Some(Value::String(text)) => text.as_str(),
            _ => "",
        };
        let parsed = text.parse().map(|network: cidr::Cidr| Value::String(network.to_string()));
        parsed.map_err(|error: cidr::CidrError| FunctionError { text: error.to_string(), argument: Some(0) })
    }
}
