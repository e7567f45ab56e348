//! Redshifted copies of rest-frame SEDs, clean or with noise.
//!
//! log λ_obs = log λ_emit + log(1+z), z ∈ [1, 1.8), 800 classes of Δz = 0.001, flux-conserving. Two
//! settings:
//!
//! | | window | bins | resolution | noise |
//! |---|---|---|---|---|
//! | published | 11000–20000 Å | 1780 of 5.06 Å | that of the SED | white |
//! | nisp | 12060–18920 Å | 512 of 13.4 Å | line-spread function of the red grism | its shape against wavelength |
//!
//! Train, validation and test have different SEDs.

use std::ops::Range;
use std::path::PathBuf;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use slipher_sim::galaxy;
use slipher_sim::instrument::{Instrument, interpolate};
use slipher_sim::random::Stream;
use slipher_sim::sed::{Resolution, STEP, Sed};
use slipher_sim::templates::Library;

use crate::redshift::simulate::BadRecipe;

/// Number of classes.
pub const CLASSES: usize = 800;
/// First redshift, and width of a class.
pub const Z_MIN: f64 = 1.0;
/// Width of a class.
pub const DZ: f64 = 0.001;

/// Middle of a class.
pub fn centre(class: usize) -> f64 {
    Z_MIN + DZ * (class as f64 + 0.5)
}

/// Class of a redshift; those outside fall into the first or last.
pub fn class_of(z: f64) -> usize {
    (((z - Z_MIN) / DZ).floor().max(0.0) as usize).min(CLASSES - 1)
}

/// Where spectra are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// As in the talk.
    Published,
    /// Through Euclid's near-infrared spectrograph.
    Nisp,
}

/// Rest-frame SEDs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SedRecipe {
    /// Number of SEDs.
    pub count: usize,
    /// Of their random parameters.
    pub seed: u64,
    /// Smallest rest-frame equivalent width of Hα, Å: the published sample is selected by Hα flux.
    pub min_halpha: f64,
    /// Folder of SED templates as continua instead of the built-in stellar populations.
    #[serde(default)]
    pub templates: Option<PathBuf>,
}

/// Which SEDs examples are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// To learn from.
    Train = 11,
    /// To choose by.
    Validation = 12,
    /// To judge by.
    Test = 13,
    /// New copies of training SEDs: what a split by copy would test on. Only to measure that leak.
    Leak = 14,
}

/// Noise, by S/N = median flux / σ per bin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// None.
    Clean,
    /// One S/N.
    Fixed(f64),
    /// Log-uniform between two.
    Between(f64, f64),
}

/// A set of examples; row r of it is the same whenever and wherever it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Whose SEDs.
    pub split: Split,
    /// How noisy.
    pub noise: Noise,
    /// Redshifts are middles of classes; else continuous.
    pub centres: bool,
    /// Of redshifts and noise.
    pub seed: u64,
}

/// One spectrum, scaled to a mean of 1 as observed.
#[derive(Clone, Debug, Default)]
pub struct Example {
    /// A value a bin.
    pub flux: Vec<f32>,
    /// Redshift.
    pub z: f64,
    /// Class of the redshift.
    pub class: usize,
    /// Index of the SED.
    pub sed: usize,
    /// Median of the clean flux over σ; infinite if clean.
    pub snr: f64,
    /// σ of each bin in units of `flux`, divided by [`Pool::noise_shape`]; 0 if clean.
    pub sigma: f32,
}

/// Rest-frame SEDs, ready to be redshifted.
pub struct Pool {
    /// Where they are seen.
    pub setting: Setting,
    /// Bin edges, Å.
    pub edges: Vec<f64>,
    /// Noise of each bin, relative to the median bin.
    pub noise_shape: Vec<f32>,
    log_edges: Vec<f64>,
    /// Widths of the bins, Å.
    widths: Vec<f64>,
    /// f_λ Δλ of each pixel of the rest-frame grid.
    rest: Vec<Vec<f32>>,
    /// For the instrument's line-spread function.
    seds: Vec<Sed>,
    grism: Option<Instrument>,
}

/// Rest-frame grid: log₁₀ λ from 3915 Å to 10020 Å.
const START: f64 = 3.592_7;
const LEN: usize = 4085;

struct Sharp;
impl Resolution for Sharp {
    fn sigma_kms(&self, _: f64) -> f64 {
        0.0
    }
}

/// Integrates pixels of a grid that starts at `start` into bins `widths` wide: mean f_λ of each.
/// The grid is seen through (log₁₀(1+z), 1+z).
fn rebin(
    pixels: &[f32],
    start: f64,
    log_edges: &[f64],
    widths: &[f64],
    (shift, stretch): (f64, f64),
    out: &mut [f32],
) {
    // Pixel j covers j..j + 1 of these positions.
    let place = |e: f64| ((e - shift - start) / STEP + 0.5).clamp(0.0, pixels.len() as f64 - 1e-6);
    let mut lo = place(log_edges[0]);
    for ((o, e), w) in out.iter_mut().zip(&log_edges[1..]).zip(widths) {
        let hi = place(*e);
        let (a, b) = (lo as usize, hi as usize);
        let mut sum =
            f64::from(pixels[b]) * (hi - b as f64) - f64::from(pixels[a]) * (lo - a as f64);
        for p in &pixels[a..b] {
            sum += f64::from(*p);
        }
        *o = (sum / (w / stretch)) as f32;
        lo = hi;
    }
}

impl Pool {
    /// Draws the SEDs.
    ///
    /// # Errors
    /// A template folder that cannot be listed or holds no galaxy.
    pub fn new(recipe: &SedRecipe, setting: Setting) -> Result<Pool, BadRecipe> {
        let mut library = Library::builtin();
        if let Some(folder) = &recipe.templates {
            library.galaxies.clear();
            library
                .add_folder(folder)
                .map_err(|source| BadRecipe::Templates {
                    folder: folder.clone(),
                    source,
                })?;
            library.galaxies.retain(|g| {
                !g.has_lines && g.template.range().0 < 3900.0 && g.template.range().1 > 10_050.0
            });
            if library.galaxies.is_empty() {
                return Err(BadRecipe::Field(format!(
                    "templates: no galaxy continuum from 3900 to 10050 Å below {}",
                    folder.display()
                )));
            }
        }
        if recipe.count < 10 {
            return Err(BadRecipe::Field("count: expected at least 10 SEDs".into()));
        }
        let seds: Vec<Sed> = (0..recipe.count as u64)
            .into_par_iter()
            .map(|row| draw_sed(recipe, &library, row))
            .collect();
        let grism = match setting {
            Setting::Published => None,
            Setting::Nisp => Some(Instrument::load("euclid-red")?),
        };
        let edges = match &grism {
            None => (0..=1780)
                .map(|i| 11_000.0 + 9000.0 * f64::from(i) / 1780.0)
                .collect(),
            Some(g) => g.windows_edges()[0].clone(),
        };
        let middle = |w: &[f64]| 0.5 * (w[0] + w[1]);
        let mut noise_shape: Vec<f32> = edges
            .windows(2)
            .map(|w| {
                grism
                    .as_ref()
                    .map_or(1.0, |g| interpolate(&g.noise, middle(w)) as f32)
            })
            .collect();
        let typical = slipher_data::spectrum::median(&mut noise_shape.clone());
        noise_shape.iter_mut().for_each(|v| *v /= typical);
        let energy = |s: &Sed| {
            let f = s.observe(0.0, START, LEN, &Sharp);
            let wide =
                |i: usize| 10f64.powf(START + STEP * i as f64) * STEP * std::f64::consts::LN_10;
            f.iter()
                .enumerate()
                .map(|(i, f)| (f64::from(*f) * wide(i)) as f32)
                .collect()
        };
        let rest = if grism.is_none() {
            seds.par_iter().map(energy).collect()
        } else {
            vec![]
        };
        let log_edges = edges.iter().map(|e| e.log10()).collect();
        let widths = edges.windows(2).map(|w| w[1] - w[0]).collect();
        Ok(Pool {
            setting,
            edges,
            noise_shape,
            log_edges,
            widths,
            rest,
            seds,
            grism,
        })
    }

    /// Bins of a spectrum.
    pub fn bins(&self) -> usize {
        self.edges.len() - 1
    }

    /// SEDs of a split: four fifths, a tenth, a tenth.
    pub fn seds(&self, split: Split) -> Range<usize> {
        let n = self.seds.len();
        let (a, b) = (n * 8 / 10, n * 9 / 10);
        match split {
            Split::Train | Split::Leak => 0..a,
            Split::Validation => a..b,
            Split::Test => b..n,
        }
    }

    /// Clean flux of an SED at `z`, mean f_λ of each bin, arbitrary scale.
    pub fn clean(&self, sed: usize, z: f64, out: &mut Vec<f32>) {
        out.clear();
        out.resize(self.bins(), 0.0);
        match &self.grism {
            None => rebin(
                &self.rest[sed],
                START,
                &self.log_edges,
                &self.widths,
                ((1.0 + z).log10(), 1.0 + z),
                out,
            ),
            Some(g) => {
                let start = self.log_edges[0] - 20.0 * STEP;
                let len = ((self.log_edges[self.bins()] - start) / STEP) as usize + 20;
                let mut f = self.seds[sed].observe(z, start, len, g);
                for (i, f) in f.iter_mut().enumerate() {
                    *f *= (10f64.powf(start + STEP * i as f64) * STEP * std::f64::consts::LN_10)
                        as f32;
                }
                rebin(&f, start, &self.log_edges, &self.widths, (0.0, 1.0), out);
            }
        }
    }

    /// Row `row` of a sample.
    pub fn draw(&self, sample: &Sample, row: u64) -> Example {
        let mut e = Example::default();
        self.draw_into(sample, row, &mut e);
        e
    }

    /// As [`Pool::draw`], into a buffer.
    pub fn draw_into(&self, sample: &Sample, row: u64, e: &mut Example) {
        let mut rng = Stream::new(sample.seed, sample.split as u64, row);
        let seds = self.seds(sample.split);
        e.sed = seds.start + rng.below(seds.len());
        let z = rng.uniform(Z_MIN, Z_MIN + DZ * CLASSES as f64);
        e.class = class_of(z);
        e.z = if sample.centres { centre(e.class) } else { z };
        self.clean(e.sed, e.z, &mut e.flux);
        let low = rng.uniform(0.0, 1.0);
        e.snr = match sample.noise {
            Noise::Clean => f64::INFINITY,
            Noise::Fixed(s) => s,
            Noise::Between(a, b) => a * (b / a).powf(low),
        };
        let mut sigma = 0.0;
        if e.snr.is_finite() {
            let mut sorted = e.flux.clone();
            sigma = slipher_data::spectrum::median(&mut sorted) / e.snr as f32;
            for (f, shape) in e.flux.iter_mut().zip(&self.noise_shape) {
                *f += sigma * shape * rng.normal_f32();
            }
        }
        let mean = e.flux.iter().map(|f| f64::from(*f)).sum::<f64>() / e.flux.len() as f64;
        // At the lowest S/N the mean of the noise could come near zero; the scale of the noise
        // bounds it.
        let scale = 1.0 / (mean as f32).abs().max(0.1 * sigma).max(1e-20);
        e.flux.iter_mut().for_each(|f| *f *= scale);
        e.sigma = sigma * scale;
    }

    /// Some rows of a sample: fluxes `[row][bin]` and classes.
    pub fn batch(&self, sample: &Sample, rows: &[u64]) -> (Vec<f32>, Vec<usize>) {
        let n = self.bins();
        let mut x = vec![0.0; rows.len() * n];
        let labels = rows
            .par_iter()
            .zip(x.par_chunks_exact_mut(n))
            .map_init(Example::default, |e, (row, x)| {
                self.draw_into(sample, *row, e);
                x.copy_from_slice(&e.flux);
                e.class
            })
            .collect();
        (x, labels)
    }
}

fn draw_sed(recipe: &SedRecipe, library: &Library, row: u64) -> Sed {
    let mut rng = Stream::new(recipe.seed, 10, row);
    // The published sample lies at z < 1; no intergalactic absorption reaches the window.
    let mut sed = galaxy::draw(&mut rng, &library.galaxies, 0.5);
    for _ in 0..200 {
        let flux = sed
            .emission
            .iter()
            .filter(|l| (l.wave - 6564.61).abs() < 0.1)
            .map(|l| l.strength)
            .sum::<f64>();
        if flux >= recipe.min_halpha * galaxy::continuum(&sed, 6564.6) {
            break;
        }
        sed = galaxy::draw(&mut rng, &library.galaxies, 0.5);
    }
    sed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recipe(count: usize) -> SedRecipe {
        SedRecipe {
            count,
            seed: 3,
            min_halpha: 10.0,
            templates: None,
        }
    }
    fn sample(split: Split, noise: Noise) -> Sample {
        Sample {
            split,
            noise,
            centres: false,
            seed: 5,
        }
    }

    /// No SED is in two splits, by index and by content.
    #[test]
    fn splits_share_no_sed() {
        let p = Pool::new(&recipe(300), Setting::Published).unwrap();
        let seen = |split| {
            (0..2000)
                .map(|r| p.draw(&sample(split, Noise::Clean), r).sed)
                .collect::<std::collections::BTreeSet<_>>()
        };
        let all = [
            seen(Split::Train),
            seen(Split::Validation),
            seen(Split::Test),
        ];
        assert!(
            all[0].len() == 240 && all[1].len() == 30 && all[2].len() == 30,
            "every SED of a split is used"
        );
        assert!(
            all[0].is_disjoint(&all[1])
                && all[0].is_disjoint(&all[2])
                && all[1].is_disjoint(&all[2])
        );
        let content: std::collections::HashSet<Vec<u32>> = p
            .rest
            .iter()
            .map(|r| r.iter().map(|v| v.to_bits()).collect())
            .collect();
        assert_eq!(content.len(), 300, "no SED is there twice under two names");
        // The leak, and only the leak, sees training SEDs again.
        assert!(seen(Split::Leak).is_subset(&all[0]));
    }

    #[test]
    fn rows_are_reproducible_and_noise_is_as_asked() {
        for setting in [Setting::Published, Setting::Nisp] {
            let p = Pool::new(&recipe(20), setting).unwrap();
            assert_eq!(
                p.bins(),
                if setting == Setting::Published {
                    1780
                } else {
                    512
                }
            );
            let (a, b) = (
                p.draw(&sample(Split::Test, Noise::Fixed(2.0)), 7),
                p.draw(&sample(Split::Test, Noise::Fixed(2.0)), 7),
            );
            assert_eq!(a.flux, b.flux);
            let clean = p.draw(&sample(Split::Test, Noise::Clean), 7);
            assert_eq!((clean.z, clean.sed, clean.sigma), (a.z, a.sed, 0.0));
            // Both are scaled by their own means: compare after a fit of the scale.
            let dot =
                |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            let scale = dot(&a.flux, &clean.flux) / dot(&clean.flux, &clean.flux);
            let rest = a
                .flux
                .iter()
                .zip(&clean.flux)
                .zip(&p.noise_shape)
                .map(|((a, c), s)| (f64::from(*a) - scale * f64::from(*c)) / f64::from(*s));
            let rms = (rest.map(|d| d * d).sum::<f64>() / a.flux.len() as f64).sqrt();
            assert!(
                (rms / f64::from(a.sigma) - 1.0).abs() < 0.1,
                "{rms} {}",
                a.sigma
            );
            assert!((a.flux.iter().sum::<f32>() / a.flux.len() as f32 - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn classes_tile_the_range() {
        for c in 0..CLASSES {
            assert_eq!(class_of(centre(c)), c);
        }
        assert_eq!(
            (class_of(0.9), class_of(1.8), class_of(1.7999)),
            (0, 799, 799)
        );
        assert!(Pool::new(&recipe(3), Setting::Published).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        /// Redshifting and rebinning conserve flux: bins × widths = the integral between the outer
        /// edges; and a line lands where log λ_obs = log λ_emit + log(1+z) says.
        #[test]
        fn redshifting_conserves_flux(z in 1.0f64..1.8, at in 1500usize..2500) {
            let mut pixels = vec![0.0f32; LEN];
            pixels[at] = 3.0;
            let edges: Vec<f64> = (0..=1780).map(|i| 11_000.0 + 9000.0 * f64::from(i) / 1780.0).collect();
            let logs: Vec<f64> = edges.iter().map(|e| e.log10()).collect();
            let widths: Vec<f64> = edges.windows(2).map(|w| w[1] - w[0]).collect();
            let mut out = vec![0.0; 1780];
            rebin(&pixels, START, &logs, &widths, ((1.0 + z).log10(), 1.0 + z), &mut out);
            let widths: Vec<f64> = widths.iter().map(|w| w / (1.0 + z)).collect();
            let observed = 10f64.powf(START + STEP * at as f64) * (1.0 + z);
            prop_assume!((11_010.0..19_990.0).contains(&observed));
            let total: f64 = out.iter().zip(&widths).map(|(o, w)| f64::from(*o) * w).sum();
            prop_assert!((total - 3.0).abs() < 1e-4);
            let centroid: f64 = out.iter().zip(&widths).zip(&edges).map(|((o, w), e)| f64::from(*o) * w * (e + 2.528)).sum::<f64>() / total;
            prop_assert!((centroid - observed).abs() < 3.0, "{centroid} {observed}");
        }
    }
}
