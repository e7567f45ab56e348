//! Forward models of the sky: pure functions of (parameters, seed).
//!
//! * [`lines`]: the line list, vacuum wavelengths.
//! * [`dust`], [`igm`]: what lies in front.
//! * [`stellar`]: built-in stars and stellar populations, no files needed.
//! * [`sed`]: a rest-frame spectral energy distribution, and its redshifted look.
//! * [`galaxy`], [`quasar`], [`star`], [`exotic`]: distributions of SEDs.
//! * [`templates`]: SED libraries from a folder; [`medium`]: which of them are in air.
//! * [`instrument`]: spectrographs as TOML.
//! * [`observe`]: an SED through a spectrograph, with noise and defects; [`residual`]: what sky
//!   subtraction and the detector leave.
//! * [`supernova`]: supernovae of all types and phases on their hosts.
//! * [`peculiar`]: spectra that a reduction should not give.
//! * [`sky`]: images through a telescope; [`lens`]: what lies in front of them bends the light.

#![allow(
    clippy::needless_range_loop,
    reason = "index loops over several arrays at once read better than zips in numerical code"
)]

pub mod cosmology;
pub mod dust;
pub mod exotic;
pub mod galaxy;
pub mod igm;
pub mod instrument;
pub mod lens;
pub mod lines;
pub mod medium;
pub mod observe;
pub mod peculiar;
pub mod quasar;
pub mod random;
pub mod residual;
pub mod sed;
pub mod sky;
pub mod star;
pub mod stellar;
pub mod supernova;
pub mod templates;
