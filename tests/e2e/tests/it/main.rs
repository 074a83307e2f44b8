//! End-to-end tests: throwaway clusters, preloaded and not, against a local Pinterest.

mod bad_pictures;
mod boards;
mod cancel;
mod embedder_deaths;
mod harness;
mod interrupts;
mod main_job;
mod model;
mod ranking;
mod refusals;
mod reimport;
mod support;
