//! Vector columns of users' tables that follow another column.

mod calls;
mod checks;
mod trigger;
mod wait;
