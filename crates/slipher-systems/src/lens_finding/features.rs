//! What classical methods see (the best lens finders before networks: Gabor filters and polar
//! moments with a support vector machine, Hartley et al. 2017).

use super::encode::SIDE;

/// Rings around the middle, pixels: inner radius, outer radius.
const RINGS: [(f32, f32); 5] = [
    (0.0, 3.0),
    (3.0, 6.0),
    (6.0, 10.0),
    (10.0, 15.0),
    (15.0, 22.0),
];
/// Orders of the moments along a ring.
const ORDERS: [usize; 4] = [1, 2, 3, 4];
/// Wavelengths of the Gabor filters, pixels.
const WAVES: [f32; 3] = [4.0, 7.0, 12.0];
const DIRECTIONS: usize = 6;
const PLANES: [&str; 2] = ["r", "blue"];

/// Colours and brightness of rings, polar moments and Gabor energies of r and of g less the red
/// light.
pub fn names() -> Vec<String> {
    let mut out = vec![];
    for ring in 0..RINGS.len() {
        out.extend(["g_r", "r_i", "r"].map(|n| format!("{n}_ring{ring}")));
    }
    for plane in PLANES {
        for ring in 1..RINGS.len() {
            out.extend(ORDERS.map(|m| format!("{plane}_ring{ring}_m{m}")));
        }
        for ring in 1..RINGS.len() {
            out.push(format!("{plane}_ring{ring}_peak"));
        }
        for w in WAVES {
            out.extend(["largest", "least"].map(|n| format!("{plane}_gabor{w}_{n}")));
        }
    }
    out
}

/// Of `[g, r, i][64][64]`.
pub fn of(x: &[f32]) -> Vec<f32> {
    let n = SIDE * SIDE;
    let planes: Vec<&[f32]> = x.chunks_exact(n).take(3).collect();
    let [g, r, i] = planes[..] else {
        return vec![];
    };
    let mid = 0.5 * (SIDE as f32 - 1.0);
    let polar: Vec<(f32, f32)> = (0..n)
        .map(|k| {
            let (dx, dy) = ((k % SIDE) as f32 - mid, (k / SIDE) as f32 - mid);
            (dx.hypot(dy), dy.atan2(dx))
        })
        .collect();
    let ring = |(a, b): (f32, f32)| (0..n).filter(move |k| (a..b).contains(&polar_at(k, mid)));
    let mean = |v: &[f32], within: (f32, f32)| {
        let (mut sum, mut count) = (0.0f32, 0.0f32);
        ring(within).for_each(|k| {
            sum += v[k];
            count += 1.0;
        });
        sum / count.max(1.0)
    };
    let mut out = vec![];
    for within in RINGS {
        let [a, b, c] = [g, r, i].map(|v| mean(v, within));
        out.extend([a - b, b - c, b]);
    }
    // g less the red light, scaled to nothing in the middle.
    let scale = mean(g, RINGS[0]) / mean(i, RINGS[0]).max(0.1);
    let blue: Vec<f32> = g.iter().zip(i).map(|(g, i)| g - scale * i).collect();
    for plane in [r, &blue] {
        for within in &RINGS[1..] {
            let total: f32 = ring(*within).map(|k| plane[k].abs()).sum::<f32>().max(1e-3);
            for m in ORDERS {
                let (mut re, mut im) = (0.0, 0.0);
                for k in ring(*within) {
                    let (sin, cos) = (m as f32 * polar[k].1).sin_cos();
                    re += plane[k] * cos;
                    im += plane[k] * sin;
                }
                out.push(re.hypot(im) / total);
            }
        }
        for within in &RINGS[1..] {
            out.push(ring(*within).map(|k| plane[k]).fold(-9.0, f32::max));
        }
        for wave in WAVES {
            let energies: Vec<f32> = (0..DIRECTIONS).map(|d| gabor(plane, wave, d)).collect();
            out.push(energies.iter().copied().fold(0.0, f32::max));
            out.push(energies.iter().copied().fold(f32::MAX, f32::min));
        }
    }
    out
}

fn polar_at(k: &usize, mid: f32) -> f32 {
    ((k % SIDE) as f32 - mid).hypot((k / SIDE) as f32 - mid)
}

/// Largest response within 20 pixels of the middle to a wave in a direction under a Gaussian.
fn gabor(plane: &[f32], wave: f32, direction: usize) -> f32 {
    let angle = std::f32::consts::PI * direction as f32 / DIRECTIONS as f32;
    let (sin, cos) = angle.sin_cos();
    let reach = wave.ceil() as isize;
    let mut taps = vec![];
    let mut sum = 0.0;
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            let (x, y) = (dx as f32, dy as f32);
            let envelope = (-0.5 * (x * x + y * y) / (0.4 * wave).powi(2)).exp();
            let v = envelope * (std::f32::consts::TAU * (x * cos + y * sin) / wave).cos();
            taps.push((dx, dy, v, envelope));
            sum += v;
        }
    }
    let weight: f32 = taps.iter().map(|t| t.3).sum();
    let (mut most, half) = (0.0f32, SIDE as isize / 2);
    // Every second pixel: the filters are wider.
    for y in (half - 20..half + 20).step_by(2) {
        for x in (half - 20..half + 20).step_by(2) {
            let mut v = 0.0;
            for (dx, dy, t, envelope) in &taps {
                let (px, py) = (x + dx, y + dy);
                if (0..SIDE as isize).contains(&px) && (0..SIDE as isize).contains(&py) {
                    // Without the mean, so that a flat sky gives nothing.
                    let tap = t - sum * envelope / weight;
                    v += tap * plane[py as usize * SIDE + px as usize];
                }
            }
            most = most.max(v.abs());
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as names; turning by a quarter changes none but by the grid of the Gabor filters.
    #[test]
    fn quarters_do_not_matter() {
        let n = SIDE * SIDE;
        let x: Vec<f32> = (0..3 * n).map(|i| (0.37 * i as f32).sin().abs()).collect();
        let mut turned = x.clone();
        for p in 0..3 {
            for i in 0..n {
                let (r, c) = (i / SIDE, i % SIDE);
                turned[p * n + c * SIDE + SIDE - 1 - r] = x[p * n + i];
            }
        }
        let (a, b) = (of(&x), of(&turned));
        assert_eq!(a.len(), names().len());
        for ((name, a), b) in names().iter().zip(&a).zip(&b) {
            if !name.contains("gabor") {
                assert!((a - b).abs() < 1e-3 * (1.0 + a.abs()), "{name} {a} {b}");
            }
        }
    }
}
