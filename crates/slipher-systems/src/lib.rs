//! One module per question put to the sky, behind the same interface: *simulate → encode → network
//! → head → score*.
//!
//! [`system`] says what a system adds; [`registry`] lists all. Everything else is shared:
//! [`train`](mod@train), [`model`], [`answers`], [`predict`] (the contract of the command line,
//! Python, SQL and engines), [`shards`], [`evaluate`], [`study`].
//!
//! The redshift of a spectrum (here a simulated one), with the model that ships:
//!
//! ```
//! use slipher_systems::redshift::measure::{PredictOptions, measure_all};
//! use slipher_systems::redshift::model::Model;
//! use slipher_systems::redshift::simulate::{SimulationRecipe, Simulator, Split};
//!
//! let model = Model::shipped()?;
//! let recipe = SimulationRecipe {
//!     instruments: vec![("sdss".into(), 1.0)],
//!     ..SimulationRecipe::default()
//! };
//! let example = Simulator::new(&recipe, 1)?.draw(Split::Test, 0);
//! let all = measure_all(&model, &PredictOptions::default(), &[&example.spectrum]);
//! if let Some(best) = all[0].best() {
//!     println!("{} z = {:.5} ± {:.5}", best.class.name(), best.z, best.z_err);
//!     println!("right with probability {:.3}", best.probability);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The class of an image:
//!
//! ```
//! use slipher_data::cutout::Cutout;
//! use slipher_systems::example::Observation;
//! use slipher_systems::registry;
//!
//! let system = registry::shared("radio")?;
//! let model = registry::model(system, None)?;
//! let source = |i: i32| (-f64::from((i % 150 - 75).pow(2) + (i / 150 - 75).pow(2)) / 18.0).exp();
//! let pixels = (0..150 * 150).map(|i| (5e-3 * source(i)) as f32).collect();
//! let cutout = Cutout::new(&[""], 150, 150, pixels)?;
//! let encoded = system.encode(&Observation::Cutout(cutout))?;
//! for (name, p) in system.outputs().iter().zip(model.predict(&[encoded])) {
//!     println!("{name}: {p:.3}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![allow(
    clippy::needless_range_loop,
    reason = "index loops over several arrays at once read better than zips in numerical code"
)]

pub mod answers;
pub mod architecture;
pub mod bands;
pub mod baseline;
pub mod descriptors;
pub mod evaluate;
pub mod example;
pub mod familiarity;
pub mod few;
pub mod geometry;
pub mod labelled;
pub mod lens_finding;
pub mod lens_model;
pub mod light_curves;
pub mod model;
pub mod moments;
pub mod morphology;
pub mod mosaic;
pub mod offered;
pub mod pixels;
pub mod predict;
pub mod profile_fit;
pub mod radio;
pub mod recipe;
pub mod redshift;
pub mod registry;
pub mod restoration;
pub mod set;
pub mod shards;
pub mod stamp;
pub mod star_galaxy;
pub mod structure;
pub mod studies;
pub mod study;
pub mod system;
pub mod train;
pub mod transients;
pub mod views;
