//! The files in `monitoring/`, used by the real programs: sql_exporter, postgres_exporter and Prometheus.

mod files;
mod programs;
