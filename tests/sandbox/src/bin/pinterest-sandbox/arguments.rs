//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::{Arg, Error, Parser, ValueExt as _};
use sandbox::Config;
use sandbox::config::{AccountSpec, BoardSpec, Certificate, FormatMix, MediaMix, OldRefreshToken, Surprises, Tier};
use sandbox::scene::Family;

use crate::board;

/// What to do.
#[derive(Debug)]
pub enum Command {
    Help,
    Version,
    Serve { config: Box<Config>, lifeline: bool },
    Draw { family: Family, file: PathBuf, seed: u64, width: u32, height: u32 },
}

pub fn parse(mut parser: Parser) -> Result<Command, Error> {
    match parser.next()? {
        Some(Arg::Short('h') | Arg::Long("help")) => Ok(Command::Help),
        Some(Arg::Short('V') | Arg::Long("version")) => Ok(Command::Version),
        Some(Arg::Value(command)) if command == "serve" => serve(parser),
        Some(Arg::Value(command)) if command == "draw" => draw(parser),
        Some(argument) => Err(argument.unexpected()),
        None => Err("serve or draw?".into()),
    }
}

fn serve(mut parser: Parser) -> Result<Command, Error> {
    let mut config = Config::demo();
    let mut lifeline = false;
    let mut choices = Choices::default();
    let mut redirect_uris = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Long("stdin-lifeline") => lifeline = true,
            Arg::Long("port") => config.port = parser.value()?.parse()?,
            Arg::Long("ca-file") => config.ca_file = Some(parser.value()?.into()),
            Arg::Long("certificate") => config.certificate = parser.value()?.parse_with(certificate)?,
            Arg::Long("seed") => config.seed = parser.value()?.parse()?,
            Arg::Long("username") => config.accounts[0].username = parser.value()?.string()?,
            Arg::Long("board") => choices.boards.push(parser.value()?.parse_with(board::parse)?),
            Arg::Long("pins") => choices.pins = Some(parser.value()?.parse()?),
            Arg::Long("images-only") => choices.images_only = true,
            Arg::Long("png") => choices.png = Some(parser.value()?.parse()?),
            Arg::Long("webp") => choices.webp = Some(parser.value()?.parse()?),
            Arg::Long("no-surprises") => config.surprises = Surprises::none(),
            Arg::Long("image-pool") => config.images.pool = Some(parser.value()?.parse()?),
            Arg::Long("latency") => config.latency = Duration::from_millis(parser.value()?.parse()?),
            Arg::Long("image-latency") => config.image_latency = Duration::from_millis(parser.value()?.parse()?),
            Arg::Long("tier") => config.tier = parser.value()?.parse_with(tier)?,
            Arg::Long("per-second") => config.per_second = Some(parser.value()?.parse()?),
            Arg::Long("access-lifetime") => config.tokens.access_lifetime = parser.value()?.parse_with(seconds)?,
            Arg::Long("refresh-lifetime") => config.tokens.refresh_lifetime = parser.value()?.parse_with(seconds)?,
            Arg::Long("old-refresh-token") => config.tokens.old_refresh_token = parser.value()?.parse_with(fate)?,
            Arg::Long("client-id") => config.app.client_id = parser.value()?.string()?,
            Arg::Long("client-secret") => config.app.client_secret = parser.value()?.string()?,
            Arg::Long("redirect-uri") => redirect_uris.push(parser.value()?.string()?),
            Arg::Long("fault") => config.faults.push(parser.value()?.parse_with(|json| serde_json::from_str(json))?),
            _ => return Err(argument.unexpected()),
        }
    }
    if !redirect_uris.is_empty() {
        config.app.redirect_uris = redirect_uris;
    }
    choices.apply(&mut config.accounts[0]);
    Ok(Command::Serve { config: Box::new(config), lifeline })
}

/// What was said about boards: it holds for all of them, in whatever order it was said.
#[derive(Default)]
struct Choices {
    boards: Vec<BoardSpec>,
    pins: Option<u64>,
    images_only: bool,
    png: Option<u8>,
    webp: Option<u8>,
}

impl Choices {
    fn apply(self, account: &mut AccountSpec) {
        if !self.boards.is_empty() {
            account.boards = self.boards;
        }
        for board in &mut account.boards {
            board.pins = self.pins.unwrap_or(board.pins);
            let usual = board.formats;
            board.formats = FormatMix { png: self.png.unwrap_or(usual.png), webp: self.webp.unwrap_or(usual.webp) };
            if self.images_only {
                board.media = MediaMix::images_only();
            }
        }
    }
}

fn draw(mut parser: Parser) -> Result<Command, Error> {
    let mut places = Vec::new();
    let (mut seed, mut size) = (1, (1200, 1800));
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Long("seed") => seed = parser.value()?.parse()?,
            Arg::Long("size") => size = parser.value()?.parse_with(dimensions)?,
            Arg::Value(value) => places.push(value),
            _ => return Err(argument.unexpected()),
        }
    }
    let [family, file] = <[_; 2]>::try_from(places).map_err(|_| "draw takes FAMILY and FILE")?;
    Ok(Command::Draw { family: family.parse()?, file: file.into(), seed, width: size.0, height: size.1 })
}

fn certificate(name: &str) -> Result<Certificate, String> {
    match name {
        "valid" => Ok(Certificate::Valid),
        "expired" => Ok(Certificate::Expired),
        "wrong-host" => Ok(Certificate::WrongHost),
        "self-signed" => Ok(Certificate::SelfSigned),
        _ => Err("it is none of valid, expired, wrong-host, self-signed".into()),
    }
}

fn tier(name: &str) -> Result<Tier, String> {
    match name {
        "trial" => Ok(Tier::Trial),
        "standard" => Ok(Tier::Standard),
        _ => {
            let custom = name.split_once('/').and_then(|(limit, window)| {
                let (limit, window) = (limit.parse().ok()?, seconds(window).ok()?);
                Some(Tier::Custom { limit, window, shared: false })
            });
            custom.ok_or_else(|| "it is none of trial, standard, REQUESTS/SECONDS".into())
        }
    }
}

fn fate(name: &str) -> Result<OldRefreshToken, String> {
    match name {
        "dead" => Ok(OldRefreshToken::Dead),
        "alive" => Ok(OldRefreshToken::Alive),
        _ => match seconds(name) {
            Ok(grace) => Ok(OldRefreshToken::AliveFor(grace)),
            Err(_) => Err("it is none of dead, alive, SECONDS".into()),
        },
    }
}

fn seconds(text: &str) -> Result<Duration, <u64 as FromStr>::Err> {
    text.parse().map(Duration::from_secs)
}

/// Sides from 1 to 8192.
fn dimensions(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=8192).contains(side));
    text.split_once('x')
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or_else(|| "it is not WIDTHxHEIGHT with sides from 1 to 8192".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Config {
        let parser = Parser::from_iter(["pinterest-sandbox", "serve"].iter().chain(arguments));
        match parse(parser).expect("valid arguments") {
            Command::Serve { config, .. } => *config,
            other => panic!("not serve: {other:?}"),
        }
    }

    #[test]
    fn options_reach_the_world() {
        let config = config(&[
            "--board=One=barn:5",
            "--board=Two=lake:6:secret",
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
            assert!(parse(Parser::from_args(wrong.clone())).is_err(), "{wrong:?}");
        }
    }

    /// The names a type is read by, from the message that complains of another.
    fn names<T: serde::de::DeserializeOwned + std::fmt::Debug>(wrong: &str) -> Vec<String> {
        let message = serde_json::from_str::<T>(wrong).expect_err("no such name").to_string();
        let (_, names) = message.split_once("expected one of ").expect("a list of names");
        names.split('`').skip(1).step_by(2).map(str::to_string).collect()
    }

    #[test]
    fn help_names_every_fault_and_kind() {
        let help = include_str!("help.txt");
        let faults = names::<sandbox::Fault>(r#"{"name": "?"}"#);
        let kinds = names::<sandbox::Kind>(r#""?""#);
        assert!(faults.len() > 30 && kinds.len() > 10, "{faults:?} {kinds:?}");
        let aliases = ["truncated_json", "truncated_image", "wrong_extension"];
        for name in faults.iter().chain(&kinds).filter(|name| !aliases.contains(&name.as_str()) && *name != "unknown") {
            assert!(help.contains(name), "{name}");
        }
        assert!(Family::ALL.iter().all(|family| help.contains(family.name())));
    }
}
