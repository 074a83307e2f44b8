//! The control path: what the library offers, for other processes.
//!
//! | request | body or query | what it does |
//! |---|---|---|
//! | `GET /control/boards` | | boards with id, name, owner, number of pins |
//! | `GET /control/requests` | | counts per kind, total, the latest requests |
//! | `DELETE /control/requests` | | forgets them |
//! | `GET /control/faults` | | rules in force, with how often each fired |
//! | `POST /control/faults` | a [`Rule`] | puts it in force, answers `{"id": …}` |
//! | `DELETE /control/faults` | | ends all rules |
//! | `POST /control/release` | `{"gate"}` | lets requests pass that are held there |
//! | `GET /control/tokens` | `?account=` | newest access and refresh token that are good |
//! | `POST /control/tokens/issue` | `{"account"}` | a fresh grant |
//! | `POST /control/tokens/revoke` | `{"account"}` | kills all tokens of the account |
//! | `POST /control/tokens/expire_access` | `{"account"}` | ends its access tokens |
//! | `POST /control/sign_in` | `{"account"}` | who agrees at the authorize page |
//! | `POST /control/clock/advance` | `{"seconds"}` | moves the clock |
//! | `POST /control/pins/add` | `{"board", "count"}` | new pins, answers their ids |
//! | `POST /control/pins/remove` | `{"pin"}` | |
//! | `POST /control/pins/move` | `{"pin", "board"}` | |
//! | `POST /control/boards/remove` | `{"board"}` | |
//! | `POST /control/bookmarks/expire` | | old bookmarks answer 400 |
//!
//! A POST must say `Content-Type: application/json`, which a page in somebody's browser can't do unasked.

use std::time::Duration;

use serde::Deserialize;
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

impl<'a> Order<'a> {
    /// The path below `/control/`.
    fn name(&self) -> &'a str {
        self.path.trim_start_matches("/control/")
    }
}

#[derive(Deserialize)]
struct OfAccount {
    account: String,
}

#[derive(Deserialize)]
struct AtGate {
    gate: String,
}

#[derive(Deserialize)]
struct InTime {
    seconds: u64,
}

#[derive(Deserialize)]
struct OnBoard {
    board: String,
    #[serde(default = "one")]
    count: u64,
}

#[derive(Deserialize)]
struct OfPin {
    pin: String,
}

#[derive(Deserialize)]
struct ToBoard {
    pin: String,
    board: String,
}

fn one() -> u64 {
    1
}

pub(crate) fn answer(state: &State, order: &Order<'_>) -> Answer {
    let is_json = order.content_type.is_some_and(|value| value.starts_with("application/json"));
    if order.method == "POST" && !is_json {
        return Refusal::new(415, 415, "Content-Type must be application/json").into();
    }
    match carry_out(state, order) {
        Ok(body) => Answer::json(200, body),
        Err(refusal) => refusal.into(),
    }
}

fn carry_out(state: &State, order: &Order<'_>) -> Result<Value, Refusal> {
    match (order.method, order.name()) {
        ("GET", "boards") => Ok(json!(state.boards())),
        ("GET", "requests") => Ok(json!({
            "counts": state.requests.counts(),
            "total": state.requests.total(),
            "latest": state.requests.latest(),
        })),
        ("GET", "faults") => Ok(rules(state)),
        ("POST", "faults") => Ok(json!({ "id": state.faults.add(read::<Rule>(order)?) })),
        ("GET", "tokens") => {
            let account = order.query.get("account").ok_or_else(|| Refusal::invalid_parameter("account"))?;
            Ok(json!({
                "access_token": state.valid_access_token(account),
                "refresh_token": state.valid_refresh_token(account),
            }))
        }
        ("POST", "tokens/issue") => {
            let OfAccount { account } = read(order)?;
            Ok(json!(state.issue_grant(&account).map_err(unknown)?))
        }
        ("POST", "pins/add") => {
            let OnBoard { board, count } = read(order)?;
            Ok(json!({ "pins": state.add_pins(&board, count).map_err(unknown)? }))
        }
        _ => act(state, order).map(|()| json!({})),
    }
}

/// Orders with nothing to tell but that they were carried out.
fn act(state: &State, order: &Order<'_>) -> Result<(), Refusal> {
    match (order.method, order.name()) {
        ("DELETE", "requests") => state.requests.reset(),
        ("DELETE", "faults") => state.faults.clear(),
        ("POST", "release") => state.faults.release(&read::<AtGate>(order)?.gate),
        ("POST", "clock/advance") => state.clock.advance(Duration::from_secs(read::<InTime>(order)?.seconds)),
        ("POST", "bookmarks/expire") => state.expire_bookmarks(),
        ("POST", "tokens/revoke") => state.revoke(&read::<OfAccount>(order)?.account).map_err(unknown)?,
        ("POST", "tokens/expire_access") => {
            state.expire_access_tokens(&read::<OfAccount>(order)?.account).map_err(unknown)?;
        }
        ("POST", "sign_in") => state.sign_in(&read::<OfAccount>(order)?.account).map_err(unknown)?,
        ("POST", "pins/remove") => state.remove_pin(&read::<OfPin>(order)?.pin).map_err(unknown)?,
        ("POST", "pins/move") => {
            let ToBoard { pin, board } = read(order)?;
            state.move_pin(&pin, &board).map_err(unknown)?;
        }
        ("POST", "boards/remove") => state.remove_board(&read::<OnBoard>(order)?.board).map_err(unknown)?,
        (method, name) => {
            return Err(Refusal::new(404, 404, format!("The control path has no {method} {name}")));
        }
    }
    Ok(())
}

fn rules(state: &State) -> Value {
    let rules = state.faults.rules().into_iter();
    let entries = rules.map(|(id, rule, fired)| json!({ "id": id, "rule": rule, "fired": fired }));
    Value::Array(entries.collect())
}

fn read<T: DeserializeOwned>(order: &Order<'_>) -> Result<T, Refusal> {
    serde_json::from_slice(order.body).map_err(|error| Refusal::new(400, 1, format!("Invalid request: {error}")))
}

fn unknown(error: Error) -> Refusal {
    let status = if error.is_unknown() { 404 } else { 400 };
    Refusal::new(status, i64::from(status), error.to_string())
}
