//! `provider::bastion::…`: pure functions about keys and addresses.

use crate::cidr;
use crate::key::{PublicKey, authorized_keys_line};
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
            description: "The targets that may be forwarded to, each `host:port` spelled as the connection spells it. An empty list permits any.",
            allow_null: false,
        };
        Signature {
            summary: "A line for authorized_keys that narrows a key to forwarding",
            description: "A line for a bastion's authorized_keys, `restrict,port-forwarding,permitopen=\"host:port\" type base64`: by local forwarding \
                (`-L`) the key reaches the given targets only, and it gets no terminal, agent or X11. What such a line cannot take away, sshd_config does: \
                commands with `ForceCommand`, remote forwarding (`-R`) with `AllowTcpForwarding local`.",
            parameters: vec![public_key_parameter(), permit_open],
            variadic: None,
            returns: Type::String,
        }
    }

    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let key = public_key(&arguments)?;
        let Some(Value::List(targets)) = arguments.into_iter().nth(1) else {
            return Err(FunctionError { text: "a list of targets is needed".to_owned(), argument: Some(1) });
        };
        // A target that is left out would permit what it was meant to narrow.
        let targets = targets.into_iter().map(|target| match target {
            Value::String(target) => Ok(target),
            _ => Err(FunctionError { text: "a target is null; each is a host:port".to_owned(), argument: Some(1) }),
        });
        let targets: Vec<String> = targets.collect::<Result<_, _>>()?;
        let line = authorized_keys_line(&key, &targets, "");
        line.map(Value::String).map_err(|error| FunctionError { text: error.to_string(), argument: Some(1) })
    }
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
