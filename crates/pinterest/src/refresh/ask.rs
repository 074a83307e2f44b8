//! One refresh: the request, and the second one that an uncertain past may call for.

use std::fmt;

use super::next_step::{Attempt, NextStep, judge};
use crate::{AppCredentials, Client, Error, ErrorKind, Secret, TokenGrant};

/// What a refresh is asked with.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The app the account consented to.
    pub app: &'a AppCredentials,
    /// The refresh token that was stored last.
    pub current: &'a Secret,
    /// The one before it, where it is still known.
    pub previous: Option<&'a Secret>,
    /// What happened until now.
    pub attempt: Attempt,
}

/// A refresh that brought nothing.
#[derive(Debug)]
pub struct FailedRefresh {
    /// What to do about it.
    pub next_step: NextStep,
    /// What went wrong.
    pub error: Error,
}

impl fmt::Display for FailedRefresh {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(formatter)
    }
}

impl std::error::Error for FailedRefresh {}

/// Asks for a new grant, once; twice only where an earlier answer got lost and the current token is definitely refused:
/// then the previous token may be the one the server knows, for a server restored from its standby forgets its last
/// rotation, as we may have forgotten ours.
///
/// A grant without a refresh token means that the one stored last stays. After the previous token has worked that
/// would be the wrong one, so the grant then names the previous.
///
/// `random` is uniform in `[0, 1)`, see [`judge`].
///
/// # Errors
/// A [`FailedRefresh`], whose next_step says what to do.
pub async fn ask(client: &Client, ask: Ask<'_>, random: f64) -> Result<TokenGrant, FailedRefresh> {
    let Ask { app, current, previous, attempt } = ask;
    let error = match client.refresh(app, current).await {
        Ok(grant) => return Ok(grant),
        Err(error) => error,
    };
    let next_step = judge(&attempt, &error, random);
    let previous = match (next_step, previous) {
        (NextStep::Lost(_), Some(previous)) if attempt.uncertain && previous.expose() != current.expose() => previous,
        _ => return Err(FailedRefresh { next_step, error }),
    };
    match client.refresh(app, previous).await {
        Ok(mut grant) => {
            grant.refresh_token.get_or_insert_with(|| previous.clone());
            Ok(grant)
        }
        // Both are refused: the first refusal stands.
        Err(second) if second.kind() == ErrorKind::NeedsReauth => Err(FailedRefresh { next_step, error }),
        // Nothing is known of the previous token, so nothing is lost yet.
        Err(second) => {
            let next_step = match judge(&attempt, &second, random) {
                NextStep::Again { again_in, .. } => NextStep::Again { again_in, uncertain: true },
                next_step => next_step,
            };
            Err(FailedRefresh { next_step, error: second })
        }
    }
}
