//! The endpoints of API v5: access, rate limit and answers.

mod access;
mod boards;
mod media;
mod page;
mod pins;
mod quota;

use serde_json::{Value, json};

use crate::server::answer::{Answer, Refusal};
use crate::server::query::Query;
use crate::server::route::Route;
use crate::state::State;
use crate::world::World;

use access::Caller;
pub(crate) use page::Tweaks;
pub(crate) use quota::Quota;

/// One API request.
pub(crate) struct Call<'a> {
    pub(crate) route: &'a Route,
    pub(crate) path: &'a str,
    pub(crate) query: &'a Query,
    pub(crate) authorization: Option<&'a str>,
    /// The request's `host:port`, used in the URLs of images.
    pub(crate) host: &'a str,
    pub(crate) tweaks: Tweaks,
}

/// The input of an endpoint.
struct Context<'a> {
    state: &'a State,
    world: &'a World,
    caller: &'a Caller,
    call: &'a Call<'a>,
}

pub(crate) fn answer(state: &State, call: &Call<'_>) -> Answer {
    let caller = match Caller::identify(state, call.authorization) {
        Ok(caller) => caller,
        Err(refusal) => return refusal.into(),
    };
    let spent = state.quota().spend(caller.account, state.clock.now());
    let answer = match spent.refused {
        true => Refusal::rate_limited().into(),
        false => endpoint(state, &caller, call).map_or_else(Answer::from, |body| Answer::json(200, body)),
    };
    spent.add_headers(answer)
}

fn endpoint(state: &State, caller: &Caller, call: &Call<'_>) -> Result<Value, Refusal> {
    caller.needs(scopes(call.route))?;
    let world = &*state.world();
    let context = Context { state, world, caller, call };
    match call.route {
        Route::UserAccount => Ok(user_account(&context)),
        Route::Boards => boards::list(&context),
        Route::Board { board } => boards::one(&context, board),
        Route::Sections { board } => boards::sections(&context, board),
        Route::BoardPins { board } => pins::of_board(&context, board),
        Route::SectionPins { board, section } => pins::of_section(&context, board, section),
        Route::Pin { pin } => pins::one(&context, pin),
        _ => Err(Refusal::new(404, 404, "Not found.")),
    }
}

fn scopes(route: &Route) -> &'static [&'static str] {
    match route {
        Route::UserAccount => &["user_accounts:read"],
        Route::Boards | Route::Board { .. } | Route::Sections { .. } => &["boards:read"],
        _ => &["boards:read", "pins:read"],
    }
}

fn user_account(context: &Context<'_>) -> Value {
    let username = &context.caller.username;
    let account = context.caller.account;
    let own = |board: &&crate::world::Board| board.owner == account;
    let boards = context.world.boards().filter(own).count();
    let pins: u64 = context.world.boards().filter(own).map(|board| board.len()).sum();
    json!({
        "id": context.world.identities.account_id(username),
        "username": username,
        "account_type": "PINNER",
        "about": "",
        "profile_image": format!("https://{}/280x280_RS/default.jpg", context.call.host),
        "website_url": "",
        "business_name": null,
        "board_count": boards,
        "pin_count": pins,
        "follower_count": 12,
        "following_count": 34,
        "monthly_views": 163,
    })
}
