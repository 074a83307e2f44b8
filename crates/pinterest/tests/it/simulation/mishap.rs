//! Failures of a refresh.

use pinterest::refresh::Cause;
use sandbox::Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    None,
    /// The worker crashes before it has written its intent.
    CrashBeforeIntent,
    /// It crashes between intent and request.
    CrashAfterIntent,
    /// It crashes while the server holds the request, which then has no effect.
    CrashWhileHeld,
    /// It crashes after the request had its effect, before the answer.
    CrashWhileAnswered,
    /// It crashes after the answer, before it is stored.
    CrashBeforeStoring,
    CrashAfterStoring,
    /// The request has its effect, then the connection is reset.
    LostAnswer,
    /// The connection is reset before the request has its effect.
    LostRequest,
    /// The head of the answer arrives, and half of its body.
    BrokenBody,
    /// Half of the JSON, with the length of the half.
    CutOffJson,
    ServerError,
    Html,
    Limited,
    Spam,
    SomethingWentWrong,
    Redirected,
    TwoFactorRequired,
    /// The app's credentials are refused.
    AppRefused,
    /// The server does not listen.
    Unreachable,
    /// A valid answer without a new refresh token.
    WithoutRefreshToken,
    /// The user consents again during the request.
    ReconnectMeanwhile,
}

impl Mishap {
    pub const ALL: [Self; 22] = [
        Self::None,
        Self::CrashBeforeIntent,
        Self::CrashAfterIntent,
        Self::CrashWhileHeld,
        Self::CrashWhileAnswered,
        Self::CrashBeforeStoring,
        Self::CrashAfterStoring,
        Self::LostAnswer,
        Self::LostRequest,
        Self::BrokenBody,
        Self::CutOffJson,
        Self::ServerError,
        Self::Html,
        Self::Limited,
        Self::Spam,
        Self::SomethingWentWrong,
        Self::Redirected,
        Self::TwoFactorRequired,
        Self::AppRefused,
        Self::Unreachable,
        Self::WithoutRefreshToken,
        Self::ReconnectMeanwhile,
    ];

    /// The gate of [`Mishap::CrashWhileHeld`].
    pub const GATE: &str = "held";

    /// The fault of the server.
    pub fn fault(self) -> Option<Fault> {
        Some(match self {
            Self::CrashWhileHeld => Fault::Hold { gate: Self::GATE.to_owned() },
            Self::CrashWhileAnswered | Self::LostAnswer => Fault::LostAnswer,
            Self::LostRequest => Fault::ResetBeforeHeaders,
            Self::BrokenBody => Fault::ResetAfterHeaders,
            Self::CutOffJson => Fault::TruncatedBody,
            Self::ServerError => Fault::ServerError { status: 503 },
            Self::Html => Fault::Html502,
            Self::Limited => Fault::RateLimited { retry_after: Some("600".to_owned()), reset: None },
            Self::Spam => Fault::Spam,
            Self::SomethingWentWrong => Fault::SomethingWentWrong,
            Self::Redirected => Fault::Redirect { status: 307, location: "https://example.com/".to_owned() },
            Self::TwoFactorRequired => Fault::TwoFactorRequired,
            Self::AppRefused => Fault::AuthenticationFailed,
            Self::WithoutRefreshToken => Fault::WithoutRefreshToken,
            _ => return None,
        })
    }

    /// Whether the server has issued tokens that were not stored: with single-use refresh tokens, this alone loses an
    /// account.
    pub fn loses_the_answer(self) -> bool {
        use Mishap::*;
        matches!(self, CrashWhileAnswered | CrashBeforeStoring | LostAnswer | BrokenBody | CutOffJson)
    }
}

/// A lasting fault that affects all accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fair,
    /// The network is down.
    Away,
    /// All accounts are refused although their tokens are valid.
    AllRefused,
    /// The app's credentials are refused.
    AppRefused,
    ServerErrors,
    Limited,
}

impl Weather {
    pub fn fault(self) -> Option<Fault> {
        Some(match self {
            Self::Fair | Self::Away => return None,
            Self::AllRefused => Fault::InvalidGrant,
            Self::AppRefused => Fault::AuthenticationFailed,
            Self::ServerErrors => Fault::Html502,
            Self::Limited => Fault::RateLimited { retry_after: Some("3600".to_owned()), reset: None },
        })
    }
}

/// The true state of an account, which the ledger does not contain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Truth {
    /// The user has removed the app.
    pub revoked: bool,
    /// The server has rotated the refresh token, and the answer was not stored.
    pub answer_lost: bool,
    /// An answer after a lost one contained no new refresh token.
    pub outdated: bool,
    /// Rotations since the last stored answer.
    pub rotations: u32,
    /// The highest generation so far.
    pub generation: u64,
    /// Attempts to reach the server on this day.
    pub requests_today: u32,
}

impl Truth {
    /// Whether the stored token may be invalid.
    pub fn lacks_a_token(&self) -> bool {
        self.revoked || self.answer_lost || self.outdated
    }

    pub fn explains(&self, cause: Cause) -> bool {
        match cause {
            Cause::Rejected => self.revoked || self.outdated,
            Cause::LostResponse => self.lacks_a_token(),
            Cause::Expired => true,
        }
    }
}
