//! The client against a server in the same process that misbehaves by name.

mod canary;
mod certificates;
mod client;
mod families;
mod generated;
mod images;
mod network;
mod oauth;
mod observer;
mod odd_images;
mod paging;
mod private_hosts;
mod proxies;
mod proxy;
mod quota;
mod refresh;
mod replies;
mod resources;
mod server;
mod simulation;
mod transfer;
