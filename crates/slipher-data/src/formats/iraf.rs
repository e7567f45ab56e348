//! Dispersion of IRAF's multispec images: linear, logarithmic, Chebyshev, Legendre, splines and
//! tables, an aperture each. Source: Valdes 1993, "The IRAF/NOAO Spectral World Coordinate
//! Systems", ADASS II; `help onedspec.specwcs`.

use crate::fits::Header;

/// Whether a header says that its image is one.
pub(super) fn is_multispec(h: &Header) -> bool {
    let is = |key: &str| {
        h.str(key)
            .is_some_and(|v| v.to_lowercase().contains("multispe"))
    };
    is("WAT0_001") || is("CTYPE1")
}

/// The text of the cards `WATn_001`, `WATn_002`, …: 68 characters each, blanks at their ends lost.
fn attributes(h: &Header, axis: usize) -> String {
    (1..=999)
        .map_while(|i| h.str(&format!("WAT{axis}_{i:03}")))
        .map(|card| format!("{card:<68}"))
        .collect()
}

/// Unit of the wavelengths that `WAT1` states; empty if it does not.
pub(super) fn unit(h: &Header) -> String {
    let text = attributes(h, 1);
    ["units=", "units ="]
        .iter()
        .find_map(|k| text.split_once(k))
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned()
}

/// One aperture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Aperture {
    /// Its number.
    pub number: i64,
    kind: Kind,
    /// Doppler factor: wavelengths are divided by 1 + z.
    z: f64,
    /// Pixels that hold data, from the first.
    pub pixels: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Linear(f64, f64),
    Log(f64, f64),
    /// (weight, offset, function) of each term.
    Sum(Vec<(f64, f64, Function)>),
}

#[derive(Clone, Debug, PartialEq)]
enum Function {
    Chebyshev([f64; 2], Vec<f64>),
    Legendre([f64; 2], Vec<f64>),
    CubicSpline([f64; 2], Vec<f64>),
    LinearSpline([f64; 2], Vec<f64>),
    /// Wavelength of each pixel.
    Table(Vec<f64>),
}

/// All apertures of an image, in the order of its rows.
///
/// # Errors
/// What is missing, and of which aperture.
pub(super) fn apertures(h: &Header, rows: usize) -> Result<Vec<Aperture>, String> {
    let text = attributes(h, 2);
    (1..=rows)
        .map(|i| {
            let key = format!("spec{i} ");
            let rest = text
                .find(&key)
                .or_else(|| text.find(&format!("spec{i}=")))
                .map(|at| &text[at..])
                .ok_or(format!("WAT2 has no spec{i}"))?;
            let quoted = rest.split('"').nth(1).unwrap_or_default();
            let numbers: Option<Vec<f64>> = quoted
                .split_whitespace()
                .map(|w| w.parse().ok().or_else(|| crate::formats::fortran(w)))
                .collect();
            let numbers = numbers.ok_or(format!("WAT2, spec{i}: '{quoted}' is not all numbers"))?;
            aperture(&numbers).ok_or(format!("WAT2, spec{i}: '{quoted}' ends early"))
        })
        .collect()
}

/// `ap beam dtype w1 dw nw z aplow aphigh`, then functions.
fn aperture(v: &[f64]) -> Option<Aperture> {
    let (kind, w1, dw) = (*v.get(2)?, *v.get(3)?, *v.get(4)?);
    let kind = match kind as i64 {
        0 => Kind::Linear(w1, dw),
        1 => Kind::Log(w1, dw),
        2 => Kind::Sum(functions(v.get(9..)?)?),
        _ => return None,
    };
    Some(Aperture {
        number: *v.first()? as i64,
        kind,
        z: *v.get(6)?,
        pixels: v.get(5)?.max(0.0) as usize,
    })
}

fn functions(mut v: &[f64]) -> Option<Vec<(f64, f64, Function)>> {
    let mut out = Vec::new();
    while v.len() > 3 {
        let (weight, zero, kind, n) = (v[0], v[1], v[2] as i64, v[3] as usize);
        if n > 100_000 {
            return None;
        }
        let range = || Some([*v.get(4)?, *v.get(5)?]);
        let (function, used) = match kind {
            1 => (
                Function::Chebyshev(range()?, v.get(6..6 + n)?.to_vec()),
                6 + n,
            ),
            2 => (
                Function::Legendre(range()?, v.get(6..6 + n)?.to_vec()),
                6 + n,
            ),
            3 => (
                Function::CubicSpline(range()?, v.get(6..9 + n)?.to_vec()),
                9 + n,
            ),
            4 => (
                Function::LinearSpline(range()?, v.get(6..7 + n)?.to_vec()),
                7 + n,
            ),
            5 => (Function::Table(v.get(4..4 + n)?.to_vec()), 4 + n),
            _ => return None,
        };
        out.push((weight, zero, function));
        v = &v[used..];
    }
    (!out.is_empty()).then_some(out)
}

impl Aperture {
    /// Wavelengths of `n` pixels, in the image's unit; `first` and `step` are the physical
    /// coordinate of the first pixel and the distance of the next (LTV1, LTM1_1).
    pub fn wavelengths(&self, n: usize, first: f64, step: f64) -> Vec<f64> {
        (0..n)
            .map(|i| {
                let p = first + step * i as f64;
                let w = match &self.kind {
                    Kind::Linear(w1, dw) => w1 + dw * i as f64,
                    Kind::Log(w1, dw) => 10f64.powf(w1 + dw * i as f64),
                    Kind::Sum(terms) => terms
                        .iter()
                        .map(|(weight, zero, f)| weight * (zero + f.at(p)))
                        .sum(),
                };
                w / (1.0 + self.z)
            })
            .collect()
    }
}

impl Function {
    fn at(&self, p: f64) -> f64 {
        let scaled = |[lo, hi]: &[f64; 2]| (p - 0.5 * (lo + hi)) / (0.5 * (hi - lo));
        // (piece, distance to its end, from its beginning).
        let piece = |[lo, hi]: &[f64; 2], n: usize| {
            let s = ((p - lo) / (hi - lo) * n as f64).clamp(0.0, n as f64);
            let j = (s as usize).min(n.saturating_sub(1));
            (j, j as f64 + 1.0 - s, s - j as f64)
        };
        match self {
            Function::Chebyshev(range, c) => {
                polynomial(c, scaled(range), |_, x, a, b| 2.0 * x * a - b)
            }
            Function::Legendre(range, c) => polynomial(c, scaled(range), |k, x, a, b| {
                ((2.0 * k - 1.0) * x * a - (k - 1.0) * b) / k
            }),
            Function::LinearSpline(range, c) => {
                let (j, a, b) = piece(range, c.len() - 1);
                c[j] * a + c[j + 1] * b
            }
            Function::CubicSpline(range, c) => {
                let (j, a, b) = piece(range, c.len() - 3);
                let cubic = |u: f64| 1.0 + 3.0 * u * (1.0 + a * b);
                c[j] * a.powi(3) + c[j + 1] * cubic(a) + c[j + 2] * cubic(b) + c[j + 3] * b.powi(3)
            }
            Function::Table(w) => {
                let i = (p.max(1.0) - 1.0) as usize;
                w.get(i).copied().unwrap_or(f64::NAN)
            }
        }
    }
}

/// Σ c_k P_k(x) with P_k from the two before it.
fn polynomial(c: &[f64], x: f64, next: impl Fn(f64, f64, f64, f64) -> f64) -> f64 {
    let (mut before, mut last) = (1.0, x);
    let mut sum = c.first().copied().unwrap_or(0.0) + c.get(1).map_or(0.0, |c| c * x);
    for (k, c) in c.iter().enumerate().skip(2) {
        let p = next(k as f64, x, last, before);
        (before, last) = (last, p);
        sum += c * p;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(spec: &str, pixels: &[usize]) -> Vec<f64> {
        let v: Vec<f64> = spec
            .split_whitespace()
            .map(|w| w.parse().unwrap())
            .collect();
        let w = aperture(&v).unwrap().wavelengths(2000, 1.0, 1.0);
        pixels.iter().map(|p| w[p - 1]).collect()
    }

    /// Values of the formulas of `specwcs`, by numpy.polynomial and by hand.
    #[test]
    fn all_functions() {
        let close = |a: Vec<f64>, b: &[f64]| {
            a.iter()
                .zip(b)
                .for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{a} {b}"));
        };
        close(
            at("1 1 0 3800. 1.2 2000 0. 1. 2.", &[1, 3]),
            &[3800.0, 3802.4],
        );
        close(at("1 1 0 3800. 1.2 2000 0.1 1. 2.", &[1]), &[3800.0 / 1.1]);
        close(
            at("1 1 1 3.6 0.0001 2000 0. 1. 2.", &[1, 1001]),
            &[10f64.powf(3.6), 10f64.powf(3.7)],
        );
        // Chebyshev of order 4 over 1 to 2000: numpy.polynomial.chebyshev.chebval.
        let x = (500.0 - 1000.5) / 999.5;
        let t = [1.0, x, 2.0 * x * x - 1.0, 4.0 * x * x * x - 3.0 * x];
        let want: f64 = [5000.0, 1200.0, -15.0, 2.5]
            .iter()
            .zip(t)
            .map(|(c, t)| c * t)
            .sum();
        close(
            at(
                "1 1 2 0. 0. 2000 0. 1. 2. 1. 0. 1 4 1. 2000. 5000. 1200. -15. 2.5",
                &[500],
            ),
            &[want],
        );
        let p = [
            1.0,
            x,
            0.5 * (3.0 * x * x - 1.0),
            0.5 * (5.0 * x * x * x - 3.0 * x),
        ];
        let want: f64 = [5000.0, 1200.0, -15.0, 2.5]
            .iter()
            .zip(p)
            .map(|(c, t)| c * t)
            .sum();
        close(
            at(
                "1 1 2 0. 0. 2000 0. 1. 2. 1. 0. 2 4 1. 2000. 5000. 1200. -15. 2.5",
                &[500],
            ),
            &[want],
        );
        // A cubic spline with equal coefficients is six times them everywhere.
        close(
            at(
                "1 1 2 0. 0. 2000 0. 1. 2. 1. 10. 3 3 1. 2000. 7. 7. 7. 7. 7. 7.",
                &[1, 777, 2000],
            ),
            &[52.0; 3],
        );
        close(
            at(
                "1 1 2 0. 0. 2000 0. 1. 2. 0.5 0. 4 2 1. 2001. 4000. 5000. 7000.",
                &[1, 1001, 1501],
            ),
            &[2000.0, 2500.0, 3000.0],
        );
        assert!(
            aperture(&[
                1.0, 1.0, 2.0, 0.0, 0.0, 2000.0, 0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 9e9
            ])
            .is_none()
        );
    }
}
