//! Classical morphology: concentration, asymmetry, smoothness, Gini, M20 (Conselice 2003; Lotz et
//! al. 2004), colours, shape and light in rings.

use crate::moments::Moments;

use super::encode::SIDE;

const RINGS: usize = 8;

/// Names of the features.
pub fn names() -> Vec<String> {
    let mut out: Vec<String> = [
        "concentration",
        "asymmetry_180",
        "asymmetry_90",
        "smoothness",
        "gini",
        "m20",
        "axis_ratio",
        "radius",
        "colour_inner",
        "colour_outer",
        "light",
        "width",
        "sharpness",
    ]
    .map(str::to_owned)
    .to_vec();
    out.extend((0..RINGS).map(|k| format!("ring_{k}")));
    out.extend((0..RINGS).map(|k| format!("ring_variation_{k}")));
    out.extend((1..=4).map(|k| format!("harmonic_{k}")));
    out
}

/// Of `[R, G, B][99][99]`.
pub fn of(x: &[f32]) -> Vec<f32> {
    let g = Light::of(x);
    let m = Moments::of(&g.v, SIDE);
    let (r20, r50, r80) = (g.within(0.2), g.within(0.5), g.within(0.8));
    let mut out = vec![
        5.0 * (r80 / r20).log10(),
        g.asymmetry(false),
        g.asymmetry(true),
        g.smoothness(),
        g.gini(),
        g.m20(),
        (1.0 - m.ellipticity) / (1.0 + m.ellipticity),
        r50,
        g.colour(x, 0.0, r50),
        g.colour(x, r50, 2.0 * r80),
        g.light.ln(),
        m.width,
        m.sharpness,
    ];
    let rings: Vec<(f32, f32)> = (0..RINGS).map(|k| g.ring(k, r80)).collect();
    out.extend(rings.iter().map(|r| r.0));
    out.extend(rings.iter().map(|r| r.1));
    out.extend((1..=4).map(|k| g.harmonic(k, r50)));
    out
}

/// Mean of the bands over the sky, and the pixels within 45 of the middle.
struct Light {
    v: Vec<f32>,
    inner: Vec<usize>,
    /// Sum over `inner`.
    light: f32,
}

const MIDDLE: f32 = 0.5 * (SIDE as f32 - 1.0);

fn radius(i: usize) -> f32 {
    ((i % SIDE) as f32 - MIDDLE).hypot((i / SIDE) as f32 - MIDDLE)
}

impl Light {
    fn of(x: &[f32]) -> Self {
        let n = SIDE * SIDE;
        let grey: Vec<f32> = (0..n)
            .map(|i| (x[i] + x[n + i] + x[2 * n + i]) / 3.0)
            .collect();
        let mut sorted = grey.clone();
        sorted.sort_by(f32::total_cmp);
        let sky = sorted[n / 5];
        let v: Vec<f32> = grey.iter().map(|p| (p - sky).max(0.0)).collect();
        let inner: Vec<usize> = (0..n).filter(|i| radius(*i) < 45.0).collect();
        let light = inner.iter().map(|i| v[*i]).sum::<f32>().max(1e-6);
        Light { v, inner, light }
    }

    /// Radius in pixels that holds a share of the light.
    fn within(&self, share: f32) -> f32 {
        let mut order = self.inner.clone();
        order.sort_by(|a, b| radius(*a).total_cmp(&radius(*b)));
        let mut sum = 0.0;
        order
            .iter()
            .find(|i| {
                sum += self.v[**i];
                sum >= share * self.light
            })
            .map_or(45.0, |i| radius(*i).max(0.5))
    }

    /// Against itself after a turn by 180, or 90, degrees (Conselice 2003, eq. 1).
    fn asymmetry(&self, quarter: bool) -> f32 {
        let turned = |i: usize| {
            let (y, c) = (i / SIDE, i % SIDE);
            if quarter {
                c * SIDE + SIDE - 1 - y
            } else {
                (SIDE - 1 - y) * SIDE + SIDE - 1 - c
            }
        };
        let difference = self
            .inner
            .iter()
            .map(|i| (self.v[*i] - self.v[turned(*i)]).abs());
        difference.sum::<f32>() / (2.0 * self.light)
    }

    /// Share of the light above a mean over 5 × 5 pixels (Conselice 2003, eq. 2).
    fn smoothness(&self) -> f32 {
        let box_mean = |i: usize| {
            let (y, c) = (i / SIDE, i % SIDE);
            let mut sum = 0.0;
            for k in 0..25 {
                sum += self.v[(y + k / 5).saturating_sub(2).min(SIDE - 1) * SIDE
                    + (c + k % 5).saturating_sub(2).min(SIDE - 1)];
            }
            sum / 25.0
        };
        let fine = self
            .inner
            .iter()
            .filter(|i| radius(**i) > 2.0)
            .map(|i| (self.v[*i] - box_mean(*i)).max(0.0));
        fine.sum::<f32>() / self.light
    }

    /// Lotz et al. 2004, eq. 6.
    fn gini(&self) -> f32 {
        let mut lit: Vec<f32> = self.inner.iter().map(|i| self.v[*i]).collect();
        lit.sort_by(f32::total_cmp);
        let k = lit.len() as f32;
        let weighted = lit
            .iter()
            .enumerate()
            .map(|(i, p)| (2.0 * (i as f32 + 1.0) - k - 1.0) * p);
        weighted.sum::<f32>() / (self.light * k).max(1e-6)
    }

    /// Lotz et al. 2004, eq. 8.
    fn m20(&self) -> f32 {
        let mut bright = self.inner.clone();
        bright.sort_by(|a, b| self.v[*b].total_cmp(&self.v[*a]));
        let total: f32 = self
            .inner
            .iter()
            .map(|i| self.v[*i] * radius(*i).powi(2))
            .sum();
        let (mut sum, mut second) = (0.0, 0.0);
        for i in bright {
            if sum > 0.2 * self.light {
                break;
            }
            sum += self.v[i];
            second += self.v[i] * radius(i).powi(2);
        }
        (second / total.max(1e-6)).max(1e-6).log10()
    }

    /// ln of red over blue between two radii.
    fn colour(&self, x: &[f32], lo: f32, hi: f32) -> f32 {
        let of = |c: usize| {
            self.inner
                .iter()
                .filter(|i| (lo..hi).contains(&radius(**i)))
                .map(|i| x[c * SIDE * SIDE + i])
                .sum::<f32>()
        };
        (of(0) + 0.1).ln() - (of(2) + 0.1).ln()
    }

    /// Mean, and deviation over it, in ring `k` of width 0.4 `r80`.
    fn ring(&self, k: usize, r80: f32) -> (f32, f32) {
        let inside = |i: &&usize| (radius(**i) / (0.4 * r80)) as usize == k;
        let values: Vec<f32> = self
            .inner
            .iter()
            .filter(inside)
            .map(|i| self.v[*i])
            .collect();
        let n = values.len().max(1) as f32;
        let mean = values.iter().sum::<f32>() / n;
        let deviation = (values.iter().map(|p| (p - mean).powi(2)).sum::<f32>() / n).sqrt();
        (mean, deviation / mean.max(0.01))
    }

    /// Wave of order `h` around the middle where arms and bars are, as a share of the light there.
    fn harmonic(&self, h: i32, r50: f32) -> f32 {
        let (mut s, mut c, mut w) = (0.0, 0.0, 1e-6);
        for i in self
            .inner
            .iter()
            .filter(|i| (0.7 * r50..2.0 * r50).contains(&radius(**i)))
        {
            let (y, x) = ((i / SIDE) as f32 - MIDDLE, (i % SIDE) as f32 - MIDDLE);
            let a = h as f32 * y.atan2(x);
            s += self.v[*i] * a.sin();
            c += self.v[*i] * a.cos();
            w += self.v[*i];
        }
        (s * s + c * c).sqrt() / w
    }
}
