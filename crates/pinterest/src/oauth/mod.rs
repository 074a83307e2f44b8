//! The OAuth 2.0 authorization code grant as Pinterest speaks it.

mod grant;

use url::Url;

pub(crate) use grant::TokenAnswer;
pub use grant::TokenGrant;

use crate::{Endpoints, Secret};

/// An app registered with Pinterest.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// The app's id, digits.
    pub client_id: String,
    /// The app's secret; sent to the token endpoint only, by HTTP Basic.
    pub client_secret: Secret,
    /// Literally the redirect URI registered for the app, trailing slash included.
    pub redirect_uri: String,
}

/// The page a person opens to let the app read their boards.
///
/// `state` comes back unchanged in the redirect: single use, short-lived, see [`crate::oauth_state`]. Pinterest takes
/// exactly these five parameters, the scopes separated by commas.
pub fn authorize_url(
    endpoints: &Endpoints,
    client_id: &str,
    redirect_uri: &str,
    scopes: &[&str],
    state: &Secret,
) -> String {
    let mut url = Url::parse("https://localhost/oauth/").expect("this is a bug: a constant URL is valid");
    url.query_pairs_mut()
        .append_pair("client_id", client_id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("scope", &scopes.join(","))
        .append_pair("state", state.expose());
    // `Host` is stricter than a URL's host, so it is written as it is; setting it could fail only for punycode.
    format!("https://{}{}?{}", endpoints.authorize, url.path(), url.query().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorize_page_gets_exactly_five_parameters() {
        let endpoints = Endpoints { authorize: "localhost:8443".parse().unwrap(), ..Endpoints::default() };
        let redirect = "http://localhost:8085/?a=b&c";
        let text = authorize_url(&endpoints, "123", redirect, &["boards:read", "pins:read"], &Secret::new("s-_&t"));
        let url = Url::parse(&text).unwrap();
        assert_eq!((url.host_str(), url.port(), url.path()), (Some("localhost"), Some(8443), "/oauth/"));
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let expected = [
            ("client_id", "123"),
            ("redirect_uri", redirect),
            ("response_type", "code"),
            ("scope", "boards:read,pins:read"),
            ("state", "s-_&t"),
        ];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn pinterests_own_page_has_no_port() {
        let text = authorize_url(&Endpoints::default(), "1", "https://a/", &[], &Secret::new("s"));
        assert!(text.starts_with("https://www.pinterest.com/oauth/?client_id=1&"), "{text}");
    }
}
