//! Messages as we hold them. The header names, methods and reason phrases are
//! the SIP library's; no other module imports it.

pub(crate) mod abilities;
mod grammar;
mod screen;

pub(crate) use grammar::{
    NameAddr, SipUri, UriProblem, Via, escape_user, host_port, param, split_list, token_list,
    unescape,
};
pub(crate) use screen::{Screened, screen, too_large};

pub(crate) use rsipstack::sip::Method;
use rsipstack::sip::StatusCode;
use rsipstack::sip::headers::{Header, make_header};

/// Methods we serve, as listed in Allow.
pub(crate) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, PRACK, UPDATE, REFER";
/// Option tags we understand in Require.
pub(crate) const SUPPORTED: &str = "100rel, timer, replaces, norefersub, path";

/// The headers of a message in their order. Values are free of line breaks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(Vec<Header>);

impl Headers {
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push(make_header(name, value.into()));
    }

    /// Puts the headers of another behind its own.
    pub fn append(&mut self, mut more: Self) {
        self.0.append(&mut more.0);
    }

    /// Takes all values of a header away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|h| !h.name().eq_ignore_ascii_case(name));
    }

    /// Puts another value in place of a header's first one.
    pub fn set_first(&mut self, name: &str, value: impl Into<String>) {
        let mut all = self.0.iter_mut();
        if let Some(first) = all.find(|h| h.name().eq_ignore_ascii_case(name)) {
            *first = make_header(name, value.into());
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|h| h.name().eq_ignore_ascii_case(name))
            .map(Header::value)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |h| h.name().eq_ignore_ascii_case(name))
            .map(Header::value)
    }

    /// The tokens of a comma-separated header, over all its lines.
    pub fn tokens(&self, name: &str) -> Vec<String> {
        self.all(name).flat_map(token_list).collect()
    }

    /// Whether the sender lists a method in Allow.
    pub fn allows(&self, method: Method) -> bool {
        let name = method.to_string();
        self.tokens("Allow")
            .iter()
            .any(|listed| listed.eq_ignore_ascii_case(&name))
    }

    fn write(&self, out: &mut Vec<u8>) {
        for header in &self.0 {
            out.extend_from_slice(header.name().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(header.value().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub method: Method,
    /// As written: what we send back to a peer is what it gave us.
    pub uri: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: Method, uri: impl Into<String>) -> Self {
        Self {
            method,
            uri: uri.into(),
            headers: Headers::default(),
            body: Vec::new(),
        }
    }

    pub fn call_id(&self) -> &str {
        self.headers.get("Call-ID").unwrap_or_default()
    }

    /// The CSeq number; screened requests have one.
    pub fn cseq(&self) -> u32 {
        cseq(&self.headers).map_or(0, |(number, _)| number)
    }

    pub fn sender_tag(&self) -> Option<String> {
        NameAddr::parse(self.headers.get("From")?)?.param("tag")
    }

    pub fn to_tag(&self) -> Option<String> {
        NameAddr::parse(self.headers.get("To")?)?.param("tag")
    }

    pub fn top_via(&self) -> Option<Via> {
        Via::parse(split_list(self.headers.get("Via")?).next()?)
    }

    pub fn contact(&self) -> Option<NameAddr> {
        NameAddr::parse(split_list(self.headers.get("Contact")?).next()?)
    }

    /// The body as a session description, if it is one.
    pub fn sdp(&self) -> Option<String> {
        sdp_body(&self.headers, &self.body)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} SIP/2.0\r\n", self.method, self.uri).into_bytes();
        self.headers.write(&mut out);
        finish(&mut out, &self.body);
        out
    }

    /// A response that carries what RFC 3261 §8.2.6.2 copies from the request.
    pub fn response(&self, status: u16, to_tag: &str) -> Response {
        let mut headers = Headers::default();
        for name in [
            "Via",
            "From",
            "To",
            "Call-ID",
            "CSeq",
            "Record-Route",
            "Timestamp",
        ] {
            if name == "Record-Route" && !(101..300).contains(&status) {
                continue;
            }
            for value in self.headers.all(name) {
                if name == "To" && status > 100 && self.to_tag().is_none() {
                    headers.push("To", format!("{value};tag={to_tag}"));
                } else {
                    headers.push(name, value);
                }
            }
        }
        Response {
            status,
            headers,
            body: Vec::new(),
        }
    }
}

impl Response {
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(name, value);
        self
    }

    #[must_use]
    pub fn with_sdp(mut self, sdp: &str) -> Self {
        self.headers.push("Content-Type", "application/sdp");
        self.body = sdp.as_bytes().to_vec();
        self
    }

    pub fn to_tag(&self) -> Option<String> {
        NameAddr::parse(self.headers.get("To")?)?.param("tag")
    }

    pub fn contact(&self) -> Option<NameAddr> {
        NameAddr::parse(split_list(self.headers.get("Contact")?).next()?)
    }

    pub fn sdp(&self) -> Option<String> {
        sdp_body(&self.headers, &self.body)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("SIP/2.0 {} {}\r\n", self.status, phrase(self.status)).into_bytes();
        self.headers.write(&mut out);
        finish(&mut out, &self.body);
        out
    }
}

fn finish(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
}

/// The reason phrase of a status.
pub(crate) fn phrase(status: u16) -> String {
    match status {
        422 => "Session Interval Too Small".into(),
        _ => match StatusCode::from(status).text() {
            "" => "Unknown".into(),
            text => text.to_owned(),
        },
    }
}

/// Number and method of a CSeq header.
pub(crate) fn cseq(headers: &Headers) -> Option<(u32, String)> {
    let mut parts = headers.get("CSeq")?.split_ascii_whitespace();
    let number = parts.next()?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u32 = number.parse().ok()?;
    let method = parts.next()?.to_owned();
    // RFC 3261 §8.1.1.5: below 2**31.
    (number < 1 << 31 && parts.next().is_none()).then_some((number, method))
}

/// The media type of a Content-Type value, without parameters.
pub(crate) fn media_type(value: &str) -> String {
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

fn sdp_body(headers: &Headers, body: &[u8]) -> Option<String> {
    let sdp = headers
        .get("Content-Type")
        .is_some_and(|v| media_type(v) == "application/sdp");
    if !sdp || body.is_empty() {
        return None;
    }
    String::from_utf8(body.to_vec()).ok()
}
