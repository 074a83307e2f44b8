//! The programs in examples/.

mod python;
mod site;
mod venue_app;
