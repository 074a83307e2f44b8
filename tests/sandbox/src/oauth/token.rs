//! `POST /v5/oauth/token` and `/v5/oauth/token/revoke`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Grant, parse_scopes};
use crate::config::Config;
use crate::server::answer::{Answer, Refusal};
use crate::server::query::Query;
use crate::state::State;

/// Answers a token request. `authorization` is the header, `form` the body; if `rotates` is false, a refresh keeps the
/// refresh token.
pub(crate) fn answer(state: &State, authorization: Option<&str>, form: &Query, rotates: bool) -> Answer {
    match grant(state, authorization, form, rotates) {
        Ok((grant, response_type)) => Answer::json(200, token_json(&grant, response_type)),
        Err(refusal) => refusal.into(),
    }
}

/// Answers a revocation. Ordinary users' tokens cannot be revoked this way.
pub(crate) fn revoke(state: &State, authorization: Option<&str>, form: &Query) -> Answer {
    if !is_app(state.config(), authorization) {
        return Refusal::authentication_failed().into();
    }
    match form.get("token") {
        None => Refusal::invalid_parameter("token").into(),
        Some(_) => Refusal::forbidden().into(),
    }
}

fn grant(
    state: &State,
    authorization: Option<&str>,
    form: &Query,
    rotates: bool,
) -> Result<(Grant, &'static str), Refusal> {
    if !is_app(state.config(), authorization) {
        return Err(Refusal::authentication_failed());
    }
    let required = |name| form.get(name).ok_or_else(|| Refusal::invalid_parameter(name));
    match required("grant_type")? {
        "authorization_code" => {
            let (code, redirect_uri) = (required("code")?, required("redirect_uri")?);
            let continuous = form.get("continuous_refresh") == Some("true");
            let with_refresh_token = continuous || !state.config().tokens.needs_continuous_refresh;
            let grant = state
                .redeem_code(code, redirect_uri, with_refresh_token)
                .ok_or_else(|| Refusal { status: 400, ..Refusal::invalid_grant() })?;
            Ok((grant, "authorization_code"))
        }
        "refresh_token" => {
            let scopes = form.get("scope").map(parse_scopes).transpose();
            let scopes = scopes.map_err(|_| Refusal::invalid_parameter("scope"))?;
            let token = required("refresh_token")?;
            let grant = state.refresh(token, scopes, rotates).ok_or_else(Refusal::invalid_grant)?;
            Ok((grant, "refresh_token"))
        }
        "client_credentials" if state.config().tokens.client_credentials => {
            let scopes = parse_scopes(required("scope")?).map_err(|_| Refusal::invalid_parameter("scope"))?;
            Ok((state.grant_owner(scopes), "client_credentials"))
        }
        _ => Err(Refusal::invalid_parameter("grant_type")),
    }
}

fn token_json(grant: &Grant, response_type: &str) -> serde_json::Value {
    let mut body = json!({
        "access_token": grant.access_token,
        "token_type": "bearer",
        "expires_in": grant.expires_in,
        "scope": grant.scope,
        "response_type": response_type,
    });
    if grant.refresh_token.is_some() {
        body["refresh_token"] = json!(grant.refresh_token);
        body["refresh_token_expires_in"] = json!(grant.refresh_token_expires_in);
        body["refresh_token_expires_at"] = json!(grant.refresh_token_expires_at);
    }
    body
}

/// Whether the header is HTTP Basic with the app's id and secret.
fn is_app(config: &Config, authorization: Option<&str>) -> bool {
    let app = &config.app;
    let credentials = authorization
        .and_then(|header| header.strip_prefix("Basic "))
        .and_then(|encoded| STANDARD.decode(encoded.trim()).ok());
    credentials.is_some_and(|bytes| bytes == format!("{}:{}", app.client_id, app.client_secret).as_bytes())
}
