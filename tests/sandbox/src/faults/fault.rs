//! The faults by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One way to misbehave. Over the control path: `{"name": "rate_limited", "retry_after": "5"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Fault {
    // Answers given instead of the real one; the request has no effect.
    /// 401 code 2: bad, expired or foreign token; at the token endpoint a bad client secret.
    AuthenticationFailed,
    /// 401 code 3: a scope is missing.
    MissingScope,
    /// 401 code 3: the app has no access to the API yet ("consumer type").
    AppWithoutAccess,
    /// 401 code 3: a feature that is kept to some apps.
    RestrictedFeature,
    /// 401 code 283: the authorization grant is invalid.
    InvalidGrant,
    /// 401 code 283 with `data` "Invalid Application ID".
    InvalidApplication,
    /// The person at the authorize page refuses: the redirect carries `error=access_denied`.
    ConsentDenied,
    /// 401 code 1201, as for client credentials of an account without a second factor.
    TwoFactorRequired,
    /// 400 code 1, as for a stale bookmark.
    InvalidParameter,
    /// 400 code 12, which passes by itself.
    SomethingWentWrong,
    /// 400 whose text says "Retry after N seconds": a rate limit in disguise.
    RetryAfterText {
        /// The N.
        seconds: u64,
    },
    /// 403 code 29.
    Forbidden,
    /// 404 with the code that belongs to the kind of path.
    NotFound,
    /// 409 code 409.
    Conflict,
    /// 429 code 8.
    RateLimited {
        /// `Retry-After`, as it stands: seconds, a date, or nonsense.
        #[serde(default)]
        retry_after: Option<String>,
        /// `x-ratelimit-reset`; Trial apps have seen 67150.
        #[serde(default)]
        reset: Option<u64>,
    },
    /// 429 whose text speaks of spam: not a quota.
    Spam,
    /// The end of a listing at 100,000 pins.
    ListingWall,
    /// A 5xx with a JSON body.
    ServerError {
        /// Status, 500 to 599.
        status: u16,
    },
    /// 502 with an HTML body.
    #[serde(rename = "html_502")]
    Html502,
    /// 200 with an HTML body, as of a proxy that wants a password.
    #[serde(rename = "html_200")]
    Html200,
    /// Any status, code and message.
    Status {
        /// HTTP status.
        status: u16,
        /// `code` in the body.
        code: i64,
        /// `message` in the body.
        message: String,
        /// Further headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// Any status with this JSON as the body, such as a failure that says 200.
    JsonAnswer {
        /// HTTP status.
        status: u16,
        /// The whole body.
        body: Value,
    },
    /// Any status without a body.
    EmptyAnswer {
        /// HTTP status.
        status: u16,
    },
    /// Any status with a page in HTML, as of a gateway.
    HtmlAnswer {
        /// HTTP status.
        status: u16,
    },
    /// 403 with the CDN's XML.
    CdnForbidden,
    /// A redirect to anywhere.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// `Location`, as it stands.
        location: String,
    },
    /// 301 from `/600x/…` to `/564x/…` on this host, where the picture is; other paths are left alone.
    #[serde(rename = "redirect_600x_to_564x")]
    Redirect600xTo564x,

    // Changes to a page of a listing.
    /// The bookmark that was sent comes back (on a first page: one that leads to itself).
    RepeatedBookmark,
    /// No items, but a bookmark that goes on with them.
    EmptyPageWithBookmark,
    /// At most this many items, whatever `page_size` says.
    ShortPage {
        /// Items.
        items: u64,
    },
    /// Each item twice.
    DuplicateItems,
    /// No items and no bookmark: the board looks empty.
    EmptyPage,
    /// The page ends the listing, whatever follows it.
    LostBookmark,
    /// Only the first items of the page; the bookmark goes on behind those that are left out.
    TruncatedPage {
        /// Items that are left.
        items: u64,
    },
    /// The ids of some items are numbers.
    NumericIds {
        /// Each so-manieth item, from 1.
        every: u64,
    },
    /// Some items are of another shape.
    OddItems {
        /// Each so-manieth item, from 1.
        every: u64,
        /// What they are.
        shape: OddShape,
    },
    /// Some pins come without media.
    WithoutMedia {
        /// Each so-manieth item, from 1.
        every: u64,
    },
    /// Sets and removes members of items, on a page or by themselves.
    EditItems {
        /// Ids of the items; none: all.
        #[serde(default)]
        ids: Vec<String>,
        /// Members to set.
        #[serde(default)]
        set: Map<String, Value>,
        /// Members to remove.
        #[serde(default)]
        remove: Vec<String>,
    },
    /// A board counts so many pins more than it has, or less.
    PinCount {
        /// Told minus real.
        difference: i64,
    },

    // Changes to a JSON answer.
    /// A token answer without `refresh_token` and its expiries; a refresh token that was sent stays good.
    WithoutRefreshToken,
    /// A token answer without `scope`.
    WithoutScope,
    /// Sets and removes top-level fields.
    EditJson {
        /// Fields to set.
        #[serde(default)]
        set: Map<String, Value>,
        /// Fields to remove.
        #[serde(default)]
        remove: Vec<String>,
    },

    // Changes to the headers.
    /// Sets headers, a line each, in place of what is there: `x-ratelimit-limit` with several policies, for example.
    Headers {
        /// Lines by name.
        set: BTreeMap<String, Vec<String>>,
    },

    // Changes to the body on its way.
    /// Only the first half of the body, its length declared truly.
    #[serde(alias = "truncated_json", alias = "truncated_image")]
    TruncatedBody,
    /// The body drips.
    SlowBody {
        /// Bytes a second, at least 1.
        bytes_per_second: u32,
    },
    /// The body never ends.
    EndlessBody,
    /// `Content-Length` off by this much; too long means the connection ends early.
    WrongContentLength {
        /// Declared minus real.
        difference: i64,
    },
    /// `Content-Encoding: gzip` and this much of nothing, packed.
    GzipBomb {
        /// Unpacked size.
        mebibytes: u32,
    },
    /// Another `Content-Type`.
    WrongContentType {
        /// Header value.
        value: String,
    },
    /// This many headers more.
    ManyHeaders {
        /// At most 20,000.
        count: u16,
    },
    /// One header of this size more.
    HugeHeader {
        /// Size of the value.
        bytes: u32,
    },

    // Changes to a picture.
    /// A small file that claims to be huge.
    ImageBomb {
        /// Format of the file.
        format: PictureFormat,
    },
    /// A JPEG of this size in place of the picture.
    Enlarged {
        /// In pixels.
        width: u16,
        /// In pixels.
        height: u16,
    },
    /// A picture whose middle is noise.
    CorruptImage,
    /// The picture in another format than its extension says.
    #[serde(alias = "wrong_extension")]
    OtherFormat {
        /// Format of the file.
        format: PictureFormat,
    },
    /// A GIF.
    Gif,
    /// A GIF of two frames.
    AnimatedGif,
    /// A file of no picture type at all.
    UnknownType,
    /// This text in place of the picture.
    Verbatim {
        /// The whole file.
        text: String,
    },

    // The connection, and time.
    /// The connection is reset before the request has any effect.
    ResetBeforeHeaders,
    /// The connection is reset after the headers and part of the body.
    ResetAfterHeaders,
    /// The request has its effect; its answer never comes.
    LostAnswer,
    /// The request has its effect; its answer waits.
    Delay {
        /// How long.
        milliseconds: u64,
    },
    /// The request waits, before any effect, until [`Faults::release`](super::Faults::release) opens the gate.
    Hold {
        /// Name of the gate.
        gate: String,
    },
}

/// What an item is that should be a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OddShape {
    /// `null`.
    Null,
    /// The pin without its id.
    WithoutId,
    /// The pin's id is null.
    NullId,
    /// The pin in a list.
    List,
    /// The pin, title and media being numbers.
    OddMembers,
}

/// Format of a picture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureFormat {
    /// JPEG, baseline.
    Jpeg,
    /// PNG, 8-bit RGB.
    Png,
    /// WebP, lossless.
    Webp,
}

impl Fault {
    /// Sets one header.
    pub fn header(name: &str, value: &str) -> Self {
        Self::Headers { set: BTreeMap::from([(name.to_owned(), vec![value.to_owned()])]) }
    }

    /// 429 with the reset time a Trial app has seen.
    pub fn trial_quota_spent() -> Self {
        Self::RateLimited { retry_after: None, reset: Some(67_150) }
    }
}

impl PictureFormat {
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }
}
