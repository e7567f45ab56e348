//! Arms of a spectrograph joined to one spectrum.

use super::ReadOptions;
use super::pixels::{Pixels, power_of_ten};
use crate::spectrum::Spectrum;

/// Arms as they were read, joined by inverse variance; one alone is itself.
///
/// # Errors
/// No arm, or one that cannot be read.
pub(super) fn joined(arms: Vec<Pixels>, options: &ReadOptions) -> Result<Spectrum, String> {
    // One scale for all arms: a step between them would look like a feature.
    let power = power_of_ten(arms.iter().flat_map(|p| &p.flux));
    let mut each: Vec<Spectrum> = arms
        .into_iter()
        .map(|p| p.into_spectrum_of(power, options))
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    if each.len() < 2 {
        return each.pop().ok_or("wavelength or flux is null".into());
    }
    each.sort_by(|a, b| a.wave[0].total_cmp(&b.wave[0]));
    let wide = |v: &[f32]| v.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let cut: Vec<(&[f64], Vec<f64>, Vec<f64>)> = each
        .iter()
        .map(|s| (s.wave.as_slice(), wide(&s.flux), wide(&s.ivar)))
        .collect();
    let (wave, flux, ivar) = join(&cut);
    let narrow = |v: Vec<f64>| v.into_iter().map(|x| x as f32).collect::<Vec<f32>>();
    let mut s = Spectrum::new(wave, narrow(flux), narrow(ivar), &[]).map_err(|e| e.to_string())?;
    s.flux_unit.clone_from(&each[0].flux_unit);
    s.ivar_estimated = each.iter().any(|e| e.ivar_estimated);
    s.provenance = each[0].provenance.clone();
    s.warnings = each.iter().flat_map(|e| e.warnings.clone()).collect();
    s.warnings.sort_unstable();
    s.warnings.dedup();
    s.provenance
        .push(format!("{} arms joined by inverse variance", each.len()));
    Ok(s)
}

/// Joins cameras. On a shared grid, pixels at one wavelength are averaged by inverse variance;
/// otherwise the overlap is cut in its middle.
pub(super) fn join(arms: &[(&[f64], Vec<f64>, Vec<f64>)]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (mut wave, mut flux, mut ivar): (Vec<f64>, Vec<f64>, Vec<f64>) = (vec![], vec![], vec![]);
    for (w, f, v) in arms {
        let Some(last) = wave.last().copied() else {
            (wave, flux, ivar) = (w.to_vec(), f.clone(), v.clone());
            continue;
        };
        let first = w.first().copied().unwrap_or(f64::INFINITY);
        if first > last {
            wave.extend_from_slice(w);
            flux.extend_from_slice(f);
            ivar.extend_from_slice(v);
            continue;
        }
        let step = wave
            .len()
            .checked_sub(2)
            .map_or(1.0, |i| (last - wave[i]).abs().max(1e-6));
        let start = wave.partition_point(|x| *x < first - 0.01 * step);
        let aligned = wave[start..]
            .iter()
            .zip(*w)
            .all(|(a, b)| (a - b).abs() < 0.01 * step);
        if aligned {
            let shared = wave.len() - start;
            for i in 0..shared.min(w.len()) {
                let (a, b) = (ivar[start + i].max(0.0), v[i].max(0.0));
                if a + b > 0.0 {
                    let fa = if a > 0.0 { a * flux[start + i] } else { 0.0 };
                    let fb = if b > 0.0 { b * f[i] } else { 0.0 };
                    flux[start + i] = (fa + fb) / (a + b);
                }
                ivar[start + i] = a + b;
            }
            let rest = shared.min(w.len());
            wave.extend_from_slice(&w[rest..]);
            flux.extend_from_slice(&f[rest..]);
            ivar.extend_from_slice(&v[rest..]);
        } else {
            let middle = 0.5 * (first + last);
            let keep = wave.partition_point(|x| *x < middle);
            let from = w.partition_point(|x| *x < middle);
            wave.truncate(keep);
            flux.truncate(keep);
            ivar.truncate(keep);
            wave.extend_from_slice(&w[from..]);
            flux.extend_from_slice(&f[from..]);
            ivar.extend_from_slice(&v[from..]);
        }
    }
    (wave, flux, ivar)
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn cameras_join_by_inverse_variance() {
        let b: Vec<f64> = (0..11).map(f64::from).collect();
        let r: Vec<f64> = (8..20).map(f64::from).collect();
        let (w, f, v) = join(&[
            (&b, vec![1.0; 11], vec![1.0; 11]),
            (&r, vec![4.0; 12], vec![3.0; 12]),
        ]);
        assert_eq!(w, (0..20).map(f64::from).collect::<Vec<_>>());
        assert_eq!((f[7], f[9], f[12]), (1.0, 3.25, 4.0));
        assert_eq!((v[7], v[9], v[12]), (1.0, 4.0, 3.0));
        // Not aligned: cut in the middle, still ascending; a dead camera leaves the other.
        let r2: Vec<f64> = r.iter().map(|x| x + 0.4).collect();
        let (w, ..) = join(&[
            (&b, vec![1.0; 11], vec![1.0; 11]),
            (&r2, vec![4.0; 12], vec![3.0; 12]),
        ]);
        assert!(w.is_sorted_by(|a, b| a < b));
        let (_, f, _) = join(&[
            (&b, vec![f64::NAN; 11], vec![0.0; 11]),
            (&r, vec![4.0; 12], vec![3.0; 12]),
        ]);
        assert_eq!(f[9], 4.0);
    }
}
