//! Spectra of known class and redshift, from a seed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use slipher_data::spectrum::{Spectrum, Truth, estimate_ivar};
use slipher_sim::instrument::{BadInstrument, Instrument};
use slipher_sim::observe::{blank_sky, observe};
use slipher_sim::peculiar::{self, power_law};
use slipher_sim::random::Stream;
use slipher_sim::residual;
use slipher_sim::sed::SpecType;
use slipher_sim::templates::Library;

/// Independent streams of examples; held-out SEDs serve validation and test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To learn from.
    Train = 1,
    /// To choose and calibrate by.
    Validation = 2,
    /// To judge by; of held-out SEDs.
    Test = 3,
}

/// What is simulated: instruments with weights, SED libraries, share of blank sky.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulationRecipe {
    /// Shipped name or TOML path, and weight.
    pub instruments: Vec<(String, f64)>,
    /// Folders of SED templates added to the built-in SEDs (none are needed).
    #[serde(default)]
    pub templates: Vec<PathBuf>,
    /// Share of spectra without any object.
    #[serde(default)]
    pub blank_sky: f64,
    /// Share of peculiar spectra: supernovae on hosts, broken or missing flux calibration, continua
    /// divided out, blazars.
    #[serde(default)]
    pub peculiar: f64,
}

/// A simulated spectrum with what was put in.
#[derive(Clone, Debug)]
pub struct Example {
    /// As observed.
    pub spectrum: Spectrum,
    /// `None` for blank sky.
    pub truth: Option<(SpecType, f64)>,
    /// Median S/N per pixel that was asked for.
    pub snr: f64,
    /// Place in [`Simulator::names`].
    pub instrument: usize,
    /// Kind of galaxy or star; empty if there is none.
    pub subtype: &'static str,
    /// See [`SimulationRecipe::peculiar`].
    pub peculiar: bool,
    /// Sky is left in it, or its errors are missing or wrong.
    pub spoiled: bool,
}

/// Draws examples.
#[derive(Clone, Debug)]
pub struct Simulator {
    /// Of the instruments.
    pub names: Vec<String>,
    instruments: Vec<(Option<Instrument>, f64)>,
    train: Library,
    held_out: Library,
    blank_sky: f64,
    peculiar: f64,
    seed: u64,
    /// Files in template folders that are no SEDs, with the reason.
    pub skipped: Vec<(String, String)>,
}

/// A recipe that cannot be followed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadRecipe {
    #[error(transparent)]
    Instrument(#[from] BadInstrument),
    #[error("template folder {}: cannot be listed; name a folder of SEDs or leave 'templates' out of the recipe", folder.display())]
    Templates {
        folder: PathBuf,
        source: std::io::Error,
    },
    #[error("recipe: {0}")]
    Field(String),
}

/// What to fix when drawing: used by tests by S/N and class.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fixed {
    /// Place in [`Simulator::names`].
    pub instrument: Option<usize>,
    /// Class to draw.
    pub class: Option<SpecType>,
    /// Median S/N per pixel.
    pub snr: Option<f64>,
    /// Redraw until the redshift is below this.
    pub z_max: Option<f64>,
}

impl Simulator {
    /// # Errors
    /// Unknown instrument, unreadable template folder, no instrument.
    pub fn new(recipe: &SimulationRecipe, seed: u64) -> Result<Self, BadRecipe> {
        let mut library = Library::builtin();
        for folder in &recipe.templates {
            library
                .add_folder(folder)
                .map_err(|source| BadRecipe::Templates {
                    folder: folder.clone(),
                    source,
                })?;
        }
        if recipe.instruments.is_empty()
            || recipe.instruments.iter().map(|i| i.1).sum::<f64>() <= 0.0
        {
            return Err(BadRecipe::Field(
                "instruments: expected [[\"sdss\", 1.0], …] with a positive weight".into(),
            ));
        }
        let share = |v: f64| (0.0..=1.0).contains(&v);
        if recipe
            .instruments
            .iter()
            .any(|i| !(i.1 >= 0.0 && i.1.is_finite()))
        {
            return Err(BadRecipe::Field(
                "instruments: expected weights of at least 0".into(),
            ));
        }
        if !share(recipe.blank_sky) || !share(recipe.peculiar) {
            return Err(BadRecipe::Field(
                "blank_sky and peculiar: expected 0 to 1".into(),
            ));
        }
        let mut instruments = Vec::new();
        for (name, weight) in &recipe.instruments {
            let i = if name == "any" {
                None
            } else {
                Some(Instrument::load(name)?)
            };
            instruments.push((i, *weight));
        }
        let (train, held_out) = (library.part(false), library.part(true));
        Ok(Simulator {
            names: recipe.instruments.iter().map(|(n, _)| n.clone()).collect(),
            instruments,
            train,
            held_out,
            blank_sky: recipe.blank_sky,
            peculiar: recipe.peculiar,
            seed,
            skipped: library.skipped,
        })
    }

    /// Templates of galaxies, quasars and stars that training and test draw from.
    pub fn library(&self, split: Split) -> &Library {
        if split == Split::Train {
            &self.train
        } else {
            &self.held_out
        }
    }

    /// Instrument `index`; one at random where the recipe says `any`.
    pub fn instrument(&self, index: usize, rng: &mut Stream) -> Instrument {
        self.instruments[index]
            .0
            .clone()
            .unwrap_or_else(|| Instrument::random(rng))
    }

    /// Seed of all streams.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Example `row` of a split: the same on any thread.
    pub fn draw(&self, split: Split, row: u64) -> Example {
        self.draw_fixed(split, row, Fixed::default())
    }

    /// As [`Simulator::draw`] with some choices made.
    pub fn draw_fixed(&self, split: Split, row: u64, fixed: Fixed) -> Example {
        let mut rng = Stream::new(self.seed, split as u64, row);
        let weights: Vec<f64> = self.instruments.iter().map(|i| i.1).collect();
        let drawn = rng.weighted(&weights);
        let index = fixed.instrument.unwrap_or(drawn);
        let random;
        let instrument = match &self.instruments[index].0 {
            Some(i) => i,
            None => {
                random = Instrument::random(&mut rng);
                &random
            }
        };
        let snr = fixed
            .snr
            .unwrap_or_else(|| rng.log_uniform(instrument.snr[0], instrument.snr[1]));
        if fixed.class.is_none() && rng.chance(self.blank_sky) {
            let mut spectrum = blank_sky(instrument, &mut rng);
            if rng.chance(0.65) {
                residual::leave(&mut spectrum, 4.0, &mut rng);
            }
            spoil_errors(&mut spectrum, &mut rng);
            // Of blank sky nothing is learned but that it has no redshift.
            return Example {
                spectrum,
                truth: None,
                snr: 0.0,
                instrument: index,
                subtype: "sky",
                peculiar: false,
                spoiled: true,
            };
        }
        let peculiar = rng.chance(self.peculiar);
        if peculiar && fixed.class.is_none() && rng.chance(0.07) {
            let spectrum = observe(
                &power_law(rng.uniform(-2.5, 0.5)),
                0.0,
                snr,
                instrument,
                &mut rng,
            )
            .spectrum;
            return Example {
                spectrum,
                truth: None,
                snr,
                instrument: index,
                subtype: "blazar",
                peculiar,
                spoiled: false,
            };
        }
        let drawn = SpecType::ALL[rng.weighted(&instrument.classes)];
        let class = fixed.class.unwrap_or(drawn);
        let mut z = draw_redshift(&mut rng, class, instrument);
        while fixed.z_max.is_some_and(|m| z > m.max(0.01)) {
            z = draw_redshift(&mut rng, class, instrument);
        }
        let sed = self.library(split).draw(class, z, &mut rng);
        // Emission-line galaxies are targets for their lines: their continuum may drown.
        let drowned = fixed.snr.is_none()
            && !sed.emission.is_empty()
            && class == SpecType::Galaxy
            && rng.chance(0.3);
        let snr = if drowned {
            snr / rng.log_uniform(1.0, 30.0)
        } else {
            snr
        };
        let mut spectrum = observe(&sed, z, snr, instrument, &mut rng).spectrum;
        if peculiar {
            peculiar::any(&mut spectrum, z, &mut rng);
        }
        let sky_left = instrument.sky_lines > 0.0 && rng.chance(0.2);
        if sky_left {
            residual::leave(&mut spectrum, 2.0, &mut rng);
        }
        let spoiled = spoil_errors(&mut spectrum, &mut rng) || sky_left;
        spectrum.object_id = format!("sim-{}-{row}", split as u64);
        spectrum.origin.row = row as usize;
        spectrum.truth = Some(Truth {
            z,
            spectype: class.name().into(),
            zwarn: 0,
        });
        Example {
            spectrum,
            truth: Some((class, z)),
            snr,
            instrument: index,
            subtype: sed.subtype,
            peculiar,
            spoiled,
        }
    }
}

/// Leaves errors out now and then, as files do (they are then estimated as the readers do), or
/// makes them wrong by a factor; true if it did.
fn spoil_errors(s: &mut Spectrum, rng: &mut Stream) -> bool {
    match rng.weighted(&[0.87, 0.07, 0.06]) {
        0 => return false,
        1 => {
            // Without errors nothing says which pixels are bad.
            s.ivar = estimate_ivar(&s.flux);
            s.ivar_estimated = true;
        }
        _ => {
            let factor = rng.log_uniform(0.2, 5.0) as f32;
            s.ivar.iter_mut().for_each(|v| *v *= factor);
        }
    }
    true
}

/// Features that galaxies and quasars are recognised by, rest Å, with weights: redshifts are drawn
/// so that one of them falls into the window, evenly in log λ.
const GALAXY_ANCHORS: [(f64, f64); 11] = [
    (6564.6, 1.2),
    (5008.2, 1.2),
    (4000.0, 1.4),
    (3728.5, 1.2),
    (2799.0, 0.5),
    (1908.7, 0.4),
    (1549.0, 0.6),
    (1215.7, 1.2),
    (8544.0, 0.2),
    (10_833.0, 0.2),
    (18_756.0, 0.15),
];
const QSO_ANCHORS: [(f64, f64); 7] = [
    (6564.6, 0.8),
    (4862.7, 1.0),
    (2799.0, 1.5),
    (1908.7, 1.3),
    (1549.0, 1.5),
    (1215.7, 1.2),
    (10_833.0, 0.1),
];

fn draw_redshift(rng: &mut Stream, class: SpecType, instrument: &Instrument) -> f64 {
    let lo = instrument
        .windows
        .iter()
        .map(|w| w[0])
        .fold(f64::INFINITY, f64::min);
    let hi = instrument.windows.iter().map(|w| w[1]).fold(0.0, f64::max);
    let survey = class == SpecType::Galaxy && rng.chance(0.8);
    let z_max = match class {
        SpecType::Galaxy if survey => instrument.galaxy_z_max,
        // The farthest quasars known are at 7.6.
        SpecType::Qso => instrument.z_max.min(8.5),
        _ => instrument.z_max,
    };
    let anchors: &[(f64, f64)] = match class {
        SpecType::Star => {
            let v = if rng.chance(0.85) {
                rng.normal(0.0, 130.0)
            } else {
                rng.uniform(-1500.0, 1500.0)
            };
            return v.clamp(-2000.0, 2000.0) / slipher_sim::sed::C_KMS;
        }
        SpecType::Galaxy => &GALAXY_ANCHORS,
        SpecType::Qso => &QSO_ANCHORS,
    };
    // The nearby: few galaxies have |z| < 0.001, where stars are.
    if class == SpecType::Galaxy && lo < 6000.0 && rng.chance(0.13) {
        return if rng.chance(0.02) {
            rng.uniform(-0.002, 0.002)
        } else {
            rng.log_uniform(2e-3, 0.08)
        };
    }
    if class == SpecType::Qso && lo < 6000.0 && rng.chance(0.1) {
        return rng.log_uniform(8e-3, 0.4);
    }
    let weights: Vec<f64> = anchors.iter().map(|a| a.1).collect();
    if !rng.chance(0.12) {
        for _ in 0..40 {
            let rest = anchors[rng.weighted(&weights)].0;
            let z = rng.log_uniform(lo, hi) / rest - 1.0;
            if (0.0..z_max).contains(&z) {
                return z;
            }
        }
    }
    rng.uniform(0.0, (1.0 + z_max).ln()).exp() - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_reproducible_and_finite() {
        let recipe = SimulationRecipe {
            instruments: vec![
                ("sdss".into(), 1.0),
                ("any".into(), 1.0),
                ("nirspec-prism".into(), 1.0),
            ],
            templates: vec![],
            blank_sky: 0.1,
            peculiar: 0.2,
        };
        let sim = Simulator::new(&recipe, 7).unwrap();
        for row in 0..60 {
            let (a, b) = (sim.draw(Split::Train, row), sim.draw(Split::Train, row));
            assert_eq!(a.spectrum.flux, b.spectrum.flux);
            assert!(
                a.spectrum.flux.iter().all(|f| f.is_finite()),
                "{row} {:?}",
                a.truth
            );
            assert!(a.spectrum.good_pixels() > 0);
            if let Some((_, z)) = a.truth {
                assert!((-0.01..20.01).contains(&z));
            }
        }
        assert!(
            Simulator::new(
                &SimulationRecipe {
                    instruments: vec![],
                    ..recipe
                },
                1
            )
            .is_err()
        );
    }

    /// What the encoder accepts occurs in training: windows from its blue end to its red one, one
    /// band alone and all of it, gaps, coarse and fine pixels, errors that are missing, redshifts to
    /// the last lag.
    #[test]
    fn training_covers_what_the_encoder_takes() {
        use super::super::encode::FINE;
        let (lo, hi) = (FINE.wave(0.0), FINE.wave(FINE.len as f64 - 1.0));
        let mut seen = std::collections::BTreeMap::<String, u32>::new();
        let mut count = |what: String| *seen.entry(what).or_default() += 1;
        for row in 0..3000 {
            let i = Instrument::random(&mut Stream::new(11, 1, row));
            let from = i.windows[0][0].max(lo);
            let to = i.windows[i.windows.len() - 1][1].min(hi);
            let place = |x: f64| {
                ((x / lo).ln() / (hi / lo).ln() * 6.0)
                    .floor()
                    .clamp(0.0, 5.0)
            };
            count(format!("begins in sixth {}", place(from)));
            count(format!("ends in sixth {}", place(to)));
            if i.windows[0][0] < lo {
                count("begins before the grid".into());
            }
            count(format!("{} windows", i.windows.len()));
            let span = to / from;
            let size = [1.35, 3.2, 6.0].iter().filter(|s| span > **s).count();
            count(format!("span {size}"));
            let r = slipher_sim::instrument::interpolate(&i.resolution, from);
            let fine = [200.0, 1000.0, 4000.0].iter().filter(|s| r > **s).count();
            count(format!("resolution {fine}"));
        }
        let recipe = SimulationRecipe {
            instruments: vec![("any".into(), 1.0), ("nirspec-prism".into(), 1.0)],
            blank_sky: 0.05,
            peculiar: 0.1,
            ..SimulationRecipe::default()
        };
        let simulator = Simulator::new(&recipe, 3).unwrap();
        for row in 0..600 {
            let e = simulator.draw(Split::Train, row);
            if e.spectrum.ivar_estimated {
                count("no errors".into());
            }
            match e.truth {
                None => count("no redshift".into()),
                Some((class, z)) => {
                    count(class.name().into());
                    let far = [7.0, 10.0, 15.0].iter().filter(|f| z > **f).count();
                    count(format!("distance {far}"));
                }
            }
        }
        let wanted = (0..5)
            .map(|k| format!("begins in sixth {k}"))
            .chain((1..6).map(|k| format!("ends in sixth {k}")))
            .chain((1..4).map(|k| format!("{k} windows")))
            .chain((0..4).map(|k| format!("span {k}")))
            .chain((0..4).map(|k| format!("resolution {k}")))
            .chain((0..4).map(|k| format!("distance {k}")));
        let words = [
            "begins before the grid",
            "no errors",
            "no redshift",
            "GALAXY",
            "QSO",
            "STAR",
        ];
        for what in wanted.chain(words.map(String::from)) {
            let n = seen.get(&what).copied().unwrap_or(0);
            assert!(n >= 3, "{what}: {n} times");
        }
    }
}
