//! One module per question put to the sky, behind the same interface: *simulate → encode → network
//! → head → score*.
//!
//! [`system`] says what a system adds; [`registry`] lists all. Everything else is shared:
//! [`train`](mod@train), [`model`], [`answers`], [`predict`] (the contract of the command line,
//! Python, SQL and engines), [`shards`], [`evaluate`], [`study`].

#![allow(
    clippy::needless_range_loop,
    reason = "index loops over several arrays at once read better than zips in numerical code"
)]

pub mod answers;
pub mod architecture;
pub mod baseline;
pub mod evaluate;
pub mod example;
pub mod geometry;
pub mod labelled;
pub mod model;
pub mod moments;
pub mod morphology;
pub mod offered;
pub mod predict;
pub mod radio;
pub mod recipe;
pub mod redshift;
pub mod registry;
pub mod set;
pub mod shards;
pub mod star_galaxy;
pub mod studies;
pub mod study;
pub mod system;
pub mod train;
pub mod transients;
pub mod views;
