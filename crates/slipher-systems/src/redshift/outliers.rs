//! Spectra unlike those that a model learned from: labelled sets to count what it claims of them.

use slipher_data::airvac::vacuum_to_air;
use slipher_data::spectrum::Spectrum;
use slipher_sim::observe::{blank_sky, observe};
use slipher_sim::peculiar::{level, miscalibrate, power_law, supernova};
use slipher_sim::random::Stream;
use slipher_sim::sed::SpecType;

use super::simulate::{Example, Fixed, Simulator, Split};

/// A kind of strangeness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutlierKind {
    /// Residuals of the sky subtraction.
    BlankSky,
    /// White noise.
    Noise,
    /// A power law without a line.
    Blazar,
    /// Two objects in one fibre.
    Blend,
    /// A supernova on its host.
    Supernova,
    /// Broken flux calibration.
    Calibration,
    /// A third of the spectrum without signal.
    DeadCamera,
    /// Nanometres that are said to be ångströms.
    WrongUnit,
    /// Air that is said to be vacuum.
    Air,
    /// A quasar with broad absorption lines.
    BroadAbsorption,
}

/// A strange spectrum. Any of the `truths` is right; without one, no redshift can be.
#[derive(Clone, Debug)]
pub struct Strange {
    /// What is shown.
    pub spectrum: Spectrum,
    /// Classes and redshifts that would be right.
    pub truths: Vec<(SpecType, f64)>,
}

impl OutlierKind {
    /// In the order of [`OutlierKind::title`].
    pub const ALL: [OutlierKind; 10] = [
        OutlierKind::BlankSky,
        OutlierKind::Noise,
        OutlierKind::Blazar,
        OutlierKind::Blend,
        OutlierKind::Supernova,
        OutlierKind::Calibration,
        OutlierKind::DeadCamera,
        OutlierKind::WrongUnit,
        OutlierKind::Air,
        OutlierKind::BroadAbsorption,
    ];

    /// As tables name it.
    pub fn title(self) -> &'static str {
        [
            "blank sky: residuals of the sky subtraction",
            "white noise",
            "blazar: a power law without a line",
            "two objects in one fibre, the fainter at least a third",
            "supernova on its host, as bright",
            "broken flux calibration: waves of 30 %, steps of up to a factor 2",
            "a dead third of the spectrum: zero flux, errors as if it were good",
            "wavelengths in nm, said to be Å",
            "wavelengths in air, said to be vacuum",
            "quasar with broad absorption lines",
        ][self as usize]
    }

    /// Spectrum `row`, of the simulator's instruments and held-out SEDs.
    pub fn draw(self, simulator: &Simulator, row: u64, snr: f64) -> Strange {
        let mut rng = Stream::new(simulator.seed(), 100 + self as u64, row);
        let index = rng.below(simulator.names.len());
        let fixed = Fixed {
            instrument: Some(index),
            snr: Some(snr),
            ..Fixed::default()
        };
        let e = simulator.draw_fixed(Split::Test, row, fixed);
        let mut s = e.spectrum;
        let mut truths: Vec<(SpecType, f64)> = e.truth.into_iter().collect();
        match self {
            OutlierKind::BlankSky | OutlierKind::Blazar => {
                truths.clear();
                let instrument = simulator.instrument(index, &mut rng);
                s = match self {
                    OutlierKind::BlankSky => blank_sky(&instrument, &mut rng),
                    _ => {
                        observe(
                            &power_law(rng.uniform(-2.5, 0.5)),
                            0.0,
                            snr,
                            &instrument,
                            &mut rng,
                        )
                        .spectrum
                    }
                };
            }
            OutlierKind::BroadAbsorption => {
                // One quasar in eight has them; C IV must be in the window to show.
                let quasar = Fixed {
                    class: Some(SpecType::Qso),
                    ..fixed
                };
                let tries = (0..1000u64)
                    .map(|k| simulator.draw_fixed(Split::Test, row + (k << 32), quasar));
                let shows = |e: &Example| {
                    e.subtype == "BAL"
                        && e.truth
                            .is_some_and(|t| (1549.0 * (1.0 + t.1)) > e.spectrum.wave[0] + 200.0)
                };
                if let Some(e) = tries.into_iter().find(shows) {
                    (s, truths) = (e.spectrum, e.truth.into_iter().collect());
                }
            }
            OutlierKind::Noise => {
                truths.clear();
                s.flux
                    .iter_mut()
                    .zip(&s.ivar)
                    .filter(|p| *p.1 > 0.0)
                    .for_each(|(f, v)| *f = rng.normal_f32() / v.sqrt());
            }
            OutlierKind::Blend => {
                let other = simulator.draw_fixed(Split::Test, row + (1 << 40), fixed);
                add(&mut s, &other.spectrum, rng.uniform(0.33, 1.0));
                truths.extend(other.truth);
            }
            OutlierKind::Supernova => {
                supernova(&mut s, truths.first().map_or(0.0, |t| t.1), &mut rng)
            }
            OutlierKind::Calibration => miscalibrate(&mut s, &mut rng),
            OutlierKind::DeadCamera => {
                let n = s.wave.len();
                let from = [0, n / 3, 2 * n / 3][rng.below(3)];
                s.flux[from..(from + n / 3).min(n)].fill(0.0);
                // As a file would be read.
                let bad: Vec<bool> = s.mask.iter().map(|m| *m != 0).collect();
                if let Ok(read) =
                    Spectrum::new(s.wave.clone(), s.flux.clone(), s.ivar.clone(), &bad)
                {
                    s = read;
                }
            }
            OutlierKind::WrongUnit => s.wave.iter_mut().for_each(|w| *w *= 0.1),
            OutlierKind::Air => s.wave.iter_mut().for_each(|w| *w = vacuum_to_air(*w)),
        }
        Strange {
            spectrum: s,
            truths,
        }
    }
}

/// Adds another spectrum, scaled to `share` of this one's level; errors add.
fn add(s: &mut Spectrum, other: &Spectrum, share: f64) {
    let k = share as f32 * level(s) / level(other);
    let mut j = 0;
    for i in 0..s.wave.len() {
        while j + 1 < other.wave.len()
            && (other.wave[j + 1] - s.wave[i]).abs() <= (other.wave[j] - s.wave[i]).abs()
        {
            j += 1;
        }
        if s.ivar[i] > 0.0 && other.ivar[j] > 0.0 {
            s.flux[i] += k * other.flux[j];
            s.ivar[i] = 1.0 / (1.0 / s.ivar[i] + k * k / other.ivar[j]);
        } else {
            s.ivar[i] = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulate::SimulationRecipe;
    use super::*;

    /// Every kind is drawn, the same each time, finite, and differs from what it was made of.
    #[test]
    fn strangers_are_reproducible_and_strange() {
        let recipe = SimulationRecipe {
            instruments: vec![("sdss".into(), 1.0), ("desi".into(), 1.0)],
            ..SimulationRecipe::default()
        };
        let simulator = Simulator::new(&recipe, 3).unwrap();
        for kind in OutlierKind::ALL {
            for row in 0..6 {
                let (a, b) = (
                    kind.draw(&simulator, row, 5.0),
                    kind.draw(&simulator, row, 5.0),
                );
                assert!(
                    a.spectrum.flux == b.spectrum.flux && a.truths == b.truths,
                    "{kind:?}"
                );
                assert!(
                    a.spectrum.flux.iter().all(|f| f.is_finite())
                        && a.spectrum.good_pixels() > 1000,
                    "{kind:?}"
                );
                let want = match kind {
                    OutlierKind::BlankSky | OutlierKind::Noise | OutlierKind::Blazar => 0,
                    OutlierKind::Blend => 2,
                    _ => 1,
                };
                assert_eq!(a.truths.len(), want, "{kind:?}");
            }
        }
        let unit = OutlierKind::WrongUnit.draw(&simulator, 0, 5.0).spectrum;
        assert!(unit.wave.last().unwrap() < &1100.0);
    }
}
