//! One message that was seen, free of secrets.

use std::net::SocketAddr;

use bytes::Bytes;
use jiff::Timestamp;

use crate::Transport;
use crate::wire::{NameAddr, SipUri, split_list};

/// A SIP message as it crossed our border, its secrets masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub at: Timestamp,
    /// Whether we sent it.
    pub sent: bool,
    pub transport: Transport,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub octets: Bytes,
}

/// Headers that name the parties of a call.
const PARTIES: &[&str] = &[
    "from",
    "f",
    "to",
    "t",
    "p-asserted-identity",
    "p-preferred-identity",
    "remote-party-id",
    "diversion",
    "refer-to",
    "r",
    "referred-by",
    "b",
    "contact",
    "m",
];

impl Message {
    /// The message as text; octets that are none are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.octets).into_owned()
    }

    /// What it is, in a word or two: `INVITE SDP 1001`, `200 OK (INVITE) SDP`. `SDP`
    /// says that it carries a session description.
    #[must_use]
    pub fn summary(&self) -> String {
        let start = self.start_line();
        let mut words = start.split(' ');
        let first = words.next().unwrap_or_default();
        let sdp = self
            .header("content-type")
            .or_else(|| self.header("c"))
            .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/sdp"));
        let sdp = if sdp { " SDP" } else { "" };
        let summary = if first.eq_ignore_ascii_case("SIP/2.0") {
            let status = words.collect::<Vec<_>>().join(" ");
            match self.method() {
                Some(method) => format!("{status} ({method}){sdp}"),
                None => status,
            }
        } else {
            let user = SipUri::parse(words.next().unwrap_or_default())
                .map(|uri| uri.user)
                .unwrap_or_default();
            format!("{first}{sdp} {user}").trim_end().to_owned()
        };
        summary
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect()
    }

    /// The value of the Call-ID header, of the first when there are several.
    #[must_use]
    pub fn call_id(&self) -> Option<String> {
        self.header("call-id").or_else(|| self.header("i"))
    }

    /// The method of its transaction, after the CSeq.
    pub(crate) fn method(&self) -> Option<String> {
        let cseq = self.header("cseq")?;
        cseq.split_ascii_whitespace().nth(1).map(str::to_owned)
    }

    /// Neither a registration nor a question whether we live: those come by the
    /// thousand and would drive the calls out of the memory.
    pub(crate) fn is_of_a_call(&self) -> bool {
        !matches!(
            self.method().as_deref(),
            None | Some("REGISTER" | "OPTIONS" | "PUBLISH" | "SUBSCRIBE")
        )
    }

    /// The user parts of everybody named in it.
    pub(crate) fn users(&self) -> Vec<String> {
        let start = self.start_line();
        let target = start.split(' ').nth(1).map(str::to_owned);
        let named = self
            .headers()
            .filter(|(name, _)| PARTIES.contains(&name.as_str()))
            .flat_map(|(_, value)| {
                split_list(&value)
                    .filter_map(|one| NameAddr::parse(one).map(|party| party.uri))
                    .collect::<Vec<_>>()
            });
        target
            .into_iter()
            .chain(named)
            .filter_map(|uri| SipUri::parse(&uri).ok())
            .map(|uri| uri.user)
            .filter(|user| !user.is_empty())
            .collect()
    }

    fn start_line(&self) -> String {
        self.lines().next().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Names in lower case, with their values.
    fn headers(&self) -> impl Iterator<Item = (String, String)> {
        self.lines()
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            })
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        self.octets
            .split(|b| *b == b'\n')
            .map(|line| String::from_utf8_lossy(line).trim_end().to_owned())
            .skip_while(String::is_empty)
    }
}
