//! A table's name as a user of Postgres writes it: `orders`, `public.orders`, `"Odd.Schema"."Orders"`.

/// The schema of a name without one: where a fresh database's `search_path` leads.
const DEFAULT_SCHEMA: &str = "public";

/// A name, taken apart as Postgres would: lower-cased unless quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableName {
    pub(super) schema: String,
    pub(super) table: String,
}

/// Reads a name by Postgres' rules for identifiers (manual, section 4.1.1); `None` if it is none, or has more than two parts.
///
/// Here and not in the server: up to version 15, `to_regclass` raises an error for a malformed name, which would take the other tables
/// of the same query with it.
pub(super) fn parse(text: &str) -> Option<TableName> {
    let (first, rest) = identifier(text.trim())?;
    if rest.is_empty() {
        return Some(TableName { schema: DEFAULT_SCHEMA.to_owned(), table: first });
    }
    let (second, rest) = identifier(rest.strip_prefix('.')?.trim_start())?;
    rest.is_empty().then_some(TableName { schema: first, table: second })
}

/// Whether a text names a table as Postgres reads it: `orders`, `public.orders`, `"Odd.Schema"."Orders"`.
#[must_use]
pub fn is_table_name(text: &str) -> bool {
    parse(text).is_some()
}

/// One identifier, and what follows it and the blanks behind it.
fn identifier(text: &str) -> Option<(String, &str)> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(quoted) => until_quote(quoted)?,
        None => {
            let end = text.find(|c: char| !is_in_identifier(c)).unwrap_or(text.len());
            let (name, rest) = text.split_at_checked(end)?;
            let starts_well = name.starts_with(|c: char| !c.is_ascii_digit() && c != '$');
            starts_well.then(|| (name.to_ascii_lowercase(), rest))?
        }
    };
    // An empty name is no name, and no name in the catalog holds a NUL.
    (!name.is_empty() && !name.contains('\0')).then(|| (name, rest.trim_start()))
}

/// The inside of a quoted identifier, in which `""` stands for one quote.
fn until_quote(quoted: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let (part, behind) = rest.split_once('"')?;
        name.push_str(part);
        match behind.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, behind)),
        }
    }
}

fn is_in_identifier(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_postgres_reads_them() {
        for (text, schema, table) in [
            ("orders", "public", "orders"),
            ("Public.Orders", "public", "orders"),
            (" sales . orders ", "sales", "orders"),
            (r#""Odd.Schema"."Or""ders""#, "Odd.Schema", "Or\"ders"),
            (r#"sales."Orders""#, "sales", "Orders"),
            ("_a$1.größe", "_a$1", "größe"),
        ] {
            assert_eq!(parse(text), Some(TableName { schema: schema.into(), table: table.into() }), "{text}");
        }
        for text in ["", ".", "a.", ".a", "a.b.c", "a b", "1a", "$a", r#"""#, r#""""#, r#""a"#, r#""a"b"#, "a-b", "a;b", "'a'", "\"a\0\""] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
