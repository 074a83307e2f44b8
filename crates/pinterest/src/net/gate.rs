//! Checks every URL from an answer: it is parsed once, its host is compared exactly, and it is used as parsed.

use url::Url;

use super::host::Host;
use crate::error::{Error, ErrorKind};

/// Longest accepted URL; Pinterest's are shorter than 200 bytes.
const MAX_URL: usize = 4096;

const SCHEME: &str = "https://";

/// The host and port of an absolute `https` URL, under the same rules as a download.
///
/// The URL may contain characters that browsers encode, such as non-ASCII letters and blanks after the host, and may have
/// blanks around it. The host must be ASCII, so that it cannot be read in two ways.
///
/// # Errors
/// [`ErrorKind::Refused`] with the violated rule, never with the URL.
pub fn host_of_url(text: &str) -> Result<Host, Error> {
    let text = trim(text);
    if text.len() > MAX_URL {
        return refuse(format!("the URL has {} bytes, at most {MAX_URL} are allowed", text.len()));
    }
    // `get` instead of slicing: the end may be beyond the text or within a character.
    if !text.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME)) {
        return refuse("the URL does not start with https://");
    }
    let rest = &text[SCHEME.len()..];
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    // URL parsers convert backslashes to slashes, drop tabs and line breaks, and translate other alphabets: a host that
    // needs any of this could be read in two ways.
    if !authority.is_ascii() {
        return refuse("the URL's host contains a non-ASCII character; write it in the form that starts with xn--");
    }
    if authority.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return refuse("the URL contains a space, a control character or a backslash before its path");
    }
    if authority.contains('@') {
        return refuse("the URL names a user before its host");
    }
    // `Host` refuses trailing dots, numbers in other notations, empty ports and percent signs.
    match authority.parse::<Host>() {
        Ok(host) => Ok(host),
        Err(_) => refuse("the URL's host is not a host name with an optional port"),
    }
}

/// Admits an absolute `https` URL whose host and port are literally one of `allowed`. Characters after the host that a URL
/// may not contain are percent-encoded as in browsers (the WHATWG URL standard).
///
/// # Errors
/// [`ErrorKind::Refused`] with the violated rule, never with the URL.
pub(crate) fn admit_url(text: &str, allowed: &[Host]) -> Result<Url, Error> {
    let host = host_of_url(text)?;
    if !allowed.contains(&host) {
        return refuse("the URL's host is not a configured image host");
    }
    let Ok(mut url) = Url::parse(trim(text)) else {
        return refuse("the URL cannot be parsed");
    };
    // Both parsers must agree on the host.
    let agreed = url.scheme() == "https"
        && url.username().is_empty()
        && url.password().is_none()
        && url.host_str() == Some(host.name().as_str())
        && url.port_or_known_default() == Some(host.port());
    if !agreed {
        return refuse("the URL's host can be read in two ways");
    }
    url.set_fragment(None);
    Ok(url)
}

/// Admits the target of a redirect from `from`, absolute or relative, under the same rules. Non-ASCII bytes of the header
/// are percent-encoded one by one, in any encoding, so that the server receives the bytes that it sent.
pub(crate) fn admit_redirect(from: &Url, location: &[u8], allowed: &[Host]) -> Result<Url, Error> {
    if location.len() > MAX_URL {
        return refuse("the redirect's target is too long");
    }
    let mut text = String::with_capacity(location.len());
    for &byte in location {
        if byte.is_ascii() {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    let location = trim(&text);
    match from.join(location) {
        // An absolute target is checked as written, not as parsed.
        Ok(_) if has_scheme(location) => admit_url(location, allowed),
        // Parsers read a host after two slashes or backslashes.
        Ok(_) if location.starts_with('\\') || location.starts_with("/\\") => {
            refuse("the redirect's target starts with a backslash")
        }
        Ok(_) if location.starts_with("//") => admit_url(&format!("https:{location}"), allowed),
        // Relative to an admitted host.
        Ok(target) => admit_url(target.as_str(), allowed),
        Err(_) => refuse("the redirect's target cannot be parsed"),
    }
}

/// Browsers ignore blanks and control characters around a URL.
fn trim(text: &str) -> &str {
    text.trim_matches(|character: char| character <= ' ')
}

fn has_scheme(location: &str) -> bool {
    location.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':'))
}

fn refuse<T>(rule: impl Into<String>) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Refused, rule))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allowed() -> Vec<Host> {
        ["i.pinimg.com", "localhost:8443", "127.0.0.1:9000"].iter().map(|host| host.parse().unwrap()).collect()
    }

    #[test]
    fn the_configured_hosts_pass() {
        for text in [
            "https://i.pinimg.com/600x/0d/f6/f1/0df6f1f0bfe7aaca849c1bbc3607a34b.jpg",
            "HTTPS://I.PINIMG.COM/x",
            "https://i.pinimg.com:443/x?y=1",
            "https://i.pinimg.com",
            "https://localhost:8443/a",
            "https://127.0.0.1:9000/a#b",
        ] {
            let url = admit_url(text, &allowed()).unwrap();
            assert_eq!(url.fragment(), None, "{text}");
        }
    }

    /// As browsers do, by the WHATWG standard.
    #[test]
    fn characters_are_encoded_once_as_in_browsers() {
        for (path, encoded) in [
            ("/mühle.jpg", "/m%C3%BChle.jpg"),
            ("/m\u{75}\u{308}hle.jpg", "/mu%CC%88hle.jpg"),
            ("/main hall.jpg", "/main%20hall.jpg"),
            ("/m%C3%BChle.jpg", "/m%C3%BChle.jpg"),
            ("/m%c3%bchle ü.jpg", "/m%c3%bchle%20%C3%BC.jpg"),
            ("/100%.jpg", "/100%.jpg"),
            ("/100%ü.jpg", "/100%%C3%BC.jpg"),
            ("/100%25.jpg", "/100%25.jpg"),
            ("/写真/婚礼.jpg", "/%E5%86%99%E7%9C%9F/%E5%A9%9A%E7%A4%BC.jpg"),
            ("/🎂.jpg", "/%F0%9F%8E%82.jpg"),
            ("/a+b.jpg", "/a+b.jpg"),
            ("/a|b\"<>`{}^.jpg", "/a|b%22%3C%3E%60%7B%7D^.jpg"),
            ("/a;b,c=d&e'(f)*[g].jpg", "/a;b,c=d&e'(f)*[g].jpg"),
            ("/a\\b.jpg", "/a/b.jpg"),
            ("/a\tb\r\nc.jpg", "/abc.jpg"),
            ("/a\u{1}b\u{7f}.jpg", "/a%01b%7F.jpg"),
            ("/a\u{0}b.jpg", "/a%00b.jpg"),
            ("/a/../b.jpg", "/b.jpg"),
            ("/a/%2e%2E/b.jpg", "/b.jpg"),
            ("/a//b.jpg", "/a//b.jpg"),
            ("/a@b:c.jpg", "/a@b:c.jpg"),
            ("/?size=großer saal", "/?size=gro%C3%9Fer%20saal"),
            ("?q=ü#ü", "/?q=%C3%BC"),
            ("/a.jpg?q='\"<>#x", "/a.jpg?q=%27%22%3C%3E"),
            ("/a.jpg#mühle b", "/a.jpg"),
            ("", "/"),
        ] {
            for text in [format!("https://i.pinimg.com{path}"), format!(" \t\nHTTPS://I.pinimg.com:443{path}\r\n ")] {
                let url = admit_url(&text, &allowed()).unwrap();
                assert_eq!(url.as_str(), format!("https://i.pinimg.com{encoded}"), "{text}");
                assert_eq!(admit_url(url.as_str(), &allowed()).unwrap(), url, "{text}");
            }
        }
    }

    #[test]
    fn the_refusal_of_a_non_ascii_host_names_the_other_form() {
        let allowed = ["xn--mhle-0ra.example".parse().unwrap()];
        let error = admit_url("https://mühle.example/x", &allowed).unwrap_err();
        assert!(error.to_string().contains("xn--"), "{error}");
        assert!(admit_url("https://xn--mhle-0ra.example/mühle", &allowed).is_ok());
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "https://",
            "https:/i.pinimg.com/",
            "https:i.pinimg.com",
            "http://i.pinimg.com/x",
            "ftp://i.pinimg.com/x",
            "file:///etc/passwd",
            "data:image/png;base64,AAAA",
            "//i.pinimg.com/x",
            "/x",
            "i.pinimg.com/x",
            "https://i.pinimg.com.evil.example/x",
            "https://evil.example/https://i.pinimg.com/x",
            "https://i.pinimg.com./x",
            "https://i.pinimg.com:8443/x",
            "https://i.pinimg.com:/x",
            "https://i.pinimg.com:0443/x",
            "https://user@i.pinimg.com/x",
            "https://user:pass@i.pinimg.com/x",
            "https://@i.pinimg.com/x",
            "https://i.pinimg.com@evil.example/x",
            "https://evil.example#@i.pinimg.com/",
            "https://evil.example?@i.pinimg.com/",
            "https://evil.example\\@i.pinimg.com/",
            "https:\\\\i.pinimg.com\\x",
            "https://i.pinimg.com\\.evil.example/",
            "https://i.pin\timg.com/x",
            "https://i.pinimg.com\n/x",
            "\u{a0}https://i.pinimg.com/x",
            "https://i.pinimg.com /x",
            "ht\ntps://i.pinimg.com/x",
            "https://i.pinimg.com\u{202e}/x",
            "https://\u{ff49}.pinimg.com/x",
            "https://i.pinimg.com\u{ff0f}x",
            "https://ı.pinimg.com/x",
            "https://i\u{3002}pinimg.com/x",
            "https://i%2epinimg.com/x",
            "https://i.pinimg.com%00.evil/x",
            "https://127.0.0.1/x",
            "https://2130706433:9000/x",
            "https://127.1:9000/x",
            "https://0x7f.0.0.1:9000/x",
            "https://0177.0.0.1:9000/x",
            "https://[::1]/x",
            "https://[::ffff:127.0.0.1]:9000/x",
            "https://169.254.169.254/latest",
            "https://localhost/x",
            "https://localhost:9000/x",
            "https://pinimg.com/x",
            "https://xn--pinimg-9ta.com/x",
        ] {
            assert_eq!(admit_url(text, &allowed()).unwrap_err().kind(), ErrorKind::Refused, "{text}");
        }
        let long = format!("https://i.pinimg.com/{}", "x".repeat(MAX_URL));
        assert_eq!(admit_url(&long, &allowed()).unwrap_err().kind(), ErrorKind::Refused);
    }

    #[test]
    fn redirects_are_checked_by_the_same_rules() {
        let from = admit_url("https://i.pinimg.com/600x/a.jpg", &allowed()).unwrap();
        let target = |location: &str| admit_redirect(&from, location.as_bytes(), &allowed()).map(|url| url.to_string());
        assert_eq!(target("/564x/a.jpg").unwrap(), "https://i.pinimg.com/564x/a.jpg");
        assert_eq!(target("b.jpg").unwrap(), "https://i.pinimg.com/600x/b.jpg");
        assert_eq!(target("https://localhost:8443/b").unwrap(), "https://localhost:8443/b");
        assert_eq!(target("//localhost:8443/b").unwrap(), "https://localhost:8443/b");
        assert_eq!(target("/a b").unwrap(), "https://i.pinimg.com/a%20b");
        assert_eq!(target("?x=ü").unwrap(), "https://i.pinimg.com/600x/a.jpg?x=%C3%BC");
        assert_eq!(target("../mühle.jpg#f").unwrap(), "https://i.pinimg.com/m%C3%BChle.jpg");
        assert_eq!(target("https://localhost:8443/mühle").unwrap(), "https://localhost:8443/m%C3%BChle");
        assert_eq!(target("a\\b.jpg").unwrap(), "https://i.pinimg.com/600x/a/b.jpg");
        assert_eq!(target("").unwrap(), "https://i.pinimg.com/600x/a.jpg");
        let latin_1 = admit_redirect(&from, b"/m\xfchle 1%.jpg", &allowed()).unwrap();
        assert_eq!(latin_1.as_str(), "https://i.pinimg.com/m%FChle%201%.jpg");
        for location in [
            "http://i.pinimg.com/a",
            "//evil.example/a",
            "https://evil.example/",
            "https:evil.example/",
            "file:///etc/passwd",
            "https://169.254.169.254/",
            "//user@i.pinimg.com/",
            "\\\\evil.example",
            "\\\\i.pinimg.com/a",
            "/\\i.pinimg.com/a",
            "\\/i.pinimg.com/a",
            "\t\\i.pinimg.com/a",
            "https://i.pinimg.com./a",
            "https://i.pinimg.cöm/a",
            "//i.pinimg.c\u{f6}m/a",
            "//I.pinimg.com\\@evil.example/a",
            "///evil.example/a",
            "javascript:alert(1)",
            "https:///evil.example/",
        ] {
            assert_eq!(target(location).unwrap_err().kind(), ErrorKind::Refused, "{location}");
        }
    }

    proptest! {
        #[test]
        fn admitted_urls_go_to_a_configured_host(text in "(https|http|HTTPS|file)?(://|:/|//|:)?[a-z0-9.@:/\\\\#?%\\[\\]-]{0,24}(i\\.pinimg\\.com|localhost:8443|127\\.0\\.0\\.1:9000)[a-z.@:/\\\\#?%]{0,12}") {
            if let Ok(url) = admit_url(&text, &allowed()) {
                let went = (url.host_str().unwrap().to_owned(), url.port_or_known_default().unwrap());
                prop_assert!(allowed().iter().any(|host| (host.name(), host.port()) == went), "{} -> {}", text, url);
                prop_assert_eq!(url.scheme(), "https");
                prop_assert!(url.username().is_empty() && url.password().is_none());
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}", location in "\\PC{0,80}") {
            let _ = admit_url(&text, &allowed());
            let from = Url::parse("https://i.pinimg.com/a").unwrap();
            if let Ok(url) = admit_redirect(&from, location.as_bytes(), &allowed()) {
                prop_assert!(allowed().iter().any(|host| Some(host.name().as_str()) == url.host_str()));
            }
        }

        #[test]
        fn a_location_of_any_bytes_leads_to_a_configured_host(location in proptest::collection::vec(any::<u8>(), 0..60)) {
            let from = Url::parse("https://i.pinimg.com/a").unwrap();
            if let Ok(url) = admit_redirect(&from, &location, &allowed()) {
                prop_assert!(allowed().iter().any(|host| Some(host.name().as_str()) == url.host_str()));
                prop_assert!(url.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
