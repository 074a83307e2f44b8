//! The files in `monitoring/`, used by the real programs: sql_exporter, postgres_exporter and Prometheus.

mod alerts;
mod files;
mod programs;
mod prometheus;
mod role;
mod service;
mod shortened;
