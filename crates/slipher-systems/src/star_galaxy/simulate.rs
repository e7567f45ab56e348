//! A sample like the paper's of CFHTLenS: 13.9 < r < 25.6, 13 % stars, five bands of MegaCam at
//! 0.187″ a pixel.
//!
//! Exposures, zero points and skies of g, r, i as in LensPop's description of the CFHT (Collett
//! 2015), u and z by the survey's depths (Erben et al. 2013). Half-light radii follow the magnitude
//! as in the survey, down to an eighth of an arcsecond: faint galaxies are smaller than the seeing,
//! and their colours must tell.

use slipher_data::cutout::Cutout;
use slipher_sim::random::Stream;
use slipher_sim::sed::SpecType;
use slipher_sim::sky::Plane;
use slipher_sim::sky::colours::{MEGACAM, magnitude};
use slipher_sim::sky::convolve::Transform;
use slipher_sim::sky::detector::{cosmic_ray, expose, saturate};
use slipher_sim::sky::psf::Psf;
use slipher_sim::sky::sersic::Sersic;
use slipher_sim::templates::Library;

use crate::example::{Example, Observation};

/// Arcseconds a pixel.
const SCALE: f64 = 0.187;
const SIDE: usize = 48;
/// Share of stars, as in the paper.
pub const STARS: f64 = 0.13;
/// Light is drawn on pixels so many times finer.
const FINE: usize = 2;

/// A band: zero point (magnitude of one electron a second), sky (mag/arcsec²), seconds, median
/// seeing.
struct Band {
    zero: f64,
    sky: f64,
    seconds: f64,
    seeing: f64,
}

const BANDS: [Band; 5] = [
    Band {
        zero: 25.74,
        sky: 22.7,
        seconds: 3000.0,
        seeing: 0.87,
    },
    Band {
        zero: 26.96,
        sky: 21.9,
        seconds: 3500.0,
        seeing: 0.84,
    },
    Band {
        zero: 26.47,
        sky: 20.6,
        seconds: 5500.0,
        seeing: 0.77,
    },
    Band {
        zero: 26.24,
        sky: 19.2,
        seconds: 5500.0,
        seeing: 0.72,
    },
    Band {
        zero: 25.27,
        sky: 18.9,
        seconds: 3600.0,
        seeing: 0.74,
    },
];
const READ_NOISE: f64 = 5.0;
/// Electrons of a pixel that is full, all exposures together.
const FULL: f64 = 4.5e5;

/// SEDs.
pub struct Sky {
    library: Library,
}

/// Something with its light in each band, and where and how it is spread.
struct Source {
    /// Magnitudes of old and young parts in five bands.
    magnitudes: [[f64; 5]; 2],
    /// Profiles of old and young light with a flux of 1; none for a star.
    profiles: Option<[Sersic; 2]>,
    x: f64,
    y: f64,
}

impl Sky {
    pub fn new() -> Sky {
        Sky {
            library: Library::builtin(),
        }
    }

    fn magnitudes(&self, class: SpecType, z: f64, r: f64, rng: &mut Stream) -> ([f64; 5], bool) {
        let sed = self.library.draw(class, z, rng);
        let parts: Vec<_> = sed
            .continua
            .iter()
            .map(|(t, w)| (t.as_ref(), f64::from(*w)))
            .collect();
        let (law, ebv) = sed.dust;
        let m: Vec<f64> = MEGACAM
            .iter()
            .map(|f| magnitude(&parts, &|w| law.transmission(w, ebv), z, f))
            .collect();
        // Lines, variability and zero points: 0.03 mag that no SED holds.
        (
            std::array::from_fn(|k| r + m[k] - m[2] + rng.normal(0.0, 0.03)),
            sed.subtype == "passive",
        )
    }

    fn star(&self, r: f64, at: (f64, f64), rng: &mut Stream) -> Source {
        let (m, _) = self.magnitudes(SpecType::Star, 0.0, r, rng);
        Source {
            magnitudes: [m, [99.0; 5]],
            profiles: None,
            x: at.0,
            y: at.1,
        }
    }

    fn galaxy(&self, r: f64, at: (f64, f64), rng: &mut Stream) -> Source {
        let z = (0.11 * 10f64.powf(0.125 * (r - 18.0)) * 10f64.powf(rng.normal(0.0, 0.16)))
            .clamp(0.01, 2.0);
        let (total, passive) = self.magnitudes(SpecType::Galaxy, z, r, rng);
        let bulge = if passive {
            rng.uniform(0.4, 1.0)
        } else {
            rng.uniform(0.0, 0.35)
        };
        // Bulges are redder than the whole, discs bluer.
        let tilt = rng.normal(0.12, 0.05);
        let part = |share: f64, sign: f64| -> [f64; 5] {
            std::array::from_fn(|k| {
                total[k] - 2.5 * share.max(1e-6).log10() + sign * tilt * (2.0 - k as f64)
            })
        };
        // Half-light radius in arcseconds: 1.2″ at r = 19, a factor of 1.26 less for each
        // magnitude, 0.17 dex of scatter.
        let re =
            (10f64.powf(0.08 - 0.1 * (r - 19.0) + rng.normal(0.0, 0.17))).clamp(0.12, 6.0) / SCALE;
        let (angle, q) = (
            rng.uniform(0.0, std::f64::consts::PI),
            rng.uniform(0.2, 1.0),
        );
        let disc = Sersic {
            flux: 1.0,
            re,
            n: 1.0,
            q,
            angle,
            x: at.0,
            y: at.1,
        };
        let round = q.max(rng.uniform(0.5, 1.0));
        let size = if bulge > 0.4 {
            re
        } else {
            re * rng.uniform(0.15, 0.5)
        };
        let old = Sersic {
            flux: 1.0,
            re: size,
            n: rng.uniform(2.0, 4.5),
            q: round,
            angle,
            ..disc
        };
        Source {
            magnitudes: [part(bulge, 1.0), part(1.0 - bulge, -1.0)],
            profiles: Some([old, disc]),
            x: at.0,
            y: at.1,
        }
    }

    /// One cutout: an object in the middle, neighbours around.
    pub fn draw(&self, rng: &mut Stream) -> Example {
        let is_star = rng.chance(STARS);
        let mid = 0.5 * (SIDE as f64 - 1.0);
        let r = loop {
            // Spectroscopic samples: bright stars of the SDSS, faint galaxies of DEEP2, VVDS and
            // VIPERS.
            let r = if is_star {
                rng.normal(20.3, 2.0)
            } else {
                rng.normal(22.0, 1.35)
            };
            if (13.9..25.6).contains(&r) {
                break r;
            }
        };
        let at = (mid + rng.normal(0.0, 0.35), mid + rng.normal(0.0, 0.35));
        let target = if is_star {
            self.star(r, at, rng)
        } else {
            self.galaxy(r, at, rng)
        };
        let mut sources = vec![target];
        while rng.chance(0.45) && sources.len() < 5 {
            let near = (
                rng.uniform(-3.0, SIDE as f64 + 3.0),
                rng.uniform(-3.0, SIDE as f64 + 3.0),
            );
            if (near.0 - mid).hypot(near.1 - mid) > 9.0 {
                let m = rng.normal(24.0, 1.6).clamp(18.0, 26.5);
                sources.push(if rng.chance(0.15) {
                    self.star(m, near, rng)
                } else {
                    self.galaxy(m, near, rng)
                });
            }
        }
        let pixels = self.expose(&sources, rng);
        let names = MEGACAM.map(|f| f.name.to_owned()).to_vec();
        let cutout = Cutout {
            bands: names,
            height: SIDE,
            width: SIDE,
            pixels,
            pixel_scale: SCALE,
            ra: f64::NAN,
            dec: f64::NAN,
            label: Some(if is_star { "star" } else { "galaxy" }.into()),
            ..Cutout::default()
        };
        Example {
            input: Observation::Cutout(cutout),
            truth: if is_star {
                vec![1.0, 0.0]
            } else {
                vec![0.0, 1.0]
            },
            depth: r as f32,
        }
    }

    /// All sources in five bands, in electrons of the exposure.
    fn expose(&self, sources: &[Source], rng: &mut Stream) -> Vec<f32> {
        let k = FINE as f64;
        // Transforms of the extended light, one for each profile; a band only weighs them.
        let mut parts = Vec::new();
        for s in sources {
            for (i, p) in s.profiles.iter().flatten().enumerate() {
                if s.magnitudes[i][2] < 30.0 {
                    let mut fine = Plane::square(FINE * SIDE);
                    p.finer(k).add(&mut fine);
                    parts.push((Transform::of(&fine), s.magnitudes[i]));
                }
            }
        }
        let seeing = 10f64.powf(rng.normal(0.0, 0.05));
        let (q, angle, beta) = (
            1.0 - rng.exponential(0.03).min(0.12),
            rng.uniform(0.0, 3.1),
            rng.uniform(3.0, 4.5),
        );
        let mut out = Vec::with_capacity(5 * SIDE * SIDE);
        for (b, band) in BANDS.iter().enumerate() {
            let electrons = |m: f64| 10f64.powf(-0.4 * (m - band.zero)) * band.seconds;
            let fwhm = band.seeing * seeing * 10f64.powf(rng.normal(0.0, 0.03)) / SCALE;
            let psf = Psf {
                q,
                angle,
                ..Psf::moffat(fwhm, beta)
            };
            let mut plane = Plane::square(SIDE);
            if !parts.is_empty() {
                let wide = Psf {
                    fwhm: k * fwhm,
                    ..psf.clone()
                };
                let weighed: Vec<_> = parts
                    .iter()
                    .map(|(t, m)| (t, electrons(m[b]) as f32))
                    .collect();
                plane = Transform::observe(&weighed, &Transform::of_psf(&wide, FINE * SIDE))
                    .binned(FINE);
            }
            for s in sources.iter().filter(|s| s.profiles.is_none()) {
                psf.add(&mut plane, s.x, s.y, electrons(s.magnitudes[0][b]));
            }
            let sky = electrons(band.sky + rng.normal(0.0, 0.1)) * SCALE * SCALE;
            expose(&mut plane, sky, READ_NOISE * 2.2, rng);
            if rng.chance(0.02) {
                let (x, y) = (rng.uniform(0.0, SIDE as f64), rng.uniform(0.0, SIDE as f64));
                cosmic_ray(
                    &mut plane,
                    x,
                    y,
                    rng.uniform(1.0, 8.0),
                    rng.log_uniform(500.0, 2e4),
                    rng,
                );
            }
            if plane.data.iter().any(|v| f64::from(*v) > FULL) {
                saturate(&mut plane, FULL as f32);
            }
            out.extend(plane.data);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_the_papers() {
        let sky = Sky::new();
        let rows: Vec<Example> = (0..300)
            .map(|i| sky.draw(&mut Stream::new(4, 1, i)))
            .collect();
        let stars = rows.iter().filter(|e| e.truth[0] == 1.0).count();
        assert!((20..60).contains(&stars), "{stars}");
        assert!(rows.iter().all(|e| {
            e.input
                .cutout()
                .unwrap()
                .pixels
                .iter()
                .all(|v| v.is_finite())
                && (13.9..25.6).contains(&e.depth)
        }));
        // A star's width is the seeing, whatever its brightness; the light adds up to its
        // magnitude.
        let star = rows
            .iter()
            .find(|e| e.truth[0] == 1.0 && (19.5..21.0).contains(&e.depth))
            .unwrap();
        let r: f64 = star
            .input
            .cutout()
            .unwrap()
            .band(2)
            .chunks(48)
            .skip(10)
            .take(28)
            .flat_map(|row| &row[10..38])
            .map(|v| f64::from(*v))
            .sum();
        let want = 10f64.powf(-0.4 * (f64::from(star.depth) - BANDS[2].zero)) * BANDS[2].seconds;
        assert!((r / want - 1.0).abs() < 0.15, "{r} {want}");
    }
}
