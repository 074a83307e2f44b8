//! The configuration of a world, with defaults that behave like production.

mod defaults;
mod demo;
mod mix;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::faults::Rule;
use crate::scene::Family;

pub use mix::{FormatMix, MediaMix};

/// A whole world and its rules.
///
/// `Config::default()` is the demo world ([`Config::demo`]); tests usually start from [`Config::with_board`].
#[derive(Clone, Debug)]
pub struct Config {
    /// All random data are derived from this number: two sandboxes with the same seed give the same answers.
    pub seed: u64,
    /// Port on 127.0.0.1; 0 for any free port.
    pub port: u16,
    /// The file for the certificate authority (PEM); `None` for a temporary file, removed with the sandbox.
    pub ca_file: Option<PathBuf>,
    /// The kind of the server's certificate.
    pub certificate: Certificate,
    /// The accounts with their boards. The first account is signed in at the authorize page.
    pub accounts: Vec<AccountSpec>,
    /// The registered app.
    pub app: App,
    /// The validity of tokens.
    pub tokens: TokenRules,
    /// The rate limit.
    pub tier: Tier,
    /// Limit of requests of an account per second, in addition to the tier's; the headers contain both as policies.
    pub per_second: Option<u64>,
    /// Delay before each answer of the API and the token endpoint.
    pub latency: Duration,
    /// Delay before each image.
    pub image_latency: Duration,
    /// Frequency of data that the API's description does not contain.
    pub surprises: Surprises,
    /// The drawing and caching of images.
    pub images: ImageRules,
    /// Fault rules that apply from the first request on.
    pub faults: Vec<Rule>,
}

/// One Pinterest account.
#[derive(Clone, Debug)]
pub struct AccountSpec {
    /// Username; unique in a world.
    pub username: String,
    /// Boards this account owns.
    pub boards: Vec<BoardSpec>,
}

/// One board, whose pins are derived from the seed when they are requested.
#[derive(Clone, Debug)]
pub struct BoardSpec {
    /// Name, unique within its account.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// Its visibility.
    pub privacy: Privacy,
    /// The families of its images. Each pin has one entry, so an entry given twice is twice as frequent.
    pub families: Vec<Family>,
    /// The number of pins at the start.
    pub pins: u64,
    /// Names of its sections; the pins are distributed over them and the board itself.
    pub sections: Vec<String>,
    /// The media variants of its pins.
    pub media: MediaMix,
    /// The formats of its images.
    pub formats: FormatMix,
    /// Other accounts on this board, which makes it a group board.
    pub collaborators: Vec<String>,
    /// Another board, of any account, whose images its pins show: each pin that of the pin with the same number.
    pub pictures_of: Option<String>,
}

/// `privacy` of a board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Privacy {
    /// Visible to all.
    #[default]
    Public,
    /// Visible to those who have the link.
    Protected,
    /// Visible to its accounts only, with the `…:read_secret` scopes.
    Secret,
}

/// The registered app. The defaults cannot be mistaken for live credentials.
#[derive(Clone)]
pub struct App {
    /// `client_id`.
    pub client_id: String,
    /// Secret for HTTP Basic at the token endpoint.
    pub client_secret: String,
    /// Redirect addresses, compared as plain strings.
    pub redirect_uris: Vec<String>,
}

/// The validity of tokens.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// `expires_in` of access tokens; 30 days.
    pub access_lifetime: Duration,
    /// `refresh_token_expires_in`; 60 days.
    pub refresh_lifetime: Duration,
    /// Lifetime of a code.
    pub code_lifetime: Duration,
    /// Validity of a refresh token after its use.
    pub old_refresh_token: OldRefreshToken,
    /// Whether the code grant contains a refresh token only with `continuous_refresh=true`, as for apps made before
    /// September 2025.
    pub needs_continuous_refresh: bool,
    /// Whether `grant_type=client_credentials` is supported.
    pub client_credentials: bool,
}

/// Validity of a refresh token after its use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldRefreshToken {
    /// Invalid: single use.
    #[default]
    Dead,
    /// Valid for this time.
    AliveFor(Duration),
    /// Valid until it expires.
    Alive,
}

/// Rate limit of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// 1,000 requests a day for all accounts together.
    Trial,
    /// 1,000 requests a minute for each account.
    Standard,
    /// Any other limit.
    Custom {
        /// Requests per window.
        limit: u64,
        /// Length of a window.
        window: Duration,
        /// Whether all accounts of the app share one window.
        shared: bool,
    },
}

/// Percentages of pins with unusual data that a client must accept.
#[derive(Clone, Copy, Debug)]
pub struct Surprises {
    /// Fields that the API's description does not contain.
    pub unknown_fields: u8,
    /// An unknown `creative_type`.
    pub unknown_creative_type: u8,
    /// List items that are not pins and have no `id` ("more ideas" tiles), in addition to the pins.
    pub tiles_without_id: u8,
    /// Image sizes whose `width` and `height` are null.
    pub null_sizes: u8,
    /// Timestamps with a fraction of a second.
    pub fractional_seconds: u8,
    /// Pins with the image of an earlier pin of their board.
    pub repeated_pictures: u8,
    /// Pins that are disclosed as made or changed with AI; unless 0, all pins have `ai_disclosures`.
    pub ai_disclosed: u8,
    /// Pins that show a product; unless 0, all pins have `is_product` and `product_tags`.
    pub products: u8,
}

/// The drawing and caching of images.
#[derive(Clone, Debug)]
pub struct ImageRules {
    /// JPEG quality, 1 to 100.
    pub jpeg_quality: u8,
    /// Whether answers contain the size `originals`.
    pub name_originals: bool,
    /// Size of the cache of encoded images, in bytes.
    pub cache_bytes: usize,
    /// For benchmarks, where serving must cost little: draw this many images per family before the first request and
    /// give each pin one of them (JPEG at 600x and 1200x only). A comment makes each file different, so that clients
    /// that recognise equal bytes still do all their work.
    pub pool: Option<u32>,
}

/// Kind of the server's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    /// For `localhost`, 127.0.0.1 and ::1, signed by the sandbox's authority.
    #[default]
    Valid,
    /// Signed by the authority, expired in 2020.
    Expired,
    /// Signed by the authority, for another name.
    WrongHost,
    /// Self-signed, not by the authority.
    SelfSigned,
}

impl Default for Config {
    fn default() -> Self {
        Self::demo()
    }
}

impl Config {
    /// A world of one account, `example_user`, with one board of image pins and no surprises.
    pub fn with_board(name: &str, families: &[Family], pins: u64) -> Self {
        let board = BoardSpec::new(name, families, pins).media(MediaMix::images_only());
        Self {
            accounts: vec![AccountSpec::new("example_user").board(board)],
            surprises: Surprises::none(),
            ..Self::demo()
        }
    }

    /// Checks the configuration.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |message: String| Err(Error::configuration(message));
        if self.accounts.is_empty() {
            return refuse("a world must have at least one account".into());
        }
        let mut names: Vec<&str> = self.accounts.iter().map(|a| a.username.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return refuse(format!("account {:?} is configured twice", pair[0]));
        }
        for board in self.accounts.iter().flat_map(|account| &account.boards) {
            if board.families.is_empty() {
                return refuse(format!("board {:?} has no family of images", board.name));
            }
            if board.pins > MAX_PINS {
                return refuse(format!("board {:?} has {} pins, the maximum is {MAX_PINS}", board.name, board.pins));
            }
            if let Some(name) = &board.pictures_of {
                let boards = || self.accounts.iter().flat_map(|account| &account.boards);
                if !boards().any(|other| other.name == *name && other.pins >= board.pins) {
                    return refuse(format!(
                        "board {:?} needs the images of {} pins on board {name:?}",
                        board.name, board.pins
                    ));
                }
            }
            board.media.check().map_err(Error::configuration)?;
            board.formats.check().map_err(Error::configuration)?;
        }
        if self.app.redirect_uris.is_empty() {
            return refuse("the app must have at least one redirect_uri".into());
        }
        if !(1..=100).contains(&self.images.jpeg_quality) {
            return refuse(format!("JPEG quality must be from 1 to 100, not {}", self.images.jpeg_quality));
        }
        if self.images.pool == Some(0) {
            return refuse("the image pool must have at least one image".into());
        }
        Ok(())
    }
}

/// Maximum number of pins of a board at the start; ids have room for ten times as many.
const MAX_PINS: u64 = 100_000_000;

impl AccountSpec {
    /// An account without boards.
    pub fn new(username: impl Into<String>) -> Self {
        Self { username: username.into(), boards: Vec::new() }
    }

    /// Adds a board.
    #[must_use]
    pub fn board(mut self, board: BoardSpec) -> Self {
        self.boards.push(board);
        self
    }
}

impl BoardSpec {
    /// A public board without sections, with the default mix of media.
    pub fn new(name: impl Into<String>, families: &[Family], pins: u64) -> Self {
        Self {
            name: name.into(),
            description: None,
            privacy: Privacy::Public,
            families: families.to_vec(),
            pins,
            sections: Vec::new(),
            media: MediaMix::default(),
            formats: FormatMix::default(),
            collaborators: Vec::new(),
            pictures_of: None,
        }
    }

    /// Sets the description.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets the visibility.
    #[must_use]
    pub fn privacy(mut self, privacy: Privacy) -> Self {
        self.privacy = privacy;
        self
    }

    /// Sets the sections.
    #[must_use]
    pub fn sections(mut self, names: &[&str]) -> Self {
        self.sections = names.iter().map(ToString::to_string).collect();
        self
    }

    /// Sets the mix of media variants.
    #[must_use]
    pub fn media(mut self, media: MediaMix) -> Self {
        self.media = media;
        self
    }

    /// Sets the mix of image formats.
    #[must_use]
    pub fn formats(mut self, formats: FormatMix) -> Self {
        self.formats = formats;
        self
    }

    /// Adds another account, which makes it a group board.
    #[must_use]
    pub fn collaborator(mut self, username: impl Into<String>) -> Self {
        self.collaborators.push(username.into());
        self
    }

    /// Makes its pins show the images of another board, which must have at least as many pins.
    #[must_use]
    pub fn pictures_of(mut self, board: impl Into<String>) -> Self {
        self.pictures_of = Some(board.into());
        self
    }
}

impl fmt::Debug for App {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("App")
            .field("client_id", &self.client_id)
            .field("client_secret", &"[redacted]")
            .field("redirect_uris", &self.redirect_uris)
            .finish()
    }
}
