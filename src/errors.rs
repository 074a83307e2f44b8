//! Errors: the table of kinds with SQLSTATE and hint, and how errors of other crates become one of them.

use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use serde::{Deserialize, Serialize};

/// Defines [`Kind`]: for each kind of error its SQLSTATE and, if it has one, its hint. The SQLSTATEs are part of the
/// interface and do not change.
macro_rules! kinds {
    ($($(#[$documentation:meta])* $kind:ident: $code:ident $(, $hint:expr)?;)*) => {
        /// What went wrong, as far as callers distinguish it.
        #[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
        pub enum Kind {
            $($(#[$documentation])* $kind,)*
        }

        impl Kind {
            /// The SQLSTATE and the default hint.
            fn row(self) -> (PgSqlErrorCode, Option<&'static str>) {
                match self {
                    $(Kind::$kind => (PgSqlErrorCode::$code, [$($hint)?].first().copied()),)*
                }
            }
        }
    };
}

/// The view pinterest.imports has the same hint for waiting imports.
const APP_ACCESS_HINT: &str = "Pinterest has not granted the app access to its API, or has withdrawn it: see the app's page at \
    developers.pinterest.com. Imports that wait for it continue by themselves once it is granted.";

kinds! {
    /// An invalid argument; the message states the rule.
    BadArgument: ERRCODE_INVALID_PARAMETER_VALUE;
    /// Text that is not a value of its type.
    BadText: ERRCODE_INVALID_TEXT_REPRESENTATION;
    /// A name that is longer than names can be.
    NameTooLong: ERRCODE_NAME_TOO_LONG;
    /// NULL for a required argument.
    NullArgument: ERRCODE_NULL_VALUE_NOT_ALLOWED;
    /// No app, account, board, import or table by that name or id.
    NotFound: ERRCODE_UNDEFINED_OBJECT;
    /// The name exists already.
    Duplicate: ERRCODE_DUPLICATE_OBJECT;
    /// A table has no column of that name.
    NoColumn: ERRCODE_UNDEFINED_COLUMN;
    /// A view or another object where a table is required.
    WrongObject: ERRCODE_WRONG_OBJECT_TYPE;
    /// Not supported for this type or kind of table.
    Unsupported: ERRCODE_FEATURE_NOT_SUPPORTED;
    /// The object belongs to another role, or does not exist: one error for both.
    NotYours: ERRCODE_INSUFFICIENT_PRIVILEGE,
        "SELECT * FROM pinterest.accounts lists the accounts of the current role.";
    /// The account has no usable token.
    NeedsReauth: ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
        "Connect the account again: pinterest_authorize_url(), then pinterest_connect().";
    /// Pinterest refuses: the board is not shared.
    Forbidden: ERRCODE_INSUFFICIENT_PRIVILEGE,
        "Check that the board is shared with this account and which scopes were granted: SELECT scopes FROM \
         pinterest.accounts.";
    /// Pinterest has not granted the app access.
    AppAccess: ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, APP_ACCESS_HINT;
    /// The user has not granted a scope that the call needs.
    MissingScope: ERRCODE_INSUFFICIENT_PRIVILEGE,
        "Connect the account again with that scope: pinterest_authorize_url(), with secret_boards => true for secret \
         boards. SELECT scopes, scopes_missing FROM pinterest.accounts shows what was granted.";
    /// Pinterest limits the feature to some apps.
    Restricted: ERRCODE_INSUFFICIENT_PRIVILEGE,
        "Pinterest limits this feature to some apps; other scopes or a new connection do not help. Ask Pinterest, with \
         the request id.";
    /// Pinterest refuses without a reason.
    NotPermitted: ERRCODE_INSUFFICIENT_PRIVILEGE,
        "Pinterest does not state the reason. Check whether the app has access at developers.pinterest.com, and which \
         scopes were granted: SELECT scopes, scopes_missing FROM pinterest.accounts.";
    /// Pinterest refuses the app's id or secret.
    AppCredentials: ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
        "Compare the client id and secret with the app's page at Pinterest, then call pinterest_register_app() again.";
    /// An authorization code or state that is unknown, used or expired.
    BadAuthorization: ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
        "Start over with pinterest_authorize_url(); a state and a code work only once, within ten minutes.";
    /// A necessary step has not been taken before.
    NotReady: ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    /// A write in a read-only transaction, or on a standby.
    ReadOnly: ERRCODE_READ_ONLY_SQL_TRANSACTION;
    /// The connection could not be established.
    Unreachable: ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
        "Check the network, pinterest.api_host and pinterest.ca_file, then try again.";
    /// The proxy does not answer, is not a proxy, or closes its connections.
    ProxyUnreachable: ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
        "Check pinterest.proxy, the proxy, and whether it reaches the host. Work continues when it responds.";
    /// The proxy does not accept the user and password.
    ProxyCredentials: ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
        "Write user:password on one line into the file that pinterest.proxy_credentials_file names. A change of the \
         file needs no reload.";
    /// The proxy's rules forbid the connection.
    ProxyRefused: ERRCODE_SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION,
        "Allow the host and port in the proxy's rules, or add the host to pinterest.no_proxy.";
    /// The connection was lost, or the other side timed out or failed.
    BrokenOff: ERRCODE_CONNECTION_FAILURE,
        "Try again in a moment.";
    /// A malformed response.
    Protocol: ERRCODE_PROTOCOL_VIOLATION;
    /// Pinterest's quota is used up.
    RateLimited: ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
        "SELECT * FROM pinterest.quota shows how many requests are left and when the quota is renewed.";
    /// This server's limit of queued work is reached.
    QueueFull: ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
    /// The embedder is busy, or no worker slot is free.
    Busy: ERRCODE_INSUFFICIENT_RESOURCES;
    /// Out of memory.
    OutOfMemory: ERRCODE_OUT_OF_MEMORY,
        "Request less at once, or allow the server's processes more memory.";
    /// Bytes that cannot be decoded as an image.
    BadImage: ERRCODE_INVALID_BINARY_REPRESENTATION,
        "The image is truncated or corrupt; download it again.";
    /// An image type that is not supported.
    UnsupportedImage: ERRCODE_FEATURE_NOT_SUPPORTED,
        "Supported formats are JPEG, PNG, WebP and GIF.";
    /// The image is an animation, and these are not embedded.
    AnimatedImage: ERRCODE_FEATURE_NOT_SUPPORTED,
        "Set pinterest.animated_images to first_frame to embed the first frame.";
    /// An image, text or response that exceeds its limit.
    TooLarge: ERRCODE_PROGRAM_LIMIT_EXCEEDED;
    /// The model directory or a file in it is missing.
    ModelMissing: ERRCODE_UNDEFINED_FILE,
        "Set pinterest.model_dir to a directory created by pinterest-clip-weights or pinterest-embedder \
         init-model.";
    /// Other users may write the model directory or a file in it.
    ModelUntrusted: ERRCODE_CONFIG_FILE_ERROR,
        "The model must belong to root or the server's user, and no other user may write its directory or files: chmod \
         go-w.";
    /// The model directory does not contain a CLIP ViT-B/32.
    ModelInvalid: ERRCODE_DATA_CORRUPTED,
        "Install the model again with pinterest-clip-weights.";
    /// The CPU does not support the configured precision.
    PrecisionUnsupported: ERRCODE_FEATURE_NOT_SUPPORTED,
        "Set pinterest.clip_precision to auto or f32.";
    /// Vectors of different models, which have no meaningful distance.
    ModelsMixed: ERRCODE_INVALID_PARAMETER_VALUE,
        "pinterest_reembed_board() re-embeds images made by other models.";
    /// Sealed bytes that were changed, or come from another row.
    SealBroken: ERRCODE_DATA_CORRUPTED,
        "The encrypted value does not belong to this row. Connect the account, or register the app, again.";
    /// Sealed with a key that the server does not have.
    KeyMissing: ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "Put the key that encrypted them back into the key file, after the first key.";
    /// An unusable setting or configuration file.
    Config: ERRCODE_CONFIG_FILE_ERROR;
    /// A statement of a worker failed: a lock, a full disk, a dropped object.
    Database: ERRCODE_OPERATOR_INTERVENTION;
    /// A trigger, constraint or policy of a user's table raised an error in its owner's name.
    TableRefused: ERRCODE_TRIGGERED_ACTION_EXCEPTION;
    /// A table's name came to mean another relation, or none, while it was used: it must be found again.
    TableMoved: ERRCODE_T_R_SERIALIZATION_FAILURE;
    /// A trigger function was not called by a suitable trigger.
    TriggerProtocol: ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
        "pinterest_track() creates the triggers that call it.";
    /// Code of a user's table exceeded the time for a row.
    TableTooSlow: ERRCODE_QUERY_CANCELED,
        "Check the table's triggers, policies and index expressions, then call pinterest_retry_tracked(); \
         pinterest.tracked_row_timeout sets the limit.";
    /// Code of a user's table ended the process that ran it.
    TableEndsWorker: ERRCODE_CRASH_SHUTDOWN,
        "See the server log for how the process ended. Check the table's triggers, policies and index expressions, then \
         call pinterest_retry_tracked().";
    /// Code of a user's table has used up its share of time.
    TimeUsedUp: ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
        "Work on the rows continues later. Triggers that take less than 0.1 s per row never pause.";
    /// A bug.
    Internal: ERRCODE_INTERNAL_ERROR,
        "This is a bug in pg_pinterest. Please report it.";
}

impl Kind {
    /// Whether the cause is the proxy.
    pub fn is_proxy(self) -> bool {
        matches!(self, Kind::ProxyUnreachable | Kind::ProxyCredentials | Kind::ProxyRefused)
    }
}

/// An error: kind, message, and a detail or hint if the kind's own hint is not enough. Never contains a secret.
/// A worker passes it to the session that waits for it, without the SQLSTATE of the server's own ERROR.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Failure {
    /// The kind, which determines the SQLSTATE.
    pub kind: Kind,
    /// States the rule that is broken, or the two numbers that differ.
    pub message: String,
    detail: Option<String>,
    hint: Option<String>,
    #[serde(skip)]
    raised: Option<PgSqlErrorCode>,
}

/// Bytes that are kept of a message from users' code.
const LONGEST_FOREIGN_MESSAGE: usize = 4096;

impl Failure {
    /// A failure with its kind's hint.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Failure { kind, message: message.into(), detail: None, hint: None, raised: None }
    }

    /// A caught ERROR of the server, with at most [`LONGEST_FOREIGN_MESSAGE`] bytes of its message. Its detail may
    /// contain values of rows and is dropped.
    pub fn of_error(kind: Kind, error: CaughtError) -> Self {
        let (CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic { ereport: report, .. }) = error;
        let message = report.message();
        let message = &message[..message.floor_char_boundary(LONGEST_FOREIGN_MESSAGE)];
        Failure::new(kind, message).raised_with(report.sql_error_code())
    }

    /// Replaces the kind's hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a detail.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Stores the SQLSTATE of the server's ERROR that this failure stands for.
    pub fn raised_with(mut self, code: PgSqlErrorCode) -> Self {
        self.raised = Some(code);
        self
    }

    /// The SQLSTATE of the server's ERROR that this failure stands for, if any.
    pub fn raised(&self) -> Option<PgSqlErrorCode> {
        self.raised
    }

    /// The SQLSTATE of the server's ERROR that this failure stands for, otherwise its own. pgrx knows only the server's
    /// codes and reports any other one as an internal error.
    pub fn first_sqlstate(&self) -> String {
        let known = self.raised.filter(|&code| code != PgSqlErrorCode::ERRCODE_INTERNAL_ERROR);
        known.map_or_else(|| self.sqlstate(), sqlstate)
    }

    /// Names the element of an array that it is about, counted from 1 as in SQL.
    pub fn at_element(mut self, place: usize) -> Self {
        self.message = format!("element {place}: {}", self.message);
        self
    }

    /// The hint: this failure's own, otherwise its kind's.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref().or(self.kind.row().1)
    }

    /// The five characters of the SQLSTATE.
    pub fn sqlstate(&self) -> String {
        sqlstate(self.kind.row().0)
    }
}

/// Unpacks Postgres' six-bit packing (`MAKE_SQLSTATE`, elog.h).
fn sqlstate(code: PgSqlErrorCode) -> String {
    let packed = code as i32;
    (0..5).map(|i| (((packed >> (6 * i)) & 0x3F) as u8 + b'0') as char).collect()
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

// Only `Result<_, ErrorReport>` keeps its SQLSTATE on the way out of a `#[pg_extern]`.
impl From<Failure> for ErrorReport {
    fn from(failure: Failure) -> Self {
        let mut report = ErrorReport::new(failure.kind.row().0, failure.message.clone(), "pg_pinterest");
        if let Some(hint) = failure.hint() {
            report = report.set_hint(hint);
        }
        if let Some(detail) = failure.detail {
            report = report.set_detail(detail);
        }
        report
    }
}

impl From<pgrx::spi::SpiError> for Failure {
    fn from(error: pgrx::spi::SpiError) -> Self {
        Failure::new(Kind::Internal, format!("unexpected SPI result: {error}"))
    }
}

impl From<pinterest::seal::SealError> for Failure {
    fn from(error: pinterest::seal::SealError) -> Self {
        let kind = match error.kind() {
            pinterest::seal::SealErrorKind::UnknownKey => Kind::KeyMissing,
            _ => Kind::SealBroken,
        };
        Failure::new(kind, error.to_string())
    }
}

impl From<pinterest::Error> for Failure {
    fn from(error: pinterest::Error) -> Self {
        use pinterest::ErrorKind as Theirs;
        let kind = match error.kind() {
            Theirs::NeedsReauth | Theirs::Unauthorized => Kind::NeedsReauth,
            Theirs::BadCode => Kind::BadAuthorization,
            Theirs::Forbidden => Kind::Forbidden,
            Theirs::AppAccess => Kind::AppAccess,
            Theirs::MissingScope => Kind::MissingScope,
            Theirs::Restricted => Kind::Restricted,
            Theirs::NotPermitted => Kind::NotPermitted,
            Theirs::AppCredentials => Kind::AppCredentials,
            Theirs::NotFound => Kind::NotFound,
            Theirs::RateLimited | Theirs::SpamHold => Kind::RateLimited,
            Theirs::Transient => Kind::BrokenOff,
            Theirs::Unreachable | Theirs::Tls => Kind::Unreachable,
            Theirs::Proxy | Theirs::ProxyTunnel => Kind::ProxyUnreachable,
            Theirs::ProxyCredentials => Kind::ProxyCredentials,
            Theirs::ProxyRefused => Kind::ProxyRefused,
            Theirs::TooLarge => Kind::TooLarge,
            Theirs::Config | Theirs::Refused => Kind::Config,
            _ => Kind::Protocol,
        };
        Failure::new(kind, error.to_string())
    }
}

impl Failure {
    /// An error of the embedder, with its message.
    pub fn from_embedder(kind: embedder::ErrorKind, message: impl Into<String>) -> Self {
        use embedder::ErrorKind as Theirs;
        let setting = limit_of_images(kind);
        let kind = match kind {
            Theirs::UnsupportedFormat => Kind::UnsupportedImage,
            Theirs::Animated => Kind::AnimatedImage,
            Theirs::Malformed => Kind::BadImage,
            Theirs::TooLarge
            | Theirs::TooManyPixels
            | Theirs::SideTooLong
            | Theirs::TooMuchMemory
            | Theirs::TextTooLong => Kind::TooLarge,
            Theirs::EmptyText => Kind::BadArgument,
            Theirs::ModelMissing | Theirs::ModelUnreadable => Kind::ModelMissing,
            Theirs::ModelUntrusted => Kind::ModelUntrusted,
            Theirs::Unsupported => Kind::PrecisionUnsupported,
            Theirs::ModelInvalid => Kind::ModelInvalid,
            Theirs::Busy => Kind::Busy,
            Theirs::Unavailable => Kind::NotReady,
            Theirs::Died | Theirs::Crashes => Kind::BrokenOff,
            _ => Kind::Protocol,
        };
        let failure = Failure::new(kind, message);
        match setting {
            Some(name) => failure.with_hint(format!("The limit is set by {name}.")),
            None => failure,
        }
    }
}

/// The setting whose limit an image exceeds, if that is the error.
pub fn limit_of_images(kind: embedder::ErrorKind) -> Option<&'static str> {
    use embedder::ErrorKind as Theirs;
    match kind {
        Theirs::TooLarge => Some("pinterest.max_image_size"),
        Theirs::TooManyPixels => Some("pinterest.max_image_pixels"),
        Theirs::SideTooLong => Some("pinterest.max_image_side"),
        Theirs::TooMuchMemory => Some("pinterest.embedder_memory_limit, of which a quarter is for decoding one image"),
        _ => None,
    }
}

impl From<embedder::Error> for Failure {
    fn from(error: embedder::Error) -> Self {
        Failure::from_embedder(error.kind(), error.to_string())
    }
}
