//! The faults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A fault. Over the control path: `{"name": "rate_limited", "retry_after": "5"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Fault {
    // Answers in place of the real one; the request has no effect.
    /// 401 code 2: invalid or expired token; at the token endpoint a wrong client secret.
    AuthenticationFailed,
    /// 401 code 3: a scope is missing.
    MissingScope,
    /// 401 code 3: the app has no access to the API yet ("consumer type").
    AppWithoutAccess,
    /// 401 code 3: a feature that is restricted to some apps.
    RestrictedFeature,
    /// 401 code 283: the authorization grant is invalid.
    InvalidGrant,
    /// 401 code 283 with `data` "Invalid Application ID".
    InvalidApplication,
    /// The user at the authorize page declines: the redirect has `error=access_denied`.
    ConsentDenied,
    /// 401 code 1201, as for client credentials of an account without a second factor.
    TwoFactorRequired,
    /// 400 code 1, as for an expired bookmark.
    InvalidParameter,
    /// 400 code 12, a temporary error.
    SomethingWentWrong,
    /// 400 with the message "Retry after N seconds": a rate limit with another status.
    RetryAfterText {
        /// The N.
        seconds: u64,
    },
    /// 403 code 29.
    Forbidden,
    /// 404 with the code for the kind of path.
    NotFound,
    /// 409 code 409.
    Conflict,
    /// 429 code 8.
    RateLimited {
        /// `Retry-After`: seconds, a date, or an invalid value.
        #[serde(default)]
        retry_after: Option<String>,
        /// `x-ratelimit-reset`; 67150 was observed with Trial access.
        #[serde(default)]
        reset: Option<u64>,
    },
    /// 429 with a message about spam, not about a quota.
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
    /// 200 with an HTML body, as of a proxy with a login page.
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
    /// Any status with this JSON as the body, such as a failure with status 200.
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
    /// Any status with an HTML page, as of a gateway.
    HtmlAnswer {
        /// HTTP status.
        status: u16,
    },
    /// 403 with the CDN's XML.
    CdnForbidden,
    /// A redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// `Location`.
        location: String,
    },
    /// 301 from `/600x/…` to `/564x/…` on this host; other paths are unchanged.
    #[serde(rename = "redirect_600x_to_564x")]
    Redirect600xTo564x,

    // Changes to a page of a listing.
    /// The bookmark of the request is returned (on a first page: a bookmark of the first page).
    RepeatedBookmark,
    /// No items, but a bookmark with which they follow.
    EmptyPageWithBookmark,
    /// At most this many items, whatever `page_size` is.
    ShortPage {
        /// Items.
        items: u64,
    },
    /// Each item twice.
    DuplicateItems,
    /// No items and no bookmark, as on an empty board.
    EmptyPage,
    /// No bookmark: the listing ends with this page.
    LostBookmark,
    /// Only the first items of the page; the bookmark continues after the omitted ones.
    TruncatedPage {
        /// Number of items.
        items: u64,
    },
    /// The ids of some items are numbers.
    NumericIds {
        /// Every how many items, from 1.
        every: u64,
    },
    /// Some items have another shape.
    OddItems {
        /// Every how many items, from 1.
        every: u64,
        /// Their shape.
        shape: OddShape,
    },
    /// Some pins are without media.
    WithoutMedia {
        /// Every how many items, from 1.
        every: u64,
    },
    /// Sets and removes members of items, on a page or as a single answer.
    EditItems {
        /// Ids of the items; empty for all.
        #[serde(default)]
        ids: Vec<String>,
        /// Members to set.
        #[serde(default)]
        set: Map<String, Value>,
        /// Members to remove.
        #[serde(default)]
        remove: Vec<String>,
    },
    /// A board reports more or fewer pins than it has.
    PinCount {
        /// Reported minus real number.
        difference: i64,
    },

    // Changes to a JSON answer.
    /// A token answer without `refresh_token` and its expiry; the refresh token of the request stays valid.
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
    /// Replaces headers, such as `x-ratelimit-limit` by several policies.
    Headers {
        /// Values by name; each value is sent as one line.
        set: BTreeMap<String, Vec<String>>,
    },

    // Changes to the body.
    /// Only the first half of the body, with its real length.
    #[serde(alias = "truncated_json", alias = "truncated_image")]
    TruncatedBody,
    /// The body is sent slowly.
    SlowBody {
        /// Bytes per second, at least 1.
        bytes_per_second: u32,
    },
    /// The body never ends.
    EndlessBody,
    /// A wrong `Content-Length`; if it is too large, the connection ends early.
    WrongContentLength {
        /// Declared minus real length.
        difference: i64,
    },
    /// `Content-Encoding: gzip` and a compressed body of spaces.
    GzipBomb {
        /// Size after decompression.
        mebibytes: u32,
    },
    /// Another `Content-Type`.
    WrongContentType {
        /// Header value.
        value: String,
    },
    /// This many additional headers.
    ManyHeaders {
        /// At most 20,000.
        count: u16,
    },
    /// An additional header of this size.
    HugeHeader {
        /// Size of the value.
        bytes: u32,
    },

    // Changes to an image.
    /// A small file whose header states a huge image.
    ImageBomb {
        /// Format of the file.
        format: PictureFormat,
    },
    /// A JPEG of this size in place of the image.
    Enlarged {
        /// In pixels.
        width: u16,
        /// In pixels.
        height: u16,
    },
    /// An image file whose middle third is noise.
    CorruptImage,
    /// The image in another format than its extension.
    #[serde(alias = "wrong_extension")]
    OtherFormat {
        /// Format of the file.
        format: PictureFormat,
    },
    /// A GIF.
    Gif,
    /// A GIF of two frames.
    AnimatedGif,
    /// A file of an unsupported type, SVG.
    UnknownType,
    /// This text in place of the image.
    Verbatim {
        /// The whole file.
        text: String,
    },

    // Connection and time.
    /// The connection is reset before the request has any effect.
    ResetBeforeHeaders,
    /// The connection is reset after the headers and part of the body.
    ResetAfterHeaders,
    /// The request has its effect, but the connection is reset in place of an answer.
    LostAnswer,
    /// The request has its effect; its answer is delayed.
    Delay {
        /// The delay.
        milliseconds: u64,
    },
    /// The request waits, before it has any effect, until [`Faults::release`](super::Faults::release) opens the gate.
    Hold {
        /// Name of the gate.
        gate: String,
    },
}

/// The shape of an item in place of a pin.
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
    /// The pin with numbers for its title and media.
    OddMembers,
}

/// Format of an image file.
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

    /// 429 with a reset time observed with Trial access.
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
