//! The engine as a whole: on both databases, with clocks turned by hand and agents that do as the test says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod attempts;
mod beyond;
mod billing_page;
mod books_damaged;
mod broken;
mod chance;
mod converse;
mod converse_bounds;
mod converse_children;
mod converse_costs;
mod converse_early;
mod converse_heard;
mod converse_models;
mod converse_offered;
mod converse_paused;
mod converse_scripts;
mod counted_anew;
mod crash;
mod crash_talks;
mod door;
mod house;
mod in_turn;
mod killed_talks;
mod limits;
mod money;
mod outlook;
mod outside;
mod paid_once;
mod place;
mod questions;
mod random;
mod recovery;
mod registered;
mod reuse;
mod served;
mod sharing;
mod shipped;
mod shortages;
mod spending;
mod stops;
mod stub;
