//! Which addresses are public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not a public one; `None` for a public one.
pub(crate) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

/// RFC 6890 and its successors, one row a network.
const V4: [(Ipv4Addr, u8, &str); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "an address of this host"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (
        Ipv4Addr::new(100, 64, 0, 0),
        10,
        "a carrier-internal address",
    ),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    // A cloud's agent, on every machine of it.
    (
        Ipv4Addr::new(168, 63, 129, 16),
        32,
        "a cloud metadata address",
    ),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "a documentation address"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a relay address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "a test network address"),
    (
        Ipv4Addr::new(198, 51, 100, 0),
        24,
        "a documentation address",
    ),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "a documentation address"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let found = V4
        .iter()
        .find(|(network, prefix, _)| contains((*network).into(), *prefix, address.into()));
    found.map(|row| row.2)
}

/// Inside 2000::/3, which is all that is global, these are not.
const V6: [(Ipv6Addr, u8, &str); 5] = [
    // Teredo, ORCHID, benchmarking and more.
    (
        Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),
        23,
        "a tunnel or reserved address",
    ),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        "a documentation address",
    ),
    // 6to4 holds an IPv4 address of anybody's choice.
    (
        Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0),
        16,
        "a tunnel address",
    ),
    (
        Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0),
        16,
        "a reserved address",
    ),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        "a documentation address",
    ),
];

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return special_v4(mapped);
    }
    if address.is_loopback() {
        return Some("a loopback address");
    }
    if address.is_multicast() {
        return Some("a multicast address");
    }
    // Also fc00::/7, fe80::/10, NAT64 64:ff9b::/96 and the IPv4-compatible ::/96.
    if address.segments()[0] & 0xe000 != 0x2000 {
        return Some("a private, local or translated address");
    }
    let found = V6
        .iter()
        .find(|(network, prefix, _)| contains((*network).into(), *prefix, address.into()));
    found.map(|row| row.2)
}

/// Whether `address` lies in the network. A mapped IPv4 address counts as the IPv4 address it is.
pub(crate) fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    match (network.to_canonical(), address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let shift = 32_u32.saturating_sub(prefix.into());
            (u64::from(u32::from(network)) >> shift) == (u64::from(u32::from(address)) >> shift)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let shift = 128_u32.saturating_sub(prefix.into());
            let cut = |address: Ipv6Addr| u128::from(address).checked_shr(shift).unwrap_or(0);
            cut(network) == cut(address)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_special(text: &str) -> bool {
        special(text.parse().unwrap()).is_some()
    }

    #[test]
    fn addresses_inside_are_known_in_every_form() {
        let inside = [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "169.254.169.254",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:0:7f00:1::",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "3fff::1",
            "5f00::1",
        ];
        for text in inside {
            assert!(is_special(text), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_special(text), "{text}");
        }
    }

    #[test]
    fn networks_contain_what_their_prefix_says() {
        let inside = |network: &str, prefix, address: &str| {
            contains(network.parse().unwrap(), prefix, address.parse().unwrap())
        };
        assert!(inside("10.0.0.0", 8, "10.255.0.1") && !inside("10.0.0.0", 8, "11.0.0.1"));
        assert!(inside("10.0.0.0", 8, "::ffff:10.1.1.1") && !inside("10.0.0.0", 8, "fd00::1"));
        assert!(
            inside("0.0.0.0", 0, "9.9.9.9")
                && inside("::", 0, "fd00::1")
                && !inside("::", 0, "9.9.9.9")
        );
        assert!(
            inside("fd00::", 8, "fdff::1")
                && inside("::1", 128, "::1")
                && !inside("::1", 128, "::2")
        );
    }
}
