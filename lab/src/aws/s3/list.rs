//! Listings: those of moto, with the ETags that S3 would show.

use hyper::body::Bytes;
use percent_encoding::{percent_decode_str, utf8_percent_encode};

use super::{
    Answer, Asked, Refusal, Request, S3, Upstream,
    client::{IN_PATH, IN_QUERY, child_text},
    fault, send,
};

/// An object in a listing.
struct Entry {
    key: String,
    version: Option<String>,
    /// Where the text of its ETag stands.
    etag: std::ops::Range<usize>,
}

impl S3 {
    pub(super) async fn list(&mut self, request: &Request, asked: &Asked, moto: &Upstream) -> Result<Answer, Refusal> {
        let answer = send(moto, request).await?;
        if !answer.status().is_success() {
            return Ok(answer);
        }
        let (mut parts, body) = answer.into_parts();
        let mut text = String::from_utf8(body.to_vec()).map_err(fault)?;
        // From the end, so that what is still to be replaced stays where it is.
        for entry in entries(&text)?.into_iter().rev() {
            let mut uri = format!("/{}/{}", asked.bucket, utf8_percent_encode(&entry.key, IN_PATH));
            if let Some(version) = &entry.version {
                uri.push_str(&format!("?versionId={}", utf8_percent_encode(version, IN_QUERY)));
            }
            let Some(current) = self.current(request, &uri, moto).await? else { continue };
            if let Some(etag) = self.etag_for(&asked.bucket, &entry.key, &current) {
                text.replace_range(entry.etag, &format!("&quot;{etag}&quot;"));
            }
        }
        // It may be another by now.
        parts.headers.remove(hyper::header::CONTENT_LENGTH);
        Ok(Answer::from_parts(parts, Bytes::from(text)))
    }
}

fn entries(text: &str) -> Result<Vec<Entry>, Refusal> {
    let document = roxmltree::Document::parse(text).map_err(fault)?;
    let root = document.root_element();
    let encoded = child_text(root, "EncodingType") == Some("url");
    let entry = |node: roxmltree::Node<'_, '_>| {
        let key = child_text(node, "Key")?;
        let key = if encoded { percent_decode_str(key).decode_utf8_lossy().into_owned() } else { key.to_owned() };
        let etag = node.children().find(|child| child.tag_name().name() == "ETag")?.first_child()?.range();
        Some(Entry { key, version: child_text(node, "VersionId").map(str::to_owned), etag })
    };
    Ok(root.children().filter_map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_with_the_place_of_their_etag() {
        let text = "<L xmlns=\"s3\"><EncodingType>url</EncodingType><Contents><Key>a%20b</Key><ETag>\"1\"</ETag></Contents>\
                    <DeleteMarker><Key>c</Key></DeleteMarker></L>";
        let found = entries(text).unwrap();
        let [entry] = found.as_slice() else { panic!("{}", found.len()) };
        assert_eq!((entry.key.as_str(), &text[entry.etag.clone()], entry.version.as_deref()), ("a b", "\"1\"", None));
    }
}
