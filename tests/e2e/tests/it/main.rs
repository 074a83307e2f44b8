//! End-to-end tests: throwaway clusters, preloaded and not, against a local Pinterest.

mod bad_pictures;
mod boards;
mod cancel;
mod copies;
mod drops;
mod embedder_deaths;
mod harness;
mod interrupts;
mod life_cycle;
mod main_job;
mod model;
mod poison;
mod pressure;
mod ranking;
mod refusals;
mod reimport;
mod resting;
mod secrets;
mod standby;
mod support;
mod tenants;
mod tokens;
