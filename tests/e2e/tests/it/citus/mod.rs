//! The extension beside tables of Citus, on a coordinator and two other nodes. A server without Citus skips all of it.

mod distributed;
mod distribution;
mod nodes;
mod searches;
mod tracked;
