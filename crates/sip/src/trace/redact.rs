//! Takes the secrets out of a message. What is masked keeps its length, so that
//! Content-Length stays true and every tool can read what is left.
//!
//! The rule for credentials is turned around: everything is masked but what is
//! known to be harmless, so that a parameter nobody thought of isn't shown.

use std::ops::Range;

/// Digest parameters that give nothing away.
const HARMLESS: &[&[u8]] = &[
    b"username",
    b"realm",
    b"uri",
    b"algorithm",
    b"qop",
    b"nc",
    b"stale",
    b"userhash",
    b"domain",
];
/// Headers that carry them.
const CREDENTIALS: &[&[u8]] = &[
    b"authorization",
    b"proxy-authorization",
    b"www-authenticate",
    b"proxy-authenticate",
    b"authentication-info",
    b"proxy-authentication-info",
];
/// Headers that are a secret as a whole: signed identities (RFC 8224) and what
/// the name itself gives away.
const SECRET: &[&[u8]] = &[b"identity", b"y", b"cookie", b"set-cookie"];
const TELLING: &[&[u8]] = &[b"token", b"secret", b"password", b"api-key", b"apikey"];
/// Attributes of a session description that hold keys.
const KEYS: &[&[u8]] = &[b"a=crypto:", b"a=key-mgmt:", b"a=ice-pwd:", b"k="];

/// A copy without secrets.
pub(crate) fn redact(octets: &[u8]) -> Vec<u8> {
    let mut out = octets.to_vec();
    for line in logical_lines(octets) {
        let text = &octets[line.clone()];
        passwords_in_uris(text, line.start, &mut out);
        let Some(colon) = text.iter().position(|b| *b == b':') else {
            continue;
        };
        let name = text[..colon].trim_ascii();
        let value = line.start + colon + 1..line.end;
        if CREDENTIALS.iter().any(|n| name.eq_ignore_ascii_case(n)) {
            credentials(octets, value, &mut out);
        } else if SECRET.iter().any(|n| name.eq_ignore_ascii_case(n))
            || TELLING.iter().any(|word| contains(name, word))
        {
            mask(&mut out[value]);
        }
    }
    let keyed = keyed_body(octets);
    for line in lines(octets) {
        let text = &octets[line.clone()];
        if let Some(key) = KEYS.iter().find(|key| starts_with(text, key)) {
            let from = find(text, b"inline:").map_or(key.len(), |at| at + b"inline:".len());
            mask(&mut out[line.start + from..line.end]);
        } else if keyed.is_some_and(|body| line.start >= body) {
            // What people key in may be a card or a secret number.
            let harmless = value_at(text, b"duration").map(|_| text.len());
            let from = value_at(text, b"signal").or(harmless).unwrap_or(0);
            mask(&mut out[line.start + from..line.end]);
        }
    }
    out
}

/// Lines however they end.
fn lines(octets: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let rest = octets.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|b| matches!(b, b'\r' | b'\n'));
        let end = length.map_or(octets.len(), |length| start + length);
        at = end + 1;
        Some(start..end)
    })
}

/// Lines that end in a line feed, each with the lines that continue it (RFC 3261 §7.3.1).
fn logical_lines(octets: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        if start >= octets.len() {
            return None;
        }
        loop {
            let length = octets[at..].iter().position(|b| *b == b'\n');
            at = length.map_or(octets.len(), |length| at + length + 1);
            if !octets.get(at).is_some_and(|b| matches!(b, b' ' | b'\t')) {
                return Some(start..at);
            }
        }
    })
}

/// Where the body begins, when it is a key that somebody pressed.
fn keyed_body(octets: &[u8]) -> Option<usize> {
    let body = find(octets, b"\r\n\r\n").or_else(|| find(octets, b"\n\n"))?;
    let head = &octets[..body];
    let keyed = contains(head, b"application/dtmf")
        || contains(head, b"application/vnd.nortelnetworks.digits");
    keyed.then_some(body)
}

/// Masks a credentials header but its scheme and its harmless parameters.
fn credentials(octets: &[u8], value: Range<usize>, out: &mut [u8]) {
    let text = &octets[value.clone()];
    mask(&mut out[value.clone()]);
    let scheme = text.len() - text.trim_ascii_start().len();
    let mut at = scheme;
    if starts_with(&text[scheme..], b"Digest")
        && text.get(scheme + 6).is_some_and(u8::is_ascii_whitespace)
    {
        at = scheme + 6;
        keep(octets, value.start + scheme..value.start + at, out);
    }
    for piece in pieces(text, at) {
        if let Some(equals) = text[piece.clone()].iter().position(|b| *b == b'=') {
            let name = text[piece.start..piece.start + equals].trim_ascii();
            let shown = &text[piece.start + equals + 1..piece.end];
            let shown = if HARMLESS.iter().any(|n| name.eq_ignore_ascii_case(n)) && is_plain(shown)
            {
                piece.end
            } else {
                piece.start + equals + 1
            };
            if is_name(name) {
                keep(octets, value.start + piece.start..value.start + shown, out);
            }
        }
    }
}

/// A token, or one quoted text without quotes and commas inside.
fn is_plain(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let quoted = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""));
    match quoted {
        Some(inner) => !inner
            .iter()
            .any(|b| matches!(b, b'"' | b',' | b'\\' | b'\r' | b'\n')),
        None => value
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-._!%*+`'~/:@".contains(b)),
    }
}

fn is_name(name: &[u8]) -> bool {
    name.len() < 32 && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

/// The parts between commas outside quotes.
fn pieces(text: &[u8], from: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = from;
    std::iter::from_fn(move || {
        if start >= text.len() {
            return None;
        }
        let (mut quoted, mut escaped) = (false, false);
        let end = text[start..].iter().position(|b| {
            if escaped {
                escaped = false;
                return false;
            }
            match b {
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' => return !quoted,
                _ => {}
            }
            false
        });
        let piece = start..end.map_or(text.len(), |at| start + at);
        start = piece.end + 1;
        Some(piece)
    })
}

/// `sip:user:password@host` (RFC 3261 §19.1.1 advises against it; some do it).
fn passwords_in_uris(text: &[u8], offset: usize, out: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = find(&text[at..], b"sip") {
        at += found + 3;
        let rest = &text[at..];
        let rest = rest
            .strip_prefix(b":")
            .or_else(|| rest.strip_prefix(b"s:"))
            .or_else(|| rest.strip_prefix(b"S:"));
        let Some(rest) = rest else { continue };
        let from = text.len() - rest.len();
        let ends = |b: &u8| matches!(b, b'@' | b'<' | b'>' | b'"' | b',' | b' ' | b'\t');
        let Some(end) = rest.iter().position(ends) else {
            continue;
        };
        if rest[end] != b'@' {
            continue;
        }
        if let Some(colon) = rest[..end].iter().position(|b| *b == b':') {
            mask(&mut out[offset + from + colon + 1..offset + from + end]);
        }
    }
}

/// Where the value of `name=value` begins, when the line is one.
fn value_at(text: &[u8], name: &[u8]) -> Option<usize> {
    let rest = starts_with(text, name).then(|| &text[name.len()..])?;
    let equals = rest.iter().position(|b| *b == b'=')?;
    rest[..equals]
        .trim_ascii()
        .is_empty()
        .then_some(name.len() + equals + 1)
}

fn mask(octets: &mut [u8]) {
    for octet in octets {
        if !matches!(octet, b'\r' | b'\n' | b' ' | b'\t' | b'"' | b',') {
            *octet = b'*';
        }
    }
}

fn keep(octets: &[u8], range: Range<usize>, out: &mut [u8]) {
    out[range.clone()].copy_from_slice(&octets[range]);
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    find(text, word).is_some()
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len())
        .position(|window| window.eq_ignore_ascii_case(word))
}
