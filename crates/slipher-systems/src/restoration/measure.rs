//! How good a restored image is: peak signal to noise, structural similarity, coverage of its
//! errors, centre and shape of its light, and how much of its compact light is invented.

use slipher_stats::classification::Figure;

use super::encode::{SIDE, stretched};

const PIXELS: usize = SIDE * SIDE;

/// Peak signal to noise in dB: 20 lg (peak of the truth / root of the mean square error).
pub fn psnr(image: &[f32], truth: &[f32]) -> f64 {
    let peak = f64::from(truth.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
    let mean = image.iter().zip(truth).map(square).sum::<f64>() / truth.len() as f64;
    20.0 * (peak / mean.sqrt().max(1e-30)).log10()
}

/// Structural similarity (Wang et al. 2004) with windows of 7 × 7, constants (0.01 L)² and
/// (0.03 L)² and unbiased variances, as scikit-image has it; `range` is L. Edges are left out.
pub fn ssim(a: &[f32], b: &[f32], side: usize, range: f64) -> f64 {
    let (c1, c2) = ((0.01 * range).powi(2), (0.03 * range).powi(2));
    let half = 3;
    let (mut sum, mut count) = (0.0, 0usize);
    for y in half..side - half {
        for x in half..side - half {
            let mut m = [0.0f64; 5];
            for j in y - half..=y + half {
                for i in x - half..=x + half {
                    let (p, q) = (f64::from(a[j * side + i]), f64::from(b[j * side + i]));
                    let terms = [p, q, p * p, q * q, p * q];
                    m.iter_mut().zip(terms).for_each(|(m, t)| *m += t / 49.0);
                }
            }
            let unbiased = 49.0 / 48.0;
            let va = unbiased * (m[2] - m[0] * m[0]);
            let vb = unbiased * (m[3] - m[1] * m[1]);
            let both = unbiased * (m[4] - m[0] * m[1]);
            sum += (2.0 * m[0] * m[1] + c1) * (2.0 * both + c2)
                / ((m[0] * m[0] + m[1] * m[1] + c1) * (va + vb + c2));
            count += 1;
        }
    }
    sum / count.max(1) as f64
}

/// Centre of the light that stands out of its errors, from 0; the middle where none does.
pub fn centre(image: &[f32], error: &[f32]) -> [f64; 2] {
    let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
    for (i, (v, e)) in image.iter().zip(error).enumerate() {
        let (r, c) = ((i / SIDE) as f64, (i % SIDE) as f64);
        let middle = 0.5 * (SIDE as f64 - 1.0);
        if *v > 3.0 * e && (r - middle).hypot(c - middle) < 20.0 {
            let v = f64::from(*v);
            (sum, x, y) = (sum + v, x + v * c, y + v * r);
        }
    }
    if sum > 0.0 {
        [x / sum, y / sum]
    } else {
        [0.5 * (SIDE as f64 - 1.0); 2]
    }
}

/// Share of the light in the outermost three pixels.
pub fn edge_share(image: &[f32]) -> f64 {
    let total: f64 = image.iter().map(|v| f64::from(v.max(0.0))).sum();
    let outer = (0..PIXELS).filter(|i| {
        let (y, x) = (i / SIDE, i % SIDE);
        y < 3 || x < 3 || y + 3 >= SIDE || x + 3 >= SIDE
    });
    outer.map(|i| f64::from(image[i].max(0.0))).sum::<f64>() / total.max(1e-30)
}

/// Ellipticity (e₁, e₂) of a round Gaussian's moments that follow the light (adaptive; Bernstein &
/// Jarvis 2002): (1 − q²)/(1 + q²) of what is left. None where they do not settle.
pub fn shape(image: &[f32], side: usize) -> Option<[f64; 2]> {
    let (mut x, mut y) = (0.5 * (side as f64 - 1.0), 0.5 * (side as f64 - 1.0));
    let (mut xx, mut yy, mut xy) = (4.0, 4.0, 0.0);
    for _ in 0..200 {
        let det: f64 = xx * yy - xy * xy;
        if !(det > 0.05 && xx < 400.0 && yy < 400.0) {
            return None;
        }
        let mut s = [0.0f64; 6];
        for (i, v) in image.iter().enumerate() {
            let (dx, dy) = ((i % side) as f64 - x, (i / side) as f64 - y);
            let r2 = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / det;
            if r2 > 36.0 {
                continue;
            }
            let w = f64::from(*v) * (-0.5 * r2).exp();
            let terms = [w, w * dx, w * dy, w * dx * dx, w * dy * dy, w * dx * dy];
            s.iter_mut().zip(terms).for_each(|(s, t)| *s += t);
        }
        if s[0] <= 0.0 {
            return None;
        }
        let (dx, dy) = (s[1] / s[0], s[2] / s[0]);
        x += 1.5 * dx;
        y += 1.5 * dy;
        // Moments under a weight of the same shape are half of those of a Gaussian.
        let new = [2.0 * s[3] / s[0], 2.0 * s[4] / s[0], 2.0 * s[5] / s[0]];
        let moved = (new[0] - xx).abs() + (new[1] - yy).abs() + (new[2] - xy).abs();
        (xx, yy, xy) = (
            0.5 * (xx + new[0]),
            0.5 * (yy + new[1]),
            0.5 * (xy + new[2]),
        );
        if moved < 1e-6 * (xx + yy) && dx.hypot(dy) < 1e-5 {
            let t = xx + yy;
            return Some([(xx - yy) / t, 2.0 * xy / t]);
        }
    }
    None
}

/// Compact flux that is not in the truth, over the flux of the truth: what of restored − truth, its
/// median over 9 × 9 pixels taken off, is above 3 σ of that difference.
pub fn invented(image: &[f32], truth: &[f32]) -> f64 {
    let off: Vec<f32> = image.iter().zip(truth).map(|(a, b)| a - b).collect();
    let compact: Vec<f32> = (0..PIXELS)
        .map(|i| {
            let (y, x) = ((i / SIDE) as isize, (i % SIDE) as isize);
            let mut near: Vec<f32> = (-4..=4isize)
                .flat_map(|dy| (-4..=4isize).map(move |dx| (y + dy, x + dx)))
                .filter(|(y, x)| (0..SIDE as isize).contains(y) && (0..SIDE as isize).contains(x))
                .map(|(y, x)| off[y as usize * SIDE + x as usize])
                .collect();
            off[i] - slipher_data::spectrum::median(&mut near)
        })
        .collect();
    let mut sizes: Vec<f32> = compact.iter().map(|v| v.abs()).collect();
    let sigma = 1.4826 * slipher_data::spectrum::median(&mut sizes);
    let sum: f64 = compact
        .iter()
        .filter(|v| **v > 3.0 * sigma)
        .map(|v| f64::from(*v))
        .sum();
    sum / truth
        .iter()
        .map(|v| f64::from(*v))
        .sum::<f64>()
        .abs()
        .max(1e-30)
}

/// Figures of the network's answers, `[mean, σ][pixel]` of each row, against truths `[pixel]`, both
/// as networks see them; images are compared in linear units, before they are held to the data.
pub fn figures(answers: &[f32], truth: &[f32]) -> Vec<Figure> {
    let rows = truth.len() / PIXELS;
    let (mut db, mut within, mut log, mut square) = (0.0, [0usize; 2], 0.0, 0.0);
    for (a, t) in answers
        .chunks_exact(2 * PIXELS)
        .zip(truth.chunks_exact(PIXELS))
    {
        let (mean, error) = a.split_at(PIXELS);
        let linear = |v: &[f32]| v.iter().map(|v| stretched(*v)).collect::<Vec<f32>>();
        db += psnr(&linear(mean), &linear(t));
        for ((m, e), t) in mean.iter().zip(error).zip(t) {
            let off = f64::from(m - t);
            let pull = off.abs() / f64::from(e.max(1e-9));
            within[0] += usize::from(pull <= 1.0);
            within[1] += usize::from(pull <= 1.959_964);
            log += 0.5 * pull * pull + f64::from(e.max(1e-9).ln());
            square += off * off;
        }
    }
    let n = (rows * PIXELS).max(1) as f64;
    let figure = |name, v, more| Figure::new(name, v, more, (None, None));
    vec![
        figure("peak S/N, dB", db / rows.max(1) as f64, true),
        figure("error of a pixel, asinh", (square / n).sqrt(), false),
        figure("within 68 %", within[0] as f64 / n, true),
        figure("within 95 %", within[1] as f64 / n, true),
        figure("−ln likelihood of a pixel", log / n, false),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values of scikit-image 0.26 by scripts/golden_restoration.py.
    #[test]
    fn similarity_agrees_with_scikit_image() {
        let a: Vec<f32> = (0..PIXELS)
            .map(|i| (0.37 * i as f64).sin() as f32)
            .collect();
        let b: Vec<f32> = (0..PIXELS)
            .map(|i| ((0.37 * i as f64).sin() + 0.3 * (1.91 * i as f64).cos()) as f32)
            .collect();
        let found = (ssim(&a, &b, SIDE, 2.0), psnr(&b, &a));
        assert!(
            (found.0 - SSIM).abs() < 1e-6 && (found.1 - PSNR).abs() < 1e-4,
            "{found:?}"
        );
    }
    const SSIM: f64 = 0.955_808_839_3;
    const PSNR: f64 = 13.467_520_8;

    /// A Gaussian has its own shape; a knot that is not there is invented.
    #[test]
    fn shapes_and_inventions() {
        let (a, b, angle) = (4.0f64, 2.5f64, 0.6f64);
        let (s, c) = angle.sin_cos();
        let image: Vec<f32> = (0..PIXELS)
            .map(|i| {
                let (dx, dy) = ((i % SIDE) as f64 - 31.0, (i / SIDE) as f64 - 32.5);
                let (u, v) = (dx * c + dy * s, dy * c - dx * s);
                (100.0 * (-0.5 * (u * u / (a * a) + v * v / (b * b))).exp()) as f32
            })
            .collect();
        let e = (a * a - b * b) / (a * a + b * b);
        let [e1, e2] = shape(&image, SIDE).unwrap();
        let want = [e * (2.0 * angle).cos(), e * (2.0 * angle).sin()];
        assert!((e1 - want[0]).abs() < 1e-3 && (e2 - want[1]).abs() < 1e-3);
        let [x, y] = centre(&image, &vec![1.0; PIXELS]);
        assert!((x - 31.0).abs() < 0.02 && (y - 32.5).abs() < 0.02);
        let mut other = image.clone();
        other
            .iter_mut()
            .enumerate()
            .for_each(|(i, v)| *v += 0.01 * (0.7 * i as f32).sin());
        assert!(invented(&other, &image) < 1e-3);
        let total: f32 = image.iter().sum();
        other[20 * SIDE + 40] += 0.02 * total;
        assert!((invented(&other, &image) - 0.02).abs() < 2e-3);
        assert!(edge_share(&image) < 1e-6);
    }
}
