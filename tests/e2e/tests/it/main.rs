//! End-to-end tests: throwaway clusters, preloaded and not, against a local Pinterest.

mod citus;
mod cluster;
mod docs_links;
mod docs_sql;
mod embedder;
mod examples;
mod imports;
mod monitoring;
mod search;
mod support;
mod tokens;
mod tracking;
