//! The one table of refusals: kind → SQLSTATE and hint. Codes are API and never change.

use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use serde::{Deserialize, Serialize};

/// What went wrong, as a caller can branch on it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// An argument breaks a rule that the message names.
    BadArgument,
    /// Text that is no value of its type.
    BadText,
    /// A name of more bytes than names have.
    NameTooLong,
    /// NULL for an argument that has to be given.
    NullArgument,
    /// No app, account, board, import or table by that name or id.
    NotFound,
    /// There is one of that name already.
    Duplicate,
    /// A table has no column of that name.
    NoColumn,
    /// A view, or something else that is no table, where a table has to be.
    WrongObject,
    /// Asked for with a type, or of a kind of table, for which it is not made.
    Unsupported,
    /// The object belongs to another role, or does not exist: one answer for both.
    NotYours,
    /// The account has no usable token.
    NeedsReauth,
    /// Pinterest refuses: the board is not shared.
    Forbidden,
    /// Pinterest has not granted the app access.
    AppAccess,
    /// The user has not granted a scope that the call needs.
    MissingScope,
    /// Pinterest keeps what was asked for to some apps.
    Restricted,
    /// Pinterest refuses and does not say what is missing.
    NotPermitted,
    /// Pinterest refuses the app's id or secret.
    AppCredentials,
    /// An authorization code or state that is unknown, used or expired.
    BadAuthorization,
    /// A step that has to come first has not been taken.
    NotReady,
    /// Nobody answers at the other end.
    Unreachable,
    /// The proxy does not answer, or not as one, or gives no connection that lasts.
    ProxyUnreachable,
    /// The proxy does not accept the user and password.
    ProxyCredentials,
    /// The proxy's rules forbid the connection.
    ProxyRefused,
    /// The other end broke off, timed out or failed.
    BrokenOff,
    /// The other end answered what makes no sense.
    Protocol,
    /// Pinterest's quota is used up.
    RateLimited,
    /// A limit of this server's on what may wait is reached.
    QueueFull,
    /// No room: embedder busy, no worker slot.
    Busy,
    /// Memory that the call takes cannot be had.
    OutOfMemory,
    /// Bytes that are no image this build decodes.
    BadImage,
    /// An image type that is not decoded.
    UnsupportedImage,
    /// The image is an animation, and those are not embedded.
    AnimatedImage,
    /// An image, text or answer beyond its limit.
    TooLarge,
    /// The model directory or a file in it is missing.
    ModelMissing,
    /// Others may write the model directory or a file in it.
    ModelUntrusted,
    /// The model directory holds something else than a CLIP ViT-B/32.
    ModelInvalid,
    /// The processor has no kernels for the precision that is set.
    PrecisionUnsupported,
    /// Vectors of different models, which have no common distance.
    ModelsMixed,
    /// Sealed bytes that were altered, or moved from another place.
    SealBroken,
    /// Sealed with a key that the server does not have.
    KeyMissing,
    /// A configured file or setting that cannot be used.
    Config,
    /// The server refused a statement of a worker: a lock, a full disk, an object that is gone.
    Database,
    /// A user's own table refuses what is done to it in its owner's name: its trigger, constraint or policy.
    TableRefused,
    /// While a worker was at it, a table's name came to mean another relation, or none: to be found anew.
    TableMoved,
    /// A trigger function called otherwise than by a trigger of the shape that it is made for.
    TriggerProtocol,
    /// Code of a user's table took longer for a row than it may.
    TableTooSlow,
    /// Code of a user's table ended the process that ran it.
    TableEndsWorker,
    /// Code of a user's table has used more time than its share.
    TimeUsedUp,
    /// A broken invariant: a bug.
    Internal,
}

/// The view pinterest.imports says the same of imports that wait.
const APP_ACCESS_HINT: &str = "Pinterest has not granted the app access to its API, or has withdrawn it: see the app's page at developers.pinterest.com. Imports that wait for it go on by themselves once it is granted.";

impl Kind {
    /// Whether the proxy has to be put right, and perhaps nothing else.
    pub fn is_proxy(self) -> bool {
        matches!(self, Kind::ProxyUnreachable | Kind::ProxyCredentials | Kind::ProxyRefused)
    }

    /// The SQLSTATE and the hint for callers who are given no better one.
    fn row(self) -> (PgSqlErrorCode, Option<&'static str>) {
        use PgSqlErrorCode as Code;
        match self {
            Kind::BadArgument => (Code::ERRCODE_INVALID_PARAMETER_VALUE, None),
            Kind::BadText => (Code::ERRCODE_INVALID_TEXT_REPRESENTATION, None),
            Kind::NameTooLong => (Code::ERRCODE_NAME_TOO_LONG, None),
            Kind::NullArgument => (Code::ERRCODE_NULL_VALUE_NOT_ALLOWED, None),
            Kind::NotFound => (Code::ERRCODE_UNDEFINED_OBJECT, None),
            Kind::Duplicate => (Code::ERRCODE_DUPLICATE_OBJECT, None),
            Kind::NoColumn => (Code::ERRCODE_UNDEFINED_COLUMN, None),
            Kind::WrongObject => (Code::ERRCODE_WRONG_OBJECT_TYPE, None),
            Kind::Unsupported => (Code::ERRCODE_FEATURE_NOT_SUPPORTED, None),
            Kind::NotYours => (
                Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
                Some("SELECT * FROM pinterest.accounts lists the accounts of the current role."),
            ),
            Kind::NeedsReauth => (
                Code::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                Some("Connect the account again: pinterest_authorize_url(), then pinterest_connect()."),
            ),
            Kind::Forbidden => (
                Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
                Some(
                    "Check that the board is shared with this account and which scopes were granted: SELECT scopes FROM pinterest.accounts.",
                ),
            ),
            Kind::AppAccess => (Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, Some(APP_ACCESS_HINT)),
            Kind::MissingScope => (
                Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
                Some(
                    "Connect the account again with that scope: pinterest_authorize_url(), with secret_boards => true for secret boards. SELECT scopes, scopes_missing FROM pinterest.accounts shows what was granted.",
                ),
            ),
            Kind::Restricted => (
                Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
                Some(
                    "Pinterest keeps this feature to some apps; neither scopes nor a new connection open it. Ask Pinterest, with the request id.",
                ),
            ),
            Kind::NotPermitted => (
                Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
                Some(
                    "Pinterest does not say what is missing. Look whether the app has access at developers.pinterest.com, and which scopes were granted: SELECT scopes, scopes_missing FROM pinterest.accounts.",
                ),
            ),
            Kind::AppCredentials => (
                Code::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                Some(
                    "Compare the client id and secret with the app's page at Pinterest, then call pinterest_register_app() again.",
                ),
            ),
            Kind::BadAuthorization => (
                Code::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                Some("Start over with pinterest_authorize_url(); a state and a code work once and for ten minutes."),
            ),
            Kind::NotReady => (Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, None),
            Kind::Unreachable => (
                Code::ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
                Some("Check the network, pinterest.api_host and pinterest.ca_file, then try again."),
            ),
            Kind::ProxyUnreachable => (
                Code::ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
                Some(
                    "Check pinterest.proxy, the proxy, and whether it reaches the host. Work goes on when it answers.",
                ),
            ),
            Kind::ProxyCredentials => (
                Code::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                Some(
                    "Put user:password, on one line, into the file that pinterest.proxy_credentials_file names. A change of the file needs no reload.",
                ),
            ),
            Kind::ProxyRefused => (
                Code::ERRCODE_SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION,
                Some("Allow the host and port in the proxy's rules, or name them in pinterest.no_proxy."),
            ),
            Kind::BrokenOff => (Code::ERRCODE_CONNECTION_FAILURE, Some("Try again in a moment.")),
            Kind::Protocol => (Code::ERRCODE_PROTOCOL_VIOLATION, None),
            Kind::RateLimited => (
                Code::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                Some("SELECT * FROM pinterest.quota shows what is left and when it renews."),
            ),
            Kind::QueueFull => (Code::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, None),
            Kind::Busy => (Code::ERRCODE_INSUFFICIENT_RESOURCES, None),
            Kind::OutOfMemory => (
                Code::ERRCODE_OUT_OF_MEMORY,
                Some("Ask for less at once, or let the server's processes have more memory."),
            ),
            Kind::BadImage => {
                (Code::ERRCODE_INVALID_BINARY_REPRESENTATION, Some("The image is cut off or damaged: fetch it again."))
            }
            Kind::UnsupportedImage => {
                (Code::ERRCODE_FEATURE_NOT_SUPPORTED, Some("JPEG, PNG, WebP and GIF are decoded."))
            }
            Kind::AnimatedImage => (
                Code::ERRCODE_FEATURE_NOT_SUPPORTED,
                Some("With pinterest.animated_images = first_frame the first frame is embedded."),
            ),
            Kind::TooLarge => (Code::ERRCODE_PROGRAM_LIMIT_EXCEEDED, None),
            Kind::ModelMissing => (
                Code::ERRCODE_UNDEFINED_FILE,
                Some(
                    "Set pinterest.model_dir to a directory made by pgvector_setup/clip-weights or pinterest-embedder init-model.",
                ),
            ),
            Kind::ModelUntrusted => (
                Code::ERRCODE_CONFIG_FILE_ERROR,
                Some(
                    "The model belongs to root or the server's user, and nobody else may write its directory or files: chmod go-w.",
                ),
            ),
            Kind::ModelInvalid => {
                (Code::ERRCODE_DATA_CORRUPTED, Some("Bring the model again with pgvector_setup/clip-weights."))
            }
            Kind::PrecisionUnsupported => {
                (Code::ERRCODE_FEATURE_NOT_SUPPORTED, Some("Set pinterest.clip_precision to auto or f32."))
            }
            Kind::ModelsMixed => (
                Code::ERRCODE_INVALID_PARAMETER_VALUE,
                Some("pinterest_reembed_board() has the present model embed the images of all others."),
            ),
            Kind::SealBroken => (
                Code::ERRCODE_DATA_CORRUPTED,
                Some("Sealed bytes are good in their own row alone: connect the account, or register the app, again."),
            ),
            Kind::KeyMissing => (
                Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                Some("Put the key that sealed them back into the key file, behind the first one."),
            ),
            Kind::Config => (Code::ERRCODE_CONFIG_FILE_ERROR, None),
            Kind::Database => (Code::ERRCODE_OPERATOR_INTERVENTION, None),
            Kind::TableRefused => (Code::ERRCODE_TRIGGERED_ACTION_EXCEPTION, None),
            Kind::TableMoved => (Code::ERRCODE_T_R_SERIALIZATION_FAILURE, None),
            Kind::TriggerProtocol => (
                Code::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                Some("pinterest_track() makes the triggers that call it."),
            ),
            Kind::TableTooSlow => (
                Code::ERRCODE_QUERY_CANCELED,
                Some(
                    "Look at the table's triggers, policies and index expressions, then call pinterest_retry_tracked(); pinterest.tracked_row_timeout sets the limit.",
                ),
            ),
            Kind::TableEndsWorker => (
                Code::ERRCODE_CRASH_SHUTDOWN,
                Some(
                    "The server log says how the process ended. Look at the table's triggers, policies and index expressions, then call pinterest_retry_tracked().",
                ),
            ),
            Kind::TimeUsedUp => (
                Code::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                Some("Rows go on in a while. Triggers that take less than 0.1 s for a row never pause."),
            ),
            Kind::Internal => (Code::ERRCODE_INTERNAL_ERROR, Some("This is a bug in pg_pinterest; please report it.")),
        }
    }
}

/// A refusal: kind, message, and a detail or hint where the kind's own does not do. Never holds a secret.
/// A worker hands it to the session that waits for it as it is, without the code of the server's own ERROR.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Failure {
    /// What a caller branches on.
    pub kind: Kind,
    /// One sentence; names the rule broken or the two numbers that disagree.
    pub message: String,
    detail: Option<String>,
    hint: Option<String>,
    #[serde(skip)]
    raised: Option<PgSqlErrorCode>,
}

/// So many bytes are kept of a message that others' code wrote.
const LONGEST_FOREIGN_MESSAGE: usize = 4096;

impl Failure {
    /// A failure with its kind's hint.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Failure { kind, message: message.into(), detail: None, hint: None, raised: None }
    }

    /// What a caught ERROR of the server says, the first 4,096 bytes of it. Its detail may hold values of rows and stays
    /// behind.
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

    /// Remembers the SQLSTATE of the server's ERROR that this failure stands for.
    pub fn raised_with(mut self, code: PgSqlErrorCode) -> Self {
        self.raised = Some(code);
        self
    }

    /// The SQLSTATE of the server's ERROR that this failure stands for, if it does.
    pub fn raised(&self) -> Option<PgSqlErrorCode> {
        self.raised
    }

    /// The SQLSTATE of the server's ERROR that this failure stands for, else its own. pgrx knows the server's codes alone
    /// and takes one that a user made up for an internal error.
    pub fn first_sqlstate(&self) -> String {
        let known = self.raised.filter(|&code| code != PgSqlErrorCode::ERRCODE_INTERNAL_ERROR);
        known.map_or_else(|| self.sqlstate(), sqlstate)
    }

    /// Says which element of an array it is about, counted from 1 as SQL does.
    pub fn at_element(mut self, place: usize) -> Self {
        self.message = format!("element {place}: {}", self.message);
        self
    }

    /// The hint: this failure's own, else its kind's.
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
    /// What the embedder refused, in the words it sent.
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
            Theirs::Died => Kind::BrokenOff,
            _ => Kind::Protocol,
        };
        let failure = Failure::new(kind, message);
        match setting {
            Some(name) => failure.with_hint(format!("The limit is the setting {name}.")),
            None => failure,
        }
    }
}

/// The setting that an image is over, where that is what the embedder says.
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
