//! Studies of one paper each: networks, methods and sizes as published, run again.

pub mod stivaktakis2018;
