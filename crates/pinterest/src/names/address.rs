//! Addresses of boards, as shown by browsers and shared by apps.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

use super::slug::Slug;

/// The address of a board or of one of its sections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardAddress {
    /// The owner, in lower case.
    pub username: String,
    /// The board's title in the address.
    pub slug: Slug,
    /// The section's title in the address, decoded.
    pub section: Option<String>,
}

/// An address that is not a board's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotABoard {
    leads_to: LeadsTo,
    shown: String,
}

/// The target of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeadsTo {
    /// `https://pin.it/…`: only Pinterest can resolve it.
    ShortLink,
    /// One pin.
    Pin,
    /// An image on the CDN.
    Picture,
    /// A profile.
    Profile,
    /// A profile's pins across boards: `_saved`, `_created`, `_pins`.
    ProfileTab,
    /// Search results.
    Search,
    /// Pins chosen by Pinterest: `/ideas/…`, `/today/`.
    Ideas,
    /// Pinterest's start page.
    Start,
    /// Settings, help, business and the like.
    OfPinterest,
    /// More parts than user, board and section.
    TooManyParts,
    /// A host that does not belong to Pinterest, even if it resembles one that does.
    OtherSite,
    /// The address contains a user name or password. The message does not repeat it.
    UserInfo,
    /// A port.
    Port,
    /// A scheme other than http and https.
    OtherScheme,
    /// An address with other text.
    WithText,
    /// An address that cannot be parsed.
    Unreadable,
}

impl NotABoard {
    /// The target of the address.
    pub fn leads_to(&self) -> LeadsTo {
        self.leads_to
    }
}

/// Characters of an address in a message.
const LONGEST_SHOWN: usize = 200;

impl fmt::Display for NotABoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.shown;
        let what = match self.leads_to {
            LeadsTo::UserInfo => return f.write_str("a board's address must not contain a user name or password"),
            LeadsTo::Port => return write!(f, "\"{shown}\" has a port, but a board's address has none"),
            LeadsTo::OtherScheme => return write!(f, "\"{shown}\" is not an http or https address"),
            LeadsTo::OtherSite => return write!(f, "\"{shown}\" is not an address of Pinterest"),
            LeadsTo::WithText => return f.write_str("board contains an address and other text"),
            LeadsTo::Unreadable => return write!(f, "\"{shown}\" is not a valid address"),
            LeadsTo::ShortLink => return write!(f, "\"{shown}\" is a short link, which does not contain its target"),
            LeadsTo::TooManyParts => {
                return write!(f, "\"{shown}\" has more parts than a user, a board and a section");
            }
            LeadsTo::Pin => "a pin",
            LeadsTo::Picture => "an image",
            LeadsTo::Profile => "a profile",
            LeadsTo::ProfileTab => "a profile's pins",
            LeadsTo::Search => "a search",
            LeadsTo::Ideas => "a page of ideas",
            LeadsTo::Start => "Pinterest's start page",
            LeadsTo::OfPinterest => "one of Pinterest's own pages",
        };
        write!(f, "\"{shown}\" is the address of {what}, not of a board")
    }
}

impl std::error::Error for NotABoard {}

/// Reads an address; `None` for a text that is not an address, and so may be a title.
pub(super) fn read(text: &str) -> Option<Result<BoardAddress, NotABoard>> {
    let text = text.trim_matches(around);
    // Tabs and line breaks are removed, as in address bars.
    let joined: String = text.chars().filter(|character| !matches!(character, '\t' | '\r' | '\n')).collect();
    let url = match written(&joined) {
        _ if text.split_whitespace().skip(1).any(is_address) => return Some(Err(refuse(LeadsTo::WithText, ""))),
        Written::Title => return None,
        Written::Whole => joined,
        Written::WithoutScheme => format!("https://{}", joined.trim_start_matches('/')),
    };
    Some(judge(&url).map_err(|leads_to| refuse(leads_to, &url)))
}

/// Characters that may surround a copied address.
fn around(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '<' | '>' | '"' | '\'' | '\u{200B}'..='\u{200F}' | '\u{FEFF}' | '\u{201C}'..='\u{201E}')
}

fn refuse(leads_to: LeadsTo, url: &str) -> NotABoard {
    // The query may contain an invitation or a code.
    let public = url.split(['?', '#']).next().unwrap_or_default();
    let mut shown: String = public.chars().take(LONGEST_SHOWN).collect();
    if shown.len() < public.len() {
        shown.push('\u{2026}');
    }
    NotABoard { leads_to, shown }
}

/// Whether a text is an address.
enum Written {
    Whole,
    WithoutScheme,
    Title,
}

/// Distinguishes addresses from titles, which may contain dots and slashes too.
fn written(text: &str) -> Written {
    let lower = text.to_ascii_lowercase();
    let web = lower.strip_prefix("https:").or_else(|| lower.strip_prefix("http:"));
    let is_web = web.is_some_and(|rest| is_prefix("", rest.trim_start_matches('/')));
    if is_web || scheme(&lower).is_some() {
        return Written::Whole;
    }
    if is_prefix("//", &lower) {
        return Written::WithoutScheme;
    }
    let end = lower.find(['/', '?', '#', '\\']);
    let head = &lower[..end.unwrap_or(lower.len())];
    if head.contains(char::is_whitespace) {
        return Written::Title;
    }
    let (host, _) = host_of(head);
    let known = Site::of(host) != Site::Other || head.contains("pinterest.com") || head.contains(".pinterest.");
    let plain = end.is_some()
        && host.contains('.')
        && (host.contains("pinterest")
            || host.starts_with("www.")
            || [".com", ".net", ".org"].iter().any(|ending| host.ends_with(ending)));
    if known || plain { Written::WithoutScheme } else { Written::Title }
}

/// Whether `text` starts with `prefix`, followed by a character that is not a blank.
fn is_prefix(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|character: char| !character.is_whitespace()))
}

/// The scheme of `scheme://…` (RFC 3986, section 3.1).
fn scheme(lower: &str) -> Option<&str> {
    let (scheme, rest) = lower.split_once("://")?;
    if rest.starts_with(char::is_whitespace) {
        return None;
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_one = scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(allowed);
    is_one.then_some(scheme)
}

/// Whether a word in a text is an address.
fn is_address(word: &str) -> bool {
    let lower = word.trim_matches(around).to_ascii_lowercase();
    ["http://", "https://"].iter().any(|scheme| is_prefix(scheme, &lower))
}

/// The host of `[userinfo@]host[:port]`, and whether it has a user or a port.
fn host_of(authority: &str) -> (&str, Option<LeadsTo>) {
    if let Some((_, host)) = authority.rsplit_once('@') {
        return (host, Some(LeadsTo::UserInfo));
    }
    match authority.split_once(':') {
        Some((host, _)) => (host, Some(LeadsTo::Port)),
        None => (authority, None),
    }
}

/// The kind of host. Nothing is sent to it: this only classifies addresses, and accepts country domains that Pinterest does
/// not use yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Site {
    /// A host with boards: `pinterest.com`, `pinterest.at`, `pinterest.co.uk`, with `www`, `m` or a country before it.
    Boards,
    /// `help.pinterest.com` and the like.
    OtherPages,
    ShortLinks,
    Pictures,
    Other,
}

impl Site {
    fn of(host: &str) -> Self {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let labels: Vec<&str> = host.split('.').collect();
        let is_country = |label: &str| label.len() == 2 && label.bytes().all(|byte| byte.is_ascii_lowercase());
        let subdomain = match labels.as_slice() {
            [subdomain @ .., "pinterest", "com" | "info"] => subdomain,
            [subdomain @ .., "pinterest", "com" | "co", country] if is_country(country) => subdomain,
            [subdomain @ .., "pinterest", country] if is_country(country) => subdomain,
            ["pin", "it"] | ["www", "pin", "it"] => return Site::ShortLinks,
            [.., "pinimg", "com"] => return Site::Pictures,
            _ => return Site::Other,
        };
        match subdomain {
            [] | ["www" | "m"] => Site::Boards,
            [country] if is_country(country) => Site::Boards,
            _ if subdomain.iter().any(|label| label.is_empty()) => Site::Other,
            _ => Site::OtherPages,
        }
    }
}

fn judge(url: &str) -> Result<BoardAddress, LeadsTo> {
    // `Url` reads backslashes as slashes, and accepts any number of them.
    let behind = url.split_once(':').map_or(url, |(_, behind)| behind).trim_start_matches(['/', '\\']);
    let authority = behind.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let (_, beside) = host_of(authority);
    if beside == Some(LeadsTo::UserInfo) {
        return Err(LeadsTo::UserInfo);
    }
    if scheme(&url.to_ascii_lowercase()).is_some_and(|scheme| scheme != "http" && scheme != "https") {
        return Err(LeadsTo::OtherScheme);
    }
    let parsed = Url::parse(url).map_err(|_| LeadsTo::Unreadable)?;
    let parts: Vec<String> = parsed
        .path_segments()
        .ok_or(LeadsTo::Unreadable)?
        .filter(|part| !part.is_empty())
        .map(|part| percent_decode_str(part).decode_utf8_lossy().trim().to_owned())
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match Site::of(parsed.host_str().ok_or(LeadsTo::Unreadable)?) {
        Site::Other => Err(LeadsTo::OtherSite),
        Site::ShortLinks => Err(LeadsTo::ShortLink),
        Site::Pictures => Err(LeadsTo::Picture),
        Site::OtherPages if parts.first() == Some(&"url_shortener") => Err(LeadsTo::ShortLink),
        Site::OtherPages => Err(LeadsTo::OfPinterest),
        Site::Boards if beside.is_some() => Err(LeadsTo::Port),
        Site::Boards => of_parts(&parts),
    }
}

/// The target of an address on Pinterest's own hosts, by the parts of its path.
fn of_parts(parts: &[&str]) -> Result<BoardAddress, LeadsTo> {
    // A tab of a board or section without their pins stands for the board or section.
    let end = parts.iter().position(|part| *part == "_tools").filter(|place| *place >= 2).unwrap_or(parts.len());
    let first = parts.first().map(|part| part.to_lowercase());
    match (first.as_deref(), &parts[..end]) {
        (None, _) => Err(LeadsTo::Start),
        (Some("pin"), _) => Err(LeadsTo::Pin),
        (Some("search"), _) => Err(LeadsTo::Search),
        (Some("ideas" | "explore" | "today" | "topics" | "categories" | "discover"), _) => Err(LeadsTo::Ideas),
        (Some(name), _) if name.starts_with('_') || OWN_PAGES.contains(&name) => Err(LeadsTo::OfPinterest),
        (_, [_]) => Err(LeadsTo::Profile),
        (_, [_, tab, ..]) if tab.starts_with('_') || *tab == "feed.rss" => Err(LeadsTo::ProfileTab),
        (Some(username), [_, board, section @ ..]) => {
            let section = match section {
                [] => None,
                [section] if !section.starts_with('_') => Some((*section).to_owned()),
                _ => return Err(LeadsTo::TooManyParts),
            };
            let slug = Slug::of(board.strip_suffix(".rss").unwrap_or(board));
            Ok(BoardAddress { username: username.to_owned(), slug, section })
        }
        _ => Err(LeadsTo::Profile),
    }
}

/// First parts that are not user names.
const OWN_PAGES: [&str; 25] = [
    "about",
    "ads",
    "amp",
    "analytics",
    "business",
    "business-hub",
    "convert-business",
    "convert-to-business",
    "homefeed",
    "login",
    "logout",
    "news_hub",
    "notifications",
    "oauth",
    "offsite",
    "password",
    "pin-builder",
    "pin-creation-tool",
    "pin_builder",
    "reporting",
    "resource",
    "settings",
    "signup",
    "source",
    "terms",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> BoardAddress {
        read(text).unwrap_or_else(|| panic!("{text} was read as a title")).unwrap_or_else(|no| panic!("{text}: {no}"))
    }

    fn leads_to(text: &str) -> LeadsTo {
        let no = read(text).unwrap_or_else(|| panic!("{text} was read as a title")).expect_err(text);
        assert!(!no.to_string().is_empty());
        no.leads_to()
    }

    #[test]
    fn boards_and_sections() {
        let board = BoardAddress { username: "example_user".into(), slug: Slug::of("barn-wedding"), section: None };
        for text in [
            "https://www.pinterest.com/example_user/barn-wedding/",
            "https://www.pinterest.com/example_user/barn-wedding",
            "http://pinterest.com/example_user/barn-wedding/",
            "https://pinterest.de/Example_User/barn-wedding?invite_code=1&sender=2#top",
            "HTTPS://WWW.PINTEREST.CO.UK/EXAMPLE_USER/BARN-WEDDING/",
            "www.pinterest.com.au/example_user/barn-wedding/?utm_source=31&utm_medium=2",
            "de.pinterest.com/example_user/barn-wedding/",
            "m.pinterest.com/example_user/barn-wedding/",
            "pinterest.at/example_user//barn-wedding//",
            "//www.pinterest.fr/example_user/barn-wedding/",
            "https:////www.pinterest.com//example_user/./barn-wedding/",
            "https:www.pinterest.com/example_user/barn-wedding/",
            "https://www.pinterest.com./example_user/barn-wedding/",
            "<https://www.pinterest.com/example_user/barn-wedding/>",
            "\"https://www.pinterest.com/example_user/barn-wedding/\"",
            " \u{FEFF}https://www.pinterest.com/example_user/\r\nbarn-wedding/\n",
            "https://www.pinterest.com/example_user/barn%2Dwedding/",
            "https://www.pinterest.com/example_user/barn wedding/",
            "https://www.pinterest.com/example_user/barn-wedding.rss",
            "https://www.pinterest.com/example_user/barn-wedding/_tools/more-ideas/?ideas_referrer=2",
        ] {
            assert_eq!(address(text), board, "{text}");
        }
        for (text, section) in [
            ("https://www.pinterest.com/example_user/barn-wedding/grand-hall/", "grand-hall"),
            ("pinterest.es/example_user/barn-wedding/grand-hall?x=1", "grand-hall"),
            ("https://br.pinterest.com/example_user/barn-wedding//grand-hall//#x", "grand-hall"),
            ("https://www.pinterest.com/example_user/barn-wedding/caf%C3%A9-%26-more/", "caf\u{E9}-&-more"),
            ("https://www.pinterest.com/example_user/barn-wedding/caf\u{E9}/", "caf\u{E9}"),
            ("https://www.pinterest.com/example_user/barn-wedding/%E7%B5%90%E5%A9%9A/", "\u{7D50}\u{5A5A}"),
            ("https://www.pinterest.com/example_user/barn-wedding/100%/", "100%"),
            ("https://www.pinterest.com/example_user/barn-wedding/12345/", "12345"),
            ("https://www.pinterest.com/example_user/barn-wedding/hall/_tools/organize/", "hall"),
        ] {
            assert_eq!(address(text), BoardAddress { section: Some(section.into()), ..board.clone() }, "{text}");
        }
    }

    #[test]
    fn other_addresses_are_classified() {
        for (text, expected) in [
            ("https://pin.it/1aB2cD3", LeadsTo::ShortLink),
            ("pin.it/1aB2cD3", LeadsTo::ShortLink),
            ("http://www.pin.it/x", LeadsTo::ShortLink),
            ("https://api.pinterest.com/url_shortener/1aB2cD3/redirect/", LeadsTo::ShortLink),
            ("https://www.pinterest.com/pin/123/", LeadsTo::Pin),
            ("https://de.pinterest.com/PIN/123/", LeadsTo::Pin),
            ("www.pinterest.com/pin/123/sent/?invite_code=x", LeadsTo::Pin),
            ("https://www.pinterest.com/pin/barn-wedding--123/", LeadsTo::Pin),
            ("https://i.pinimg.com/600x/0d/f6/f1/0df6f1f0bfe7aaca849c1bbc3607a34b.jpg", LeadsTo::Picture),
            ("https://www.pinterest.com/example_user/", LeadsTo::Profile),
            ("pinterest.com/example_user?x", LeadsTo::Profile),
            ("https://www.pinterest.com/example_user/_saved/", LeadsTo::ProfileTab),
            ("https://www.pinterest.com/example_user/_created", LeadsTo::ProfileTab),
            ("https://www.pinterest.com/example_user/_pins/", LeadsTo::ProfileTab),
            ("https://www.pinterest.com/example_user/_profile/x/", LeadsTo::ProfileTab),
            ("https://www.pinterest.com/example_user/%5Fsaved/", LeadsTo::ProfileTab),
            ("https://www.pinterest.com/example_user/_tools/x", LeadsTo::ProfileTab),
            ("https://www.pinterest.com/example_user/feed.rss", LeadsTo::ProfileTab),
            ("https://www.pinterest.com/search/pins/?q=barn", LeadsTo::Search),
            ("https://www.pinterest.com/ideas/barn-wedding/912/", LeadsTo::Ideas),
            ("https://www.pinterest.com/today/", LeadsTo::Ideas),
            ("https://www.pinterest.com/business/hub/", LeadsTo::OfPinterest),
            ("https://www.pinterest.com/settings", LeadsTo::OfPinterest),
            ("https://www.pinterest.com/oauth/?client_id=1", LeadsTo::OfPinterest),
            ("https://help.pinterest.com/en/article/boards", LeadsTo::OfPinterest),
            ("https://api.pinterest.com/v5/boards/1", LeadsTo::OfPinterest),
            ("https://pinterest.com/", LeadsTo::Start),
            ("pinterest.com", LeadsTo::Start),
            ("https://www.pinterest.co.uk?x=/a/b", LeadsTo::Start),
            ("https://www.pinterest.com/../", LeadsTo::Start),
            ("https://www.pinterest.com/a/b/c/d/", LeadsTo::TooManyParts),
            ("https://www.pinterest.com/a/b/_edit/", LeadsTo::TooManyParts),
            ("https://pinterest.com.evil.example/a/b/", LeadsTo::OtherSite),
            ("pinterest.com.evil.example/a/b", LeadsTo::OtherSite),
            ("https://evilpinterest.com/a/b/", LeadsTo::OtherSite),
            ("evilpinterest.com/a/b/", LeadsTo::OtherSite),
            ("https://pinterest.evil/a/b/", LeadsTo::OtherSite),
            ("https://pinterest.zip/a/b/", LeadsTo::OtherSite),
            ("https://p\u{456}nterest.com/a/b/", LeadsTo::OtherSite),
            ("https://.pinterest.com/a/b/", LeadsTo::OtherSite),
            ("https://www.instagram.com/anna/barn/", LeadsTo::OtherSite),
            ("www.example.de/anna/barn", LeadsTo::OtherSite),
            ("etsy.com/shop/barn", LeadsTo::OtherSite),
            ("https://192.0.2.1/a/b", LeadsTo::OtherSite),
            ("https://www.pinterest.com@evil.example/a/b/", LeadsTo::UserInfo),
            ("https://anna:secret@www.pinterest.com/a/b/", LeadsTo::UserInfo),
            ("www.pinterest.com@evil/a/b", LeadsTo::UserInfo),
            ("https://www.pinterest.com:8443/a/b/", LeadsTo::Port),
            ("https://www.pinterest.com:443/a/b/", LeadsTo::Port),
            ("pinterest.com:80/a/b", LeadsTo::Port),
            ("pinterest://board/123", LeadsTo::OtherScheme),
            ("ftp://www.pinterest.com/a/b/", LeadsTo::OtherScheme),
            ("file:///etc/passwd", LeadsTo::OtherScheme),
            ("postgresql://app:secret@db/prod", LeadsTo::UserInfo),
            ("s3://key:secret@bucket/picture", LeadsTo::UserInfo),
            ("Look at this: https://www.pinterest.com/a/b/", LeadsTo::WithText),
            ("Look\nhttps://www.pinterest.com/a/b/", LeadsTo::WithText),
            ("https://www.pinterest.com/a/b/ https://www.pinterest.com/a/c/", LeadsTo::WithText),
            ("Have a look at my board!\nhttps://pin.it/1aB2cD3", LeadsTo::WithText),
            ("https://", LeadsTo::Unreadable),
            ("https://[::1/a/b", LeadsTo::Unreadable),
        ] {
            assert_eq!(leads_to(text), expected, "{text}");
        }
    }

    #[test]
    fn titles_are_not_addresses() {
        for text in [
            "Barn wedding",
            "and/or",
            "Mr./Mrs.",
            "anna/barn",
            "Dr.Who/Sherlock",
            "10.5/10",
            "Food: pasta/pizza",
            "DIY // home",
            "www",
            "Pinterest",
            "Best of Pinterest.com / 2026",
            "http: the album",
            "https:// for beginners",
            "a@b",
            "?",
            "",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn messages_contain_no_secret_and_are_short() {
        let shown = |text: &str| read(text).expect("an address").expect_err(text).to_string();
        for text in [
            "https://anna:s3cret@www.pinterest.com/a/b/",
            "https://example.com/callback?code=s3cret",
            "https://www.pinterest.com/oauth/?state=s3cret#s3cret",
            "see https://example.com/?code=s3cret now",
        ] {
            assert!(!shown(text).contains("s3cret"), "{text}");
        }
        assert!(shown(&format!("https://example.com/{}", "x".repeat(5000))).len() < 300);
        assert_eq!(shown("pin.it/x"), "\"https://pin.it/x\" is a short link, which does not contain its target");
    }
}
