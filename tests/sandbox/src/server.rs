//! The https server: one port on loopback for the API, the authorize page, the images and the control path.

pub(crate) mod answer;
mod connection;
mod delivery;
mod dispatch;
mod listener;
pub(crate) mod query;
pub(crate) mod route;
mod tls;

pub(crate) use listener::Server;
