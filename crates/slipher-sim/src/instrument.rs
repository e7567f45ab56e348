//! Spectrographs as small TOML files.

use serde::Deserialize;

use crate::random::Stream;
use crate::sed::{C_KMS, Resolution};

/// A spectrograph: pixel grid, resolution, noise against wavelength, and its habits of failure.
///
/// Tables are `[[wavelength Å, value], …]`, interpolated linearly, held constant outside.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instrument {
    /// As `--instrument` takes it.
    pub name: String,
    /// In a line.
    #[serde(default)]
    pub description: String,
    /// Wavelength windows, vacuum Å; pixels of all windows form one grid.
    pub windows: Vec<[f64; 2]>,
    /// `linear` (step in Å) or `log10` (step in dex).
    pub sampling: Sampling,
    /// Step against wavelength (one row: constant).
    pub step: Vec<[f64; 2]>,
    /// Resolving power λ/FWHM against wavelength.
    pub resolution: Vec<[f64; 2]>,
    /// Relative noise per pixel for constant flux density, arbitrary units.
    pub noise: Vec<[f64; 2]>,
    /// Strength of the night sky's OH lines in the noise; 0 in space.
    #[serde(default)]
    pub sky_lines: f64,
    /// Wavelengths where cameras join: a step in flux and raised noise.
    #[serde(default)]
    pub joins: Vec<f64>,
    /// RMS of the smooth flux-calibration error.
    #[serde(default = "default_calibration")]
    pub calibration: f64,
    /// Cosmic rays or hot pixels left, per 1000 pixels.
    #[serde(default = "default_cosmics")]
    pub cosmics: f64,
    /// Atmospheric absorption (A and B bands, water), 0 in space.
    #[serde(default)]
    pub telluric: f64,
    /// Correlated noise: σ in pixels of the smoothing that data reduction applies.
    #[serde(default)]
    pub noise_smoothing: f64,
    /// Median S/N per pixel drawn between these, log-uniform.
    #[serde(default = "default_snr")]
    pub snr: [f64; 2],
    /// Weight of GALAXY, QSO and STAR in training.
    #[serde(default = "default_classes")]
    pub classes: [f64; 3],
    /// Highest redshift simulated.
    #[serde(default = "default_zmax")]
    pub z_max: f64,
    /// Highest redshift of four in five galaxies: what the survey targets.
    #[serde(default = "default_zmax")]
    pub galaxy_z_max: f64,
}

/// Kind of pixel grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampling {
    /// Constant steps in λ.
    Linear,
    /// Constant steps in log₁₀ λ.
    Log10,
}

impl Sampling {
    /// Centre of the pixel between two edges.
    pub fn centre(self, edges: &[f64]) -> f64 {
        match self {
            Sampling::Linear => 0.5 * (edges[0] + edges[1]),
            Sampling::Log10 => (edges[0] * edges[1]).sqrt(),
        }
    }
}

fn default_calibration() -> f64 {
    0.05
}
fn default_cosmics() -> f64 {
    1.0
}
fn default_snr() -> [f64; 2] {
    [0.7, 40.0]
}
fn default_classes() -> [f64; 3] {
    [0.6, 0.25, 0.15]
}
fn default_zmax() -> f64 {
    7.0
}

/// An instrument file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("instrument {name}: {why}")]
pub struct BadInstrument {
    /// Of the file.
    pub name: String,
    /// What was expected.
    pub why: String,
}

/// The instruments that come with Slipher: name and TOML.
pub const SHIPPED: [(&str, &str); 10] = [
    ("sdss", include_str!("../instruments/sdss.toml")),
    ("boss", include_str!("../instruments/boss.toml")),
    ("desi", include_str!("../instruments/desi.toml")),
    ("vimos", include_str!("../instruments/vimos.toml")),
    ("euclid-red", include_str!("../instruments/euclid-red.toml")),
    (
        "euclid-blue",
        include_str!("../instruments/euclid-blue.toml"),
    ),
    (
        "nirspec-prism",
        include_str!("../instruments/nirspec-prism.toml"),
    ),
    (
        "nirspec-medium",
        include_str!("../instruments/nirspec-medium.toml"),
    ),
    (
        "nirspec-high",
        include_str!("../instruments/nirspec-high.toml"),
    ),
    ("any", include_str!("../instruments/any.toml")),
];

impl Instrument {
    /// Parses and checks a TOML file.
    ///
    /// # Errors
    /// Names the field that is missing, unknown or out of range.
    pub fn parse(name: &str, text: &str) -> Result<Self, BadInstrument> {
        let bad = |why: String| BadInstrument {
            name: name.to_owned(),
            why,
        };
        let i: Instrument = toml::from_str(text).map_err(|e| bad(e.to_string()))?;
        let ordered = i.windows.windows(2).all(|w| w[0][1] <= w[1][0]);
        let checks = [
            (
                ordered,
                "windows: expected ascending ones that do not overlap",
            ),
            (
                i.windows.iter().all(|w| w[0] < 54_000.0 && w[1] > 2512.0),
                "windows: outside the grid of the network, 2512 to 54,000 Å",
            ),
            (
                i.snr[1].is_finite() && i.z_max > 0.0 && i.z_max <= 20.0 && i.galaxy_z_max > 0.0,
                "snr must be finite, z_max between 0 and 20",
            ),
            (
                !i.windows.is_empty()
                    && i.windows
                        .iter()
                        .all(|w| w[0] > 100.0 && w[1] > w[0] && w[1] < 1e6),
                "windows: expected [[from, to], …] in Å, from < to",
            ),
            (
                !i.step.is_empty() && i.step.iter().all(|s| s[1] > 0.0),
                "step: expected [[wavelength, step > 0], …]",
            ),
            (
                !i.resolution.is_empty() && i.resolution.iter().all(|r| r[1] >= 5.0),
                "resolution: expected [[wavelength, R ≥ 5], …]",
            ),
            (
                !i.noise.is_empty() && i.noise.iter().all(|n| n[1] > 0.0),
                "noise: expected [[wavelength, noise > 0], …]",
            ),
            (
                i.snr[0] > 0.0 && i.snr[1] >= i.snr[0],
                "snr: expected [low > 0, high ≥ low]",
            ),
            (
                i.classes.iter().all(|c| *c >= 0.0) && i.classes.iter().sum::<f64>() > 0.0,
                "classes: expected three weights, not all 0",
            ),
            (
                i.pixels().len() <= 200_000,
                "more than 200,000 pixels: is the step right?",
            ),
        ];
        match checks.iter().find(|(ok, _)| !ok) {
            Some((_, why)) => Err(bad((*why).to_owned())),
            None => Ok(i),
        }
    }

    /// A shipped instrument by name, or a TOML file by path.
    ///
    /// # Errors
    /// Unknown name or unreadable file; the message lists the shipped names.
    pub fn load(name: &str) -> Result<Self, BadInstrument> {
        if let Some((n, text)) = SHIPPED.iter().find(|(n, _)| *n == name) {
            return Instrument::parse(n, text);
        }
        let text = std::fs::read_to_string(name).map_err(|e| {
            let names: Vec<_> = SHIPPED.iter().map(|(n, _)| *n).collect();
            BadInstrument {
                name: name.to_owned(),
                why: format!("{e}; expected a TOML file or one of {}", names.join(", ")),
            }
        })?;
        Instrument::parse(name, &text)
    }

    /// Pixel edges: each window's `(edges)`, Å.
    pub fn windows_edges(&self) -> Vec<Vec<f64>> {
        self.windows
            .iter()
            .map(|[lo, hi]| {
                let mut edges = vec![*lo];
                let mut at = *lo;
                while at < *hi && edges.len() < 200_003 {
                    let step = interpolate(&self.step, at);
                    at = match self.sampling {
                        Sampling::Linear => at + step,
                        Sampling::Log10 => at * 10f64.powf(step),
                    };
                    edges.push(at);
                }
                edges
            })
            .collect()
    }

    /// Pixel centres of all windows.
    pub fn pixels(&self) -> Vec<f64> {
        self.windows_edges()
            .iter()
            .flat_map(|e| {
                e.windows(2)
                    .map(|e| self.sampling.centre(e))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// A spectrograph nobody has built: random window, sampling, resolution and noise, over all that
    /// the network takes (2512 to 54,000 Å): from the ultraviolet on, one band alone, or all of it.
    pub fn random(rng: &mut Stream) -> Instrument {
        let infrared = rng.chance(0.35);
        let lo = if infrared {
            rng.log_uniform(8000.0, 25_000.0)
        } else if rng.chance(0.25) {
            rng.log_uniform(1150.0, 3000.0)
        } else {
            rng.log_uniform(3000.0, 7000.0)
        };
        let factor = match rng.weighted(&[0.7, 0.15, 0.15]) {
            0 => rng.log_uniform(1.35, 3.2),
            1 => rng.log_uniform(1.12, 1.35),
            _ => rng.log_uniform(3.2, 12.0),
        };
        // At least a window of 12 % on the grid.
        let hi = (lo.max(2512.0) * factor).min(53_000.0);
        let r = if rng.chance(0.1) {
            rng.log_uniform(6000.0, 15_000.0) / factor.max(1.0)
        } else {
            rng.log_uniform(if infrared { 80.0 } else { 250.0 }, 6000.0)
        };
        let sampling = if rng.chance(0.6) {
            Sampling::Linear
        } else {
            Sampling::Log10
        };
        let per_fwhm = rng.uniform(1.8, 4.0);
        let step = match sampling {
            Sampling::Linear => (lo * hi).sqrt() / r / per_fwhm,
            Sampling::Log10 => 1.0 / r / per_fwhm / std::f64::consts::LN_10,
        };
        let noise = (0..5)
            .map(|i| {
                [
                    lo + (hi - lo) * f64::from(i) / 4.0,
                    rng.log_uniform(0.6, 2.2),
                ]
            })
            .collect();
        let middle = lo + (hi - lo) * rng.uniform(0.25, 0.75);
        let windows = windows(rng, lo, hi, middle);
        Instrument {
            name: "any".into(),
            description: String::new(),
            windows,
            sampling,
            step: vec![[lo, step]],
            resolution: vec![
                [lo, r * rng.uniform(0.7, 1.0)],
                [hi, r * rng.uniform(1.0, 1.4)],
            ],
            noise,
            sky_lines: if rng.chance(0.5) {
                rng.uniform(0.0, 2.0)
            } else {
                0.0
            },
            joins: if rng.chance(0.4) {
                vec![middle]
            } else {
                vec![]
            },
            calibration: if rng.chance(0.2) {
                rng.uniform(0.2, 0.6)
            } else {
                rng.exponential(0.06).min(0.3)
            },
            cosmics: rng.exponential(1.5),
            telluric: if rng.chance(0.4) {
                rng.uniform(0.0, 0.5)
            } else {
                0.0
            },
            noise_smoothing: if rng.chance(0.3) {
                rng.uniform(0.3, 1.2)
            } else {
                0.0
            },
            snr: [0.7, 40.0],
            classes: [0.56, 0.22, 0.22],
            z_max: if infrared { 20.0 } else { 8.0 },
            galaxy_z_max: 7.0,
        }
    }
}

/// From `lo` to `hi`, with a gap at `middle` now and then, or two.
fn windows(rng: &mut Stream, lo: f64, hi: f64, middle: f64) -> Vec<[f64; 2]> {
    if !rng.chance(0.3) {
        return vec![[lo, hi]];
    }
    let resume = middle * rng.uniform(1.001, 1.06);
    if resume > 0.98 * hi {
        return vec![[lo, middle]];
    }
    if rng.chance(0.7) {
        return vec![[lo, middle], [resume, hi]];
    }
    // As the atmosphere leaves the J, H and K bands.
    let second = resume * (hi / resume).powf(rng.uniform(0.3, 0.6));
    let third = second * (hi / second).powf(rng.uniform(0.05, 0.4));
    vec![[lo, middle], [resume, second], [third, hi]]
}

impl Resolution for Instrument {
    fn sigma_kms(&self, wave: f64) -> f64 {
        C_KMS / interpolate(&self.resolution, wave) / 2.354_82
    }
}

/// Linear interpolation in a table, constant outside.
pub fn interpolate(table: &[[f64; 2]], x: f64) -> f64 {
    let Some(first) = table.first() else {
        return 0.0;
    };
    if x <= first[0] {
        return first[1];
    }
    for w in table.windows(2) {
        if x <= w[1][0] {
            let t = (x - w[0][0]) / (w[1][0] - w[0][0]).max(1e-12);
            return w[0][1] + t * (w[1][1] - w[0][1]);
        }
    }
    table[table.len() - 1][1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_instruments_are_sound() {
        for (name, text) in SHIPPED {
            let i = Instrument::parse(name, text).unwrap();
            assert_eq!(i.name, name);
            let n = i.pixels().len();
            assert!((200..20_000).contains(&n), "{name}: {n} pixels");
            assert!(i.pixels().is_sorted());
        }
        let sdss = Instrument::load("sdss").unwrap();
        assert!(
            (sdss.pixels().len() as i64 - 3830).abs() < 60,
            "{}",
            sdss.pixels().len()
        );
        let e = Instrument::load("nope").unwrap_err().to_string();
        assert!(e.contains("nope") && e.contains("desi"));
        assert!(Instrument::parse("x", "name = 1").is_err());
    }

    #[test]
    fn random_instruments_are_sound() {
        for row in 0..200 {
            let i = Instrument::random(&mut Stream::new(1, 2, row));
            let p = i.pixels();
            assert!(p.len() > 20 && p.len() < 100_000 && p.is_sorted(), "{i:?}");
        }
    }
}
