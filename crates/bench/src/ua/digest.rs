//! The client's half of digest authentication (RFC 2617 with qop=auth, MD5).

use std::collections::HashMap;

use md5::{Digest, Md5};

use super::Message;

/// The value that proves a password in answer to a challenge; `None` when MD5 was not among the offers.
pub fn authorization(
    challenged: &Message,
    username: &str,
    password: &str,
    method: &str,
    uri: &str,
    cnonce: &str,
) -> Option<String> {
    let fields = challenged
        .all("WWW-Authenticate")
        .map(parse)
        .find(|fields| {
            fields
                .get("algorithm")
                .is_none_or(|name| name.eq_ignore_ascii_case("MD5"))
        })?;
    let (realm, nonce) = (fields.get("realm")?, fields.get("nonce")?);
    let response = respond(&Proof {
        username,
        realm,
        password,
        method,
        uri,
        nonce,
        cnonce,
    });
    Some(format!(
        "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", algorithm=MD5, cnonce=\"{cnonce}\", qop=auth, nc=00000001"
    ))
}

struct Proof<'a> {
    username: &'a str,
    realm: &'a str,
    password: &'a str,
    method: &'a str,
    uri: &'a str,
    nonce: &'a str,
    cnonce: &'a str,
}

fn respond(proof: &Proof<'_>) -> String {
    let hash = |text: String| hex::encode(Md5::digest(text.as_bytes()));
    let secret = hash(format!(
        "{}:{}:{}",
        proof.username, proof.realm, proof.password
    ));
    let request = hash(format!("{}:{}", proof.method, proof.uri));
    hash(format!(
        "{secret}:{}:00000001:{}:auth:{request}",
        proof.nonce, proof.cnonce
    ))
}

fn parse(challenge: &str) -> HashMap<String, String> {
    let rest = challenge.trim().strip_prefix("Digest").unwrap_or_default();
    let fields = rest.split(',').filter_map(|part| part.split_once('='));
    fields
        .map(|(name, value)| {
            (
                name.trim().to_ascii_lowercase(),
                value.trim().trim_matches('"').to_owned(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_comes_out() {
        // RFC 2617 §3.5.
        let proof = Proof {
            username: "Mufasa",
            realm: "testrealm@host.com",
            password: "Circle Of Life",
            method: "GET",
            uri: "/dir/index.html",
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            cnonce: "0a4f113b",
        };
        assert_eq!(respond(&proof), "6629fae49393a05397450978507c4ef1");
    }

    #[test]
    fn the_offer_of_md5_is_taken_among_others() {
        let text = "SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"a\", algorithm=SHA-256, qop=\"auth\"\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"b\", algorithm=MD5, qop=\"auth\"\r\n\r\n";
        let message = Message::parse(text.as_bytes()).unwrap();
        let value = authorization(&message, "u", "p", "REGISTER", "sip:h", "c").unwrap();
        assert!(
            value.contains("nonce=\"b\"") && value.contains("nc=00000001"),
            "{value}"
        );
    }
}
