//! The control path: the methods of [`State`] for other processes. `pinterest-sandbox serve --help` lists its requests.
//!
//! A POST must have `Content-Type: application/json`, which a page in a browser cannot send to another origin unasked.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::Error;
use crate::faults::Rule;
use crate::server::answer::{Answer, Refusal};
use crate::server::query::Query;
use crate::state::State;

/// A request to the control path.
pub(crate) struct Order<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a Query,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

impl Order<'_> {
    fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(self.body).map_err(|error| Refusal::new(400, 1, format!("Invalid request: {error}")))
    }

    /// A member of the body.
    fn member<T: DeserializeOwned>(&self, name: &str) -> Result<T, Refusal> {
        let mut body: Value = self.read()?;
        let member = body.get_mut(name).map(Value::take).unwrap_or_default();
        serde_json::from_value(member).map_err(|_| Refusal::invalid_parameter(name))
    }
}

pub(crate) fn answer(state: &State, order: &Order<'_>) -> Answer {
    let is_json = order.content_type.is_some_and(|value| value.starts_with("application/json"));
    if order.method == "POST" && !is_json {
        return Refusal::new(415, 415, "Content-Type must be application/json").into();
    }
    match execute(state, order) {
        Ok(Value::Null) => Answer::json(200, json!({})),
        Ok(body) => Answer::json(200, body),
        Err(refusal) => refusal.into(),
    }
}

/// The body of the answer, null if the request has no result.
fn execute(state: &State, order: &Order<'_>) -> Result<Value, Refusal> {
    let text = |name| order.member::<String>(name);
    let name = order.path.trim_start_matches("/control/");
    match (order.method, name) {
        ("GET", "boards") => return Ok(json!(state.boards())),
        ("GET", "requests") => {
            return Ok(json!({
                "counts": state.requests.counts(),
                "total": state.requests.total(),
                "latest": state.requests.latest(),
            }));
        }
        ("GET", "faults") => return Ok(rules(state)),
        ("POST", "faults") => return Ok(json!({ "id": state.faults.add(order.read::<Rule>()?) })),
        ("GET", "tokens") => {
            let account = order.query.get("account").ok_or_else(|| Refusal::invalid_parameter("account"))?;
            return Ok(json!({
                "access_token": state.valid_access_token(account),
                "refresh_token": state.valid_refresh_token(account),
            }));
        }
        ("POST", "tokens/issue") => {
            return state.issue_grant(&text("account")?).map(|grant| json!(grant)).map_err(refuse);
        }
        ("POST", "pins/add") => {
            let count = order.member::<Option<u64>>("count")?.unwrap_or(1);
            let pins = state.add_pins(&text("board")?, count).map_err(refuse)?;
            return Ok(json!({ "pins": pins }));
        }
        ("DELETE", "requests") => state.requests.reset(),
        ("DELETE", "faults") => state.faults.clear(),
        ("POST", "release") => state.faults.release(&text("gate")?),
        ("POST", "clock/advance") => state.advance_clock(Duration::from_secs(order.member("seconds")?)),
        ("POST", "bookmarks/expire") => state.expire_bookmarks(),
        ("POST", "tokens/revoke") => state.revoke(&text("account")?).map_err(refuse)?,
        ("POST", "tokens/expire_access") => state.expire_access_tokens(&text("account")?).map_err(refuse)?,
        ("POST", "sign_in") => state.sign_in(&text("account")?).map_err(refuse)?,
        ("POST", "pins/remove") => state.remove_pin(&text("pin")?).map_err(refuse)?,
        ("POST", "pins/move") => state.move_pin(&text("pin")?, &text("board")?).map_err(refuse)?,
        ("POST", "boards/remove") => state.remove_board(&text("board")?).map_err(refuse)?,
        (method, name) => {
            return Err(Refusal::new(404, 404, format!("The control path has no {method} {name}")));
        }
    }
    Ok(Value::Null)
}

fn rules(state: &State) -> Value {
    let rules = state.faults.rules().into_iter();
    let entries = rules.map(|(id, rule, fired)| json!({ "id": id, "rule": rule, "fired": fired }));
    Value::Array(entries.collect())
}

fn refuse(error: Error) -> Refusal {
    let status = if error.is_unknown() { 404 } else { 400 };
    Refusal::new(status, i64::from(status), error.to_string())
}
