//! Which addresses may be reached: public ones, and those that the configuration allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::outgoing::OutgoingError;

/// The allow list, read once.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    allowed: Vec<Allowed>,
}

#[derive(Debug, PartialEq, Eq)]
struct Allowed {
    what: What,
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    Range { base: IpAddr, bits: u32 },
    Host(String),
}

impl Guard {
    pub(crate) fn new(entries: &[String]) -> Result<Self, OutgoingError> {
        let allowed = entries
            .iter()
            .map(|entry| {
                Allowed::read(entry.trim()).ok_or_else(|| OutgoingError::Allow(entry.clone()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { allowed })
    }

    /// What kind of address `ip` is, when it may not be reached at `port` as `host`.
    pub(crate) fn refusal(&self, host: &str, ip: IpAddr, port: u16) -> Option<&'static str> {
        let ip = meant(ip);
        let kind = not_public(ip)?;
        let allowed = self
            .allowed
            .iter()
            .filter(|allowed| allowed.port.is_none_or(|only| only == port))
            .any(|allowed| match &allowed.what {
                What::Range { base, bits } => within(ip, *base, *bits),
                What::Host(name) => name == host_name(host),
            });
        (!allowed).then_some(kind)
    }
}

impl Allowed {
    fn read(entry: &str) -> Option<Self> {
        if let Some((base, bits)) = entry.split_once('/') {
            let base: IpAddr = base.parse().ok()?;
            let bits: u32 = bits.parse().ok()?;
            let most = if base.is_ipv4() { 32 } else { 128 };
            let what = What::Range { base, bits };
            return (bits <= most).then_some(Self { what, port: None });
        }
        let (host, port) = match entry.rsplit_once(':') {
            _ if entry.parse::<Ipv6Addr>().is_ok() => (entry, None),
            Some((host, port)) if !host.is_empty() && !port.is_empty() => {
                (host, Some(port.parse().ok()?))
            }
            Some(_) => return None,
            None => (entry, None),
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(host).parse::<IpAddr>() {
            let base = meant(ip);
            let bits = if base.is_ipv4() { 32 } else { 128 };
            let what = What::Range { base, bits };
            return Some(Self { what, port });
        }
        // The same reading as a URL's, so that both spell a name alike.
        let url::Host::Domain(name) = url::Host::parse(host).ok()? else {
            return None;
        };
        let what = What::Host(host_name(&name).to_owned());
        Some(Self { what, port })
    }
}

/// A name without the dot that may end it.
fn host_name(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// The IPv4 address that an IPv6 address stands for (mapped, or translated by NAT64), or the address itself.
fn meant(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else {
        return ip;
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let bits = (u32::from(high) << 16) | u32::from(low);
            IpAddr::V4(Ipv4Addr::from_bits(bits))
        }
        _ => ip,
    }
}

fn within(ip: IpAddr, base: IpAddr, bits: u32) -> bool {
    match (ip, base) {
        (IpAddr::V4(ip), IpAddr::V4(base)) => {
            let differ = ip.to_bits() ^ base.to_bits();
            differ.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(base)) => {
            let differ = ip.to_bits() ^ base.to_bits();
            differ.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// IPv4 ranges that are not public (IANA's special-purpose registry), with what they are.
const V4: [(Ipv4Addr, u32, &str); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "an address of this host"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (
        Ipv4Addr::new(100, 64, 0, 0),
        10,
        "a carrier's shared address",
    ),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 31, 196, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "a reserved address"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "a reserved address"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "a reserved address"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

/// What `ip` is, when it is not public.
fn not_public(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(_) => V4
            .iter()
            .find(|(base, bits, _)| within(ip, IpAddr::V4(*base), *bits))
            .map(|(.., kind)| *kind),
        IpAddr::V6(v6) => not_public_v6(v6),
    }
}

/// Only `2000::/3` is handed out to the public; what is reserved within it is left out.
fn not_public_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let [first, second, ..] = ip.segments();
    match first {
        _ if ip.is_loopback() => Some("a loopback address"),
        _ if ip.is_unspecified() => Some("an address of this host"),
        0xfe80..=0xfebf => Some("a link-local address"),
        0xfc00..=0xfdff => Some("a private address"),
        0xff00..=0xffff => Some("a multicast address"),
        // Teredo and its neighbours, documentation, 6to4 (which holds an IPv4 address), documentation.
        0x2001 if second < 0x200 || second == 0xdb8 => Some("a reserved address"),
        0x2002 => Some("a reserved address"),
        0x3fff if second < 0x1000 => Some("a reserved address"),
        0x2000..=0x3fff => None,
        _ => Some("a reserved address"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn guard(entries: &[&str]) -> Guard {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        Guard::new(&entries).unwrap()
    }

    fn refused(guard: &Guard, ip: &str) -> bool {
        guard
            .refusal("agent.example", ip.parse().unwrap(), 443)
            .is_some()
    }

    const CLOSED: &str = "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255
        169.254.169.254 172.16.0.0 172.31.255.255 192.0.0.1 192.0.2.1 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255
        224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:169.254.169.254
        ::ffff:10.1.2.3 64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 fe80::1 febf::1 fec0::1 fc00::1 fdff::1 ff02::1
        2001::1 2001:db8::1 2002:7f00:1:: 3fff:fff::1 100::1 5f00::1 fd00:ec2::254";

    const OPEN: &str = "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255
        169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 223.255.255.255 2606:4700::1111
        2001:4860:4860::8888 64:ff9b::1.1.1.1 ::ffff:1.1.1.1 3fff:1000::1";

    #[test]
    fn what_is_not_public_is_refused_in_every_spelling_and_its_neighbours_are_not() {
        let nothing = guard(&[]);
        for ip in CLOSED.split_ascii_whitespace() {
            assert!(refused(&nothing, ip), "{ip}");
        }
        for ip in OPEN.split_ascii_whitespace() {
            assert!(!refused(&nothing, ip), "{ip}");
        }
    }

    #[test]
    fn the_allow_list_opens_what_it_names_and_no_more() {
        let some = guard(&[
            "10.1.0.0/16",
            "127.0.0.1:9000",
            "[fd00::1]:80",
            "fd00::2",
            "Agents.Internal",
            "b.internal:8443",
        ]);
        let open =
            |host: &str, ip: &str, port| some.refusal(host, ip.parse().unwrap(), port).is_none();
        assert!(open("x", "10.1.255.255", 1));
        assert!(!open("x", "10.2.0.0", 1));
        assert!(open("x", "::ffff:10.1.0.1", 1));
        assert!(open("localhost", "127.0.0.1", 9000));
        assert!(!open("localhost", "127.0.0.1", 9001));
        assert!(!open("localhost", "127.0.0.2", 9000));
        assert!(open("x", "fd00::1", 80) && !open("x", "fd00::1", 81));
        assert!(open("x", "fd00::2", 81));
        assert!(open("agents.internal", "192.168.0.1", 5));
        assert!(open("agents.internal.", "192.168.0.1", 5));
        assert!(!open("x.agents.internal", "192.168.0.1", 5));
        assert!(open("b.internal", "192.168.0.1", 8443) && !open("b.internal", "192.168.0.1", 443));
        let all = guard(&["0.0.0.0/0", "::/0"]);
        assert!(!refused(&all, "127.0.0.1") && !refused(&all, "fe80::1"));
    }

    #[test]
    fn entries_that_mean_nothing_are_refused_by_name() {
        for entry in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "a b",
            "host:",
            "host:99999",
            ":80",
            "http://x",
        ] {
            let refused = Guard::new(&[entry.to_owned()]).unwrap_err();
            assert_eq!(refused, OutgoingError::Allow(entry.to_owned()));
        }
    }
}
