//! End-to-end tests: throwaway clusters, preloaded and not, against a local Pinterest.

mod harness;
