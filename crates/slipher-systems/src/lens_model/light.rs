//! Lens light out of images: by independent components of two or more bands (as Hezaveh et al. 2017
//! do), by a scaled difference of bands, by principal components, and by a fit of Sérsic's profile.
//!
//! Independent components separate the colours of deflector and source where each has one; colour
//! gradients of the deflector leave residuals near its middle, which the share that is returned
//! says.

use slipher_data::cutout::Cutout;
use slipher_sim::sky::sersic::Sersic;
use slipher_stats::ica;

use crate::profile_fit::fit::{Image, Part, fit};
use crate::profile_fit::model::Component;
use crate::profile_fit::model::optics;
use crate::stamp::ground;

/// A way to take the light out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// FastICA; pixels are samples, bands are mixtures.
    Independent,
    /// Principal components instead.
    Principal,
    /// The first band less a multiple of the last that leaves nothing in the middle.
    Difference,
    /// One Sérsic profile fitted to each band, arcs masked.
    Profile,
}

/// The bands `[band][pixel]`, each without the deflector's light.
///
/// # Errors
/// Fewer than two bands where colours are needed, bands of one colour, no noise.
pub fn removed(c: &Cutout, method: Method) -> Result<Vec<Vec<f32>>, String> {
    let n = c.height * c.width;
    if method == Method::Profile {
        return (0..c.bands.len()).map(|b| profile(&single(c, b))).collect();
    }
    if c.bands.len() < 2 {
        return Err("one band: expected two or more, whose colours tell arcs from the lens".into());
    }
    let planes: Vec<Vec<f64>> = (0..c.bands.len())
        .map(|b| {
            let level = ground(&single(c, b)).0;
            let value = |v: &f32| {
                if v.is_finite() {
                    f64::from(v - level)
                } else {
                    0.0
                }
            };
            c.band(b).iter().map(value).collect()
        })
        .collect();
    if method == Method::Difference {
        return Ok(difference(c, &planes));
    }
    let (sources, mixing) = match method {
        Method::Independent => {
            let some = details(c, &planes);
            let found = ica::fast(&some)?;
            // The deflector's colour is that of the middle, where there is nothing else: its
            // component is the one that is nearest to it.
            let middle: Vec<f64> = planes
                .iter()
                .map(|p| centre(c).map(|i| p[i]).sum())
                .collect();
            let alike = |k: usize| {
                let column: Vec<f64> = found.mixing.iter().map(|row| row[k]).collect();
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
                dot(&column, &middle).abs() / dot(&column, &column).sqrt()
            };
            let own = (0..found.mixing.len())
                .max_by(|a, b| alike(*a).total_cmp(&alike(*b)))
                .unwrap_or(0);
            let mut mixing = found.mixing;
            let size = middle.iter().map(|m| m * m).sum::<f64>().sqrt().max(1e-300);
            mixing
                .iter_mut()
                .zip(&middle)
                .for_each(|(row, m)| row[own] = m / size);
            if let ([a, b], [f, l]) = (some.as_slice(), middle.as_slice()) {
                // Of two bands, the arcs' colour is how either follows what is free of the deflector:
                // independent components take arcs and deflector, which avoid each other, for one.
                let free: Vec<f64> = a.iter().zip(b).map(|(x, y)| x - f / l * y).collect();
                let follows = |v: &[f64]| v.iter().zip(&free).map(|(x, y)| x * y).sum::<f64>();
                let column = [follows(a), follows(b)];
                let size = column[0].hypot(column[1]).max(1e-300);
                (0..2).for_each(|k| mixing[k][1 - own] = column[k] / size);
            }
            unmixed(&planes, mixing)?
        }
        _ => principal(&planes),
    };
    // The deflector's component is the one that is brightest in the middle for its spread.
    let middle = |s: &Vec<f64>| {
        let near: f64 = centre(c).map(|i| s[i].abs()).sum();
        let all: f64 = s.iter().map(|v| v.abs()).sum();
        near / all.max(1e-300)
    };
    let own = (0..sources.len())
        .max_by(|a, b| middle(&sources[*a]).total_cmp(&middle(&sources[*b])))
        .unwrap_or(0);
    let band = |b: usize| -> Vec<f32> {
        let left = |i: usize| {
            let others = (0..sources.len()).filter(|k| *k != own);
            others.map(|k| mixing[b][k] * sources[k][i]).sum::<f64>()
        };
        (0..n).map(|i| left(i) as f32).collect()
    };
    Ok((0..c.bands.len()).map(band).collect())
}

fn single(c: &Cutout, b: usize) -> Cutout {
    let n = c.height * c.width;
    let part = |v: &[f32]| v.get(b * n..(b + 1) * n).unwrap_or(&[]).to_vec();
    Cutout {
        bands: vec![c.bands[b].clone()],
        pixels: c.band(b).to_vec(),
        variance: part(&c.variance),
        mask: c.mask.get(b * n..(b + 1) * n).unwrap_or(&[]).to_vec(),
        ..c.clone()
    }
}

/// Pixels of the 5 × 5 in the middle.
fn centre(c: &Cutout) -> impl Iterator<Item = usize> + use<> {
    let (y, x, w) = (c.height / 2 - 2, c.width / 2 - 2, c.width);
    (0..25).map(move |k| (y + k / 5) * w + x + k % 5)
}

/// Starlet coefficients of bands `[band][sample]` where some band stands out: how bands are mixed is
/// the same in them, and arcs and lens meet in fewer of them than in pixels, as independent components
/// want it (Bobin et al. 2007).
fn details(c: &Cutout, planes: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut out = vec![vec![]; planes.len()];
    let mut smooth: Vec<Vec<f64>> = planes.to_vec();
    for scale in 0..SCALES {
        let next: Vec<Vec<f64>> = smooth
            .iter()
            .map(|p| spline(p, c.width, 1 << scale))
            .collect();
        let fine = |b: usize, i: usize| smooth[b][i] - next[b][i];
        let noise: Vec<f64> = (0..planes.len())
            .map(|b| {
                let mut all: Vec<f32> = (0..smooth[b].len())
                    .map(|i| fine(b, i).abs() as f32)
                    .collect();
                1.48 * f64::from(slipher_data::spectrum::median(&mut all))
            })
            .collect();
        // The finest holds noise.
        if scale > 0 {
            for i in 0..smooth[0].len() {
                if (0..planes.len()).any(|b| fine(b, i).abs() > BRIGHT * noise[b]) {
                    (0..planes.len()).for_each(|b| out[b].push(fine(b, i)));
                }
            }
        }
        smooth = next;
    }
    if out[0].len() < 100 {
        planes.to_vec()
    } else {
        out
    }
}

/// Scales of the starlets, and how far above their noise coefficients are taken.
const SCALES: usize = 4;
const BRIGHT: f64 = 4.0;

/// A plane through the cubic spline of à-trous wavelets, its points `apart`.
fn spline(p: &[f64], width: usize, apart: usize) -> Vec<f64> {
    let height = p.len() / width;
    let weights = [0.0625, 0.25, 0.375, 0.25, 0.0625];
    let at = |k: usize, i: usize, n: usize| {
        let place = i as isize + (k as isize - 2) * apart as isize;
        place.clamp(0, n as isize - 1) as usize
    };
    let line = |p: &[f64], along: bool| -> Vec<f64> {
        (0..p.len())
            .map(|i| {
                let (y, x) = (i / width, i % width);
                let value = |k: usize| {
                    if along {
                        p[y * width + at(k, x, width)]
                    } else {
                        p[at(k, y, height) * width + x]
                    }
                };
                (0..5).map(|k| weights[k] * value(k)).sum()
            })
            .collect()
    };
    line(&line(p, true), false)
}

/// Components `[component][pixel]`, and how much of each is in a band, `[band][component]`.
type Unmixed = (Vec<Vec<f64>>, Vec<Vec<f64>>);

/// Components of all pixels from a mixing of bands.
fn unmixed(planes: &[Vec<f64>], mixing: Vec<Vec<f64>>) -> Result<Unmixed, String> {
    let k = mixing.len();
    let mut inverse = vec![vec![0.0; k]; k];
    for j in 0..k {
        let unit: Vec<f64> = (0..k).map(|i| f64::from(u8::from(i == j))).collect();
        let column = solve(&mixing, &unit).ok_or("bands of one colour cannot be told apart")?;
        (0..k).for_each(|i| inverse[i][j] = column[i]);
    }
    let n = planes[0].len();
    // The sky is zero: means are not taken out.
    let sources = (0..k)
        .map(|s| {
            (0..n)
                .map(|i| (0..k).map(|b| inverse[s][b] * planes[b][i]).sum())
                .collect()
        })
        .collect();
    Ok((sources, mixing))
}

/// Gauss's elimination with pivots.
fn solve(a: &[Vec<f64>], b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    let mut m: Vec<Vec<f64>> = a
        .iter()
        .zip(b)
        .map(|(row, v)| row.iter().copied().chain([*v]).collect())
        .collect();
    for k in 0..n {
        let pivot = (k..n).max_by(|i, j| m[*i][k].abs().total_cmp(&m[*j][k].abs()))?;
        m.swap(k, pivot);
        if m[k][k].abs() < 1e-300 {
            return None;
        }
        for i in 0..n {
            if i != k {
                let f = m[i][k] / m[k][k];
                for j in k..=n {
                    m[i][j] -= f * m[k][j];
                }
            }
        }
    }
    Some((0..n).map(|i| m[i][n] / m[i][i]).collect())
}

/// Principal components: directions of the pixels' colours at right angles to each other.
fn principal(planes: &[Vec<f64>]) -> Unmixed {
    let k = planes.len();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let products = |i: usize| (0..k).map(|j| dot(&planes[i], &planes[j])).collect();
    let (mixing, _) = ica::eigen((0..k).map(products).collect());
    let source = |c: usize| {
        let pixels = 0..planes[0].len();
        pixels
            .map(|i| (0..k).map(|b| mixing[b][c] * planes[b][i]).sum())
            .collect()
    };
    ((0..k).map(source).collect(), mixing)
}

fn difference(c: &Cutout, planes: &[Vec<f64>]) -> Vec<Vec<f32>> {
    let last = planes.len() - 1;
    let light = |p: &Vec<f64>| centre(c).map(|i| p[i]).sum::<f64>();
    planes
        .iter()
        .enumerate()
        .map(|(b, p)| {
            let other = if b == last { 0 } else { last };
            let factor = light(p) / light(&planes[other]).max(1e-300);
            let pairs = p.iter().zip(&planes[other]);
            pairs.map(|(v, o)| (v - factor * o) as f32).collect()
        })
        .collect()
}

/// One band less a Sérsic profile, whose fit does not see what stands out of it.
fn profile(c: &Cutout) -> Result<Vec<f32>, String> {
    let size = (c.height, c.width);
    let (level, noise) = ground(c);
    if noise.is_nan() || noise <= 0.0 {
        return Err("the sky has no noise: expected pixels with sky around the lens".into());
    }
    let data: Vec<f64> = c
        .pixels
        .iter()
        .map(|v| {
            if v.is_finite() {
                f64::from(v - level)
            } else {
                0.0
            }
        })
        .collect();
    let variance = |i: usize| f64::from(c.variance.get(i).copied().unwrap_or(noise * noise));
    let counts = |i: usize| c.pixels[i].is_finite() && c.mask.get(i).is_none_or(|m| *m == 0);
    let mut weight: Vec<f64> = (0..data.len())
        .map(|i| if counts(i) { 1.0 / variance(i) } else { 0.0 })
        .collect();
    let light: f64 = data.iter().sum::<f64>().max(f64::from(noise));
    let mid = |n: usize| 0.5 * (n as f64 - 1.0);
    let begin = Sersic {
        flux: light,
        re: 0.1 * c.width as f64,
        n: 3.0,
        q: 0.8,
        angle: 0.0,
        x: mid(c.width),
        y: mid(c.height),
    };
    let o = optics(c);
    let mut parts = vec![Part::new(Component::Sersic(begin), size)];
    let mut model = vec![0.0; data.len()];
    for _ in 0..4 {
        let x = Image {
            size,
            data: &data,
            weight: &weight,
        };
        let found = fit(&x, o.as_ref(), &parts);
        parts[0].component = found.components[0].clone();
        model = found.model;
        for i in 0..data.len() {
            // Arcs stand out; the middle is the lens's.
            let off = (data[i] - model[i]) / variance(i).sqrt();
            let keep = counts(i) && off < 3.0 + 0.05 * model[i] / variance(i).sqrt();
            weight[i] = if keep { 1.0 / variance(i) } else { 0.0 };
        }
    }
    Ok(data
        .iter()
        .zip(&model)
        .map(|(d, m)| (d - m) as f32)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_sim::lens::image::Grid;
    use slipher_sim::lens::rays::Rays;
    use slipher_sim::random::Stream;
    use slipher_sim::sky::Plane;

    /// Two bands of a red lens with mild gradients and blue arcs: what the issue asks of ICA.
    #[test]
    fn arcs_stay_and_the_lens_goes() {
        let n = 80;
        let mut rng = Stream::new(3, 3, 3);
        let d = crate::lens_model::simulate::Drawn::new(&mut rng);
        let arcs = Rays::trace(&d.lens, Grid::around(n, 1.0), 1).image(&d.sources[..1]);
        let k = 4000.0 / arcs.total();
        let lens = |re: f64| {
            let mut p = Plane::square(n);
            Sersic {
                flux: 20_000.0,
                re,
                n: 3.5,
                q: 0.8,
                angle: 0.4,
                x: 39.5,
                y: 39.5,
            }
            .add(&mut p);
            p
        };
        // Redder in the middle: 2 % smaller in the red band.
        let (blue, red) = (lens(8.0), lens(7.84));
        let mut pixels = vec![];
        for (part, light, colour) in [(0.35, &blue, 1.0), (1.0, &red, 0.45)] {
            for i in 0..n * n {
                let v = part * f64::from(light.data[i]) + colour * k * f64::from(arcs.data[i]);
                pixels.push((v + rng.normal(0.0, 1.0)) as f32);
            }
        }
        let c = Cutout::new(&["g", "i"], n, n, pixels).unwrap();
        for method in [Method::Independent, Method::Difference] {
            let left = removed(&c, method).unwrap();
            // On the arcs their flux, elsewhere nothing.
            let on: Vec<usize> = (0..n * n)
                .filter(|i| k * f64::from(arcs.data[*i]) > 4.0)
                .collect();
            let want: f64 = on.iter().map(|i| k * f64::from(arcs.data[*i])).sum();
            let got: f64 = on.iter().map(|i| f64::from(left[0][*i])).sum();
            let kept = got / want;
            eprintln!("{method:?}: arcs kept {kept:.3}");
            if method == Method::Independent {
                assert!((kept - 1.0).abs() < 0.1, "{method:?}: {kept}");
            }
        }
    }
}
