//! How people name a board: by its id, its title, or the address in their browser.

use std::convert::Infallible;
use std::str::FromStr;

use url::Url;

/// A board as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoardReference {
    /// Digits only, at least five of them: shorter ones are more likely a title, such as a year.
    Id(String),
    /// `https://www.pinterest.com/{username}/{slug}/`, on any of Pinterest's hosts.
    Address {
        /// Whose board.
        username: String,
        /// The title as it stands in addresses.
        slug: String,
    },
    /// Anything else is a title; upper and lower case are alike.
    Title(String),
}

impl FromStr for BoardReference {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let text = text.trim();
        if text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Id(text.to_owned()));
        }
        Ok(address(text).unwrap_or_else(|| Self::Title(text.to_owned())))
    }
}

fn address(text: &str) -> Option<BoardReference> {
    let url = if text.contains("://") {
        Url::parse(text).ok()?
    } else if text.to_ascii_lowercase().split('/').next()?.contains("pinterest.") {
        Url::parse(&format!("https://{text}")).ok()?
    } else {
        return None;
    };
    let mut parts = url.path_segments()?.filter(|part| !part.is_empty());
    let (username, slug) = (parts.next()?, parts.next()?);
    Some(BoardReference::Address { username: decode(username).to_lowercase(), slug: slug_of(&decode(slug)) })
}

fn decode(part: &str) -> String {
    // The one decoder at hand that keeps invalid UTF-8 from becoming an error: the form decoder, with `+` kept as it is.
    let pair = part.replace('+', "%2B");
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// A title as it stands in addresses: lower case, every run of other characters than letters and digits one hyphen.
fn slug_of(title: &str) -> String {
    let mut slug = String::with_capacity(title.len());
    for character in title.chars().flat_map(char::to_lowercase) {
        if character.is_alphanumeric() {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

impl BoardReference {
    /// Does this name the board with this id, title and owner? An owner who is not known does not speak against it.
    pub fn matches(&self, id: &str, title: &str, owner: Option<&str>) -> bool {
        match self {
            Self::Id(wanted) => wanted == id,
            Self::Address { username, slug } => {
                *slug == slug_of(title) && owner.is_none_or(|owner| owner.to_lowercase() == *username)
            }
            Self::Title(wanted) => wanted.to_lowercase() == title.trim().to_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> BoardReference {
        let Ok(reference) = text.parse();
        reference
    }

    #[test]
    fn tells_the_three_ways_apart() {
        assert_eq!(parsed(" 549755885175 "), BoardReference::Id("549755885175".into()));
        assert_eq!(parsed("2026"), BoardReference::Title("2026".into()));
        assert_eq!(parsed("Barn wedding"), BoardReference::Title("Barn wedding".into()));
        let address = BoardReference::Address { username: "example_user".into(), slug: "barn-wedding".into() };
        for text in [
            "https://www.pinterest.com/example_user/barn-wedding/",
            "https://pinterest.de/Example_User/barn-wedding?invite=1#top",
            "www.pinterest.co.uk/example_user/barn-wedding/some-section/",
        ] {
            assert_eq!(parsed(text), address, "{text}");
        }
        assert_eq!(
            parsed("https://www.pinterest.com/example_user/"),
            parsed("https://www.pinterest.com/example_user/")
        );
        assert!(matches!(parsed("https://www.pinterest.com/only/"), BoardReference::Title(_)));
    }

    #[test]
    fn matches_by_slug_and_owner() {
        let reference = parsed("https://www.pinterest.com/anna/caf%C3%A9-br%C3%BBl%C3%A9e-%26-more/");
        assert!(reference.matches("1", "Café Brûlée & More!", Some("Anna")));
        assert!(reference.matches("1", "café brûlée -- more", None));
        assert!(!reference.matches("1", "Café Brûlée & More", Some("berta")));
        assert!(!reference.matches("1", "Café", Some("anna")));
        assert!(parsed("barn WEDDING").matches("1", " Barn wedding ", None));
        assert!(!parsed("12345").matches("123456", "12345", None));
    }
}
