//! The caller, and the boards it may read.

use super::Context;
use crate::faults::answers::not_found;
use crate::server::answer::Refusal;
use crate::state::State;
use crate::world::Board;

/// The account and scopes of an access token.
pub(super) struct Caller {
    pub(super) account: usize,
    pub(super) username: String,
    scopes: Vec<&'static str>,
}

impl Caller {
    pub(super) fn identify(state: &State, authorization: Option<&str>) -> Result<Self, Refusal> {
        let token = authorization
            .and_then(|header| header.strip_prefix("Bearer "))
            .ok_or_else(Refusal::authentication_failed)?;
        let (account, scopes) = state
            .ledger()
            .access(token, state.clock.now())
            .map(|token| (token.account, token.scopes.clone()))
            .ok_or_else(Refusal::authentication_failed)?;
        Ok(Self { account, username: state.world().accounts[account].clone(), scopes })
    }

    pub(super) fn needs(&self, wanted: &[&'static str]) -> Result<(), Refusal> {
        let missing: Vec<&str> = wanted.iter().filter(|scope| !self.has(scope)).copied().collect();
        if missing.is_empty() { Ok(()) } else { Err(Refusal::missing_scope(&missing)) }
    }

    pub(super) fn has(&self, scope: &str) -> bool {
        self.scopes.contains(&scope)
    }
}

impl<'a> Context<'a> {
    /// Whether a board is in the caller's list: its own and group boards, secret boards only with the scope.
    pub(super) fn lists(&self, board: &Board) -> bool {
        board.is_on_it(self.caller.account, &self.caller.username)
            && (!board.is_secret() || self.caller.has("boards:read_secret"))
    }

    /// The board with this id, if the caller may read it.
    pub(super) fn board(&self, id: &str) -> Result<&'a Board, Refusal> {
        let board = self.world.board(id);
        let board = board.ok_or_else(|| not_found(self.call.route))?;
        if self.lists(board) {
            return Ok(board);
        }
        // The existence of another account's board is not disclosed.
        if board.is_on_it(self.caller.account, &self.caller.username) {
            Err(Refusal::forbidden())
        } else {
            Err(not_found(self.call.route))
        }
    }
}
