//! A SIP message, read as far as a user agent needs it.

/// A message; header names as they came.
#[derive(Clone, Debug)]
pub struct Message {
    pub start: Start,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    Request { method: String, uri: String },
    Response { status: u16 },
}

impl Message {
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(datagram).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let first = lines.next()?;
        let start = match first.strip_prefix("SIP/2.0 ") {
            Some(rest) => Start::Response {
                status: rest.split(' ').next()?.parse().ok()?,
            },
            None => {
                let mut words = first.split(' ');
                Start::Request {
                    method: words.next()?.to_owned(),
                    uri: words.next()?.to_owned(),
                }
            }
        };
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (full(name.trim()).to_owned(), value.trim().to_owned()))
            .collect();
        Some(Self {
            start,
            headers,
            body: body.to_owned(),
        })
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn method(&self) -> Option<&str> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response { status } => Some(status),
            Start::Request { .. } => None,
        }
    }

    /// The address in a header such as Contact, without its brackets.
    pub fn uri_of(&self, name: &str) -> Option<&str> {
        let value = self.get(name)?;
        match value.split_once('<') {
            Some((_, rest)) => rest.split('>').next(),
            None => value.split(';').next(),
        }
    }

    /// The user part of the address in a header.
    pub fn user_of(&self, name: &str) -> Option<&str> {
        self.uri_of(name)?
            .split_once(':')?
            .1
            .split(['@', ';'])
            .next()
    }
}

/// RFC 3261 §7.3.3.
fn full(name: &str) -> &str {
    match name {
        "i" => "Call-ID",
        "m" => "Contact",
        "f" => "From",
        "t" => "To",
        "v" => "Via",
        "l" => "Content-Length",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_brackets() {
        let text = "INVITE sip:1001@127.0.0.1 SIP/2.0\r\nf: \"A\" <sip:+421901@x;user=phone>;tag=1\r\nm: sip:u@h:5060;expires=3\r\n\r\nbody";
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (
                message.user_of("From"),
                message.uri_of("Contact"),
                message.body.as_str()
            ),
            (Some("+421901"), Some("sip:u@h:5060"), "body")
        );
        assert_eq!((message.method(), message.status()), (Some("INVITE"), None));
    }
}
