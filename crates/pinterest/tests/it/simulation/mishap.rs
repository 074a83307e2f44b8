//! What can go wrong with one refresh.

use pinterest::refresh::Cause;
use sandbox::Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    None,
    /// The worker dies before it has written its intent.
    CrashBeforeIntent,
    /// It dies between intent and request.
    CrashAfterIntent,
    /// It dies while the request is held by the server, which then never acts on it.
    CrashWhileHeld,
    /// It dies after the server has acted on the request, before the answer.
    CrashWhileAnswered,
    /// It dies with the answer in its hands.
    CrashBeforeStoring,
    CrashAfterStoring,
    /// The server has acted, the connection breaks off.
    LostAnswer,
    /// The connection breaks off before the server has acted.
    LostRequest,
    /// The answer's head comes, and half its body.
    BrokenBody,
    /// Half the JSON, declared as the whole.
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
    /// Nothing listens there.
    Unreachable,
    /// A good answer that brings no new refresh token.
    WithoutRefreshToken,
    /// The owner consents again while the request is under way.
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

    /// What the server does for it.
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

    /// Whether the server has given out tokens that nobody has stored: where used refresh tokens die at once, this is
    /// the one thing that loses an account.
    pub fn loses_the_answer(self) -> bool {
        use Mishap::*;
        matches!(self, CrashWhileAnswered | CrashBeforeStoring | LostAnswer | BrokenBody | CutOffJson)
    }
}

/// A fault that lasts and meets everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fair,
    /// The network is away.
    Away,
    /// Every account is refused, none of them rightly.
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

/// What the simulation knows of an account and the ledger does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Truth {
    /// Its owner has removed the app.
    pub revoked: bool,
    /// The server has rotated the refresh token and nobody has stored the answer.
    pub answer_lost: bool,
    /// An answer that came after a lost one brought no new refresh token.
    pub outdated: bool,
    /// Rotations since the last answer that was stored.
    pub rotations: u32,
    /// The highest generation ever seen.
    pub generation: u64,
    /// Attempts to reach the server on this day.
    pub requests_today: u32,
}

impl Truth {
    /// Whether the token that is stored may rightly be refused.
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
