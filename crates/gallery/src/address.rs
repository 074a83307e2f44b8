//! Addresses of links and pictures.

use maud::Render;
use url::Url;

/// Longer addresses are mistakes, or attacks on their reader.
const LONGEST: usize = 4096;

/// An https address without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Reads an absolute https address; `None` for anything else, and for an address with a user name or password, because
    /// `https://example.com@elsewhere/` misleads its reader.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
        // Escapes have made it longer.
        (plain && url.as_str().len() <= LONGEST).then(|| Address(url.into()))
    }

    /// The page of a pin, to which its picture must link by Pinterest's guidelines.
    pub fn of_pin(pin_id: &str) -> Option<Self> {
        let mut url = Url::parse("https://www.pinterest.com/pin/").ok()?;
        url.path_segments_mut().ok()?.pop_if_empty().push(pin_id).push("");
        Address::parse(url.as_str())
    }

    /// The address, not escaped for an attribute.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl Render for Address {
    fn render_to(&self, buffer: &mut String) {
        self.0.as_str().render_to(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_addresses_are_read() {
        assert_eq!(Address::parse("https://i.pinimg.com/a/b.jpg").unwrap().as_str(), "https://i.pinimg.com/a/b.jpg");
        assert_eq!(Address::parse(" HTTPS://Example.com/ü").unwrap().as_str(), "https://example.com/%C3%BC");
        for refused in [
            "",
            "/pin/1",
            "//example.com/x",
            "http://example.com/x.jpg",
            "javascript:alert(1)",
            "java\nscript:alert(1)",
            "\u{1}javascript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "file:///etc/passwd",
            "https://",
            "https://www.pinterest.com@example.com/",
            "https://name:password@example.com/",
        ] {
            assert_eq!(Address::parse(refused), None, "{refused:?}");
        }
        assert_eq!(Address::parse(&format!("https://example.com/{}", "a".repeat(LONGEST))), None);
    }

    #[test]
    fn quotes_cannot_end_an_attribute() {
        let address = Address::parse("https://example.com/\"onerror=alert(1)?q=\"<b>&'#\"<").unwrap();
        assert!(!address.as_str().contains(['"', '<', '>']), "{address:?}");
        assert!(!address.render().into_string().contains("&'"), "ampersands are escaped");
    }

    #[test]
    fn a_pin_has_a_page() {
        assert_eq!(
            Address::of_pin("813744226420795884").unwrap().as_str(),
            "https://www.pinterest.com/pin/813744226420795884/"
        );
        assert_eq!(
            Address::of_pin("../oauth?x=\"").unwrap().as_str(),
            "https://www.pinterest.com/pin/..%2Foauth%3Fx=%22/"
        );
    }
}
