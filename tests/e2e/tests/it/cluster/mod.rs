//! The extension in a server: roles, copies, restarts, other software beside it.

mod catalog;
mod chaos;
mod clone_fence;
mod drops;
mod dump_and_restore;
mod every_function;
mod grants;
mod harness;
mod idle_workers;
mod interrupts;
mod launching;
mod memory;
mod other_sessions;
mod owners;
mod pausing;
mod pgbouncer;
mod pgvector_schema;
mod planted;
mod presence;
mod proxy;
mod reassign;
mod refusals;
mod shutdown;
mod sqlsmith;
mod standby;
mod tenants;
