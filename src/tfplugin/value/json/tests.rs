//! Golden text for each shape, and state that another version of a schema wrote.

use super::*;

fn number(text: &str) -> Value {
    Value::Number(text.parse().unwrap())
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect())
}

fn golden(r#type: &Type, value: &Value, text: &str) {
    match encode_json(value, r#type) {
        Ok(encoded) => assert_eq!(String::from_utf8_lossy(&encoded), text),
        Err(error) => panic!("{text}: {error}"),
    }
    match decode_json(text.as_bytes(), r#type) {
        Ok(decoded) => assert!(decoded == *value, "{text}: {decoded:?}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn refuses(r#type: &Type, text: &str, message: &str) {
    assert_eq!(decode_json(text.as_bytes(), r#type).unwrap_err().to_string(), message);
}

#[test]
fn every_shape_there_and_back() {
    golden(&Type::String, &"a\"b".into(), r#""a\"b""#);
    golden(&Type::Bool, &true.into(), "true");
    golden(&Type::Number, &5432.into(), "5432");
    golden(&Type::Number, &number("0.1"), "0.1");
    golden(&Type::Number, &number("12345678901234567890.123456789"), "12345678901234567890.123456789");
    golden(&Type::list(Type::String), &Value::List(vec!["a".into(), Value::Null]), r#"["a",null]"#);
    golden(&Type::set(Type::Number), &Value::List(vec![2.into(), 1.into()]), "[2,1]");
    golden(&Type::map(Type::Bool), &object([("k", false.into())]), r#"{"k":false}"#);
    golden(&Type::Tuple(vec![Type::Bool, Type::String]), &Value::List(vec![true.into(), "x".into()]), r#"[true,"x"]"#);
    golden(
        &Type::object([("a", Type::Bool), ("b", Type::Bool)]),
        &object([("a", true.into()), ("b", Value::Null)]),
        r#"{"a":true,"b":null}"#,
    );
    let any = Value::Dynamic(Box::new((Type::list(Type::String), Value::List(vec!["x".into()]))));
    golden(&Type::Dynamic, &any, r#"{"type":["list","string"],"value":["x"]}"#);
    golden(&Type::Dynamic, &Value::Null, "null");
}

#[test]
fn numbers_may_be_strings_and_stay_exact() {
    let read = |text: &str| decode_json(text.as_bytes(), &Type::Number);
    assert!(read(r#""9223372036854775808""#).is_ok_and(|value| value == number("9223372036854775808")));
    assert!(read("1e3").is_ok_and(|value| value == number("1000")));
    assert!(
        read("0.30000000000000000000000000000000000001").is_ok_and(|value| value == number("0.30000000000000000000000000000000000001"))
    );
    refuses(&Type::Number, "1e999999999", "the number has more than 8192 digits");
}

#[test]
fn errors_name_their_place() {
    let shape = Type::object([("a", Type::list(Type::Number)), ("s", Type::set(Type::Bool)), ("m", Type::map(Type::Bool))]);
    refuses(&shape, r#"{"a":[1,"x"],"s":null,"m":null}"#, "`a[1]`: the text is not a decimal number");
    refuses(&shape, r#"{"a":[],"s":[1],"m":null}"#, "`s`: a bool is needed, but this is a number");
    refuses(&shape, r#"{"a":[],"s":[],"m":{"k":[]}}"#, "`m[\"k\"]`: a bool is needed, but this is a list");
    refuses(&shape, r#"{"a":[],"s":[]}"#, "the attribute \"m\" is missing");
    refuses(&shape, r#"{"a":[],"s":[],"m":{},"z":1}"#, "there is no attribute \"z\"");
    refuses(&shape, "{", "the value ends too early");
    refuses(&shape, "{} x", "the value is not JSON");
    refuses(&Type::Dynamic, r#"{"type":"string"}"#, "a value of any type must come as a pair of its type and itself");
    refuses(&Type::Dynamic, r#"{"type":"dynamic","value":1}"#, "a value of any type must come as a pair of its type and itself");
    refuses(&Type::Bool, &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), "the value is not JSON");
    assert_eq!(
        encode_json(&Value::List(vec![Value::UNKNOWN]), &Type::list(Type::Bool)).unwrap_err().to_string(),
        "`[0]`: the value is unknown, which JSON cannot say"
    );
}

#[test]
fn state_of_another_version_is_read_as_far_as_it_goes() {
    let shape = Type::object([("kept", Type::String), ("new", Type::Number), ("nested", Type::object([("new", Type::Bool)]))]);
    let read = |text: &str| decode_json_lenient(text.as_bytes(), &shape);
    let expected = object([("kept", "x".into()), ("new", Value::Null), ("nested", object([("new", Value::Null)]))]);
    assert!(read(r#"{"kept":"x","gone":[1],"nested":{"gone":1}}"#).is_ok_and(|value| value == expected));
    assert_eq!(read(r#"{"kept":1}"#).unwrap_err().to_string(), "`kept`: a string is needed, but this is a number");
}
