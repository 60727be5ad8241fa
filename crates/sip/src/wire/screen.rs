//! The validation stage: the octets of one message in, a request, a response
//! or the answer that refuses it out. Nothing that fails here is seen by the
//! layers above, and nothing that looks like a request is met with silence.

use std::net::SocketAddr;

use super::grammar::UriProblem;
use super::{
    ALLOW, Headers, Method, NameAddr, Request, Response, SUPPORTED, SipUri, Via, abilities, cseq,
    media_type, phrase, split_list,
};

/// What one message turned out to be.
#[derive(Debug)]
pub(crate) enum Screened {
    Request(Request),
    Response(Response),
    /// A request to be refused with these octets, sent to its source.
    Refused(Vec<u8>),
    /// A malformed request that must not be answered (ACK), or a malformed response.
    Dropped,
    /// No SIP message at all.
    Noise,
    /// Only line breaks: a keep-alive (RFC 5626 §3.5.1).
    KeepAlive,
}

/// Reads one complete message. `stream` says that Content-Length framed it.
pub(crate) fn screen(data: &[u8], source: SocketAddr, stream: bool) -> Screened {
    let data = trim_line_breaks(data);
    if data.is_empty() {
        return Screened::KeepAlive;
    }
    let raw = Raw::split(data);
    let Some(start) = raw.lines.first().copied() else {
        return Screened::Noise;
    };
    if start.len() >= 4 && start[..4].eq_ignore_ascii_case(b"SIP/") {
        return response(&raw).map_or(Screened::Dropped, Screened::Response);
    }
    if !looks_like_request(start) {
        return Screened::Noise;
    }
    match request(&raw, source, stream) {
        Ok(request) => Screened::Request(request),
        Err(_) if start.starts_with(b"ACK ") => Screened::Dropped,
        Err(refusal) => Screened::Refused(raw.refuse(&refusal, source)),
    }
}

/// The refusal of a request whose body is longer than we take, told by its head;
/// `None` for what must not be answered.
pub(crate) fn too_large(head: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let raw = Raw::split(trim_line_breaks(head));
    let start = raw.lines.first().copied()?;
    let answered = looks_like_request(start) && !start.starts_with(b"ACK ");
    answered.then(|| raw.refuse(&Refusal::plain(413), source))
}

fn trim_line_breaks(data: &[u8]) -> &[u8] {
    let skip = data
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n' | 0))
        .count();
    &data[skip..]
}

/// A start line that ends in a SIP version, or begins with one of our methods.
fn looks_like_request(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let ends_in_version = text
        .split_ascii_whitespace()
        .next_back()
        .is_some_and(|last| {
            last.get(..4)
                .is_some_and(|s| s.eq_ignore_ascii_case("SIP/"))
        });
    let method = text.split_ascii_whitespace().next().unwrap_or_default();
    ends_in_version || (text.contains(' ') && ALLOW.split(", ").any(|known| known == method))
}

/// Why a request is refused.
#[derive(Debug)]
struct Refusal {
    status: u16,
    why: &'static str,
    extra: Vec<(&'static str, String)>,
}

impl Refusal {
    fn bad(why: &'static str) -> Self {
        Self {
            status: 400,
            why,
            extra: Vec::new(),
        }
    }

    fn with(status: u16, name: &'static str, value: impl Into<String>) -> Self {
        Self {
            status,
            why: "",
            extra: vec![(name, value.into())],
        }
    }

    fn plain(status: u16) -> Self {
        Self {
            status,
            why: "",
            extra: Vec::new(),
        }
    }
}

/// A message cut into lines, still octets.
struct Raw<'a> {
    lines: Vec<&'a [u8]>,
    /// Unfolded header lines: name in the peer's spelling, and value.
    headers: Vec<(&'a [u8], Vec<u8>)>,
    /// A header line without a colon was seen.
    broken_line: bool,
    /// `None` when no empty line ended the headers.
    body: Option<&'a [u8]>,
}

impl<'a> Raw<'a> {
    fn split(data: &'a [u8]) -> Self {
        let mut lines = Vec::new();
        let mut rest = data;
        let mut body = None;
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == b'\n');
            let (line, next) = match end {
                Some(at) => (&rest[..at], &rest[at + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            rest = next;
            if line.is_empty() && end.is_some() {
                body = Some(rest);
                break;
            }
            lines.push(line);
        }
        let mut headers: Vec<(&[u8], Vec<u8>)> = Vec::new();
        let mut broken_line = false;
        for line in lines.iter().skip(1) {
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                match headers.last_mut() {
                    Some((_, value)) => {
                        value.push(b' ');
                        value.extend_from_slice(line.trim_ascii());
                    }
                    None => broken_line = true,
                }
                continue;
            }
            match line.iter().position(|b| *b == b':') {
                Some(at) if !line[..at].trim_ascii().is_empty() => {
                    headers.push((
                        line[..at].trim_ascii(),
                        line[at + 1..].trim_ascii().to_vec(),
                    ));
                }
                _ => broken_line = true,
            }
        }
        Self {
            lines,
            headers,
            broken_line,
            body,
        }
    }

    fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b [u8]> {
        self.headers
            .iter()
            .filter(move |(n, _)| is_header(n, name))
            .map(|(_, value)| value.as_slice())
    }

    /// The headers as text; `None` when one is not UTF-8, has control
    /// characters, or a name that is no token.
    fn typed(&self) -> Option<Headers> {
        let mut headers = Headers::default();
        for (name, value) in &self.headers {
            let token = |b: &u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b);
            if !name.iter().all(token) {
                return None;
            }
            let value = std::str::from_utf8(value).ok()?;
            if value.chars().any(|c| c.is_control() && c != '\t') {
                return None;
            }
            headers.push(std::str::from_utf8(name).ok()?, value);
        }
        Some(headers)
    }

    /// The method, if it is one of ours.
    fn method(&self) -> Option<Method> {
        let start = std::str::from_utf8(self.lines.first()?).ok()?;
        method_of(start.split(' ').next()?).ok()
    }

    /// The answer that refuses, with as much of the request as can be read.
    fn refuse(&self, refusal: &Refusal, source: SocketAddr) -> Vec<u8> {
        let mut out =
            format!("SIP/2.0 {} {}\r\n", refusal.status, phrase(refusal.status)).into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            // A stray control octet must not become a line of ours.
            out.extend(
                value
                    .iter()
                    .map(|b| if *b < b' ' && *b != b'\t' { b'?' } else { *b }),
            );
            out.extend_from_slice(b"\r\n");
        };
        for (at, value) in self.all("Via").enumerate() {
            match std::str::from_utf8(value) {
                Ok(via) if at == 0 => line("Via", stamp_via(via, source).as_bytes()),
                _ => line("Via", value),
            }
        }
        for name in ["From", "To", "Call-ID", "CSeq"] {
            let Some(value) = self.all(name).next() else {
                continue;
            };
            let mut value = value.to_vec();
            if name == "To" && !contains_tag(&value) {
                value.extend_from_slice(format!(";tag={}", crate::ident::tag()).as_bytes());
            }
            line(name, &value);
        }
        let told = abilities::of_response(self.method(), refusal.status);
        for (name, value) in told.iter().chain(&refusal.extra) {
            line(name, value.as_bytes());
        }
        if !refusal.why.is_empty() {
            line(
                "Warning",
                format!("399 trunkline \"{}\"", refusal.why).as_bytes(),
            );
        }
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        out
    }
}

fn is_header(name: &[u8], wanted: &str) -> bool {
    let compact: &[u8] = match wanted {
        "Via" => b"v",
        "From" => b"f",
        "To" => b"t",
        "Call-ID" => b"i",
        "Content-Length" => b"l",
        "Contact" => b"m",
        "Content-Type" => b"c",
        _ => b"",
    };
    name.eq_ignore_ascii_case(wanted.as_bytes())
        || (!compact.is_empty() && name.eq_ignore_ascii_case(compact))
}

fn contains_tag(to: &[u8]) -> bool {
    String::from_utf8_lossy(to)
        .to_ascii_lowercase()
        .contains(";tag=")
}

/// The first Via of a header line, marked with where it really came from
/// (RFC 3261 §18.2.1, RFC 3581 §4).
fn stamp_via(value: &str, source: SocketAddr) -> String {
    let Some(first) = split_list(value).next() else {
        return value.into();
    };
    let Some(via) = Via::parse(first) else {
        return value.into();
    };
    let rest = value.trim_start().strip_prefix(first).unwrap_or_default();
    let kept: Vec<&str> = first
        .split(';')
        .filter(|part| {
            let key = part.split('=').next().unwrap_or_default().trim();
            !key.eq_ignore_ascii_case("rport") && !key.eq_ignore_ascii_case("received")
        })
        .collect();
    let mut stamped = kept.join(";");
    if via.wants_rport() {
        stamped.push_str(&format!(";rport={}", source.port()));
    }
    if via.wants_rport() || !via.sent_by_is(source.ip()) {
        stamped.push_str(&format!(";received={}", source.ip()));
    }
    stamped + rest
}

fn request(raw: &Raw<'_>, source: SocketAddr, stream: bool) -> Result<Request, Refusal> {
    let start = raw.lines.first().copied().unwrap_or_default();
    let start =
        std::str::from_utf8(start).map_err(|_| Refusal::bad("request line is not UTF-8"))?;
    if let Some(version) = start.split_ascii_whitespace().next_back()
        && is_other_version(version)
    {
        return Err(Refusal::plain(505));
    }
    let mut parts = start.split(' ');
    let (Some(method), Some(uri), Some("SIP/2.0"), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::bad("request line"));
    };
    if raw.broken_line {
        return Err(Refusal::bad("a header line has no name"));
    }
    let body = raw.body.ok_or_else(|| Refusal::bad("no end of headers"))?;
    mandatory_headers(raw)?;
    let mut headers = raw
        .typed()
        .ok_or_else(|| Refusal::bad("a header is not valid text"))?;
    addressing(&headers, method)?;
    if stream && !body.is_empty() && headers.get("Content-Length").is_none() {
        return Err(Refusal::bad("Content-Length is missing on a stream"));
    }
    let body = body_within(&headers, body)?;
    let known = method_of(method)?;
    request_uri(uri)?;
    max_forwards(&headers, known)?;
    if !matches!(known, Method::Ack | Method::Cancel) {
        requirements(&headers)?;
        content(&headers, known, body)?;
    }
    if known == Method::Invite {
        let contact = headers
            .get("Contact")
            .and_then(|v| NameAddr::parse(split_list(v).next()?));
        let reachable = contact.is_some_and(|c| SipUri::parse(&c.uri).is_ok());
        if !reachable {
            return Err(Refusal::bad("Contact"));
        }
    }
    headers = stamp_headers(headers, source);
    Ok(Request {
        method: known,
        uri: uri.into(),
        headers,
        body: body.to_vec(),
    })
}

fn is_other_version(version: &str) -> bool {
    let Some(number) = version.get(4..) else {
        return false;
    };
    let numeric = number.split_once('.').is_some_and(|(major, minor)| {
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        digits(major) && digits(minor)
    });
    version[..4].eq_ignore_ascii_case("SIP/") && numeric && number != "2.0"
}

fn mandatory_headers(raw: &Raw<'_>) -> Result<(), Refusal> {
    for (name, why) in [
        ("From", "From must be there once"),
        ("To", "To must be there once"),
        ("Call-ID", "Call-ID must be there once"),
        ("CSeq", "CSeq must be there once"),
    ] {
        if raw.all(name).count() != 1 {
            return Err(Refusal::bad(why));
        }
    }
    if raw.all("Via").next().is_none() {
        return Err(Refusal::bad("Via is missing"));
    }
    for (name, why) in [
        ("Max-Forwards", "Max-Forwards is there twice"),
        ("Content-Length", "Content-Length is there twice"),
        ("Content-Type", "Content-Type is there twice"),
    ] {
        if raw.all(name).count() > 1 {
            return Err(Refusal::bad(why));
        }
    }
    Ok(())
}

fn addressing(headers: &Headers, method: &str) -> Result<(), Refusal> {
    for value in headers.all("Via") {
        if split_list(value).any(|one| Via::parse(one).is_none())
            || split_list(value).next().is_none()
        {
            return Err(Refusal::bad("Via"));
        }
    }
    for (name, why) in [("From", "From"), ("To", "To")] {
        let address = headers
            .get(name)
            .and_then(NameAddr::parse)
            .ok_or_else(|| Refusal::bad(why))?;
        // Any scheme is legal here; only its form matters.
        if SipUri::parse(&address.uri) == Err(UriProblem::Syntax) {
            return Err(Refusal::bad(why));
        }
    }
    if headers
        .get("Call-ID")
        .is_none_or(|id| id.is_empty() || id.contains(char::is_whitespace))
    {
        return Err(Refusal::bad("Call-ID"));
    }
    let (_, named) = cseq(headers).ok_or_else(|| Refusal::bad("CSeq"))?;
    if named != method {
        return Err(Refusal::bad("CSeq names another method"));
    }
    Ok(())
}

fn body_within<'a>(headers: &Headers, body: &'a [u8]) -> Result<&'a [u8], Refusal> {
    let Some(length) = headers.get("Content-Length") else {
        return Ok(body);
    };
    let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    let length: usize = digits
        .then(|| length.parse().ok())
        .flatten()
        .ok_or_else(|| Refusal::bad("Content-Length"))?;
    // RFC 3261 §18.3: octets beyond it are discarded, missing ones are an error.
    body.get(..length)
        .ok_or_else(|| Refusal::bad("body is shorter than Content-Length"))
}

fn method_of(text: &str) -> Result<Method, Refusal> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
    if text.is_empty() || !text.bytes().all(token) {
        return Err(Refusal::bad("method"));
    }
    // Methods are case-sensitive (§7.1), which the library forgets.
    let listed = ALLOW.split(", ").any(|known| known == text);
    text.parse()
        .ok()
        .filter(|_| listed)
        .ok_or_else(|| Refusal::plain(405))
}

fn request_uri(uri: &str) -> Result<(), Refusal> {
    match SipUri::parse(uri) {
        Ok(_) => Ok(()),
        Err(UriProblem::Scheme) => Err(Refusal::plain(416)),
        Err(UriProblem::Syntax) => Err(Refusal::bad("Request-URI")),
    }
}

fn max_forwards(headers: &Headers, method: Method) -> Result<(), Refusal> {
    let Some(value) = headers.get("Max-Forwards") else {
        return Ok(());
    };
    if value.is_empty() || value.len() > 3 || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::bad("Max-Forwards"));
    }
    let hops: u16 = value.parse().map_err(|_| Refusal::bad("Max-Forwards"))?;
    match hops {
        0 if method != Method::Ack => Err(Refusal::plain(483)),
        0..=255 => Ok(()),
        _ => Err(Refusal::bad("Max-Forwards")),
    }
}

fn requirements(headers: &Headers) -> Result<(), Refusal> {
    let mut unknown = headers.tokens("Require");
    unknown.retain(|tag| !SUPPORTED.split(", ").any(|known| known == tag));
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::with(420, "Unsupported", unknown.join(", ")))
}

/// The bodies each method may carry.
fn content(headers: &Headers, method: Method, body: &[u8]) -> Result<(), Refusal> {
    if body.is_empty() {
        return Ok(());
    }
    // Elsewhere a body has no effect, so its type cannot matter.
    let Some(accepted) = abilities::bodies_of(method) else {
        return Ok(());
    };
    if headers
        .get("Content-Encoding")
        .is_some_and(|e| !e.eq_ignore_ascii_case("identity"))
    {
        return Err(Refusal::plain(415));
    }
    let kind = headers
        .get("Content-Type")
        .ok_or_else(|| Refusal::bad("Content-Type is missing"))?;
    if !accepted.contains(&media_type(kind).as_str()) {
        // RFC 3204 and others: an INFO we need not understand is still refused.
        return Err(Refusal::plain(415));
    }
    if std::str::from_utf8(body).is_err() {
        return Err(Refusal::bad("body is not UTF-8"));
    }
    Ok(())
}

fn stamp_headers(headers: Headers, source: SocketAddr) -> Headers {
    let mut out = Headers::default();
    let mut first = true;
    for header in headers.0 {
        if first && header.name() == "Via" {
            first = false;
            out.push("Via", stamp_via(header.value(), source));
        } else {
            out.0.push(header);
        }
    }
    out
}

fn response(raw: &Raw<'_>) -> Option<Response> {
    let start = std::str::from_utf8(raw.lines.first()?).ok()?;
    let mut parts = start.splitn(3, ' ');
    let version = parts.next()?;
    let status: u16 = parts.next()?.parse().ok()?;
    if !version.eq_ignore_ascii_case("SIP/2.0") || !(100..700).contains(&status) || raw.broken_line
    {
        return None;
    }
    let headers = raw.typed()?;
    mandatory_headers(raw).ok()?;
    cseq(&headers)?;
    headers
        .get("Via")
        .and_then(|v| Via::parse(split_list(v).next()?))?;
    let body = body_within(&headers, raw.body?).ok()?.to_vec();
    Some(Response {
        status,
        headers,
        body,
    })
}
