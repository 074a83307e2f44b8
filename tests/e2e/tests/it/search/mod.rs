//! Searching: recommendations, themes, galleries, and the statements of docs/search.md.

mod arrays;
mod directions;
mod docs;
mod during_import;
mod gallery;
mod ranking;
mod refusals;
mod served_themes;
mod tastes;
