//! The little XML that Amazon's answers need.

/// Appends `<name>value</name>`, escaped.
pub(crate) fn text(out: &mut String, name: &str, value: &str) {
    out.push_str(&format!("<{name}>{}</{name}>", escape(value)));
}

/// Appends `<name>…</name>` around what `content` appends.
pub(crate) fn element(out: &mut String, name: &str, content: impl FnOnce(&mut String)) {
    out.push_str(&format!("<{name}>"));
    content(out);
    out.push_str(&format!("</{name}>"));
}

/// The text of the first element of that name below `node`, whatever its namespace.
pub(crate) fn find<'a>(node: roxmltree::Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.descendants().find(|node| node.tag_name().name() == name)?.text()
}

fn escape(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Eight, four, four, four and twelve hexadecimal digits: a request's id.
pub(crate) fn request_id() -> String {
    let id = format!("{:032x}", fastrand::u128(..));
    [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut out = String::new();
        element(&mut out, "a", |out| text(out, "b", "<\"x\" & y>"));
        let document = roxmltree::Document::parse(&out).unwrap();
        assert_eq!(find(document.root(), "b"), Some("<\"x\" & y>"));
        assert_eq!(request_id().split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }
}
