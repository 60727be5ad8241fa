//! Answers to a carrier's digest challenges (RFC 3261 §22, RFC 7616, RFC 8760).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use secrecy::ExposeSecret;

use crate::digest::{Algorithm, parameters};
use crate::wire::{Request, Response};
use crate::{TrunkCredential, TrunkProblem, ident};

/// Realms remembered for one carrier.
const REALMS: usize = 8;

/// Whose challenge it is: the server's (401) or a proxy's on the way (407).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Challenger {
    Server,
    Proxy,
}

impl Challenger {
    fn asks_in(self) -> &'static str {
        match self {
            Self::Server => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    fn is_answered_in(self) -> &'static str {
        match self {
            Self::Server => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }
}

/// One challenge, and how often it was answered.
#[derive(Clone, Debug)]
struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// Whether it asks for `qop=auth`; RFC 2069's form has none.
    counted: bool,
    stale: bool,
    count: u32,
}

/// A credential with the challenges it has met. A nonce is used until the
/// carrier wants another, so that most requests need no second round.
pub(crate) struct Authenticator {
    credential: TrunkCredential,
    met: Mutex<HashMap<(Challenger, String), Challenge>>,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authenticator({:?})", self.credential)
    }
}

impl Authenticator {
    pub fn new(credential: TrunkCredential) -> Self {
        Self {
            credential,
            met: Mutex::default(),
        }
    }

    fn met(&self) -> MutexGuard<'_, HashMap<(Challenger, String), Challenge>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of the challenges of a 401 or 407. Whether answering has a
    /// point: the request carried no answer to this nonce's realm yet, or one
    /// that is merely too old.
    pub fn take_note(&self, request: &Request, refusal: &Response) -> bool {
        let mut noted = false;
        for challenger in [Challenger::Server, Challenger::Proxy] {
            let mut best: Vec<Challenge> = Vec::new();
            for value in refusal.headers.all(challenger.asks_in()) {
                let Ok(new) = Challenge::parse(value) else {
                    continue;
                };
                match best.iter_mut().find(|known| known.realm == new.realm) {
                    Some(known) if known.algorithm >= new.algorithm => {}
                    Some(known) => *known = new,
                    None => best.push(new),
                }
            }
            for challenge in best {
                let key = (challenger, challenge.realm.clone());
                let mut met = self.met();
                let answered = request
                    .headers
                    .all(challenger.is_answered_in())
                    .filter_map(|value| value.split_once(char::is_whitespace))
                    .map(|(_, rest)| parameters(rest))
                    .find(|answer| answer.get("realm") == Some(&challenge.realm));
                // An answer to a nonce we had kept says nothing about the password.
                let fresh = answered
                    .is_some_and(|answer| answer.get("nc").is_none_or(|count| is_first(count)));
                if fresh && !challenge.stale {
                    met.remove(&key);
                    return false;
                }
                if met.len() < REALMS || met.contains_key(&key) {
                    met.insert(key, challenge);
                    noted = true;
                }
            }
        }
        noted
    }

    /// Why a challenge that was left over was not met.
    pub fn explain(&self, refusal: &Response) -> TrunkProblem {
        let mut asked = [Challenger::Server, Challenger::Proxy]
            .into_iter()
            .flat_map(|challenger| refusal.headers.all(challenger.asks_in()))
            .map(Challenge::parse);
        match asked.next() {
            None => TrunkProblem::Challenge {
                detail: "it names no digest challenge".into(),
            },
            Some(Err(detail)) if asked.all(|other| other.is_err()) => {
                TrunkProblem::Challenge { detail }
            }
            Some(_) => TrunkProblem::WrongPassword {
                status: refusal.status,
            },
        }
    }

    /// Puts the answers to all challenges met so far into a request.
    pub fn prove(&self, request: &mut Request) {
        for challenger in [Challenger::Server, Challenger::Proxy] {
            request.headers.remove(challenger.is_answered_in());
        }
        let mut met = self.met();
        for ((challenger, _), challenge) in met.iter_mut() {
            challenge.count = challenge.count.saturating_add(1);
            let cnonce = ident::tag();
            let method = request.method.to_string();
            let value = challenge.answer(&self.credential, &method, &request.uri, &cnonce);
            request.headers.push(challenger.is_answered_in(), value);
        }
    }
}

fn is_first(count: &str) -> bool {
    u32::from_str_radix(count, 16) == Ok(1)
}

impl Challenge {
    /// # Errors
    /// In words: what we can't do.
    fn parse(value: &str) -> Result<Self, String> {
        let (scheme, rest) = value
            .trim()
            .split_once(char::is_whitespace)
            .unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(format!("it asks for {scheme}"));
        }
        let params = parameters(rest);
        let algorithm = Algorithm::of(&params).ok_or_else(|| {
            let name = params.get("algorithm").map_or("", String::as_str);
            format!("it asks for the algorithm {name}")
        })?;
        let counted = match params.get("qop") {
            None => false,
            Some(qop)
                if qop
                    .split(',')
                    .any(|q| q.trim().eq_ignore_ascii_case("auth")) =>
            {
                true
            }
            Some(qop) => return Err(format!("it asks for qop {qop}")),
        };
        let get = |name: &str| params.get(name).cloned();
        Ok(Self {
            realm: get("realm").ok_or("it names no realm")?,
            nonce: get("nonce").ok_or("it names no nonce")?,
            opaque: get("opaque"),
            algorithm,
            counted,
            stale: get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            count: 0,
        })
    }

    fn answer(&self, with: &TrunkCredential, method: &str, uri: &str, cnonce: &str) -> String {
        let (user, password) = (&with.username, with.password.expose_secret());
        let ha1 = self
            .algorithm
            .hash(&format!("{user}:{}:{password}", self.realm));
        let ha2 = self.algorithm.hash(&format!("{method}:{uri}"));
        let (nonce, count) = (&self.nonce, self.count);
        let response = self.algorithm.hash(&if self.counted {
            format!("{ha1}:{nonce}:{count:08x}:{cnonce}:auth:{ha2}")
        } else {
            format!("{ha1}:{nonce}:{ha2}")
        });
        let mut answer = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\", algorithm={}",
            quoted(user),
            quoted(&self.realm),
            quoted(nonce),
            self.algorithm.name()
        );
        if let Some(opaque) = &self.opaque {
            answer.push_str(&format!(", opaque=\"{}\"", quoted(opaque)));
        }
        if self.counted {
            answer.push_str(&format!(", qop=auth, nc={count:08x}, cnonce=\"{cnonce}\""));
        }
        answer
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Headers, Method};

    fn authenticator() -> Authenticator {
        Authenticator::new(TrunkCredential {
            username: "Mufasa".into(),
            password: "Circle of Life".into(),
        })
    }

    fn refusal(status: u16, header: &str, values: &[&str]) -> Response {
        let mut headers = Headers::default();
        for value in values {
            headers.push(header, *value);
        }
        Response {
            status,
            headers,
            body: Vec::new(),
        }
    }

    fn request() -> Request {
        Request::new(Method::Register, "sip:example.org")
    }

    #[test]
    fn the_rfc_7616_examples_hold() {
        // The exchange of RFC 7616 §3.9.1.
        let challenge = |algorithm| {
            let mut challenge = Challenge::parse(&format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            ))
            .expect("a challenge");
            challenge.count = 1;
            challenge
        };
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let credential = authenticator().credential;
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let answer = challenge(algorithm).answer(&credential, "GET", "/dir/index.html", cnonce);
            assert!(
                answer.contains(&format!("response=\"{response}\"")),
                "{answer}"
            );
            assert!(answer.contains("nc=00000001") && answer.contains("opaque=\"FQhe/"));
        }
    }

    #[test]
    fn the_strongest_challenge_is_answered_and_its_nonce_counted() {
        let authenticator = authenticator();
        let both = refusal(
            401,
            "WWW-Authenticate",
            &[
                "Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"",
                "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"",
                "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256, qop=\"auth\"",
            ],
        );
        let mut first = request();
        authenticator.prove(&mut first);
        assert!(first.headers.get("Authorization").is_none());
        assert!(authenticator.take_note(&first, &both));
        for count in ["nc=00000001", "nc=00000002"] {
            let mut next = request();
            authenticator.prove(&mut next);
            let answer = next.headers.get("Authorization").expect("an answer");
            assert!(
                answer.contains(count) && answer.contains("SHA-256"),
                "{answer}"
            );
        }
    }

    #[test]
    fn a_wrong_password_is_told_from_an_old_nonce() {
        let authenticator = authenticator();
        let ask = |extra: &str| {
            let value = format!("Digest realm=\"r\", nonce=\"n{extra}\", qop=\"auth\"{extra}");
            refusal(407, "Proxy-Authenticate", &[&value])
        };
        let mut sent = request();
        assert!(authenticator.take_note(&sent, &ask("")));
        authenticator.prove(&mut sent);
        assert!(authenticator.take_note(&sent, &ask(", stale=true")));
        authenticator.prove(&mut sent);
        assert!(!authenticator.take_note(&sent, &ask("")));
        assert_eq!(
            authenticator.explain(&ask("")),
            TrunkProblem::WrongPassword { status: 407 }
        );
        // A nonce kept from before may have run out without a word of it.
        assert!(authenticator.take_note(&request(), &ask("")));
        authenticator.prove(&mut request());
        let mut later = request();
        authenticator.prove(&mut later);
        assert!(authenticator.take_note(&later, &ask("")));
    }

    #[test]
    fn what_cannot_be_answered_says_why() {
        let asked = |value| refusal(401, "WWW-Authenticate", &[value]);
        let why = |value| authenticator().explain(&asked(value));
        for (value, part) in [
            ("Basic realm=\"r\"", "Basic"),
            (
                "Digest realm=\"r\", nonce=\"n\", algorithm=AKAv1-MD5",
                "AKAv1-MD5",
            ),
            (
                "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"",
                "auth-int",
            ),
        ] {
            assert!(!authenticator().take_note(&request(), &asked(value)));
            let problem = why(value).to_string();
            assert!(problem.contains(part), "{problem}");
        }
    }
}
