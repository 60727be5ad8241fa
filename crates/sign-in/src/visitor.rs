//! Who knocks: address, browser and cookies of a request.

use std::{convert::Infallible, net::IpAddr, net::SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{HeaderMap, header, request::Parts};

/// What a request says of its sender without being asked.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The network he comes from: an IPv4 address, or the /64 of an IPv6 one, since a single subscriber
    /// holds all of that.
    pub source: String,
    pub user_agent: String,
    pub(crate) cookies: String,
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let address = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0.ip());
        Ok(Self {
            source: address.map_or_else(|| "unknown".to_owned(), network),
            user_agent: text(&parts.headers, header::USER_AGENT),
            cookies: cookies(&parts.headers),
        })
    }
}

fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

/// All `Cookie` headers as one: HTTP/2 may split them (RFC 9113 §8.2.3).
pub(crate) fn cookies(headers: &HeaderMap) -> String {
    let values = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_subscriber_is_one_source() {
        assert_eq!(
            network("::ffff:192.0.2.1".parse().expect("address")),
            "192.0.2.1"
        );
        let a = network("2001:db8:1:2::1".parse().expect("address"));
        assert_eq!(a, network("2001:db8:1:2:ffff::9".parse().expect("address")));
        assert_ne!(a, network("2001:db8:1:3::1".parse().expect("address")));
    }
}
