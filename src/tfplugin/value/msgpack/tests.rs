//! Golden bytes for each shape of the format, hostile bytes, and random values there and back.

use std::collections::BTreeMap;

use proptest::prelude::*;

use bigdecimal::BigDecimal;

use super::*;
use crate::tfplugin::value::Refinement;

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(text: &str) -> Value {
    Value::Number(text.parse().unwrap())
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect())
}

fn refined(refinement: Refinement) -> Value {
    Value::Unknown(Some(Box::new(refinement)))
}

/// Both directions.
fn golden(r#type: &Type, value: &Value, bytes: &str) {
    let bytes = unhex(bytes);
    match encode(value, r#type) {
        Ok(encoded) => assert_eq!(hex(&encoded), hex(&bytes), "encoding {value:?}"),
        Err(error) => panic!("encoding {value:?}: {error}"),
    }
    reads(r#type, value, &hex(&bytes));
}

/// Only reading: a form that we do not send.
fn reads(r#type: &Type, value: &Value, bytes: &str) {
    match decode(&unhex(bytes), r#type) {
        Ok(decoded) => assert!(decoded == *value, "decoding {bytes}: {decoded:?} instead of {value:?}"),
        Err(error) => panic!("decoding {bytes}: {error}"),
    }
}

fn refuses(r#type: &Type, bytes: &str, message: &str) {
    match decode(&unhex(bytes), r#type) {
        Ok(decoded) => panic!("{bytes} was read as {decoded:?}"),
        Err(error) => assert_eq!(error.to_string(), message, "{bytes}"),
    }
}

fn cannot_write(value: &Value, r#type: &Type, message: &str) {
    assert_eq!(encode(value, r#type).unwrap_err().to_string(), message);
}

#[test]
fn primitives() {
    golden(&Type::String, &"".into(), "a0");
    golden(&Type::String, &"abc".into(), "a3 616263");
    golden(&Type::String, &"é".into(), "a2 c3a9");
    golden(&Type::String, &Value::String("x".repeat(32)), &format!("d9 20 {}", "78".repeat(32)));
    golden(&Type::String, &Value::String("x".repeat(256)), &format!("da 0100 {}", "78".repeat(256)));
    golden(&Type::String, &Value::String("x".repeat(65_536)), &format!("db 00010000 {}", "78".repeat(65_536)));
    golden(&Type::Bool, &true.into(), "c3");
    golden(&Type::Bool, &false.into(), "c2");
    for plain in [Type::String, Type::Bool, Type::Number, Type::Dynamic, Type::list(Type::Bool), Type::object([("a", Type::Bool)])] {
        golden(&plain, &Value::Null, "c0");
        golden(&plain, &Value::UNKNOWN, "d4 00 00");
    }
}

#[test]
fn numbers_are_exact_in_every_form() {
    for (text, bytes) in [
        ("0", "00"),
        ("22", "16"),
        ("127", "7f"),
        ("128", "cc 80"),
        ("5432", "cd 1538"),
        ("65536", "ce 00010000"),
        ("4294967296", "cf 0000000100000000"),
        ("9223372036854775807", "cf 7fffffffffffffff"),
        ("-1", "ff"),
        ("-32", "e0"),
        ("-33", "d0 df"),
        ("-129", "d1 ff7f"),
        ("-32769", "d2 ffff7fff"),
        ("-9223372036854775808", "d3 8000000000000000"),
        ("1.5", "cb 3ff8000000000000"),
        ("-0.25", "cb bfd0000000000000"),
        ("0.1", "a3 302e31"),
        ("9223372036854775808", "b3 39323233333732303336383534373735383038"),
    ] {
        golden(&Type::Number, &number(text), bytes);
    }
    let hundred_zeros = format!("d9 65 31 {}", "30".repeat(100));
    golden(&Type::Number, &number("1e100"), &hundred_zeros);
    reads(&Type::Number, &number("1.5"), "ca 3fc00000");
    reads(&Type::Number, &number("18446744073709551615"), "cf ffffffffffffffff");
    reads(&Type::Number, &number("1"), "d3 0000000000000001");
    reads(&Type::Number, &number("2000"), "a3 326533");
    reads(&Type::Number, &number("0"), "cb 8000000000000000");
}

#[test]
fn collections() {
    golden(&Type::list(Type::String), &Value::List(vec!["a".into(), Value::Null, Value::UNKNOWN]), "93 a161 c0 d40000");
    golden(&Type::set(Type::Number), &Value::List(vec![2.into(), 1.into()]), "92 02 01");
    golden(&Type::set(Type::Bool), &Value::List(vec![]), "90");
    golden(&Type::map(Type::Bool), &object([("k", true.into()), ("l", Value::Null)]), "82 a16b c3 a16c c0");
    golden(&Type::Tuple(vec![Type::String, Type::Number]), &Value::List(vec!["a".into(), 1.into()]), "92 a161 01");
    golden(&Type::Tuple(vec![]), &Value::List(vec![]), "90");
    let shape = Type::object([("b", Type::list(Type::Number)), ("a", Type::String)]);
    golden(&shape, &object([("a", "x".into()), ("b", Value::List(vec![7.into()]))]), "82 a161 a178 a162 91 07");
    golden(&shape, &object([("a", Value::Null), ("b", Value::Null)]), "82 a161 c0 a162 c0");
    reads(&shape, &object([("a", "x".into()), ("b", Value::Null)]), "82 a162 c0 a161 a178");
    reads(&Type::map(Type::Bool), &object([("k", true.into())]), "de 0001 a16b c3");
    reads(&Type::list(Type::Bool), &Value::List(vec![true.into()]), "dd 00000001 c3");
    assert_eq!(encode(&object([("a", "x".into())]), &shape).map(|bytes| hex(&bytes)).unwrap(), "82a161a178a162c0");
}

#[test]
fn dynamic_values_bring_their_type() {
    let typed = |inner: Type, value: Value| Value::Dynamic(Box::new((inner, value)));
    golden(&Type::Dynamic, &typed(Type::String, "hi".into()), "92 c4 08 22737472696e6722 a2 6869");
    golden(&Type::Dynamic, &typed(Type::Bool, Value::Null), "92 c4 06 22626f6f6c22 c0");
    let list = typed(Type::list(Type::Number), Value::List(vec![1.into()]));
    golden(&Type::Dynamic, &list, "92 c4 11 5b226c697374222c226e756d626572225d 91 01");
    golden(&Type::list(Type::Dynamic), &Value::List(vec![Value::Null, Value::UNKNOWN]), "92 c0 d40000");
    reads(&Type::Dynamic, &typed(Type::String, "hi".into()), "92 a8 22737472696e6722 a2 6869");
    for bytes in ["a161", "91 c0", "93 c0 c0 c0", "92 c0 c0", "92 01 a161", "92 c4 09 2264796e616d696322 a161"] {
        refuses(&Type::Dynamic, bytes, "a value of any type must come as a pair of its type and itself");
    }
    refuses(&Type::Dynamic, "92 c4 03 227822 a161", "the type constraint is not one that Terraform knows");
    refuses(&Type::Dynamic, "92 c4 06 22626f6f6c22 a161", "a bool is needed, but this is a string");
    cannot_write(&"a".into(), &Type::Dynamic, "a value of any type must come as a pair of its type and itself");
    cannot_write(&typed(Type::Dynamic, Value::Null), &Type::Dynamic, "a value of any type must come as a pair of its type and itself");
}

#[test]
fn unknown_values_with_and_without_refinement() {
    for bytes in [
        "d4 00 00",
        "d4 00 ff",
        "c7 00 00",
        "c7 03 00 010203",
        "d5 00 0000",
        "d4 05 00",
        "c8 0001 7f 00",
        "c9 00000001 80 00",
        "d8 63 00000000000000000000000000000000",
    ] {
        reads(&Type::String, &Value::UNKNOWN, bytes);
        reads(&Type::Dynamic, &Value::UNKNOWN, bytes);
    }
    let not_null = Refinement { not_null: true, ..Refinement::default() };
    golden(&Type::String, &refined(not_null.clone()), "c7 03 0c 81 01 c2");
    let prefix = Refinement { prefix: Some("pre-".to_owned()), ..not_null.clone() };
    golden(&Type::String, &refined(prefix), "c7 09 0c 82 01 c2 02 a4 7072652d");
    let bounds = Refinement { lower: Some((1.into(), true)), upper: Some(("1.5".parse().unwrap(), false)), ..Refinement::default() };
    golden(&Type::Number, &refined(bounds), "c7 11 0c 82 03 92 01 c3 04 92 cb3ff8000000000000 c2");
    let lengths = Refinement { min_length: Some(1), max_length: Some(300), ..Refinement::default() };
    golden(&Type::list(Type::Bool), &refined(lengths), "c7 07 0c 82 05 01 06 cd 012c");

    golden(&Type::Bool, &Value::UNKNOWN, "d4 00 00");
    assert_eq!(encode(&refined(Refinement::default()), &Type::Bool).map(|bytes| hex(&bytes)).unwrap(), "d40000", "never an empty map");
    reads(&Type::Bool, &Value::UNKNOWN, "d4 0c 80");
    reads(&Type::Bool, &Value::Null, "c7 03 0c 81 01 c3");
    reads(&Type::Bool, &refined(not_null), "c7 0d 0c 82 63 82 a161 93 01 02 03 c0 90 01 c2");
    for bytes in [
        "d4 0c c0",
        "c7 02 0c 81 01",
        "c7 03 0c 81 01 01",
        "c7 04 0c 81 a1 61 c0",
        "c7 05 0c 81 03 91 01 00",
        "c7 03 0c 81 05 ff",
        "c7 04 0c 81 01 c2 c0",
    ] {
        assert!(decode(&unhex(bytes), &Type::Bool).is_err(), "{bytes}");
    }
}

#[test]
fn each_error_names_its_place() {
    let shape = Type::object([
        ("name", Type::String),
        ("ports", Type::list(Type::Number)),
        ("tags", Type::map(Type::Bool)),
        ("names", Type::set(Type::object([("n", Type::String)]))),
        ("pair", Type::Tuple(vec![Type::Bool, Type::Bool])),
    ]);
    let one = |name: &str, bytes: &str| format!("81 {} {bytes}", hex(&encode(&name.into(), &Type::String).unwrap()));
    refuses(&shape, &one("name", "01"), "`name`: a string is needed, but this is a number");
    refuses(&shape, &one("name", "a2 c328"), "`name`: the text is not UTF-8");
    refuses(&shape, &one("ports", "92 01 c3"), "`ports[1]`: a number is needed, but this is a bool");
    refuses(&shape, &one("ports", "91 cb 7ff8000000000000"), "`ports[0]`: the number is not finite");
    refuses(&shape, &one("ports", "91 cb fff0000000000000"), "`ports[0]`: the number is not finite");
    refuses(&shape, &one("ports", "91 ca 7fc00000"), "`ports[0]`: the number is not finite");
    refuses(&shape, &one("ports", "91 a2 3078"), "`ports[0]`: the text is not a decimal number");
    refuses(&shape, &one("ports", "91 ab 3165393939393939393939"), "`ports[0]`: the number has more than 8192 digits");
    refuses(&shape, &one("tags", "81 a3 612062 c0"), "the attribute \"name\" is missing");
    refuses(&shape, &one("tags", "81 a3 612062 01"), "`tags[\"a b\"]`: a bool is needed, but this is a number");
    refuses(&shape, &one("tags", "82 a161 c0 a161 c0"), "`tags`: the key \"a\" is there twice");
    refuses(&shape, &one("tags", "81 01 c0"), "`tags`: a string as a key is needed, but this is a number");
    refuses(&shape, &one("names", "91 81 a16e 01"), "`names`: a string is needed, but this is a number");
    refuses(&shape, &one("pair", "91 c3"), "`pair`: 2 elements are needed, but there are 1");
    refuses(&shape, &one("pair", "92 c3 90"), "`pair[1]`: a bool is needed, but this is a list");
    refuses(&shape, &one("other", "c0"), "there is no attribute \"other\"");
    refuses(&shape, &one("name", "a5 61"), "`name`: the value ends too early");
    refuses(&shape, "82 a4 6e616d65 c0 a4 6e616d65 c0", "the key \"name\" is there twice");
    refuses(&shape, "90", "an object is needed, but this is a list");
    refuses(&Type::Bool, "c3 c0", "something follows after the value");
    refuses(&Type::Bool, "c1", "the value is not msgpack");
    refuses(&Type::Bool, "", "the value ends too early");
    refuses(&Type::Bool, "c4 00", "a bool is needed, but this is a run of bytes");
}

#[test]
fn what_is_not_of_the_type_is_not_written() {
    let shape = Type::object([("names", Type::set(Type::String)), ("ports", Type::list(Type::Number)), ("tags", Type::map(Type::Bool))]);
    cannot_write(&object([("x", Value::Null)]), &shape, "there is no attribute \"x\"");
    cannot_write(
        &object([("ports", Value::List(vec![1.into(), "2".into()]))]),
        &shape,
        "`ports[1]`: a number is needed, but this is a string",
    );
    cannot_write(&object([("names", Value::List(vec![1.into()]))]), &shape, "`names`: a string is needed, but this is a number");
    cannot_write(&object([("tags", object([("t", 1.into())]))]), &shape, "`tags[\"t\"]`: a bool is needed, but this is a number");
    cannot_write(&Value::List(vec![]), &Type::Tuple(vec![Type::Bool]), "1 elements are needed, but there are 0");
    cannot_write(&Value::Number(BigDecimal::new(1.into(), -1_000_000)), &Type::Number, "the number has more than 8192 digits");
}

#[test]
fn lengths_that_lie_allocate_nothing() {
    for bytes in ["dd ffffffff", "dd ffffffff 00", "df ffffffff", "db ffffffff 61", "dc ffff c0", "de ffff a0 c0", "c9 ffffffff 00"] {
        for hostile in [Type::list(Type::Bool), Type::map(Type::Bool), Type::String, Type::Dynamic] {
            let error = decode(&unhex(bytes), &hostile).err();
            assert!(matches!(error.map(|error| error.problem), Some(Problem::Truncated)), "{bytes}");
        }
    }
    // A refinement with an element of a later format that claims to be endless.
    let bytes = unhex("c7 07 0c 81 63 dd ffffffff");
    assert_eq!(decode(&bytes, &Type::Bool).unwrap_err().problem, Problem::Truncated);
}

#[test]
fn nesting_has_a_floor() {
    let nested = |levels: usize| (0..levels).fold(Type::Bool, |inner, _| Type::list(inner));
    let wrapped = |levels: usize| [vec![0x91; levels], vec![0xc3]].concat();
    assert!(decode(&wrapped(MAX_DEPTH - 1), &nested(MAX_DEPTH - 1)).is_ok());
    assert_eq!(decode(&wrapped(MAX_DEPTH), &nested(MAX_DEPTH)).unwrap_err().problem, Problem::TooDeep);
    // A list of any type whose element is again a list of any type, a thousand times.
    let level = unhex("91 92 c4 12 5b226c697374222c2264796e616d6963225d");
    let bytes = [level.repeat(1000), vec![0xc0]].concat();
    assert_eq!(decode(&bytes, &Type::list(Type::Dynamic)).unwrap_err().problem, Problem::TooDeep);
    let deep = (0..1000).fold(Value::Null, |inner, _| Value::Dynamic(Box::new((Type::list(Type::Dynamic), Value::List(vec![inner])))));
    assert_eq!(encode(&deep, &Type::Dynamic).unwrap_err().problem, Problem::TooDeep);
}

#[test]
fn tens_of_mebibytes_come_through() {
    const LONG: usize = 20 << 20;
    let text = Value::String("x".repeat(LONG));
    let bytes = encode(&text, &Type::String).unwrap();
    assert_eq!(bytes.len(), LONG + 5);
    assert!(decode(&bytes, &Type::String).is_ok_and(|back| back == text));

    let element = "y".repeat(63);
    let list = Value::List((0..LONG / 64).map(|_| element.as_str().into()).collect());
    let bytes = encode(&list, &Type::list(Type::String)).unwrap();
    assert!(bytes.len() > LONG);
    assert!(decode(&bytes, &Type::list(Type::String)).is_ok_and(|back| back == list));
}

fn any_type() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![Just(Type::String), Just(Type::Number), Just(Type::Bool), Just(Type::Dynamic)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(Type::list),
            inner.clone().prop_map(Type::set),
            inner.clone().prop_map(Type::map),
            prop::collection::btree_map("[a-z_]{1,6}", inner.clone(), 0..4).prop_map(Type::Object),
            prop::collection::vec(inner, 0..4).prop_map(Type::Tuple),
        ]
    })
}

fn any_number() -> impl Strategy<Value = Value> {
    let decimal = (any::<i128>(), -300_i64..300).prop_map(|(digits, scale)| BigDecimal::new(digits.into(), scale));
    let float = any::<f64>().prop_filter_map("finite", |float| BigDecimal::try_from(float).ok());
    prop_oneof![any::<i64>().prop_map(BigDecimal::from), any::<u64>().prop_map(BigDecimal::from), decimal, float].prop_map(Value::Number)
}

fn any_unknown() -> impl Strategy<Value = Value> {
    let bound = || prop::option::of((any::<i64>().prop_map(BigDecimal::from), any::<bool>()));
    let lengths = (any::<Option<u64>>(), any::<Option<u64>>());
    (any::<bool>(), any::<Option<String>>(), bound(), bound(), lengths).prop_map(
        |(not_null, prefix, lower, upper, (min_length, max_length))| {
            let refinement = Refinement { not_null, prefix, lower, upper, min_length, max_length };
            if refinement == Refinement::default() { Value::UNKNOWN } else { refined(refinement) }
        },
    )
}

fn any_known(r#type: &Type) -> BoxedStrategy<Value> {
    let elements = |inner: &Type| prop::collection::vec(any_value(inner), 0..4).prop_map(Value::List).boxed();
    match r#type {
        Type::String => any::<String>().prop_map(Value::String).boxed(),
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Number => any_number().boxed(),
        Type::Dynamic => any_concrete_dynamic().boxed(),
        Type::List(inner) | Type::Set(inner) => elements(inner),
        Type::Map(inner) => prop::collection::btree_map(any::<String>(), any_value(inner), 0..4).prop_map(Value::Map).boxed(),
        Type::Tuple(types) => types.iter().map(any_value).collect::<Vec<_>>().prop_map(Value::List).boxed(),
        Type::Object(types) => {
            let fields: Vec<_> = types.iter().map(|(name, inner)| (Just(name.clone()), any_value(inner))).collect();
            fields.prop_map(|fields| Value::Map(fields.into_iter().collect::<BTreeMap<_, _>>())).boxed()
        }
    }
}

fn any_concrete_dynamic() -> impl Strategy<Value = Value> {
    prop_oneof![Just(Type::String), Just(Type::Bool), Just(Type::set(Type::Number)), Just(Type::object([("a", Type::Number)]))]
        .prop_flat_map(|inner| any_value(&inner).prop_map(move |value| Value::Dynamic(Box::new((inner.clone(), value)))))
}

fn any_value(r#type: &Type) -> BoxedStrategy<Value> {
    prop_oneof![6 => any_known(r#type), 1 => Just(Value::Null), 1 => Just(Value::UNKNOWN), 1 => any_unknown()].boxed()
}

fn any_typed() -> impl Strategy<Value = (Type, Value)> {
    any_type().prop_flat_map(|r#type| any_value(&r#type).prop_map(move |value| (r#type.clone(), value)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_value_comes_back_as_it_was((r#type, value) in any_typed()) {
        let bytes = encode(&value, &r#type).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let back = decode(&bytes, &r#type).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(back == value, "{} {:?}", hex(&bytes), back);
        prop_assert!(back.equals(&value, &r#type));
    }

    #[test]
    fn every_type_comes_back_as_it_was(r#type in any_type()) {
        prop_assert_eq!(Type::from_json(r#type.to_json().as_bytes()), Ok(r#type));
    }

    #[test]
    fn changed_bytes_never_panic_and_what_is_read_can_be_written(
        (r#type, value) in any_typed(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&value, &r#type).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(read) = decode(&bytes, &r#type) {
            let again = encode(&read, &r#type).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(decode(&again, &r#type).is_ok_and(|back| back == read));
        }
        let cut = cut.index(bytes.len());
        if let Ok(read) = decode(&bytes[..cut], &r#type) {
            prop_assert!(encode(&read, &r#type).is_ok());
        }
    }

    #[test]
    fn random_bytes_hold_no_more_than_they_pay_for(bytes in prop::collection::vec(any::<u8>(), 0..200), r#type in any_type()) {
        if let Ok(read) = decode(&bytes, &r#type) {
            prop_assert!(weight(&read) <= bytes.len());
        }
    }
}

/// How many values there are in one; each took a byte at least.
fn weight(value: &Value) -> usize {
    1 + match value {
        Value::List(elements) => elements.iter().map(weight).sum(),
        Value::Map(fields) => fields.values().map(weight).sum(),
        Value::Dynamic(typed) => weight(&typed.1),
        _ => 0,
    }
}

#[test]
fn a_value_is_small_beside_the_byte_that_announces_it() {
    assert!(
        size_of::<Value>() <= 48,
        "`decode` promises some 150 times the bytes, a vector triples while it grows, and this is {}",
        size_of::<Value>()
    );
}
