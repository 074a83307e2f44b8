//! Tracked columns of users' own tables.

mod calls;
mod changes;
mod docs;
mod followed;
mod hidden_rows;
mod isolation;
mod keys;
mod odd_stores;
mod places;
mod process;
mod process_deaths;
mod process_trust;
mod refusals;
mod renames;
mod replication;
mod rights;
mod superuser_tables;
mod texts;
mod trigger_names;
mod trigger_shapes;
mod work_columns;
mod work_deaths;
mod work_rows;
mod work_trust;
mod work_urls;
