//! What the tasks on the network thread share.

use std::sync::Arc;
use std::time::Duration;

use pinterest::model::Ladder;
use tokio::sync::{Notify, watch};

use super::in_hand::InHand;
use super::jobs::Database;
use crate::errors::Failure;
use crate::settings;

/// The settings that the network thread needs, as of the start or the last reload.
#[derive(Clone)]
pub struct Config {
    /// Hosts that requests may go to.
    pub endpoints: pinterest::Endpoints,
    /// Hosts that image URLs of tracked columns may name.
    pub tracked_endpoints: pinterest::Endpoints,
    /// The size limit of an image, in bytes.
    pub max_image_bytes: usize,
    /// Images downloaded at the same time for one import.
    pub parallel_downloads: usize,
    /// Embedders run on other machines.
    pub several_embedders: bool,
    /// The order in which the sizes of an image are downloaded.
    pub ladder: Ladder,
    /// Workers of each kind that may run.
    pub workers_per_database: usize,
    /// How long a worker without work keeps running.
    pub idle_timeout: Duration,
    /// The treatment of animations.
    pub animated_images: embedder::Animations,
    /// Embeddings may be copied between accounts.
    pub reuse_across_accounts: bool,
    /// The age at which imported rows are deleted; `None`: they are kept.
    pub retention: Option<Duration>,
}

impl Config {
    /// Reads the settings. On the main thread.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::errors::Kind::Config) if a setting cannot be used.
    pub fn current() -> Result<Self, Failure> {
        Ok(Config {
            endpoints: settings::endpoints()?,
            tracked_endpoints: settings::tracked_endpoints()?,
            max_image_bytes: settings::max_image_bytes(),
            parallel_downloads: settings::parallel_downloads(),
            several_embedders: !settings::embedders().is_ok_and(|list| list.are_local()),
            ladder: settings::ladder(),
            workers_per_database: settings::workers_per_database(),
            idle_timeout: settings::worker_idle_timeout(),
            animated_images: settings::animated_images(),
            reuse_across_accounts: settings::reuse_across_accounts(),
            retention: settings::retention(),
        })
    }
}

/// Shared by all tasks.
#[derive(Clone)]
pub struct Context {
    /// Runs transactions on the main thread.
    pub database: Database,
    /// This process' identity in claims.
    pub identity: Arc<str>,
    /// The settings.
    pub config: watch::Receiver<Config>,
    /// Notified when a session has committed work or requested an end.
    pub wake: Arc<Notify>,
    /// Work that would be lost with this process.
    pub in_hand: InHand,
}
