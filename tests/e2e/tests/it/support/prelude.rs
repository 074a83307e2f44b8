//! The names that nearly every suite uses.

pub use std::time::{Duration, Instant};

pub use e2e::{Cluster, Result, Stop, World, wait_for};
pub use postgres::Client;
pub use sandbox::config::{AccountSpec, BoardSpec, Config, MediaMix};
pub use sandbox::{Family, Fault, Kind, Rule};

pub use crate::support::imports::{
    Report, Row, complete, import, imported, queue, queue_board, until_row, until_state, wait,
};
pub use crate::support::modules::{lacking, skip};
pub use crate::support::sql::{Sql, expect_refusal, refusal};
pub use crate::support::worlds::{
    GATE, beach_board, hold_pictures_after, pins_without_pictures, quick_board, quick_world,
};
pub use crate::support::{SOON, until};
