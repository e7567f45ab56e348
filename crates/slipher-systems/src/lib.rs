//! One module per question put to the sky, each with the same doors:
//! *simulate → encode → network → decode → score*. Systems that look at images share [`images`].

pub mod images;
pub mod morphology;
pub mod radio;
pub mod redshift;
pub mod redshift_classes;
pub mod shipped;
pub mod star_galaxy;
pub mod transients;
pub mod trust;
