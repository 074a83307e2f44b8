//! One refresh: the request, and a second one if an earlier answer was lost.

use std::fmt;

use super::next_step::{Attempt, NextStep, judge};
use crate::{AppCredentials, Client, Error, ErrorKind, Secret, TokenGrant};

/// The input of a refresh.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The account's app.
    pub app: &'a AppCredentials,
    /// The refresh token that was stored last.
    pub current: &'a Secret,
    /// The one before it, if it is still stored.
    pub previous: Option<&'a Secret>,
    /// What happened before.
    pub attempt: Attempt,
}

/// A failed refresh.
#[derive(Debug)]
pub struct FailedRefresh {
    /// What to do.
    pub next_step: NextStep,
    /// Why it failed.
    pub error: Error,
}

impl fmt::Display for FailedRefresh {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(formatter)
    }
}

impl std::error::Error for FailedRefresh {}

/// Requests a new grant, once; twice only if an earlier answer was lost and the current token is definitely refused. The
/// server may then know only the previous token: a server that was restored from its standby may have lost its last
/// rotation.
///
/// A grant without a refresh token means that the stored one stays valid. If the previous token was used, the grant
/// contains that one instead.
///
/// `random` is uniform in `[0, 1)`, see [`judge`].
///
/// # Errors
/// A [`FailedRefresh`] with the next step.
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
        // Both are refused: the first refusal counts.
        Err(second) if second.kind() == ErrorKind::NeedsReauth => Err(FailedRefresh { next_step, error }),
        // The previous token may still be valid, so the account is not lost yet.
        Err(second) => {
            let next_step = match judge(&attempt, &second, random) {
                NextStep::Again { again_in, .. } => NextStep::Again { again_in, uncertain: true },
                next_step => next_step,
            };
            Err(FailedRefresh { next_step, error: second })
        }
    }
}
