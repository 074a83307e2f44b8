//! Names of boards and of hosts.

use std::net::{IpAddr, Ipv6Addr};

use pinterest::{BoardReference, Host, Likeness, SectionReference, fuzzing, host_of_url};
use url::Url;

use crate::input::{assert_clean, split};

/// A board reference, and after a line break a title to compare it with.
pub fn board_reference(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (text, title) = text.split_once('\n').unwrap_or((text, text));
    match text.parse::<BoardReference>() {
        Ok(reference) => {
            if let Some(id) = reference.id() {
                assert!(id.len() >= 5 && id.bytes().all(|byte| byte.is_ascii_digit()));
            }
            if !matches!(reference, BoardReference::Address(_)) {
                assert!(reference.likeness("x", text, None).is_some_and(Likeness::is_spelling));
                assert!(reference.likeness("x", text, Some("anna")).is_some());
                assert!(reference.section().is_none());
            }
            reference.likeness("12345", title, Some(title));
            reference.is_of_another(title, Some("anna"));
            reference.section().map(|section| section.likeness("12345", title));
        }
        Err(other) => assert!(other.to_string().len() < 1200),
    }
    SectionReference::named(text).likeness("12345", title);
}

/// Three lines: the URL of an image, the location of a redirect, and the 16 bytes of an IPv6 address.
pub fn urls(input: &[u8]) {
    let mut parts = input.splitn(3, |&byte| byte == b'\n');
    let url = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let location = parts.next().unwrap_or_default();
    let address = parts.next().unwrap_or_default();

    if let Ok(host) = url.parse::<Host>() {
        let shown = host.to_string();
        assert_eq!(shown.parse::<Host>().expect("a host's own text cannot be parsed"), host);
        assert!(shown.is_ascii() && !shown.contains(['@', '/', '%', '\\']), "{shown}");
    }
    let named = host_of_url(&url);
    // The allowed image hosts.
    let allowed: Vec<Host> =
        ["i.pinimg.com", "localhost:8443"].iter().map(|host| host.parse().expect("a host")).collect();
    match fuzzing::admit_url(&url, &allowed) {
        Ok(admitted) => {
            let named = named.expect("an admitted URL without a host");
            assert!(allowed.contains(&named));
            check(&admitted, &allowed);
            match fuzzing::admit_redirect(&admitted, location, &allowed) {
                Ok(target) => check(&target, &allowed),
                Err(error) => assert_clean(&error.to_string()),
            }
        }
        Err(error) => assert_clean(&error.to_string()),
    }

    let (bytes, _) = split::<16>(address);
    let v6 = Ipv6Addr::from(bytes);
    let wraps_special = match v6.to_ipv4_mapped() {
        Some(inside) => !fuzzing::is_public(IpAddr::V4(inside)),
        None => v6.to_ipv4().is_some(),
    };
    let public = fuzzing::is_public(IpAddr::V6(v6));
    assert!(
        !public || !(v6.is_loopback() || v6.is_multicast() || v6.is_unspecified() || wraps_special),
        "{v6} is public"
    );
    let v4 = std::net::Ipv4Addr::from([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast();
    assert!(!fuzzing::is_public(IpAddr::V4(v4)) || !(special || v4.is_documentation()), "{v4} is public");
}

/// An admitted URL is https, of an allowed host, without credentials, also when parsed again.
fn check(url: &Url, allowed: &[Host]) {
    assert_eq!(url.scheme(), "https");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    let again = Url::parse(url.as_str()).expect("an admitted URL cannot be parsed");
    assert_eq!(&again, url);
    let named = host_of_url(url.as_str()).expect("an admitted URL would not be admitted again");
    assert!(allowed.contains(&named), "{url}");
    assert_eq!((url.host_str(), url.port_or_known_default()), (Some(&*named.name()), Some(named.port())));
}
