//! The authorize page, the token endpoint, and the ledger of tokens.

pub(crate) mod authorize;
mod grant;
mod ledger;
pub(crate) mod token;

pub use grant::Grant;
pub(crate) use ledger::Ledger;

/// All scopes of Pinterest's API.
pub(crate) const SCOPES: [&str; 19] = [
    "ads:read",
    "ads:write",
    "billing:read",
    "billing:write",
    "biz_access:read",
    "biz_access:write",
    "boards:read",
    "boards:read_secret",
    "boards:write",
    "boards:write_secret",
    "catalogs:read",
    "catalogs:write",
    "msot:write",
    "pins:read",
    "pins:read_secret",
    "pins:write",
    "pins:write_secret",
    "user_accounts:read",
    "user_accounts:write",
];

/// The scopes that an import requires.
pub(crate) const READ_SCOPES: [&str; 5] =
    ["boards:read", "boards:read_secret", "pins:read", "pins:read_secret", "user_accounts:read"];

/// Splits a scope list at commas and spaces; `Err` is the first scope that does not exist.
pub(crate) fn parse_scopes(list: &str) -> Result<Vec<&'static str>, String> {
    list.split([',', ' '])
        .filter(|name| !name.is_empty())
        .map(|name| SCOPES.into_iter().find(|scope| *scope == name).ok_or_else(|| name.to_string()))
        .collect()
}
