//! The world of the demo: a couple planning a wedding.

use std::time::Duration;

use super::{AccountSpec, App, BoardSpec, Certificate, Config, ImageRules, Privacy, Surprises, Tier, TokenRules};
use crate::scene::Family;

impl Config {
    /// One account, `example_couple`, with boards of clearly different style, a secret board, a board with sections and
    /// an empty board.
    pub fn demo() -> Self {
        use Family::{Ballroom, Barn, Beach, Garden};
        let couple = AccountSpec::new("example_couple")
            .board(
                BoardSpec::new("Barn wedding", &[Barn, Barn, Barn, Garden], 48)
                    .description("Hay, fairy lights and wild flowers"),
            )
            .board(BoardSpec::new("Beach ceremony", &[Beach, Beach, Beach, Garden], 40))
            .board(BoardSpec::new("Garden party", &[Garden], 36))
            .board(BoardSpec::new("Ballroom", &[Ballroom], 36))
            .board(BoardSpec::new("Not for the guests", &[Garden, Barn], 12).privacy(Privacy::Secret))
            .board(BoardSpec::new("Decoration", &[Garden, Ballroom], 30).sections(&["Flowers", "Tables", "Lights"]))
            .board(BoardSpec::new("Honeymoon", &[Beach], 0));
        Self {
            seed: 1,
            port: 0,
            ca_file: None,
            certificate: Certificate::Valid,
            accounts: vec![couple],
            app: App::default(),
            tokens: TokenRules::default(),
            tier: Tier::Standard,
            per_second: None,
            latency: Duration::ZERO,
            image_latency: Duration::ZERO,
            surprises: Surprises::default(),
            images: ImageRules::default(),
            faults: Vec::new(),
        }
    }
}
