//! Digest authentication, verified by ourselves (RFC 8760, RFC 7616).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::DeviceCredential;
use crate::digest::{Algorithm, parameters};
use crate::wire::{Request, SipUri};

/// User agents that stop at any challenge but MD5 instead of passing it over.
/// Leaving SHA-256 out weakens nothing: they could not use it, and MD5 is offered to all.
const MD5_ONLY: &[&str] = &["baresip v0.", "baresip v1."];

/// Whether a request's sender needs an MD5 challenge alone.
pub(super) fn md5_only(request: &Request) -> bool {
    let agent = request.headers.get("User-Agent").unwrap_or_default();
    MD5_ONLY.iter().any(|known| agent.starts_with(known))
}

/// Nonces whose counts are remembered at once.
const REMEMBERED: usize = 200_000;

/// What a peer presents.
pub(crate) struct Credentials {
    pub username: String,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
    algorithm: Algorithm,
    /// `qop=auth`: the count as written, its value, and the client's nonce.
    counted: Option<(String, u32, String)>,
}

impl Credentials {
    /// Of an Authorization value for our realm; `None` when it is for another,
    /// or asks for what we do not do.
    pub fn parse(value: &str, realm: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(char::is_whitespace)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let params = parameters(rest);
        let algorithm = Algorithm::of(&params)?;
        let counted = match params.get("qop") {
            None => None,
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                let count = params.get("nc")?;
                // Eight hexadecimal digits (RFC 7616 §3.4); shorter ones are met in the wild.
                let value = (count.len() <= 8)
                    .then(|| u32::from_str_radix(count, 16).ok())
                    .flatten()?;
                Some((count.clone(), value, params.get("cnonce")?.clone()))
            }
            Some(_) => return None,
        };
        let get = |name: &str| params.get(name).cloned();
        let presented = get("realm")?;
        (presented == realm).then_some(())?;
        Some(Self {
            username: get("username")?,
            realm: presented,
            nonce: get("nonce")?,
            uri: get("uri")?,
            response: get("response")?.to_ascii_lowercase(),
            algorithm,
            counted,
        })
    }

    /// Whether the response proves the password for this request.
    pub fn matches(&self, credential: &DeviceCredential, request: &Request) -> bool {
        let ha1 = match self.algorithm {
            Algorithm::Md5 => hex::encode(credential.ha1_md5),
            Algorithm::Sha256 => hex::encode(credential.ha1_sha256),
        };
        let ha2 = self
            .algorithm
            .hash(&format!("{}:{}", request.method, self.uri));
        let expected = self.algorithm.hash(&match &self.counted {
            Some((count, _, cnonce)) => format!("{ha1}:{}:{count}:{cnonce}:auth:{ha2}", self.nonce),
            None => format!("{ha1}:{}:{ha2}", self.nonce),
        });
        let proven: bool = expected.as_bytes().ct_eq(self.response.as_bytes()).into();
        // The proof is for this resource; clients differ in how they write it.
        let same = match (SipUri::parse(&self.uri), SipUri::parse(&request.uri)) {
            (Ok(a), Ok(b)) => a.host.eq_ignore_ascii_case(&b.host) && a.user == b.user,
            _ => false,
        };
        proven & same & !self.realm.is_empty()
    }
}

/// What a nonce turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Fresh,
    /// Ours, but too old or used before.
    Stale,
    /// Not ours, or given to another source.
    Foreign,
}

/// Nonces: a time and a random part, signed together with the source they were
/// given to, so that only used ones need remembering.
pub(super) struct Nonces {
    secret: [u8; 32],
    lifetime: Duration,
    /// Highest count seen, by nonce, with the nonce's time.
    used: Mutex<HashMap<[u8; 16], (u32, i64)>>,
}

impl Nonces {
    pub fn new(lifetime: Duration) -> Self {
        Self {
            secret: rand::random(),
            lifetime,
            used: Mutex::default(),
        }
    }

    fn sign(&self, head: &[u8; 16], source: IpAddr) -> [u8; 16] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(head);
        mac.update(source.to_canonical().to_string().as_bytes());
        let full = mac.finalize().into_bytes();
        let mut half = [0; 16];
        half.copy_from_slice(&full[..16]);
        half
    }

    fn make(&self, source: IpAddr, now: Timestamp) -> String {
        let mut head = [0; 16];
        head[..8].copy_from_slice(&now.as_second().to_be_bytes());
        head[8..].copy_from_slice(&rand::random::<[u8; 8]>());
        hex::encode(head) + &hex::encode(self.sign(&head, source))
    }

    /// Challenge values, the stronger algorithm first (RFC 8760 §2.3).
    pub fn challenges(
        &self,
        realm: &str,
        source: IpAddr,
        now: Timestamp,
        stale: bool,
        md5_only: bool,
    ) -> Vec<String> {
        let nonce = self.make(source, now);
        let stale = if stale { ", stale=true" } else { "" };
        [Algorithm::Sha256, Algorithm::Md5]
            .into_iter()
            .filter(|algorithm| *algorithm == Algorithm::Md5 || !md5_only)
            .map(|algorithm| {
                let name = algorithm.name();
                format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={name}, qop=\"auth\"{stale}")
            })
            .collect()
    }

    pub fn check(&self, offered: &Credentials, source: IpAddr, now: Timestamp) -> Checked {
        let Ok(raw) = hex::decode(&offered.nonce) else {
            return Checked::Foreign;
        };
        let Some((head, signature)) = raw.split_first_chunk::<16>() else {
            return Checked::Foreign;
        };
        if !bool::from(self.sign(head, source).as_slice().ct_eq(signature)) {
            return Checked::Foreign;
        }
        let mut time = [0; 8];
        time.copy_from_slice(&head[..8]);
        let time = i64::from_be_bytes(time);
        if now.as_second() - time > self.lifetime_seconds() {
            return Checked::Stale;
        }
        // Without a count a nonce is good for one request.
        let count = offered.counted.as_ref().map_or(1, |(_, value, _)| *value);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let last = used.get(head).map_or(0, |(last, _)| *last);
        if count <= last || (used.len() >= REMEMBERED && last == 0) {
            return Checked::Stale;
        }
        used.insert(*head, (count, time));
        Checked::Fresh
    }

    pub fn forget_old(&self, now: Timestamp) {
        let oldest = now.as_second() - self.lifetime_seconds();
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, (_, time)| *time >= oldest);
    }

    fn lifetime_seconds(&self) -> i64 {
        i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Method;

    fn request() -> Request {
        Request::new(Method::Register, "sip:127.0.0.1")
    }

    fn signed(nonces: &Nonces, count: &str, at: Timestamp, source: IpAddr) -> Credentials {
        let nonce = nonces.make(source, at);
        Credentials::parse(
            &format!("Digest username=\"1001\", realm=\"r\", nonce=\"{nonce}\", uri=\"sip:127.0.0.1\", response=\"\", qop=auth, nc={count}, cnonce=\"c\""),
            "r",
        )
        .unwrap()
    }

    #[test]
    fn the_rfc_7616_examples_hold() {
        // The exchange of RFC 7616 §3.9.1, hashed as an HTTP GET.
        let ha1 = |a: Algorithm| a.hash("Mufasa:http-auth@example.org:Circle of Life");
        let ha2 = |a: Algorithm| a.hash("GET:/dir/index.html");
        let rest = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth";
        let response = |a: Algorithm| a.hash(&format!("{}:{rest}:{}", ha1(a), ha2(a)));
        assert_eq!(response(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            response(Algorithm::Sha256),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn a_nonce_ages_and_keeps_to_its_source() {
        let nonces = Nonces::new(Duration::from_secs(300));
        let (now, here) = (
            Timestamp::from_second(1_000_000).unwrap(),
            IpAddr::from([127, 0, 0, 1]),
        );
        let offered = signed(&nonces, "00000001", now, here);
        assert_eq!(
            nonces.check(&offered, IpAddr::from([127, 0, 0, 2]), now),
            Checked::Foreign
        );
        let later = Timestamp::from_second(1_000_301).unwrap();
        assert_eq!(nonces.check(&offered, here, later), Checked::Stale);
        assert_eq!(nonces.check(&offered, here, now), Checked::Fresh);
        assert_eq!(
            nonces.check(&offered, here, now),
            Checked::Stale,
            "the same count again"
        );
    }

    #[test]
    fn counts_are_hexadecimal_and_may_skip() {
        let nonces = Nonces::new(Duration::from_secs(300));
        let (now, here) = (
            Timestamp::from_second(1_000_000).unwrap(),
            IpAddr::from([127, 0, 0, 1]),
        );
        let mut offered = signed(&nonces, "00000009", now, here);
        assert_eq!(nonces.check(&offered, here, now), Checked::Fresh);
        for (count, expected) in [
            (0x0a, Checked::Fresh),
            (0x1ff, Checked::Fresh),
            (0x10, Checked::Stale),
        ] {
            offered.counted = Some((format!("{count:08x}"), count, "c".into()));
            assert_eq!(nonces.check(&offered, here, now), expected, "{count:x}");
        }
    }

    #[test]
    fn a_proof_is_for_one_resource() {
        let credential = DeviceCredential::from_password("1001", "r", "pw");
        let mut offered = signed(
            &Nonces::new(Duration::from_secs(9)),
            "00000001",
            Timestamp::UNIX_EPOCH,
            IpAddr::from([1, 1, 1, 1]),
        );
        let ha1 = Algorithm::Md5.hash("1001:r:pw");
        let prove = |o: &Credentials| {
            let ha2 = Algorithm::Md5.hash(&format!("REGISTER:{}", o.uri));
            Algorithm::Md5.hash(&format!("{ha1}:{}:00000001:c:auth:{ha2}", o.nonce))
        };
        offered.response = prove(&offered);
        assert!(offered.matches(&credential, &request()));
        offered.uri = "sip:192.0.2.7".into();
        offered.response = prove(&offered);
        assert!(!offered.matches(&credential, &request()));
    }
}
