//! Arms of a spectrograph in separate files: which spectra are arms of one object, and one spectrum
//! of them (X-shooter's UVB, VIS and NIR; the halves of DEEP2; DESI's b, r and z).

use std::collections::BTreeMap;

use crate::spectrum::Spectrum;

/// Most of the shorter of two arms that may lie within the other.
const OVERLAP: f64 = 0.25;
/// Positions this close are one object, degrees (1″).
const CLOSE: f64 = 1.0 / 3600.0;

fn ends(s: &Spectrum) -> Option<(f64, f64)> {
    Some((*s.wave.first()?, *s.wave.last()?))
}

/// An identifier without what names the arm at its end: `J0842_uvb` is `j0842`.
fn name(id: &str) -> String {
    const ARMS: [&str; 13] = [
        "uvb", "vis", "nir", "blue", "red", "b", "r", "z", "b1", "r1", "b2", "r2", "z1",
    ];
    let lower = id.trim().to_lowercase();
    match lower.rsplit_once(['_', '-', '.', ' ']) {
        Some((object, arm)) if ARMS.contains(&arm) && !object.is_empty() => object.to_owned(),
        _ => lower,
    }
}

/// The same object by its position, or by its identifier where one of them has no position.
fn same_object(a: &Spectrum, b: &Spectrum) -> bool {
    let across = (a.ra - b.ra) * a.dec.to_radians().cos();
    let apart = across.hypot(a.dec - b.dec);
    if apart.is_finite() {
        return apart < CLOSE;
    }
    !a.object_id.is_empty() && name(&a.object_id) == name(&b.object_id)
}

/// Two arms see different windows and give flux in one unit.
fn complete(a: &Spectrum, b: &Spectrum) -> bool {
    let (Some(x), Some(y)) = (ends(a), ends(b)) else {
        return false;
    };
    let common = (x.1.min(y.1) / x.0.max(y.0)).ln();
    let shorter = (x.1 / x.0).ln().min((y.1 / y.0).ln());
    common < OVERLAP * shorter && a.flux_unit == b.flux_unit
}

/// Spectra that are arms of one object, by their places, each in the order of the list; what has no
/// partner stands alone.
pub fn groups(all: &[&Spectrum]) -> Vec<Vec<usize>> {
    let mut out: Vec<Vec<usize>> = Vec::new();
    // Groups by identifier, and by declination in units of a hundredth of what is close.
    let mut named: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut placed: BTreeMap<(i64, usize), usize> = BTreeMap::new();
    for (i, s) in all.iter().enumerate() {
        let cell = |dec: f64| (dec / CLOSE * 100.0).floor() as i64;
        let own = name(&s.object_id);
        let mut near = named.get(&own).cloned().unwrap_or_default();
        if s.dec.is_finite() {
            let (from, to) = (cell(s.dec - CLOSE), cell(s.dec + CLOSE));
            near.extend(placed.range((from, 0)..=(to, usize::MAX)).map(|p| *p.1));
        }
        let fits = |g: &&usize| {
            let own = &out[**g];
            same_object(all[own[0]], s) && own.iter().all(|j| complete(all[*j], s))
        };
        if let Some(g) = near.iter().find(fits).copied() {
            out[g].push(i);
            continue;
        }
        if !own.is_empty() {
            named.entry(own).or_default().push(out.len());
        }
        if s.dec.is_finite() {
            placed.insert((cell(s.dec), i), out.len());
        }
        out.push(vec![i]);
    }
    out
}

/// One spectrum of arms, bluest first; where two overlap each gives its half. `None` of no arms.
pub fn join(arms: &[&Spectrum]) -> Option<Spectrum> {
    let mut arms: Vec<&Spectrum> = arms.to_vec();
    arms.sort_by(|a, b| {
        a.wave
            .first()
            .unwrap_or(&0.0)
            .total_cmp(b.wave.first().unwrap_or(&0.0))
    });
    let first = *arms.first()?;
    if arms.len() == 1 {
        return Some(first.clone());
    }
    let mut out = Spectrum {
        wave: vec![],
        flux: vec![],
        ivar: vec![],
        mask: vec![],
        ..first.clone()
    };
    for (k, arm) in arms.iter().enumerate() {
        let (start, end) = ends(arm)?;
        let from = match k.checked_sub(1).and_then(|j| ends(arms[j])) {
            Some(before) if before.1 > start => (before.1 * start).sqrt(),
            _ => start,
        };
        let to = match arms.get(k + 1).and_then(|a| ends(a)) {
            Some(after) if after.0 < end => (after.0 * end).sqrt(),
            _ => end,
        };
        let inside =
            arm.wave.partition_point(|w| *w < from)..arm.wave.partition_point(|w| *w <= to);
        // Two arms never share a pixel.
        let last = out.wave.last().copied().unwrap_or(0.0);
        for i in inside.filter(|i| arm.wave[*i] > last) {
            out.wave.push(arm.wave[i]);
            out.flux.push(arm.flux[i]);
            out.ivar.push(arm.ivar[i]);
            out.mask.push(arm.mask.get(i).copied().unwrap_or(0));
        }
        if k > 0 {
            out.ivar_estimated |= arm.ivar_estimated;
            for w in &arm.warnings {
                if !out.warnings.contains(w) {
                    out.warnings.push(*w);
                }
            }
        }
    }
    let names: Vec<String> = arms
        .iter()
        .map(|a| {
            format!(
                "{} HDU {} row {}",
                a.origin.file, a.origin.hdu, a.origin.row
            )
        })
        .collect();
    out.provenance
        .push(format!("arms joined: {}", names.join("; ")));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(id: &str, lo: f64, hi: f64, level: f32) -> Spectrum {
        let wave: Vec<f64> = (0..500)
            .map(|i| lo + (hi - lo) * f64::from(i) / 499.0)
            .collect();
        let n = wave.len();
        let mut s = Spectrum::new(wave, vec![level; n], vec![4.0; n], &[]).unwrap();
        s.object_id = id.into();
        s
    }

    #[test]
    fn arms_of_one_object_are_joined() {
        let all = [
            arm("a_UVB", 3000.0, 5600.0, 1.0),
            arm("b", 3000.0, 5600.0, 5.0),
            arm("a_VIS", 5500.0, 10_200.0, 2.0),
            arm("a_nir", 10_000.0, 24_000.0, 3.0),
            // Another exposure of the same window is no arm.
            arm("a", 3000.0, 5600.0, 9.0),
            arm("", 3000.0, 5600.0, 9.0),
            arm("", 5500.0, 9000.0, 9.0),
        ];
        let refs: Vec<&Spectrum> = all.iter().collect();
        let g = groups(&refs);
        assert_eq!(g, vec![vec![0, 2, 3], vec![1], vec![4], vec![5], vec![6]]);
        let s = join(&[&all[3], &all[0], &all[2]]).unwrap();
        assert!(s.wave.is_sorted_by(|a, b| a < b));
        assert_eq!((s.wave[0], *s.wave.last().unwrap()), (3000.0, 24_000.0));
        let at = |w: f64| s.flux[s.wave.partition_point(|x| *x < w)];
        assert_eq!(
            (at(4000.0), at(5540.0), at(5560.0), at(12_000.0)),
            (1.0, 1.0, 2.0, 3.0)
        );
        assert_eq!(s.wave.len(), s.ivar.len());
        assert!(s.provenance.last().unwrap().contains("arms joined"));
        let mut other = all[2].clone();
        other.flux_unit = "Jy".into();
        assert_eq!(groups(&[&all[0], &other]).len(), 2);
        assert!(join(&[]).is_none());
    }

    /// Positions tell objects, whatever they are called.
    #[test]
    fn positions_tell_objects() {
        let at = |lo, hi, ra: f64| {
            let mut s = arm("", lo, hi, 1.0);
            (s.ra, s.dec) = (ra, 10.0);
            s
        };
        let (a, b) = (
            at(3000.0, 5000.0, 50.0),
            at(5000.0, 9000.0, 50.0 + 0.5 / 3600.0),
        );
        let c = at(5000.0, 9000.0, 50.01);
        assert_eq!(groups(&[&a, &b, &c]), vec![vec![0, 1], vec![2]]);
    }
}
