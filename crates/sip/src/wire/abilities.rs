//! What our messages tell of what we can: one place, so that no answer forgets it.

use super::{ALLOW, Method, SUPPORTED};

/// Session descriptions, and keys pressed (INFO).
const BODIES: &str = "application/sdp, application/dtmf-relay, application/dtmf";
const SDP: &[&str] = &["application/sdp"];
const DIGITS: &[&str] = &["application/dtmf-relay", "application/dtmf"];

/// The types of body that a method may carry; `None` where a body has no effect.
pub(crate) fn bodies_of(method: Method) -> Option<&'static [&'static str]> {
    match method {
        Method::Invite | Method::Update | Method::PRack => Some(SDP),
        Method::Info => Some(DIGITS),
        _ => None,
    }
}

/// The headers by which a response tells it (RFC 3261 §8.2.1, §8.2.3, §11.2, §13.3.1, §20 tables 2 and 3). The method
/// is absent when it is none of ours.
pub(crate) fn of_response(method: Option<Method>, status: u16) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    let asked = method == Some(Method::Options);
    // Who is refused by 405 or 420 may try again within them.
    if asked || matches!(status, 101..300 | 405 | 420) {
        headers.push(("Allow", ALLOW.to_owned()));
        headers.push(("Supported", SUPPORTED.to_owned()));
    }
    if status == 415 || (asked && status < 300) || (asked && status == 503) {
        let accepted = method.and_then(bodies_of);
        let accepted = accepted.map_or_else(|| BODIES.to_owned(), |bodies| bodies.join(", "));
        headers.push(("Accept", accepted));
        headers.push(("Accept-Encoding", "identity".to_owned()));
        headers.push(("Accept-Language", "en".to_owned()));
    }
    if status == 488 {
        // Whoever knows better says it in place of this.
        let why = "399 trunkline \"nothing of the session offered can be used\"";
        headers.push(("Warning", why.to_owned()));
    }
    if asked && (status < 300 || status == 503) {
        headers.push(("Allow-Events", "refer".to_owned()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(method: Option<Method>, status: u16) -> Vec<&'static str> {
        let told = of_response(method, status);
        told.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn each_answer_tells_what_its_reader_needs() {
        let both = ["Allow", "Supported"];
        for method in [Method::Invite, Method::Update, Method::Register] {
            for status in [180, 200] {
                assert_eq!(names(Some(method), status), both, "{method} {status}");
            }
            // A hundred says nothing of the call; most refusals don't depend on it.
            for status in [100, 401, 404, 481, 486, 500] {
                assert!(names(Some(method), status).is_empty(), "{method} {status}");
            }
        }
        assert_eq!(names(Some(Method::Invite), 488), ["Warning"]);
        assert_eq!(names(None, 405), both);
        assert_eq!(names(Some(Method::Refer), 420), both);
        let accepts = ["Accept", "Accept-Encoding", "Accept-Language"];
        assert_eq!(names(Some(Method::Invite), 415), accepts);
        assert_eq!(names(Some(Method::Options), 481), both);
        let all = [&both[..], &accepts, &["Allow-Events"]].concat();
        assert_eq!(names(Some(Method::Options), 200), all);
        assert_eq!(names(Some(Method::Options), 503), all);
    }

    #[test]
    fn a_body_of_another_type_is_told_which_would_do() {
        let accept = |method| of_response(Some(method), 415).swap_remove(0).1;
        assert_eq!(accept(Method::Invite), "application/sdp");
        assert_eq!(
            accept(Method::Info),
            "application/dtmf-relay, application/dtmf"
        );
    }
}
