//! `GET /oauth/`: the page where a user would consent. Here the signed-in account consents at once.

use super::parse_scopes;
use crate::server::answer::{Answer, Refusal};
use crate::server::query::Query;
use crate::state::State;

pub(crate) fn answer(state: &State, query: &Query, consents: bool) -> Answer {
    match redirect(state, query, consents) {
        Ok(location) => Answer::redirect(302, &location),
        Err(message) => Refusal::new(400, 1, message).into(),
    }
}

fn redirect(state: &State, query: &Query, consents: bool) -> Result<String, String> {
    let app = &state.config().app;
    let required = |name: &str| query.get(name).ok_or_else(|| format!("Missing {name}"));
    if required("client_id")? != app.client_id {
        return Err("Invalid client_id".into());
    }
    let redirect_uri = required("redirect_uri")?;
    if !app.redirect_uris.iter().any(|known| known == redirect_uri) {
        return Err("redirect_uri is not registered for this app".into());
    }
    if required("response_type")? != "code" {
        return Err("response_type must be code".into());
    }
    let scopes = parse_scopes(required("scope")?).map_err(|name| format!("Invalid scope {name}"))?;
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    if consents {
        parameters.append_pair("code", &state.issue_code(scopes, redirect_uri));
    } else {
        parameters.append_pair("error", "access_denied");
    }
    if let Some(nonce) = query.get("state") {
        parameters.append_pair("state", nonce);
    }
    let separator = if redirect_uri.contains('?') { '&' } else { '?' };
    Ok(format!("{redirect_uri}{separator}{}", parameters.finish()))
}
