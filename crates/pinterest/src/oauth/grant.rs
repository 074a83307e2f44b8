//! Tokens that were granted, and the token endpoint's answer.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::bounds::within;
use crate::lenient::lenient;
use crate::{Error, ErrorKind, Secret};

/// Tokens granted by a code exchange or a refresh.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenGrant {
    /// For the API calls.
    pub access_token: Secret,
    /// The access token's lifetime, from now.
    pub expires_in: Duration,
    /// For the next refresh. `None`: the refresh token that is stored stays valid, with its expiry.
    pub refresh_token: Option<Secret>,
    /// The refresh token's lifetime, from now, if the answer has one.
    pub refresh_token_expires_in: Option<Duration>,
    /// The scopes that the person has approved now or earlier; test for a superset, never for equality. Empty if the
    /// answer names none.
    pub scopes: Vec<String>,
}

impl TokenGrant {
    /// A grant that was not received by this crate. Lifetimes are in seconds; blanks or commas separate the scopes.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`] if a lifetime is not from 1 second to 400 days.
    pub fn from_parts(
        access_token: Secret,
        expires_in: i64,
        refresh_token: Option<Secret>,
        refresh_token_expires_in: Option<i64>,
        scopes: &str,
    ) -> Result<Self, Error> {
        let checked = |name: &str, seconds: i64| {
            let days = LONGEST_LIFETIME.as_secs() / 86_400;
            let rule = || format!("{name} must be from 1 second to {days} days, not {seconds} seconds");
            lifetime(seconds).ok_or_else(|| Error::new(ErrorKind::BadRequest, rule()))
        };
        let refresh_token_expires_in =
            refresh_token_expires_in.map(|seconds| checked("refresh_token_expires_in", seconds)).transpose()?;
        Ok(Self {
            access_token,
            expires_in: checked("expires_in", expires_in)?,
            refresh_token,
            refresh_token_expires_in,
            scopes: all_scopes_in(scopes)?,
        })
    }
}

/// No lifetime is longer: the longest that Pinterest ever granted was 365 days.
const LONGEST_LIFETIME: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// The lifetime that Pinterest documents for an access token; it holds if the answer has none, or an impossible one.
const DOCUMENTED_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The members of the answer, for error messages: the server may have invented any other name in a path.
const MEMBERS: [&str; 6] =
    ["access_token", "token_type", "expires_in", "refresh_token", "refresh_token_expires_in", "scope"];

/// The answer as it is sent.
#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    #[serde(deserialize_with = "secret")]
    access_token: Secret,
    /// Absent or of another type: bearer, the only type that is described.
    #[serde(default, deserialize_with = "lenient")]
    token_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    expires_in: Option<i64>,
    #[serde(default, deserialize_with = "secret_or_none")]
    refresh_token: Option<Secret>,
    #[serde(default, deserialize_with = "lenient")]
    refresh_token_expires_in: Option<i64>,
    #[serde(default, deserialize_with = "scopes")]
    scope: Vec<String>,
}

/// Names of scopes in one text or in a list of texts. A value of another type must not cost the tokens: it has none.
fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    let texts = match serde_json::from_str::<String>(raw) {
        Ok(text) => vec![text],
        Err(_) => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
            elements.iter().filter_map(|element| serde_json::from_str(element.get()).ok()).collect()
        }
    };
    Ok(texts.iter().flat_map(|text| scopes_in(text)).collect())
}

/// The scopes in an answer, separated by blanks or commas. Words that cannot be a scope are left out.
fn scopes_in(text: &str) -> impl Iterator<Item = String> {
    words(text).filter(|word| is_scope(word)).map(str::to_owned)
}

/// The scopes in a caller's text. A word that cannot be a scope is an error.
fn all_scopes_in(text: &str) -> Result<Vec<String>, Error> {
    let invalid = |word| Error::new(ErrorKind::BadRequest, format!("invalid scope: {word}"));
    words(text).map(|word| is_scope(word).then(|| word.to_owned()).ok_or_else(|| invalid(word))).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',']).filter(|word| !word.is_empty())
}

/// RFC 6749, section 3.3.
fn is_scope(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

/// Zeroed even if a later member makes the answer unreadable.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// A value of another type becomes a text that is not a token.
fn secret_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    let text = |raw| serde_json::from_str(raw).unwrap_or_else(|_| " ".to_owned());
    Ok((raw != "null").then(|| Secret::new(text(raw))))
}

impl TokenAnswer {
    /// Reads the body of a success. Bytes after the JSON object are ignored: refusing them would lose the tokens.
    ///
    /// An invalid refresh token counts as none after a refresh: the account keeps the one that it has, and refusing the
    /// answer would lose the access token. If `first`, the tokens are those of a new consent, and would replace valid
    /// ones by none: then the answer is refused.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] with the name of the wrong member, never with its value.
    pub(crate) fn read(body: &[u8], first: bool) -> Result<TokenGrant, Error> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let answer: Self =
            serde_path_to_error::deserialize(&mut json).map_err(|error| Self::unreadable(&error.path().to_string()))?;
        answer.into_grant(first)
    }

    /// Checks the answer and moves the tokens out of it without copying them.
    fn into_grant(self, first: bool) -> Result<TokenGrant, Error> {
        if self
            .token_type
            .is_some_and(|token_type| !token_type.is_empty() && !token_type.eq_ignore_ascii_case("bearer"))
        {
            return Err(invalid("token_type is not bearer"));
        }
        let is_token = |token: &Secret| !token.is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic());
        let access_token = self.access_token;
        if !is_token(&access_token) {
            return Err(invalid("access_token is empty or contains characters that no token has"));
        }
        let refresh_token = match self.refresh_token.filter(|token| !token.is_empty()) {
            Some(token) if !is_token(&token) && first => return Err(invalid("refresh_token is not a token")),
            token => token.filter(is_token),
        };
        Ok(TokenGrant {
            // The tokens are valid whatever their stated lifetime: losing them over a number would lose the account.
            expires_in: self.expires_in.and_then(lifetime).unwrap_or(DOCUMENTED_LIFETIME),
            refresh_token_expires_in: self.refresh_token_expires_in.and_then(lifetime),
            access_token,
            refresh_token,
            scopes: self.scope,
        })
    }

    /// The error for an unreadable answer. Takes only the path in the document: the parser's own message may quote a
    /// value.
    fn unreadable(path: &str) -> Error {
        match MEMBERS.iter().find(|member| **member == path) {
            Some(member) => invalid(&format!("{member} is missing or of the wrong type")),
            None => invalid("it is not the JSON object of a token grant"),
        }
    }
}

/// A lifetime in seconds, if it is possible.
fn lifetime(seconds: i64) -> Option<Duration> {
    let lifetime = Duration::from_secs(u64::try_from(seconds).ok()?);
    within(lifetime, &(Duration::from_secs(1)..=LONGEST_LIFETIME))
}

/// The server answered 200, so it has probably issued tokens that are lost now.
fn invalid(rule: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("invalid token answer: {rule}")).outcome_unknown()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(json: &str) -> Result<TokenGrant, Error> {
        TokenAnswer::read(json.as_bytes(), false)
    }

    #[test]
    fn a_full_answer() {
        let grant = grant(
            r#"{"access_token": "pina_A", "token_type": "Bearer", "expires_in": 2592000, "refresh_token": "pinr.R",
                "refresh_token_expires_in": 5184000, "refresh_token_expires_at": 1800000000, "scope": "boards:read,pins:read user_accounts:read",
                "response_type": "authorization_code", "new": {"x": [1]}}"#,
        )
        .unwrap();
        assert_eq!(grant.access_token.expose(), "pina_A");
        assert_eq!(grant.refresh_token.unwrap().expose(), "pinr.R");
        assert_eq!(grant.expires_in, Duration::from_secs(2_592_000));
        assert_eq!(grant.refresh_token_expires_in, Some(Duration::from_secs(5_184_000)));
        assert_eq!(grant.scopes, ["boards:read", "pins:read", "user_accounts:read"]);
    }

    #[test]
    fn the_shortest_answer() {
        for json in [
            r#"{"access_token": "a", "expires_in": 1}"#,
            r#"{"access_token": "a", "expires_in": 1, "refresh_token": null, "refresh_token_expires_in": null, "scope": null}"#,
            r#"{"access_token": "a", "expires_in": 1, "refresh_token": ""}"#,
            r#"{"access_token": "a", "expires_in": 1} <!-- cached -->"#,
        ] {
            let grant = grant(json).unwrap();
            assert!(
                grant.refresh_token.is_none() && grant.refresh_token_expires_in.is_none() && grant.scopes.is_empty()
            );
        }
    }

    #[test]
    fn words_that_cannot_be_a_scope_are_left_out() {
        let json = r#"{"access_token": "a", "expires_in": 60, "scope": "pins:read,\u0000x \"q\" bo\u00e4rds a\\b"}"#;
        assert_eq!(grant(json).unwrap().scopes, ["pins:read"]);
    }

    #[test]
    fn other_members_do_not_cost_the_token() {
        for members in [
            r#""token_type": null"#,
            r#""token_type": 7"#,
            r#""token_type": """#,
            r#""scope": 7"#,
            r#""scope": {"a": 1e999}"#,
            r#""refresh_token": 7"#,
            r#""refresh_token": ["r"]"#,
            r#""refresh_token": "a b""#,
        ] {
            let grant = grant(&format!(r#"{{"access_token": "pina_A", "expires_in": 60, {members}}}"#)).unwrap();
            assert_eq!((grant.access_token.expose(), grant.refresh_token.is_none()), ("pina_A", true), "{members}");
            let json = format!(r#"{{"access_token": "pina_A", "expires_in": 60, {members}}}"#);
            let first = TokenAnswer::read(json.as_bytes(), true);
            assert_eq!(first.is_err(), members.starts_with(r#""refresh_token""#), "of a new consent, {members}");
        }
        let json =
            r#"{"access_token": "a", "expires_in": 60, "scope": ["pins:read", 7, "boards:read user_accounts:read"]}"#;
        assert_eq!(grant(json).unwrap().scopes, ["pins:read", "boards:read", "user_accounts:read"]);
    }

    #[test]
    fn an_impossible_lifetime_does_not_cost_the_token() {
        for members in [
            r#""expires_in": 0"#,
            r#""expires_in": -1"#,
            r#""expires_in": 1000000000000"#,
            r#""expires_in": "2592000""#,
            r#""expires_in": 1e30"#,
            r#""expires_in": null"#,
            r#""x": 1"#,
            r#""expires_in": 34560001"#,
            r#""expires_in": 99999999999999999999"#,
        ] {
            let grant = grant(&format!(r#"{{"access_token": "pina_A", {members}}}"#)).unwrap();
            assert_eq!((grant.access_token.expose(), grant.expires_in), ("pina_A", DOCUMENTED_LIFETIME), "{members}");
        }
        for members in [r#""refresh_token_expires_in": 0"#, r#""refresh_token_expires_in": 1763000000000"#] {
            let json = format!(r#"{{"access_token": "a", "expires_in": 60, "refresh_token": "r", {members}}}"#);
            let grant = grant(&json).unwrap();
            assert_eq!((grant.expires_in.as_secs(), grant.refresh_token_expires_in), (60, None), "{members}");
            assert!(grant.refresh_token.is_some());
        }
    }

    #[test]
    fn an_invalid_answer_is_an_error_without_the_token() {
        for members in [r#""expires_in": 1, "token_type": "mac""#, r#""token_type": "a b""#] {
            let error = grant(&format!(r#"{{"access_token": "pina_CANARY", {members}}}"#)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{members}");
            assert!(error.may_have_been_processed());
            assert!(!format!("{error} {error:?}").contains("CANARY"));
        }
        for json in ["", "null", "[]", r#"{"access_token": "pina_CANARY", "expi"#] {
            assert_eq!(grant(json).unwrap_err().kind(), ErrorKind::Protocol, "{json}");
        }
        for token in ["", "a\\nb", "ä"] {
            assert!(grant(&format!(r#"{{"access_token": "{token}", "expires_in": 1}}"#)).is_err(), "{token}");
        }
    }

    #[test]
    fn a_grant_from_its_parts() {
        let from = |expires_in, refresh_in| {
            let scopes = "boards:read, pins:read  user_accounts:read";
            TokenGrant::from_parts(Secret::new("a"), expires_in, None, refresh_in, scopes)
        };
        let grant = from(60, Some(34_560_000)).unwrap();
        assert_eq!((grant.expires_in.as_secs(), grant.refresh_token_expires_in), (60, Some(LONGEST_LIFETIME)));
        assert_eq!(grant.scopes, ["boards:read", "pins:read", "user_accounts:read"]);
        for (expires_in, refresh_in) in [(0, None), (-1, None), (34_560_001, None), (60, Some(0)), (60, Some(i64::MAX))]
        {
            let error = from(expires_in, refresh_in).unwrap_err();
            assert!(error.to_string().contains("must be from 1 second to 400 days, not "), "{error}");
        }
        let error = TokenGrant::from_parts(Secret::new("a"), 60, None, None, "boards:read \"pins:read\"").unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().contains("invalid scope: \"pins:read\"")),
            (ErrorKind::BadRequest, true)
        );
    }
}
