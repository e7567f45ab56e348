//! Plain statistics of an encoded image, which tell one kind of image from another: levels,
//! roughness at several scales, concentration, symmetry, and how alike its channels are. In numbers
//! that stay finite whatever the pixels.

use slipher_data::spectrum::median;

use crate::geometry::Geometry;
use slipher_stats::cholesky::inverse_factor;

/// Distances, in pixels, of the differences that tell roughness.
const LAGS: [usize; 4] = [1, 2, 4, 8];

/// Values for each channel.
const OF_CHANNEL: usize = 12;

/// Descriptors of what a network sees, `[channel][stored][stored]`: the middle of side `side`, or a
/// whole series.
pub fn describe(g: Geometry, image: &[f32]) -> Vec<f32> {
    let (channels, stored, side) = (g.channels(), g.stored(), g.side().min(g.stored()));
    let (rows, from) = match g {
        Geometry::Image { .. } => (side, (stored - side) / 2),
        Geometry::Series { .. } => (1, 0),
    };
    let plane = image.len() / channels.max(1);
    let planes: Vec<Vec<f32>> = image
        .chunks_exact(plane.max(1))
        .map(|p| {
            let line = |y: usize| {
                let at = (y + from) * stored + from;
                p.get(at..at + side).unwrap_or_default()
            };
            (0..rows).flat_map(line).copied().collect()
        })
        .collect();
    let mut out = Vec::with_capacity((OF_CHANNEL + channels) * channels);
    let mut levels = Vec::with_capacity(channels);
    for p in &planes {
        levels.push(of_channel(p, side, rows, &mut out));
    }
    let pair = |i: usize, j: usize| alike(&planes[i], levels[i], &planes[j], levels[j]);
    let n = planes.len();
    let mut correlation = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let r = pair(i, j).clamp(-1.0, 1.0);
            (correlation[i * n + j], correlation[j * n + i]) = (f64::from(r), f64::from(r));
            out.push(r);
        }
        correlation[i * n + i] = 1.0 + UNEXPLAINED;
    }
    out.extend(explained(&correlation, n));
    out.iter_mut()
        .filter(|v| !v.is_finite())
        .for_each(|v| *v = 0.0);
    out
}

/// Mean and standard deviation.
type Level = (f32, f32);

fn of_channel(p: &[f32], side: usize, rows: usize, out: &mut Vec<f32>) -> Level {
    let n = p.len().max(1) as f32;
    let mean = p.iter().sum::<f32>() / n;
    let (mut two, mut three, mut inner, mut turned, mut zeros) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut lowest, mut highest) = (f32::MAX, f32::MIN);
    let (low, high) = (side / 4, side - side / 4);
    for (i, v) in p.iter().enumerate() {
        let (d, other) = (v - mean, p[p.len() - 1 - i] - mean);
        two += d * d;
        three += d * d * d;
        turned += d * other;
        zeros += if *v == 0.0 { 1.0 } else { 0.0 };
        (lowest, highest) = (lowest.min(*v), highest.max(*v));
        let (y, x) = (i / side.max(1), i % side.max(1));
        let middle = (low..high).contains(&x) && (rows == 1 || (low..high).contains(&y));
        inner += if middle { d.abs() } else { 0.0 };
    }
    let spread = (two / n).sqrt();
    let whole: f32 = p.iter().map(|v| (v - mean).abs()).sum();
    let safe = spread.max(1e-6);
    out.extend([
        signed_log(mean),
        safe.ln(),
        signed_log(three / n / safe.powi(3)),
        signed_log((highest - mean) / safe),
        signed_log((mean - lowest) / safe),
        zeros / n,
        inner / whole.max(1e-6),
        turned / two.max(1e-12),
    ]);
    // Roughness along both axes against the whole variance; of the four the two steps tell most.
    let rough = LAGS.map(|lag| differences(p, side, rows, lag) / (safe * safe));
    out.push((rough[0].max(1e-6) / rough[1].max(1e-6)).ln());
    out.push((rough[1].max(1e-6) / rough[3].max(1e-6)).ln());
    out.push(rough[2].max(1e-6).ln());
    (mean, spread)
}

/// How much the middle of an image, where the object is, stands out of what is around it, in its
/// standard deviations, over all channels.
pub fn prominence(g: Geometry, image: &[f32]) -> f64 {
    let (stored, side) = (g.stored(), g.side().min(g.stored()));
    if matches!(g, Geometry::Series { .. }) {
        return f64::INFINITY;
    }
    let middle = stored as f32 / 2.0 - 0.5;
    let inner = (side as f32 / 16.0).max(2.0);
    let of = |plane: &[f32]| {
        let (mut near, mut n) = (0.0, 0.0);
        let mut around = Vec::new();
        for (i, v) in plane.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let r = ((i / stored) as f32 - middle).hypot((i % stored) as f32 - middle);
            if r <= inner {
                (near, n) = (near + v, n + 1.0);
            } else if r > side as f32 / 3.0 && r < side as f32 / 2.0 {
                around.push(*v);
            }
        }
        let sky = median(&mut around);
        around.iter_mut().for_each(|v| *v = (*v - sky).abs());
        let sigma = 1.4826 * median(&mut around);
        let above = (near / f32::max(n, 1.0) - sky) * f32::max(n, 1.0).sqrt() / sigma.max(1e-6);
        f64::from(above.clamp(-1e6, 1e6))
    };
    let all = image.chunks_exact(stored * stored).map(of);
    let channels = g.channels().max(1) as f64;
    all.sum::<f64>() / channels.sqrt()
}

/// Mean square of differences between pixels so far apart.
fn differences(p: &[f32], side: usize, rows: usize, lag: usize) -> f32 {
    let (mut sum, mut n) = (0.0, 0.0);
    for line in p.chunks_exact(side.max(1)) {
        for (a, b) in line.iter().zip(line.iter().skip(lag)) {
            sum += (a - b) * (a - b);
            n += 1.0;
        }
    }
    if rows > lag {
        for (a, b) in p.iter().zip(p.iter().skip(lag * side)) {
            sum += (a - b) * (a - b);
            n += 1.0;
        }
    }
    sum / f32::max(n, 1.0)
}

/// Correlation of two channels.
fn alike(a: &[f32], la: Level, b: &[f32], lb: Level) -> f32 {
    let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - la.0) * (b - lb.0)).sum();
    sum / (a.len().max(1) as f32 * (la.1 * lb.1).max(1e-12))
}

/// Added to the diagonal of correlations, so that equal channels can be told, too.
const UNEXPLAINED: f64 = 1e-3;

/// Of each channel the logarithm of what the others together do not explain of its variance, as a
/// difference image is explained by the two that it was made of: 1 over the diagonal of the inverse
/// of the correlations.
fn explained(correlation: &[f64], n: usize) -> Vec<f32> {
    if n < 3 {
        return vec![];
    }
    let inverse = inverse_factor(correlation, n).unwrap_or_else(|| vec![1.0; n * n]);
    let diagonal = |j: usize| (j..n).map(|i| inverse[i * n + j].powi(2)).sum::<f64>();
    (0..n).map(|j| -(diagonal(j).ln()) as f32).collect()
}

fn signed_log(v: f32) -> f32 {
    v.signum() * v.abs().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: Geometry = Geometry::Image {
        channels: 2,
        stored: 20,
        side: 16,
    };

    /// Turned by quarters and mirrored an image is the same kind of image.
    #[test]
    fn the_symmetry_of_the_square_changes_nothing() {
        let mut rng = slipher_sim::random::Stream::new(1, 1, 1);
        let image: Vec<f32> = (0..800).map(|_| rng.normal_f32()).collect();
        let turned: Vec<f32> = (0..800)
            .map(|i| {
                let (c, y, x) = (i / 400, (i / 20) % 20, i % 20);
                image[c * 400 + x * 20 + 19 - y]
            })
            .collect();
        let (a, b) = (describe(G, &image), describe(G, &turned));
        assert!(
            a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-3),
            "{a:?} {b:?}"
        );
    }

    #[test]
    fn any_pixels_give_finite_numbers() {
        for v in [0.0, 1.0, f32::MAX, f32::NAN, f32::INFINITY, -1e30] {
            assert!(describe(G, &[v; 800]).iter().all(|v| v.is_finite()), "{v}");
        }
        let series = Geometry::Series {
            channels: 1,
            length: 30,
        };
        assert!(!describe(series, &[1.0; 30]).is_empty());
    }
}
