//! A piece of sky in three bands: light is added by profile and colour, then seen through the
//! atmosphere and a detector.

use slipher_sim::random::Stream;
use slipher_sim::sky::Plane;
use slipher_sim::sky::convolve::Transform;
use slipher_sim::sky::detector::{expose, saturate};
use slipher_sim::sky::psf::Psf;
use slipher_sim::sky::sersic::Sersic;

use super::survey::Survey;

/// Light is drawn on pixels so many times finer than the detector's.
pub const FINE: usize = 2;
/// Electrons of a full pixel of a single exposure, by ten exposures.
const FULL: f64 = 6e5;
const READ_NOISE: f64 = 5.0;

/// What the sky holds, before it is seen.
pub struct Scene {
    /// Which survey looks at it.
    pub survey: Survey,
    /// Pixels of the detector along a side.
    pub side: usize,
    /// Seeing of this field over the median.
    pub seeing: f64,
    /// Electrons in each band, on the fine pixels.
    planes: [Plane; 3],
    /// Point sources: place in pixels, magnitudes.
    stars: Vec<([f64; 2], [f64; 3])>,
}

impl Scene {
    /// Empty sky of `width` arcseconds.
    pub fn new(mut survey: Survey, width: f64, rng: &mut Stream) -> Scene {
        let side = (width / survey.scale).round() as usize;
        let uneven = rng.normal(0.0, survey.uneven);
        for b in &mut survey.bands {
            b.depth += uneven + rng.normal(0.0, 0.08);
        }
        Scene {
            survey,
            side,
            seeing: 10f64.powf(rng.normal(0.0, 0.05)),
            planes: std::array::from_fn(|_| Plane::square(FINE * side)),
            stars: vec![],
        }
    }

    /// Fine pixels along a side.
    pub fn fine_side(&self) -> usize {
        FINE * self.side
    }

    /// Arcseconds of a fine pixel.
    pub fn step(&self) -> f64 {
        self.survey.scale / FINE as f64
    }

    /// A place in arcseconds from the middle as fine pixels.
    pub fn fine(&self, at: f64) -> f64 {
        at / self.step() + 0.5 * (self.fine_side() as f64 - 1.0)
    }

    /// Adds light of flux 1 on the fine pixels, with these magnitudes.
    pub fn add(&mut self, light: &Plane, magnitudes: [f64; 3]) {
        for (k, plane) in self.planes.iter_mut().enumerate() {
            let e = self.survey.bands[k].electrons(magnitudes[k]);
            plane.add(light, e as f32);
        }
    }

    /// Adds a profile: half-light radius (long axis) and place in arcseconds.
    pub fn add_profile(&mut self, s: &Sersic, magnitudes: [f64; 3]) {
        let mut light = Plane::square(self.fine_side());
        self.profile(s).add_within(&mut light, 12.0);
        self.add(&light, magnitudes);
    }

    /// A profile in arcseconds as one on the fine pixels, of flux 1.
    pub fn profile(&self, s: &Sersic) -> Sersic {
        Sersic {
            flux: 1.0,
            re: s.re / self.step(),
            x: self.fine(s.x),
            y: self.fine(s.y),
            ..*s
        }
    }

    /// Adds a star at a place in arcseconds from the middle.
    pub fn add_star(&mut self, at: [f64; 2], magnitudes: [f64; 3]) {
        self.stars.push((at, magnitudes));
    }

    /// Full width of a star in a band, detector pixels.
    pub fn width(&self, band: usize) -> f64 {
        self.survey.bands[band].seeing * self.seeing / self.survey.scale
    }

    /// `[g, r, i][row][column]` in electrons, sky subtracted.
    pub fn observe(&self, rng: &mut Stream) -> Vec<f32> {
        let (q, angle, beta) = (
            1.0 - rng.exponential(0.03).min(0.12),
            rng.uniform(0.0, 3.1),
            rng.uniform(2.8, 4.5),
        );
        let mid = 0.5 * (self.side as f64 - 1.0);
        let mut out = Vec::with_capacity(3 * self.side * self.side);
        for (b, band) in self.survey.bands.iter().enumerate() {
            let fwhm = self.width(b) * 10f64.powf(rng.normal(0.0, 0.02));
            let psf = |fwhm: f64| Psf {
                q,
                angle,
                ..Psf::moffat(fwhm, beta)
            };
            let wide = Transform::of_psf(&psf(FINE as f64 * fwhm), self.fine_side());
            let light = Transform::of(&self.planes[b]);
            let mut plane = Transform::observe(&[(&light, 1.0)], &wide).binned(FINE);
            for ([x, y], m) in &self.stars {
                let at = |v: f64| v / self.survey.scale + mid;
                psf(fwhm).add(&mut plane, at(*x), at(*y), band.electrons(m[b]));
            }
            let noise = band.noise(self.survey.scale);
            let sky = (noise * noise - READ_NOISE * READ_NOISE).max(1.0);
            expose(&mut plane, sky, READ_NOISE, rng);
            if plane.data.iter().any(|v| f64::from(*v) > FULL) {
                saturate(&mut plane, FULL as f32);
            }
            out.extend(plane.data);
        }
        out
    }
}
