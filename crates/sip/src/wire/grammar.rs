//! The parts of RFC 3261 §25 we read: URIs, name-addr, Via and lists. Each
//! parser takes any text and says `None` when it is not what it should be.

use std::net::IpAddr;

use crate::Transport;

/// `"display" <uri>;params`, or the same without brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameAddr {
    pub display: Option<String>,
    pub uri: String,
    params: String,
}

impl NameAddr {
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (display, rest) = match text.strip_prefix('"') {
            Some(quoted) => {
                let (display, rest) = unquote(quoted)?;
                (Some(display), rest.trim_start())
            }
            None => (None, text),
        };
        let Some(open) = rest.find('<') else {
            if display.is_some() {
                return None;
            }
            // RFC 3261 §20.10: without brackets, parameters are the header's.
            let (uri, params) = rest.split_once(';').unwrap_or((rest, ""));
            let uri = uri.trim();
            let bare = |c: char| !c.is_whitespace() && !"<>\"".contains(c);
            return (!uri.is_empty() && uri.chars().all(bare)).then(|| Self {
                display: None,
                uri: uri.into(),
                params: params.into(),
            });
        };
        let (before, after) = (&rest[..open], &rest[open + 1..]);
        let (uri, params) = after.split_once('>')?;
        let before = before.trim();
        if display.is_some() && !before.is_empty() {
            return None;
        }
        let params = params.trim();
        if !params.is_empty() && !params.starts_with(';') {
            return None;
        }
        Some(Self {
            display: display.or_else(|| (!before.is_empty()).then(|| before.into())),
            uri: uri.trim().into(),
            params: params.trim_start_matches(';').into(),
        })
    }

    pub fn param(&self, name: &str) -> Option<String> {
        param(&self.params, name)
    }
}

/// The text up to the closing quote, unescaped, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[at + 1..])),
            '\\' => out.push(chars.next()?.1),
            c => out.push(c),
        }
    }
    None
}

/// The value of a `;name=value` parameter; empty when it has none.
pub(crate) fn param(params: &str, name: &str) -> Option<String> {
    split_outside_quotes(params, ';').find_map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The elements of a comma-separated header value; commas inside quotes and
/// angle brackets do not separate.
pub(crate) fn split_list(value: &str) -> impl Iterator<Item = &str> {
    split_outside_quotes(value, ',')
        .map(str::trim)
        .filter(|v| !v.is_empty())
}

/// As [`split_list`], owned and in lower case, for option tags and the like.
pub(crate) fn token_list(value: &str) -> Vec<String> {
    split_list(value).map(str::to_ascii_lowercase).collect()
}

fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped, mut bracket) = (false, false, false);
    text.split(move |c: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '\\' if quoted => escaped = true,
            '"' if !bracket => quoted = !quoted,
            '<' if !quoted => bracket = true,
            '>' if !quoted => bracket = false,
            c => return c == separator && !quoted && !bracket,
        }
        false
    })
}

/// A `sip:` or `sips:` URI, or the number of a `tel:` URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SipUri {
    /// Unescaped; empty when the URI names only a host.
    pub user: String,
    pub host: String,
    pub port: Option<u16>,
    /// What its `transport` parameter names, or TLS for `sips:`.
    pub transport: Option<Transport>,
    /// Whether it is a proxy's that routes loosely (`lr`, RFC 3261 §19.1.1).
    pub loose: bool,
}

/// Why a URI was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UriProblem {
    /// Not a URI at all.
    Syntax,
    /// A scheme we do not serve.
    Scheme,
}

impl SipUri {
    pub fn parse(text: &str) -> Result<Self, UriProblem> {
        let (scheme, rest) = text.split_once(':').ok_or(UriProblem::Syntax)?;
        let valid_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        let clean = |c: char| c > ' ' && c != '\u{7f}' && !"<>\"".contains(c);
        if !valid_scheme || rest.is_empty() || !rest.chars().all(clean) {
            return Err(UriProblem::Syntax);
        }
        if scheme.eq_ignore_ascii_case("tel") {
            let number = rest.split(';').next().unwrap_or_default();
            return Ok(Self {
                user: unescape(number),
                host: String::new(),
                port: None,
                transport: None,
                loose: false,
            });
        }
        if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            return Err(UriProblem::Scheme);
        }
        // The user part may hold ';' and '?', so it is cut off first.
        let (user, rest) = match rest.rsplit_once('@') {
            Some(("", _)) => return Err(UriProblem::Syntax),
            Some((user, rest)) => (user, rest),
            None => ("", rest),
        };
        if !escapes_hold(user) {
            return Err(UriProblem::Syntax);
        }
        let user = user.split(':').next().unwrap_or_default();
        // Parameters inside the user part (RFC 3966 in SIP) are not the user.
        let user = user.split(';').next().unwrap_or_default();
        let authority = rest.split([';', '?']).next().unwrap_or_default();
        let (host, port) = host_port(authority).ok_or(UriProblem::Syntax)?;
        let params = rest.split('?').next().unwrap_or_default();
        let params = params.split_once(';').map_or("", |(_, params)| params);
        let named = param(params, "transport").and_then(|name| name.parse().ok());
        let sips = scheme.eq_ignore_ascii_case("sips");
        Ok(Self {
            user: unescape(user),
            host,
            port,
            transport: if sips { Some(Transport::Tls) } else { named },
            loose: param(params, "lr").is_some(),
        })
    }
}

/// Host and port of an authority or a Via's sent-by.
pub(crate) fn host_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port),
            None if rest.is_empty() => None,
            None => return None,
        };
        (address, port)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host.trim(), Some(port.trim())),
            None => (text, None),
        }
    };
    let named = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
    if host.is_empty() || !named {
        return None;
    }
    let port = match port {
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some(port.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    Some((host.to_owned(), port))
}

fn escapes_hold(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'%')
        .all(|(at, _)| {
            bytes
                .get(at + 1..at + 3)
                .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
        })
}

/// A user part as RFC 3261 §25.1 lets it be written.
pub(crate) fn escape_user(user: &str) -> String {
    user.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// Percent escapes resolved; those that are none stay as they are.
pub(crate) fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|two| std::str::from_utf8(two).ok());
        match (byte, hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            // A control character would not survive being put in a header again.
            (b'%', Some(value)) if value >= b' ' && value != 0x7f => {
                out.push(value);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// One Via value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Via {
    pub transport: String,
    pub host: String,
    pub port: Option<u16>,
    params: String,
}

impl Via {
    pub fn parse(text: &str) -> Option<Self> {
        let (sent, params) = text.split_once(';').unwrap_or((text, ""));
        let mut parts = sent.splitn(3, '/');
        let protocol = parts.next()?.trim();
        let version = parts.next()?.trim();
        let (transport, sent_by) = parts.next()?.trim().split_once(char::is_whitespace)?;
        if !protocol.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return None;
        }
        let (host, port) = host_port(sent_by)?;
        Some(Self {
            transport: transport.to_ascii_uppercase(),
            host,
            port,
            params: params.into(),
        })
    }

    pub fn param(&self, name: &str) -> Option<String> {
        param(&self.params, name)
    }

    pub fn branch(&self) -> Option<String> {
        self.param("branch").filter(|b| !b.is_empty())
    }

    /// Whether the peer asked for the response at its source port (RFC 3581).
    pub fn wants_rport(&self) -> bool {
        self.param("rport").is_some()
    }

    /// Whether sent-by is this very address.
    pub fn sent_by_is(&self, ip: IpAddr) -> bool {
        self.host.parse::<IpAddr>().map(|own| own.to_canonical()) == Ok(ip.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_addr_reads_every_spelling() {
        let quoted = NameAddr::parse(r#""A \"b\" <c>" <sip:a@h;x=1>;tag=7;y"#).unwrap();
        assert_eq!(quoted.display.as_deref(), Some(r#"A "b" <c>"#));
        assert_eq!(quoted.uri, "sip:a@h;x=1");
        assert_eq!(quoted.param("TAG").as_deref(), Some("7"));
        let bare = NameAddr::parse("sip:a@h;tag=7").unwrap();
        assert_eq!(
            (bare.uri.as_str(), bare.param("tag").as_deref()),
            ("sip:a@h", Some("7"))
        );
        let token = NameAddr::parse("Anna Nová <sip:a@h>").unwrap();
        assert_eq!(token.display.as_deref(), Some("Anna Nová"));
        for bad in ["", "\"open <sip:a@h>", "<sip:a@h", "\"x\"", "<sip:a@h>junk"] {
            assert_eq!(NameAddr::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn uris_are_read_or_refused() {
        let uri = SipUri::parse("sip:%2B421900;ext=1:pw@[::1]:5070;transport=tcp?x=y").unwrap();
        assert_eq!(
            (uri.user.as_str(), uri.host.as_str(), uri.port),
            ("+421900", "::1", Some(5070))
        );
        assert_eq!(
            SipUri::parse("tel:+421900;phone-context=x").unwrap().user,
            "+421900"
        );
        assert_eq!(SipUri::parse("nobody:x"), Err(UriProblem::Scheme));
        for bad in [
            "",
            "sip:",
            "sip:@h",
            "sip:a@",
            "sip:a@h:x",
            "sip:a b@h",
            "<sip:a@h>",
            "sip:%z@h",
            "sip:a@h:70000",
        ] {
            assert_eq!(SipUri::parse(bad), Err(UriProblem::Syntax), "{bad}");
        }
    }

    #[test]
    fn lists_split_outside_quotes_and_brackets() {
        let parts: Vec<_> = split_list(r#""a,b" <sip:c,d@h>;q=1, <sip:e@h> ,,"#).collect();
        assert_eq!(parts, [r#""a,b" <sip:c,d@h>;q=1"#, "<sip:e@h>"]);
    }

    #[test]
    fn via_reads_spaces_and_rport() {
        let via = Via::parse("SIP / 2.0 / udp h.example : 5070 ;rport;branch=z9hG4bKx").unwrap();
        assert_eq!(
            (via.transport.as_str(), via.host.as_str(), via.port),
            ("UDP", "h.example", Some(5070))
        );
        assert!(via.wants_rport());
        assert_eq!(Via::parse("SIP/7.0/UDP h"), None);
    }
}
