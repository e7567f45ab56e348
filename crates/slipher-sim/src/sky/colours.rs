//! Magnitudes of SEDs through filters.

use crate::sed::Template;

/// A filter: trapezium between `edges` (vacuum Å) with slopes of 3 % of the width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filter {
    /// Of the band.
    pub name: &'static str,
    /// First and last wavelength in Å.
    pub edges: (f64, f64),
}

/// u, g, r, i, z of CFHT's MegaCam, edges at half of the peak (MegaPrime filter information, first
/// generation).
pub const MEGACAM: [Filter; 5] = [
    Filter {
        name: "u",
        edges: (3400.0, 4120.0),
    },
    Filter {
        name: "g",
        edges: (4150.0, 5580.0),
    },
    Filter {
        name: "r",
        edges: (5650.0, 6870.0),
    },
    Filter {
        name: "i",
        edges: (7020.0, 8480.0),
    },
    Filter {
        name: "z",
        edges: (8280.0, 9400.0),
    },
];

/// AB magnitude of Σ weight · template at redshift `z`, up to a constant shared by all filters:
/// −2.5 log₁₀ (∫ f_λ T λ dλ / ∫ T c/λ dλ).
pub fn magnitude(
    parts: &[(&Template, f64)],
    dust: &dyn Fn(f64) -> f64,
    z: f64,
    filter: &Filter,
) -> f64 {
    let (lo, hi) = filter.edges;
    let n = 24;
    let (mut light, mut white) = (0.0, 0.0);
    for k in 0..n {
        let width = (hi - lo) / f64::from(n);
        let wave = lo + width * (f64::from(k) + 0.5);
        let rest = wave / (1.0 + z);
        let half = 0.5 * width / (1.0 + z);
        let f: f64 = parts
            .iter()
            .map(|(t, w)| w * t.mean(rest - half, rest + half))
            .sum::<f64>()
            * dust(rest);
        light += f * wave;
        white += 1.0 / wave;
    }
    -2.5 * (light.max(1e-30) / white).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A flat f_ν has no colour; a blackbody of 5772 K has the colours of its integral.
    #[test]
    fn colours_of_simple_spectra() {
        let wave: Vec<f64> = (0..4000).map(|i| 2000.0 + 4.0 * f64::from(i)).collect();
        let flat: Vec<f64> = wave.iter().map(|w| 1e8 / w.powi(2)).collect();
        let t = Template::from_points("flat", &wave, &flat).unwrap();
        let m: Vec<f64> = MEGACAM
            .iter()
            .map(|f| magnitude(&[(&t, 1.0)], &|_| 1.0, 0.3, f))
            .collect();
        assert!(m.iter().all(|v| (v - m[0]).abs() < 0.01), "{m:?}");
        let sun: Vec<f64> = wave
            .iter()
            .map(|w| 1e20 / w.powi(5) / ((1.438_776_9e8 / (w * 5772.0)).exp() - 1.0))
            .collect();
        let t = Template::from_points("sun", &wave, &sun).unwrap();
        let m: Vec<f64> = MEGACAM
            .iter()
            .map(|f| magnitude(&[(&t, 1.0)], &|_| 1.0, 0.0, f))
            .collect();
        // The integrals in NumPy: 0.4490, 0.1635.
        assert!(
            (m[1] - m[2] - 0.4490).abs() < 0.01 && (m[2] - m[3] - 0.1635).abs() < 0.01,
            "{m:?}"
        );
    }
}
