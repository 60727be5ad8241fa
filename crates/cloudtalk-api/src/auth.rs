//! HTTP Basic with a company's key.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, header};
use model::TenantId;
use sha2::{Digest, Sha256};
use store::{Db, StoreError};
use subtle::ConstantTimeEq;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why nobody is let in. No variant carries what was sent, except a scheme's name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    NoHeader,
    Unreadable { scheme: String },
    UnknownKey,
}

/// Whose key the request carries.
pub(crate) async fn tenant_of(
    db: &Db,
    headers: &HeaderMap,
) -> Result<Result<TenantId, Denied>, StoreError> {
    let (key_id, secret) = match credentials(headers) {
        Ok(pair) => pair,
        Err(denied) => return Ok(Err(denied)),
    };
    let digest = hex::encode(Sha256::digest(&secret));
    let key = match std::str::from_utf8(&key_id) {
        // No engine stores a NUL in a text, and one of them refuses to look for it.
        Ok(id) if !id.contains('\0') => db.api_key(id).await?,
        _ => None,
    };
    let Some(key) = key else {
        return Ok(Err(Denied::UnknownKey));
    };
    let fits: bool = key.secret_sha256.as_bytes().ct_eq(digest.as_bytes()).into();
    Ok(if fits {
        Ok(key.tenant)
    } else {
        Err(Denied::UnknownKey)
    })
}

/// User name and password, split on the first colon and never URL-decoded.
fn credentials(headers: &HeaderMap) -> Result<(Vec<u8>, Vec<u8>), Denied> {
    let value = headers.get(header::AUTHORIZATION).ok_or(Denied::NoHeader)?;
    let text = value.to_str().map_err(|_| Denied::Unreadable {
        scheme: String::new(),
    })?;
    let (scheme, rest) = text.split_once(' ').unwrap_or(("", text));
    let unreadable = || Denied::Unreadable {
        scheme: scheme_name(scheme),
    };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unreadable());
    }
    let mut pair = BASE64.decode(rest.trim()).map_err(|_| unreadable())?;
    let colon = pair
        .iter()
        .position(|byte| *byte == b':')
        .ok_or_else(unreadable)?;
    let secret = pair.split_off(colon + 1);
    pair.truncate(colon);
    Ok((pair, secret))
}

/// The scheme if it is a known one: anything else before the space could be part of a credential.
fn scheme_name(scheme: &str) -> String {
    let known = ["Basic", "Bearer", "Digest", "Token", "Negotiate"];
    known
        .iter()
        .find(|known| known.eq_ignore_ascii_case(scheme))
        .map_or_else(String::new, |known| (*known).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<(Vec<u8>, Vec<u8>), Denied> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().expect("a header"));
        credentials(&headers)
    }

    #[test]
    fn the_first_colon_separates() {
        let value = format!("bAsIc {}", BASE64.encode("ID:se:cr%2Bet"));
        assert_eq!(read(&value), Ok((b"ID".to_vec(), b"se:cr%2Bet".to_vec())));
    }

    #[test]
    fn nothing_that_could_be_a_secret_is_echoed() {
        for (value, scheme) in [
            ("Bearer abc", "Bearer"),
            ("SECRET", ""),
            ("S3cret x", ""),
            ("Basic %%%", "Basic"),
            ("Basic QUJD", "Basic"),
        ] {
            assert_eq!(
                read(value),
                Err(Denied::Unreadable {
                    scheme: scheme.into()
                }),
                "{value}"
            );
        }
        assert_eq!(credentials(&HeaderMap::new()), Err(Denied::NoHeader));
    }
}
