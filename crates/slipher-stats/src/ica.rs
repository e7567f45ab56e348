//! Independent components of several mixtures by FastICA (Hyvärinen 1999), symmetric, with
//! g = tanh; samples are whitened first.

/// Components and how they were mixed.
#[derive(Clone, Debug)]
pub struct Components {
    /// `[component][sample]`, of variance 1.
    pub sources: Vec<Vec<f64>>,
    /// `[mixture][component]`: mixture − mean = Σ mixing · source.
    pub mixing: Vec<Vec<f64>>,
    /// Of each mixture.
    pub means: Vec<f64>,
    /// Whether the rotation settled.
    pub settled: bool,
}

/// Steps, at most.
const STEPS: usize = 400;

/// Eigenvectors (columns) and eigenvalues of a symmetric matrix by Jacobi's rotations.
pub fn eigen(mut a: Vec<Vec<f64>>) -> (Vec<Vec<f64>>, Vec<f64>) {
    let n = a.len();
    let mut v = identity(n);
    for _ in 0..100 {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i][j].powi(2))
            .sum();
        if off < 1e-26 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q].abs() < 1e-300 {
                    continue;
                }
                let theta = 0.5 * (a[q][q] - a[p][p]) / a[p][q];
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let t = if theta == 0.0 { 1.0 } else { t };
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in &mut a {
                    let (x, y) = (row[p], row[q]);
                    (row[p], row[q]) = (c * x - s * y, s * x + c * y);
                }
                for k in 0..n {
                    let (x, y) = (a[p][k], a[q][k]);
                    (a[p][k], a[q][k]) = (c * x - s * y, s * x + c * y);
                    let (x, y) = (v[k][p], v[k][q]);
                    (v[k][p], v[k][q]) = (c * x - s * y, s * x + c * y);
                }
            }
        }
    }
    let values = (0..n).map(|i| a[i][i]).collect();
    (v, values)
}

fn identity(n: usize) -> Vec<Vec<f64>> {
    (0..n)
        .map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect())
        .collect()
}

fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let each = |row: &Vec<f64>| {
        (0..b[0].len())
            .map(|j| row.iter().zip(b).map(|(x, r)| x * r[j]).sum())
            .collect()
    };
    a.iter().map(each).collect()
}

/// (W Wᵀ)^(−1/2) W: rows at right angles, all alike.
fn orthogonal(w: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = w.len();
    let dot = |i: usize, j: usize| w[i].iter().zip(&w[j]).map(|(a, b)| a * b).sum();
    let square = (0..n)
        .map(|i| (0..n).map(|j| dot(i, j)).collect())
        .collect();
    let (v, values) = eigen(square);
    let root = |i: usize, j: usize| {
        (0..n)
            .map(|k| v[i][k] * v[j][k] / values[k].max(1e-300).sqrt())
            .sum()
    };
    let inverse: Vec<Vec<f64>> = (0..n)
        .map(|i| (0..n).map(|j| root(i, j)).collect())
        .collect();
    product(&inverse, w)
}

/// As many components as there are mixtures `[mixture][sample]`.
///
/// # Errors
/// Fewer than two mixtures, or mixtures that are multiples of each other.
pub fn fast(mixtures: &[Vec<f64>]) -> Result<Components, String> {
    let (n, samples) = (mixtures.len(), mixtures.first().map_or(0, Vec::len));
    if n < 2 || samples < 10 * n || mixtures.iter().any(|m| m.len() != samples) {
        return Err(format!(
            "{n} mixtures of {samples} samples: expected at least two, and ten samples for each"
        ));
    }
    let means: Vec<f64> = mixtures
        .iter()
        .map(|m| m.iter().sum::<f64>() / samples as f64)
        .collect();
    let centred: Vec<Vec<f64>> = mixtures
        .iter()
        .zip(&means)
        .map(|(m, mean)| m.iter().map(|v| v - mean).collect())
        .collect();
    let covariance = |i: usize, j: usize| {
        let pairs = centred[i].iter().zip(&centred[j]);
        pairs.map(|(a, b)| a * b).sum::<f64>() / samples as f64
    };
    let matrix = (0..n)
        .map(|i| (0..n).map(|j| covariance(i, j)).collect())
        .collect();
    let (v, values) = eigen(matrix);
    let largest = values.iter().copied().fold(0.0, f64::max);
    if values.iter().any(|l| l.is_nan() || *l <= 1e-12 * largest) {
        return Err("the mixtures are multiples of each other: nothing can be told apart".into());
    }
    // White = Λ^(−1/2) Vᵀ x.
    let whitening: Vec<Vec<f64>> = (0..n)
        .map(|k| (0..n).map(|i| v[i][k] / values[k].sqrt()).collect())
        .collect();
    let white = product(&whitening, &centred);
    let (w, settled) = rotation(&white);
    let sources = product(&w, &white);
    // x = V Λ^(1/2) Wᵀ s.
    let mixing = (0..n)
        .map(|i| {
            let one = |c: usize| (0..n).map(|k| v[i][k] * values[k].sqrt() * w[c][k]).sum();
            (0..n).map(one).collect()
        })
        .collect();
    Ok(Components {
        sources,
        mixing,
        means,
        settled,
    })
}

/// The rotation that makes samples least Gaussian, and whether it settled.
fn rotation(white: &[Vec<f64>]) -> (Vec<Vec<f64>>, bool) {
    let (n, samples) = (white.len(), white[0].len());
    // A turn that no component has by chance.
    let mut w = identity(n);
    for (i, row) in w.iter_mut().enumerate() {
        for (j, v) in row.iter_mut().enumerate() {
            *v += 0.3 * ((3 * i + 7 * j + 1) as f64).sin();
        }
    }
    let mut w = orthogonal(&w);
    for _ in 0..STEPS {
        let mut next = vec![vec![0.0; n]; n];
        for (row, own) in next.iter_mut().zip(&w) {
            let mut slope = 0.0;
            for s in 0..samples {
                let u: f64 = own.iter().zip(white).map(|(w, x)| w * x[s]).sum();
                let g = u.tanh();
                slope += 1.0 - g * g;
                row.iter_mut().zip(white).for_each(|(r, x)| *r += g * x[s]);
            }
            row.iter_mut()
                .zip(own)
                .for_each(|(r, w)| *r = (*r - slope * w) / samples as f64);
        }
        let next = orthogonal(&next);
        let change = next
            .iter()
            .zip(&w)
            .map(|(a, b)| (a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>().abs() - 1.0).abs())
            .fold(0.0, f64::max);
        w = next;
        if change < 1e-10 {
            return (w, true);
        }
    }
    (w, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two signals of other shapes, mixed, come out again, up to sign and order.
    #[test]
    fn signals_are_unmixed() {
        let n = 4000;
        let a: Vec<f64> = (0..n).map(|i| (f64::from(i) * 0.37).sin()).collect();
        let b: Vec<f64> = (0..n)
            .map(|i| (f64::from(i) * 0.618_034).fract().powi(6) * 8.0)
            .collect();
        let mix = |x: f64, y: f64| -> Vec<f64> {
            a.iter().zip(&b).map(|(p, q)| x * p + y * q + 1.0).collect()
        };
        let c = fast(&[mix(1.0, 0.5), mix(0.4, 1.0)]).unwrap();
        assert!(c.settled);
        let alike = |s: &[f64], t: &[f64]| {
            let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
            let (ms, mt) = (mean(s), mean(t));
            let cov = |x: &[f64], mx: f64, y: &[f64], my: f64| {
                x.iter()
                    .zip(y)
                    .map(|(a, b)| (a - mx) * (b - my))
                    .sum::<f64>()
            };
            cov(s, ms, t, mt) / (cov(s, ms, s, ms) * cov(t, mt, t, mt)).sqrt()
        };
        for t in [&a, &b] {
            let best = c
                .sources
                .iter()
                .map(|s| alike(s, t).abs())
                .fold(0.0, f64::max);
            assert!(best > 0.998, "{best}");
        }
        // The mixtures are what the components add up to.
        let x = c.means[0] + c.mixing[0][0] * c.sources[0][17] + c.mixing[0][1] * c.sources[1][17];
        assert!((x - mix(1.0, 0.5)[17]).abs() < 1e-9);
        assert!(fast(&[a.clone(), a.iter().map(|v| 2.0 * v).collect()]).is_err());
    }
}
