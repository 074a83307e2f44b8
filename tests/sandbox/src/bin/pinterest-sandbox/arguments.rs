//! The command line.

use std::num::ParseIntError;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use sandbox::config::{BoardSpec, Certificate, FormatMix, MediaMix, OldRefreshToken, Surprises, Tier};
use sandbox::{Config, Family, Rule};

use crate::board;

/// Pinterest's API v5, its authorize page and its image CDN on loopback, over https
#[derive(Debug, Parser)]
#[command(name = "pinterest-sandbox", version)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Serve(Box<Serve>),
    Draw(Draw),
}

/// Serve until SIGINT or SIGTERM
///
/// Prints one line of JSON when it is ready:
/// {"url", "host", "ca_file", "client_id", "client_secret", "redirect_uri", "username", "boards": [{"id", "name", "owner", "pins"}]}
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("help.txt"))]
pub struct Serve {
    /// End also when standard input closes
    #[arg(long)]
    pub stdin_lifeline: bool,
    /// Port on 127.0.0.1; 0 for any free port
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// File for the certificate authority [default: a temporary file]
    #[arg(long, value_name = "PATH")]
    ca_file: Option<PathBuf>,
    /// Kind of the server's certificate: valid, expired, wrong-host or self-signed
    #[arg(long, value_name = "KIND", default_value = "valid", value_parser = certificate)]
    certificate: Certificate,
    /// Seed that all data are derived from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Username of the account
    #[arg(long, value_name = "NAME", default_value = "example_couple")]
    username: String,
    /// A board in place of those of the demo, such as "Barn wedding=barn,barn,garden:200"; repeatable
    #[arg(long = "board", value_name = "NAME=FAMILIES:PINS[:secret][:sections=A,B]", value_parser = board::parse)]
    boards: Vec<BoardSpec>,
    /// Number of pins on every board
    #[arg(long, value_name = "N")]
    pins: Option<u64>,
    /// No videos, carousels or pins without media
    #[arg(long)]
    images_only: bool,
    /// No unknown fields, tiles without id, null sizes or repeated images
    #[arg(long)]
    no_surprises: bool,
    /// Percent of pins with PNG images [default: 4]
    #[arg(long, value_name = "PERCENT")]
    png: Option<u8>,
    /// Percent of pins with WebP images [default: 4]
    #[arg(long, value_name = "PERCENT")]
    webp: Option<u8>,
    /// Draw N images per family before the start and serve only these, for benchmarks
    #[arg(long, value_name = "N")]
    image_pool: Option<u32>,
    /// Delay before each answer of the API
    #[arg(long, value_name = "MILLISECONDS", default_value = "0", value_parser = milliseconds)]
    latency: Duration,
    /// Delay before each image
    #[arg(long, value_name = "MILLISECONDS", default_value = "0", value_parser = milliseconds)]
    image_latency: Duration,
    /// Rate limit per account: trial, standard, or REQUESTS/SECONDS
    #[arg(long, value_name = "TIER", default_value = "standard", value_parser = tier)]
    tier: Tier,
    /// Requests of an account per second, as a second policy in the headers
    #[arg(long, value_name = "N")]
    per_second: Option<u64>,
    /// Lifetime of access tokens
    #[arg(long, value_name = "SECONDS", default_value = "2592000", value_parser = seconds)]
    access_lifetime: Duration,
    /// Lifetime of refresh tokens
    #[arg(long, value_name = "SECONDS", default_value = "5184000", value_parser = seconds)]
    refresh_lifetime: Duration,
    /// Validity of a used refresh token: dead, alive, or a number of seconds
    #[arg(long, value_name = "FATE", default_value = "dead", value_parser = fate)]
    old_refresh_token: OldRefreshToken,
    /// The app's id
    #[arg(long, value_name = "ID", default_value = "1000001")]
    client_id: String,
    /// The app's secret
    #[arg(long, value_name = "SECRET", default_value = "sandbox-example-secret-not-live")]
    client_secret: String,
    /// A redirect address of the app; repeatable
    #[arg(long = "redirect-uri", value_name = "URI", default_value = "http://localhost:8085/")]
    redirect_uris: Vec<String>,
    /// A fault rule (see below); repeatable
    #[arg(long = "fault", value_name = "JSON", value_parser = rule)]
    faults: Vec<Rule>,
}

/// Draw one image as JPEG, PNG or WebP, by the file's extension
#[derive(Args, Debug)]
pub struct Draw {
    /// beach, barn, ballroom or garden
    pub family: Family,
    pub file: PathBuf,
    /// Seed of the image
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Width and height, from 1 to 8192 pixels
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1200x1800", value_parser = dimensions)]
    pub size: (u32, u32),
}

impl Serve {
    /// The world that these options describe.
    pub fn config(self) -> Config {
        let mut config = Config::demo();
        let account = &mut config.accounts[0];
        account.username = self.username;
        if !self.boards.is_empty() {
            account.boards = self.boards;
        }
        for board in &mut account.boards {
            let FormatMix { png, webp } = board.formats;
            board.pins = self.pins.unwrap_or(board.pins);
            board.formats = FormatMix { png: self.png.unwrap_or(png), webp: self.webp.unwrap_or(webp) };
            if self.images_only {
                board.media = MediaMix::images_only();
            }
        }
        if self.no_surprises {
            config.surprises = Surprises::none();
        }
        config.images.pool = self.image_pool;
        config.tokens.access_lifetime = self.access_lifetime;
        config.tokens.refresh_lifetime = self.refresh_lifetime;
        config.tokens.old_refresh_token = self.old_refresh_token;
        config.app.client_id = self.client_id;
        config.app.client_secret = self.client_secret;
        config.app.redirect_uris = self.redirect_uris;
        Config {
            seed: self.seed,
            port: self.port,
            ca_file: self.ca_file,
            certificate: self.certificate,
            tier: self.tier,
            per_second: self.per_second,
            latency: self.latency,
            image_latency: self.image_latency,
            faults: self.faults,
            ..config
        }
    }
}

fn certificate(name: &str) -> Result<Certificate, &'static str> {
    match name {
        "valid" => Ok(Certificate::Valid),
        "expired" => Ok(Certificate::Expired),
        "wrong-host" => Ok(Certificate::WrongHost),
        "self-signed" => Ok(Certificate::SelfSigned),
        _ => Err("must be valid, expired, wrong-host or self-signed"),
    }
}

fn tier(name: &str) -> Result<Tier, &'static str> {
    match name {
        "trial" => Ok(Tier::Trial),
        "standard" => Ok(Tier::Standard),
        _ => {
            let custom = name.split_once('/').and_then(|(limit, window)| {
                let (limit, window) = (limit.parse().ok()?, seconds(window).ok()?);
                Some(Tier::Custom { limit, window, shared: false })
            });
            custom.ok_or("must be trial, standard or REQUESTS/SECONDS")
        }
    }
}

fn fate(name: &str) -> Result<OldRefreshToken, &'static str> {
    match name {
        "dead" => Ok(OldRefreshToken::Dead),
        "alive" => Ok(OldRefreshToken::Alive),
        _ => seconds(name).map(OldRefreshToken::AliveFor).map_err(|_| "must be dead, alive or a number of seconds"),
    }
}

fn seconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_secs)
}

fn milliseconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_millis)
}

fn rule(json: &str) -> Result<Rule, serde_json::Error> {
    serde_json::from_str(json)
}

fn dimensions(text: &str) -> Result<(u32, u32), &'static str> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=8192).contains(side));
    text.split_once('x')
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or("must be WIDTHxHEIGHT with sides from 1 to 8192")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn config(arguments: &[&str]) -> Config {
        let arguments = ["pinterest-sandbox", "serve"].iter().chain(arguments);
        match Arguments::try_parse_from(arguments).expect("valid arguments").command {
            Command::Serve(serve) => serve.config(),
            other => panic!("not serve: {other:?}"),
        }
    }

    #[test]
    fn options_reach_the_world() {
        let config = config(&[
            "--board=One=barn:5",
            "--board=Two=garden:6:secret",
            "--webp=100",
            "--png=0",
            "--tier=7/60",
            "--old-refresh-token=30",
            "--fault",
            r#"{"on": {"kind": "image"}, "fault": {"name": "slow_body", "bytes_per_second": 10}, "times": 1}"#,
        ]);
        let boards = &config.accounts[0].boards;
        assert_eq!(boards.iter().map(|board| board.pins).collect::<Vec<_>>(), [5, 6]);
        assert!(boards.iter().all(|board| board.formats == FormatMix { png: 0, webp: 100 }));
        assert_eq!(config.tier, Tier::Custom { limit: 7, window: Duration::from_secs(60), shared: false });
        assert_eq!(config.tokens.old_refresh_token, OldRefreshToken::AliveFor(Duration::from_secs(30)));
        assert_eq!(config.faults[0].times, Some(1));
    }

    #[test]
    fn without_options_the_world_is_the_demo() {
        assert_eq!(format!("{:?}", config(&[])), format!("{:?}", Config::demo()));
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for wrong in [
            vec![],
            vec!["bake"],
            vec!["serve", "--port=99999"],
            vec!["serve", "--tier=platinum"],
            vec!["serve", "--fault={}"],
            vec!["serve", "leftover"],
            vec!["draw", "barn"],
            vec!["draw", "castle", "file.png"],
            vec!["draw", "barn", "file.png", "--size=0x5"],
        ] {
            let arguments = ["pinterest-sandbox"].iter().chain(&wrong);
            assert!(Arguments::try_parse_from(arguments).is_err(), "{wrong:?}");
        }
    }

    /// The names that a type is read by, from the error for another name.
    fn names<T: serde::de::DeserializeOwned + std::fmt::Debug>(wrong: &str) -> Vec<String> {
        let message = serde_json::from_str::<T>(wrong).expect_err("no such name").to_string();
        let (_, names) = message.split_once("expected one of ").expect("a list of names");
        names.split('`').skip(1).step_by(2).map(str::to_string).collect()
    }

    #[test]
    fn help_names_every_fault_kind_and_family() {
        let mut command = Arguments::command();
        let mut help = |name| command.find_subcommand_mut(name).expect(name).render_long_help().to_string();
        let (serve, draw) = (help("serve"), help("draw"));
        let faults = names::<sandbox::Fault>(r#"{"name": "?"}"#);
        let kinds = names::<sandbox::Kind>(r#""?""#);
        assert!(faults.len() > 30 && kinds.len() > 10, "{faults:?} {kinds:?}");
        let aliases = ["truncated_json", "truncated_image", "wrong_extension"];
        for name in faults.iter().chain(&kinds).filter(|name| !aliases.contains(&name.as_str()) && *name != "unknown") {
            assert!(serve.contains(name), "{name}");
        }
        assert!(Family::ALL.iter().all(|family| draw.contains(family.name())));
    }
}
