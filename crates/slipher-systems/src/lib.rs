//! One module per question put to the sky, each with the same doors:
//! *simulate → encode → network → decode → score*.

pub mod redshift;
pub mod redshift_classes;
pub mod trust;
