//! Images of any size, by a system that answers with images of 64 × 64 pixels: in squares that
//! overlap, blended where they do. The first of the system's own bits of `flags` says that an answer
//! does not explain its image.

use slipher_data::cutout::Cutout;

use crate::answers::{Answer, Answerer, flag};
use crate::bands::sky;
use crate::example::Observation;
use crate::stamp::LEVEL;

/// Pixels of a square along a side.
const SIDE: usize = 64;
const PIXELS: usize = SIDE * SIDE;
/// Pixels from one square to the next.
const STEP: usize = 24;
/// Pixels at the edge of a square that do not count: what is beyond it is not seen.
const MARGIN: usize = 12;
/// Pixels of the boxes whose sky is one number.
const BOX: usize = 128;
/// Squares that are restored at a time.
const BLOCK: usize = 256;

/// A restored image.
#[derive(Clone, Debug)]
pub struct Mosaic {
    /// `[row][column]`, over the sky; NaN where there was nothing to restore.
    pub image: Vec<f32>,
    /// Error of each pixel.
    pub error: Vec<f32>,
    /// Squares, and those whose restored image, blurred again, is not the image.
    pub squares: (usize, usize),
    /// Why squares were left out.
    pub left_out: Vec<String>,
}

/// Restores an image of any size.
///
/// # Errors
/// Several bands, or no point-spread function.
pub fn restore(a: &Answerer, c: &Cutout) -> Result<Mosaic, String> {
    if c.bands.len() != 1 {
        return Err(format!(
            "{} bands: expected one; cut the planes into images of their own",
            c.bands.len()
        ));
    }
    if a.model.system.geometry().side() != SIDE {
        return Err(format!(
            "{} answers about single stamps",
            a.model.system.name()
        ));
    }
    if c.psf.2.is_empty() {
        return Err("no point-spread function: expected an HDU named PSF, or --psf".into());
    }
    let (h, w) = (c.height, c.width);
    let background = Background::of(c);
    let columns = starts(w);
    let places: Vec<(isize, isize)> = starts(h)
        .into_iter()
        .flat_map(|y| columns.iter().map(move |x| (y, *x)))
        .collect();
    let mut out = Mosaic {
        image: vec![0.0; h * w],
        error: vec![0.0; h * w],
        squares: (0, 0),
        left_out: vec![],
    };
    let mut weights = vec![0.0f32; h * w];
    for some in places.chunks(BLOCK) {
        let squares = some.iter().map(|at| square(c, *at, &background));
        let answers = a.answer_all(squares.map(Observation::Cutout).collect());
        for (at, r) in some.iter().zip(answers) {
            out.add(&r, *at, (h, w), &mut weights);
        }
    }
    for (i, weight) in weights.iter().enumerate() {
        let by = if *weight > 0.0 {
            1.0 / weight
        } else {
            f32::NAN
        };
        out.image[i] *= by;
        out.error[i] *= by;
    }
    Ok(out)
}

/// First pixels of the squares along an axis of `n`.
fn starts(n: usize) -> Vec<isize> {
    let first = -(MARGIN as isize);
    let last = n as isize - (SIDE - MARGIN) as isize;
    let mut all: Vec<isize> = (0..)
        .map(|k| first + (k * STEP) as isize)
        .take_while(|v| *v < last)
        .collect();
    all.push(last.max(first));
    all
}

impl Mosaic {
    fn add(
        &mut self,
        r: &Answer,
        (y, x): (isize, isize),
        (h, w): (usize, usize),
        weights: &mut [f32],
    ) {
        self.squares.0 += 1;
        if !r.error.is_empty() || r.values.len() < 2 * PIXELS {
            if !self.left_out.contains(&r.error) {
                self.left_out.push(r.error.clone());
            }
            return;
        }
        self.squares.1 += usize::from(r.flags & (1 << flag::OWN) != 0);
        for i in 0..PIXELS {
            let (j, k) = (i / SIDE, i % SIDE);
            let (row, column) = (y + j as isize, x + k as isize);
            let weight = taper(j) * taper(k);
            if weight > 0.0 && (0..h as isize).contains(&row) && (0..w as isize).contains(&column) {
                let at = row as usize * w + column as usize;
                self.image[at] += weight * r.values[i];
                self.error[at] += weight * r.values[PIXELS + i];
                weights[at] += weight;
            }
        }
    }
}

/// Falls from the middle of a square to its margin.
fn taper(k: usize) -> f32 {
    let inside = (k as isize - MARGIN as isize).min((SIDE - 1 - MARGIN) as isize - k as isize);
    if inside < 0 {
        return 0.0;
    }
    ((inside as f32 + 0.5) / STEP as f32).min(1.0)
}

/// A square of the image over its sky, with the sky's noise where variances are not known.
fn square(c: &Cutout, (y, x): (isize, isize), b: &Background) -> Cutout {
    let mut s = Cutout {
        ra: f64::NAN,
        dec: f64::NAN,
        bands: c.bands.clone(),
        height: SIDE,
        width: SIDE,
        pixel_scale: c.pixel_scale,
        psf: c.psf.clone(),
        optical_psf: c.optical_psf,
        survey: vec![(LEVEL.to_owned(), 0.0)],
        ..Cutout::default()
    };
    for i in 0..PIXELS {
        let (row, column) = (y + (i / SIDE) as isize, x + (i % SIDE) as isize);
        let inside =
            (0..c.height as isize).contains(&row) && (0..c.width as isize).contains(&column);
        if !inside {
            s.pixels.push(f32::NAN);
            s.variance.push(f32::NAN);
            continue;
        }
        let at = row as usize * c.width + column as usize;
        let (level, noise) = b.at(row as f32, column as f32);
        let masked = c.mask.get(at).is_some_and(|m| *m != 0);
        s.pixels.push(if masked {
            f32::NAN
        } else {
            c.pixels[at] - level
        });
        s.variance
            .push(c.variance.get(at).copied().unwrap_or(noise * noise));
    }
    s
}

/// Level and noise of the sky in boxes, linear between their middles.
struct Background {
    rows: usize,
    columns: usize,
    values: Vec<(f32, f32)>,
}

impl Background {
    fn of(c: &Cutout) -> Background {
        let (rows, columns) = ((c.height / BOX).max(1), (c.width / BOX).max(1));
        let edge = |k: usize, of: usize, n: usize| k * n / of;
        let one = |i: usize| {
            let (r, k) = (i / columns, i % columns);
            let ys = edge(r, rows, c.height)..edge(r + 1, rows, c.height);
            let xs = edge(k, columns, c.width)..edge(k + 1, columns, c.width);
            let values: Vec<f32> = ys
                .flat_map(|y| xs.clone().map(move |x| y * c.width + x))
                .filter(|at| c.mask.get(*at).is_none_or(|m| *m == 0))
                .map(|at| c.pixels[at])
                .collect();
            sky(&values)
        };
        let mut values: Vec<(f32, f32)> = (0..rows * columns).map(one).collect();
        // Boxes without data take what the others have.
        let mut good: Vec<f32> = values
            .iter()
            .map(|v| v.0)
            .filter(|v| v.is_finite())
            .collect();
        let mut noises: Vec<f32> = values.iter().map(|v| v.1).filter(|v| *v > 0.0).collect();
        let usual = (
            slipher_data::spectrum::median(&mut good),
            slipher_data::spectrum::median(&mut noises),
        );
        for v in &mut values {
            if !v.0.is_finite() {
                v.0 = usual.0;
            }
            if !v.1.is_finite() || v.1 <= 0.0 {
                v.1 = usual.1;
            }
        }
        Background {
            rows,
            columns,
            values,
        }
    }

    fn at(&self, y: f32, x: f32) -> (f32, f32) {
        let place = |v: f32, n: usize| {
            let t = (v / BOX as f32 - 0.5).clamp(0.0, (n - 1) as f32);
            let i = (t.floor() as usize).min(n.saturating_sub(2));
            (i, if n > 1 { t - i as f32 } else { 0.0 })
        };
        let ((i, t), (j, u)) = (place(y, self.rows), place(x, self.columns));
        let get = |r: usize, c: usize| {
            self.values[r.min(self.rows - 1) * self.columns + c.min(self.columns - 1)]
        };
        let four = [
            (get(i, j), (1.0 - t) * (1.0 - u)),
            (get(i, j + 1), (1.0 - t) * u),
            (get(i + 1, j), t * (1.0 - u)),
            (get(i + 1, j + 1), t * u),
        ];
        let sum = |f: &dyn Fn((f32, f32)) -> f32| four.iter().map(|(v, w)| w * f(*v)).sum::<f32>();
        (sum(&|v| v.0), sum(&|v| v.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights cover every pixel, at the edges too.
    #[test]
    fn squares_cover_the_image() {
        for n in [40usize, 64, 100, 131] {
            let all = starts(n);
            for pixel in 0..n as isize {
                let sum: f32 = all
                    .iter()
                    .filter(|s| (0..SIDE as isize).contains(&(pixel - **s)))
                    .map(|s| taper((pixel - s) as usize))
                    .sum();
                assert!(sum > 0.01, "{n} {pixel}");
            }
        }
    }

    #[test]
    fn the_sky_follows_gradients() {
        let (h, w) = (300, 400);
        let pixels = (0..h * w)
            .map(|i| {
                let noise = ((i as f64 * 12.9898).sin() * 43_758.545).fract() as f32;
                10.0 + 0.01 * (i / w) as f32 + noise
            })
            .collect();
        let b = Background::of(&Cutout::new(&[""], h, w, pixels).unwrap());
        let (low, high) = (b.at(60.0, 200.0).0, b.at(240.0, 200.0).0);
        assert!((high - low - 1.5).abs() < 0.4, "{low} {high}");
    }
}
