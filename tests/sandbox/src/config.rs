//! What kind of world to play: everything a test may want to choose, with defaults that behave like production.

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

/// A whole world and the rules it plays by.
///
/// `Config::default()` is the demo world ([`Config::demo`]); tests usually start from [`Config::with_board`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Everything that looks random is derived from this number: two sandboxes of one seed answer alike.
    pub seed: u64,
    /// Port on 127.0.0.1; 0 lets the kernel choose.
    pub port: u16,
    /// Where to write the certificate authority (PEM); `None` makes a temporary file that goes with the sandbox.
    pub ca_file: Option<PathBuf>,
    /// What is wrong with the server's certificate, if anything.
    pub certificate: Certificate,
    /// Who has an account, and which boards are theirs. The first one is signed in at the authorize page.
    pub accounts: Vec<AccountSpec>,
    /// The one registered app.
    pub app: App,
    /// How tokens live and die.
    pub tokens: TokenRules,
    /// How many requests are allowed.
    pub tier: Tier,
    /// Requests of an account in one second, beside those of the tier: both are told as policies.
    pub per_second: Option<u64>,
    /// Wait before each answer of the API and the token endpoint.
    pub latency: Duration,
    /// Wait before each image.
    pub image_latency: Duration,
    /// How often answers carry things their description does not know.
    pub surprises: Surprises,
    /// How pictures are made and kept.
    pub images: ImageRules,
    /// Fault rules in force from the first request on.
    pub faults: Vec<Rule>,
}

/// One Pinterest account.
#[derive(Clone, Debug)]
pub struct AccountSpec {
    /// Name as in `/v5/user_account`; unique in a world.
    pub username: String,
    /// Boards this account owns.
    pub boards: Vec<BoardSpec>,
}

/// One board; its pins are derived from the seed when they are asked for.
#[derive(Clone, Debug)]
pub struct BoardSpec {
    /// Name, unique within its account.
    pub name: String,
    /// Text under the name.
    pub description: Option<String>,
    /// Who may see it.
    pub privacy: Privacy,
    /// What its pictures show. Each pin takes one entry, so an entry given twice is twice as likely.
    pub families: Vec<Family>,
    /// How many pins it starts with.
    pub pins: u64,
    /// Names of its sections; the pins spread over them and over the board itself.
    pub sections: Vec<String>,
    /// Which media variants its pins have.
    pub media: MediaMix,
    /// Which formats its pictures have.
    pub formats: FormatMix,
    /// Other accounts that see it as a group board.
    pub collaborators: Vec<String>,
    /// Another board, of whichever account, whose pictures its pins show: each that of the pin of its own number.
    pub pictures_of: Option<String>,
}

/// `privacy` of a board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Privacy {
    /// Everybody.
    #[default]
    Public,
    /// Those who have the link.
    Protected,
    /// Only who is on it; needs the `…:read_secret` scopes.
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

/// How tokens live and die.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// `expires_in` of access tokens; 30 days.
    pub access_lifetime: Duration,
    /// `refresh_token_expires_in`; 60 days.
    pub refresh_lifetime: Duration,
    /// How long a code waits to be exchanged.
    pub code_lifetime: Duration,
    /// What a refresh does to the refresh token that was sent.
    pub old_refresh_token: OldRefreshToken,
    /// Whether the code grant gives a refresh token only when asked with `continuous_refresh=true`, as for apps made
    /// before September 2025.
    pub needs_continuous_refresh: bool,
    /// Whether `grant_type=client_credentials` is answered.
    pub client_credentials: bool,
}

/// What becomes of a refresh token once it has been used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldRefreshToken {
    /// Dead at once: single use.
    #[default]
    Dead,
    /// Still good for the given time.
    AliveFor(Duration),
    /// Good until it expires.
    Alive,
}

/// Rate limit: how many API requests in which window, and who shares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// 1,000 requests a day for all accounts together.
    Trial,
    /// 1,000 requests a minute for each account.
    Standard,
    /// Any other allowance.
    Custom {
        /// Requests per window.
        limit: u64,
        /// Length of a window.
        window: Duration,
        /// One budget for all accounts of the app.
        shared: bool,
    },
}

/// Shares, in percent of pins, of things a careful client must live with.
#[derive(Clone, Copy, Debug)]
pub struct Surprises {
    /// Fields the description does not name.
    pub unknown_fields: u8,
    /// A `creative_type` nobody has heard of.
    pub unknown_creative_type: u8,
    /// List items that are not pins: no `id` ("more ideas" tiles), in addition to the pins.
    pub tiles_without_id: u8,
    /// Image sizes whose `width` and `height` are null.
    pub null_sizes: u8,
    /// Timestamps with a fraction of a second.
    pub fractional_seconds: u8,
    /// Pins that show the picture of an earlier pin of their board.
    pub repeated_pictures: u8,
    /// Pins whose maker has disclosed that they were made or changed with AI; all pins then have `ai_disclosures`.
    pub ai_disclosed: u8,
    /// Pins that show a product; all pins then have `is_product` and `product_tags`.
    pub products: u8,
}

/// How pictures are made and kept.
#[derive(Clone, Debug)]
pub struct ImageRules {
    /// JPEG quality, 1 to 100.
    pub jpeg_quality: u8,
    /// Whether answers name `originals` beside the sized pictures.
    pub name_originals: bool,
    /// Bytes of encoded pictures to keep.
    pub cache_bytes: usize,
    /// Draw only this many different pictures per family, before the first request, and give each pin one of them
    /// (JPEG at 600x and 1200x only). Each file stays different by a comment, so that clients that recognise equal
    /// bytes still do all their work. For benchmarks: serving then costs next to nothing.
    pub pool: Option<u32>,
}

/// Certificate the server shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    /// For `localhost`, 127.0.0.1 and ::1, signed by the sandbox's authority.
    #[default]
    Valid,
    /// Signed by the authority, over since 2020.
    Expired,
    /// Signed by the authority, for another name.
    WrongHost,
    /// Signed by itself: the authority in the file never saw it.
    SelfSigned,
}

impl Default for Config {
    fn default() -> Self {
        Self::demo()
    }
}

impl Config {
    /// A world of one account, `example_user`, with one board of plain picture pins and no surprises.
    pub fn with_board(name: &str, families: &[Family], pins: u64) -> Self {
        let board = BoardSpec::new(name, families, pins).media(MediaMix::images_only());
        Self {
            accounts: vec![AccountSpec::new("example_user").board(board)],
            surprises: Surprises::none(),
            ..Self::demo()
        }
    }

    /// Refuses what the world could not play.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |message: String| Err(Error::configuration(message));
        if self.accounts.is_empty() {
            return refuse("a world needs at least one account".into());
        }
        let mut names: Vec<&str> = self.accounts.iter().map(|a| a.username.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return refuse(format!("account {:?} is given twice", pair[0]));
        }
        for board in self.accounts.iter().flat_map(|account| &account.boards) {
            if board.families.is_empty() {
                return refuse(format!("board {:?} has no family of pictures", board.name));
            }
            if board.pins > MAX_PINS {
                return refuse(format!("board {:?} has {} pins, more than {MAX_PINS}", board.name, board.pins));
            }
            if let Some(name) = &board.pictures_of {
                let boards = || self.accounts.iter().flat_map(|account| &account.boards);
                if !boards().any(|other| other.name == *name && other.pins >= board.pins) {
                    return refuse(format!("board {:?} finds no {} pins on a board {name:?}", board.name, board.pins));
                }
            }
            board.media.check().map_err(Error::configuration)?;
            board.formats.check().map_err(Error::configuration)?;
        }
        if self.app.redirect_uris.is_empty() {
            return refuse("the app needs at least one redirect_uri".into());
        }
        if !(1..=100).contains(&self.images.jpeg_quality) {
            return refuse(format!("jpeg quality {} is outside 1..=100", self.images.jpeg_quality));
        }
        if self.images.pool == Some(0) {
            return refuse("a pool needs at least one picture".into());
        }
        Ok(())
    }
}

/// Most pins a board may start with; ids have room for ten times as many.
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
    /// A public board without sections, its pins in the usual mix of media.
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

    /// Sets the text under the name.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets who may see it.
    #[must_use]
    pub fn privacy(mut self, privacy: Privacy) -> Self {
        self.privacy = privacy;
        self
    }

    /// Gives it sections.
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

    /// Sets the mix of picture formats.
    #[must_use]
    pub fn formats(mut self, formats: FormatMix) -> Self {
        self.formats = formats;
        self
    }

    /// Makes it a group board that another account sees too.
    #[must_use]
    pub fn collaborator(mut self, username: impl Into<String>) -> Self {
        self.collaborators.push(username.into());
        self
    }

    /// Has its pins show the pictures of another board, which needs as many pins at least.
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
