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
mod sensitivity;
mod standin;
mod support;
