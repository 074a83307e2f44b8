//! The gate every URL from a stranger's answer passes: parsed once, compared exactly, used as parsed.

use url::Url;

use super::host::Host;
use crate::error::{Error, ErrorKind};

/// Longest URL that is looked at; Pinterest's are below 200 bytes.
const MAX_URL: usize = 4096;

const SCHEME: &str = "https://";

/// The host and port of an absolute `https` URL, read as strictly as a download reads it.
///
/// # Errors
/// [`ErrorKind::Refused`], naming the rule broken and never the URL.
pub fn host_of_url(text: &str) -> Result<Host, Error> {
    if text.len() > MAX_URL {
        return refuse(format!("the URL has {} bytes, at most {MAX_URL} are read", text.len()));
    }
    // URL parsers turn backslashes into slashes, drop tabs and line breaks, and translate other alphabets: a URL that
    // needs any of this is written to be read in two ways.
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return refuse("the URL holds a space, a control character, a backslash or a character beyond ASCII");
    }
    // `get` and not slicing: the text is ASCII, but the border may still lie beyond its end.
    if !text.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME)) {
        return refuse("the URL does not start with https://");
    }
    let rest = &text[SCHEME.len()..];
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains('@') {
        return refuse("the URL names a user before its host");
    }
    // `Host` refuses dots at the end, numbers in other notations, empty ports and percent signs.
    match authority.parse::<Host>() {
        Ok(host) => Ok(host),
        Err(_) => refuse("the URL's host is not a host name with an optional port"),
    }
}

/// Admits an absolute `https` URL whose host and port are literally one of `allowed`.
///
/// # Errors
/// [`ErrorKind::Refused`], naming the rule broken and never the URL.
pub(crate) fn admit_url(text: &str, allowed: &[Host]) -> Result<Url, Error> {
    let host = host_of_url(text)?;
    if !allowed.contains(&host) {
        return refuse("the URL's host is not a configured image host");
    }
    let Ok(mut url) = Url::parse(text) else {
        return refuse("the URL cannot be parsed");
    };
    // Two readers must agree on where the request goes.
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

/// Admits the target of a redirect from `from`, absolute or relative, under the same rules.
pub(crate) fn admit_redirect(from: &Url, location: &str, allowed: &[Host]) -> Result<Url, Error> {
    if location.len() > MAX_URL || location.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return refuse("the redirect's target is too long or holds characters a URL does not");
    }
    match from.join(location) {
        // An absolute target is checked as it was written, not as the parser made it out.
        Ok(_) if has_scheme(location) => admit_url(location, allowed),
        Ok(target) => admit_url(target.as_str(), allowed),
        Err(_) => refuse("the redirect's target cannot be parsed"),
    }
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
            "https://i.pinimg.com/\nx",
            " https://i.pinimg.com/x",
            "https://i.pinimg.com/ä",
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
    fn redirects_pass_the_same_gate() {
        let from = admit_url("https://i.pinimg.com/600x/a.jpg", &allowed()).unwrap();
        let target = |location| admit_redirect(&from, location, &allowed()).map(|url| url.to_string());
        assert_eq!(target("/564x/a.jpg").unwrap(), "https://i.pinimg.com/564x/a.jpg");
        assert_eq!(target("b.jpg").unwrap(), "https://i.pinimg.com/600x/b.jpg");
        assert_eq!(target("https://localhost:8443/b").unwrap(), "https://localhost:8443/b");
        assert_eq!(target("//localhost:8443/b").unwrap(), "https://localhost:8443/b");
        for location in [
            "http://i.pinimg.com/a",
            "//evil.example/a",
            "https://evil.example/",
            "https:evil.example/",
            "file:///etc/passwd",
            "https://169.254.169.254/",
            "//user@i.pinimg.com/",
            "\\\\evil.example",
            "https://i.pinimg.com./a",
            "/a b",
            "javascript:alert(1)",
            "https:///evil.example/",
        ] {
            assert_eq!(target(location).unwrap_err().kind(), ErrorKind::Refused, "{location}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_goes_to_a_configured_host(text in "(https|http|HTTPS|file)?(://|:/|//|:)?[a-z0-9.@:/\\\\#?%\\[\\]-]{0,24}(i\\.pinimg\\.com|localhost:8443|127\\.0\\.0\\.1:9000)[a-z.@:/\\\\#?%]{0,12}") {
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
            if let Ok(url) = admit_redirect(&from, &location, &allowed()) {
                prop_assert!(allowed().iter().any(|host| Some(host.name().as_str()) == url.host_str()));
            }
        }
    }
}
