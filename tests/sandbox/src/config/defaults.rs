//! Defaults: tokens and limits as in production, an example app, some of every surprise.

use std::time::Duration;

use super::{App, ImageRules, OldRefreshToken, Surprises, TokenRules};

impl Default for App {
    fn default() -> Self {
        Self {
            client_id: "1000001".into(),
            client_secret: "sandbox-example-secret-not-live".into(),
            redirect_uris: vec!["http://localhost:8085/".into()],
        }
    }
}

impl Default for TokenRules {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            access_lifetime: 30 * DAY,
            refresh_lifetime: 60 * DAY,
            code_lifetime: Duration::from_secs(10 * 60),
            old_refresh_token: OldRefreshToken::Dead,
            needs_continuous_refresh: true,
            client_credentials: true,
        }
    }
}

impl Surprises {
    /// Answers as described, each pin with its own image.
    pub fn none() -> Self {
        Self {
            unknown_fields: 0,
            unknown_creative_type: 0,
            tiles_without_id: 0,
            null_sizes: 0,
            fractional_seconds: 0,
            repeated_pictures: 0,
            ai_disclosed: 0,
            products: 0,
        }
    }
}

impl Default for Surprises {
    fn default() -> Self {
        Self {
            unknown_fields: 10,
            unknown_creative_type: 3,
            tiles_without_id: 2,
            null_sizes: 3,
            fractional_seconds: 10,
            repeated_pictures: 3,
            ai_disclosed: 4,
            products: 4,
        }
    }
}

impl Default for ImageRules {
    fn default() -> Self {
        Self { jpeg_quality: 85, name_originals: false, cache_bytes: 128 << 20, pool: None }
    }
}
