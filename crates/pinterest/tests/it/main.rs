//! The client against a server in the same process that misbehaves by name.

mod canary;
mod certificates;
mod client;
mod images;
mod network;
mod oauth;
mod paging;
mod quota;
mod refresh;
mod replies;
mod resources;
mod server;
mod simulation;
mod transfer;
