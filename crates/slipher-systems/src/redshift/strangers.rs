//! Spectra unlike those that a model learned from: labelled sets to count what it claims of them.

use slipher_data::airvac::vacuum_to_air;
use slipher_data::spectrum::Spectrum;
use slipher_sim::dust::Law;
use slipher_sim::observe::{blank_sky, observe};
use slipher_sim::random::Stream;
use slipher_sim::sed::{C_KMS, Sed, SpecType};

use super::simulate::{Fixed, Simulator, Split};

/// A kind of strangeness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    BlankSky,
    Noise,
    Blazar,
    Blend,
    Supernova,
    Calibration,
    DeadCamera,
    WrongUnit,
    Air,
}

/// A strange spectrum. Any of the `truths` is right; without one, no redshift can be.
#[derive(Clone, Debug)]
pub struct Strange {
    pub spectrum: Spectrum,
    pub truths: Vec<(SpecType, f64)>,
}

impl Stranger {
    pub const ALL: [Stranger; 9] = [
        Stranger::BlankSky,
        Stranger::Noise,
        Stranger::Blazar,
        Stranger::Blend,
        Stranger::Supernova,
        Stranger::Calibration,
        Stranger::DeadCamera,
        Stranger::WrongUnit,
        Stranger::Air,
    ];

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
        ][self as usize]
    }

    /// Spectrum `row`, of the simulator's instruments and held-out SEDs.
    pub fn draw(self, simulator: &Simulator, row: u64, snr: f64) -> Strange {
        let mut rng = Stream::new(simulator.seed(), 100 + self as u64, row);
        let index = rng.below(simulator.names.len());
        let fixed = Fixed { instrument: Some(index), snr: Some(snr), ..Fixed::default() };
        let e = simulator.draw_fixed(Split::Test, row, fixed);
        let mut s = e.spectrum;
        let mut truths: Vec<(SpecType, f64)> = e.truth.into_iter().collect();
        match self {
            Stranger::BlankSky | Stranger::Blazar => {
                truths.clear();
                let instrument = simulator.instrument(index, &mut rng);
                s = match self {
                    Stranger::BlankSky => blank_sky(&instrument, &mut rng),
                    _ => observe(&power_law(rng.uniform(-2.5, 0.5)), 0.0, snr, &instrument, &mut rng).spectrum,
                };
            }
            Stranger::Noise => {
                truths.clear();
                s.flux.iter_mut().zip(&s.ivar).filter(|p| *p.1 > 0.0).for_each(|(f, v)| *f = rng.normal_f32() / v.sqrt());
            }
            Stranger::Blend => {
                let other = simulator.draw_fixed(Split::Test, row + (1 << 40), fixed);
                add(&mut s, &other.spectrum, rng.uniform(0.33, 1.0));
                truths.extend(other.truth);
            }
            Stranger::Supernova => supernova(&mut s, truths.first().map_or(0.0, |t| t.1), &mut rng),
            Stranger::Calibration => miscalibrate(&mut s, &mut rng),
            Stranger::DeadCamera => {
                let n = s.wave.len();
                let from = [0, n / 3, 2 * n / 3][rng.below(3)];
                s.flux[from..(from + n / 3).min(n)].fill(0.0);
                // As a file would be read.
                let bad: Vec<bool> = s.mask.iter().map(|m| *m != 0).collect();
                if let Ok(read) = Spectrum::new(s.wave.clone(), s.flux.clone(), s.ivar.clone(), &bad) {
                    s = read;
                }
            }
            Stranger::WrongUnit => s.wave.iter_mut().for_each(|w| *w *= 0.1),
            Stranger::Air => s.wave.iter_mut().for_each(|w| *w = vacuum_to_air(*w)),
        }
        Strange { spectrum: s, truths }
    }
}

/// f_λ ∝ λ^slope, nothing else.
fn power_law(slope: f64) -> Sed {
    Sed {
        class: SpecType::Qso,
        subtype: "blazar",
        continua: vec![],
        power: Some((1.0, slope, 1e6, slope)),
        dust: (Law::Calzetti, 0.0),
        dispersion: 0.0,
        emission: vec![],
        absorption: vec![],
        sightline: None,
    }
}

fn level(s: &Spectrum) -> f32 {
    let mut f: Vec<f32> = s.flux.iter().zip(&s.ivar).filter(|p| *p.1 > 0.0).map(|p| p.0.abs()).collect();
    slipher_data::spectrum::median(&mut f).max(1e-20)
}

/// Adds another spectrum, scaled to `share` of this one's level; errors add.
fn add(s: &mut Spectrum, other: &Spectrum, share: f64) {
    let k = share as f32 * level(s) / level(other);
    let mut j = 0;
    for i in 0..s.wave.len() {
        while j + 1 < other.wave.len() && (other.wave[j + 1] - s.wave[i]).abs() <= (other.wave[j] - s.wave[i]).abs() {
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

/// P Cygni troughs and bumps of a type Ia near maximum, about as bright as the host (wavelengths after Filippenko 1997).
fn supernova(s: &mut Spectrum, z: f64, rng: &mut Stream) {
    let bright = rng.uniform(0.6, 1.5) as f32 * level(s);
    let speed = rng.uniform(0.9, 1.1);
    let features = [
        (3750.0, -0.6),
        (3980.0, 0.4),
        (4300.0, -0.4),
        (4600.0, 0.3),
        (4860.0, -0.35),
        (5150.0, 0.25),
        (5350.0, -0.3),
        (5650.0, -0.3),
        (6120.0, -0.55),
        (6350.0, 0.3),
        (8150.0, -0.5),
        (8600.0, 0.35),
    ];
    for (w, f) in s.wave.iter().zip(&mut s.flux) {
        let rest = w / (1.0 + z);
        let shape: f64 = features.iter().map(|(at, depth)| depth * (-0.5 * ((rest - at * speed) / (at * 6000.0 / C_KMS)).powi(2)).exp()).sum();
        *f += bright * ((rest / 4500.0).powf(-1.0) * (1.0 + shape)).max(0.0) as f32;
    }
}

fn miscalibrate(s: &mut Spectrum, rng: &mut Stream) {
    let (lo, hi) = (s.wave[0].ln(), s.wave[s.wave.len() - 1].ln());
    let waves: Vec<(f64, f64)> = (0..3).map(|_| (rng.uniform(2.0, 9.0), rng.uniform(0.0, std::f64::consts::TAU))).collect();
    let steps: Vec<(f64, f64)> = (0..2).map(|_| (rng.uniform(0.2, 0.8), rng.log_uniform(0.5, 2.0))).collect();
    for i in 0..s.wave.len() {
        let x = (s.wave[i].ln() - lo) / (hi - lo);
        let smooth: f64 = 1.0 + waves.iter().map(|(k, phase)| 0.17 * (std::f64::consts::TAU * k * x + phase).sin()).sum::<f64>();
        let step: f64 = steps.iter().filter(|p| x > p.0).map(|p| p.1).product();
        let gain = (smooth * step).max(0.1) as f32;
        s.flux[i] *= gain;
        s.ivar[i] /= gain * gain;
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulate::SimulationRecipe;
    use super::*;

    /// Every kind is drawn, the same each time, finite, and differs from what it was made of.
    #[test]
    fn strangers_are_reproducible_and_strange() {
        let recipe = SimulationRecipe { instruments: vec![("sdss".into(), 1.0), ("desi".into(), 1.0)], templates: vec![], blank_sky: 0.0 };
        let simulator = Simulator::new(&recipe, 3).unwrap();
        for kind in Stranger::ALL {
            for row in 0..6 {
                let (a, b) = (kind.draw(&simulator, row, 5.0), kind.draw(&simulator, row, 5.0));
                assert!(a.spectrum.flux == b.spectrum.flux && a.truths == b.truths, "{kind:?}");
                assert!(a.spectrum.flux.iter().all(|f| f.is_finite()) && a.spectrum.good_pixels() > 1000, "{kind:?}");
                let want = match kind {
                    Stranger::BlankSky | Stranger::Noise | Stranger::Blazar => 0,
                    Stranger::Blend => 2,
                    _ => 1,
                };
                assert_eq!(a.truths.len(), want, "{kind:?}");
            }
        }
        let unit = Stranger::WrongUnit.draw(&simulator, 0, 5.0).spectrum;
        assert!(unit.wave.last().unwrap() < &1100.0);
    }
}
