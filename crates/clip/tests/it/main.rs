//! Tests of the public interface, against vectors frozen from the reference implementation and against invalid input.

mod batches;
mod containers;
#[path = "../../../../tests/fixtures/draw.rs"]
mod draw;
mod families;
mod golden;
mod large;
mod mutation;
mod packed;
mod refusals;
#[path = "../../../../tests/fixtures/scenes.rs"]
mod scenes;
mod sensitivity;
mod sizes;
mod standin;
mod support;
