//! Whether the body that arrived is the one that was sent.

use base64::{Engine, engine::general_purpose::STANDARD};
use md5::Md5;
use sha2::{Digest, Sha256};

use super::{
    super::call::{Refusal, Request},
    asked::not_implemented,
};

/// Checks every digest that came with a put.
///
/// # Errors
/// As S3's; a digest of a kind that the lab does not compute is refused rather than believed.
pub(super) fn check(request: &Request) -> Result<(), Refusal> {
    let body = &request.body;
    for (name, value) in &request.headers {
        let given = value.to_str().unwrap_or_default();
        match name.as_str() {
            "content-md5" => compare("Content-MD5", given, &Md5::digest(body))?,
            "x-amz-checksum-crc32" => compare("CRC32", given, &crc32fast::hash(body).to_be_bytes())?,
            "x-amz-checksum-sha256" => compare("SHA256", given, &Sha256::digest(body))?,
            "x-amz-content-sha256" => signed(given, body)?,
            other if other.starts_with("x-amz-checksum-") || other == "x-amz-trailer" => {
                return Err(not_implemented(&format!("the lab does not compute what {other} says")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn compare(name: &str, given: &str, computed: &[u8]) -> Result<(), Refusal> {
    match STANDARD.decode(given) {
        Ok(given) if given == computed => Ok(()),
        Ok(given) if given.len() == computed.len() && name == "Content-MD5" => {
            Err(Refusal::new("BadDigest", "The Content-MD5 you specified did not match what we received."))
        }
        Ok(given) if given.len() == computed.len() => {
            Err(Refusal::new("BadDigest", format!("The {name} you specified did not match the calculated checksum.")))
        }
        _ if name == "Content-MD5" => Err(Refusal::new("InvalidDigest", "The Content-MD5 you specified was invalid.")),
        _ => Err(Refusal::new("InvalidRequest", format!("Value for x-amz-checksum-{} header is invalid.", name.to_lowercase()))),
    }
}

/// The digest that the signature covers.
fn signed(given: &str, body: &[u8]) -> Result<(), Refusal> {
    let computed: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    match given {
        "UNSIGNED-PAYLOAD" => Ok(()),
        given if given == computed => Ok(()),
        given if given.starts_with("STREAMING-") => Err(not_implemented("the lab does not read bodies in signed pieces")),
        _ => Err(Refusal::new("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::call::Scope;
    use hyper::{HeaderMap, Method, body::Bytes};

    fn code(name: &'static str, value: &str) -> Option<String> {
        let scope = Scope { access_key: "AKIA1".into(), region: "us-west-2".into(), service: "s3".into() };
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        let request = Request { method: Method::PUT, uri: "/b/k".into(), headers, body: Bytes::from_static(b"123456789"), scope };
        check(&request).err().map(|refusal| refusal.code)
    }

    // The digests are those of `printf 123456789` by openssl and by the standard check value of CRC-32, cbf43926.
    #[test]
    fn a_digest_is_compared_with_the_body() {
        assert_eq!(code("x-amz-checksum-crc32", "y/Q5Jg=="), None);
        assert_eq!(code("x-amz-checksum-crc32", "AAAAAA==").unwrap(), "BadDigest");
        assert_eq!(code("x-amz-checksum-crc32", "AAAA").unwrap(), "InvalidRequest");
        assert_eq!(code("content-md5", "JfnnlDI7RTiF9RgfG2JNCw=="), None);
        assert_eq!(code("content-md5", "AfnnlDI7RTiF9RgfG2JNCw==").unwrap(), "BadDigest");
        assert_eq!(code("content-md5", "no base64").unwrap(), "InvalidDigest");
        assert_eq!(code("x-amz-content-sha256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"), None);
        assert_eq!(code("x-amz-content-sha256", &"0".repeat(64)).unwrap(), "XAmzContentSHA256Mismatch");
        assert_eq!(code("x-amz-checksum-crc64nvme", "AAAA").unwrap(), "NotImplemented");
    }
}
