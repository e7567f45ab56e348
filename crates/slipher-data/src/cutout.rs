//! An image of one object in one or several bands.

/// Pixels and what is known about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cutout {
    /// Name in the survey, or of the file.
    pub object_id: String,
    /// Degrees; NaN if unknown.
    pub ra: f64,
    /// Declination in degrees (ICRS); NaN if unknown.
    pub dec: f64,
    /// One name a band; may be empty words.
    pub bands: Vec<String>,
    /// Pixels from bottom to top.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// `[band][row][column]`, any unit; NaN where there are no data.
    pub pixels: Vec<f32>,
    /// The same shape; empty if unknown.
    pub variance: Vec<f32>,
    /// The same shape, not 0 is bad; empty if there is none.
    pub mask: Vec<u8>,
    /// Point-spread function `[row][column]` with its sides; empty if unknown.
    pub psf: (usize, usize, Vec<f32>),
    /// The point-spread function lacks the pixel (optical); else it is a star as the detector sees
    /// it (effective).
    pub optical_psf: bool,
    /// Arcseconds a pixel; NaN if unknown.
    pub pixel_scale: f64,
    /// What somebody else says it is: a label of a folder or a column.
    pub label: Option<String>,
    /// What the survey says about it, by name (scores, magnitudes).
    pub survey: Vec<(String, f64)>,
    /// What was assumed when it was read.
    pub notes: Vec<String>,
}

impl Cutout {
    /// From pixels `[band][row][column]`.
    ///
    /// # Errors
    /// A length that does not fit, or an empty image.
    pub fn new(
        bands: &[&str],
        height: usize,
        width: usize,
        pixels: Vec<f32>,
    ) -> Result<Cutout, String> {
        let want = bands
            .len()
            .checked_mul(height)
            .and_then(|n| n.checked_mul(width))
            .unwrap_or(0);
        if want == 0 || pixels.len() != want {
            return Err(format!(
                "{} pixels, expected {} bands × {height} × {width}",
                pixels.len(),
                bands.len()
            ));
        }
        let bands = bands.iter().map(|b| (*b).to_owned()).collect();
        Ok(Cutout {
            ra: f64::NAN,
            dec: f64::NAN,
            bands,
            height,
            width,
            pixels,
            pixel_scale: f64::NAN,
            ..Cutout::default()
        })
    }

    /// Pixels of one band.
    pub fn band(&self, i: usize) -> &[f32] {
        let n = self.height * self.width;
        self.pixels.get(i * n..(i + 1) * n).unwrap_or(&[])
    }

    /// Share of pixels that are finite and not masked.
    pub fn good_share(&self) -> f64 {
        let bad =
            |i: usize| !self.pixels[i].is_finite() || self.mask.get(i).is_some_and(|m| *m != 0);
        let n = self.pixels.len();
        (0..n).filter(|i| !bad(*i)).count() as f64 / n.max(1) as f64
    }

    /// Pixels with bad ones at the median of their band; zeros where nothing is good.
    pub fn mended(&self) -> Vec<f32> {
        let n = self.height * self.width;
        let mut out = self.pixels.clone();
        for (b, band) in out.chunks_exact_mut(n).enumerate() {
            let bad = |i: usize, v: f32| {
                !v.is_finite() || self.mask.get(b * n + i).is_some_and(|m| *m != 0)
            };
            let mut good: Vec<f32> = band
                .iter()
                .enumerate()
                .filter(|(i, v)| !bad(*i, **v))
                .map(|(_, v)| *v)
                .collect();
            if good.len() == n {
                continue;
            }
            let fill = if good.is_empty() {
                0.0
            } else {
                crate::spectrum::median(&mut good)
            };
            band.iter_mut().enumerate().for_each(|(i, v)| {
                if bad(i, *v) {
                    *v = fill
                }
            });
        }
        out
    }

    /// The square of `side` pixels around the middle, with NaN where it reaches beyond the edges:
    /// `[band][side][side]`.
    pub fn square(&self, side: usize) -> Cutout {
        let start = [
            (self.height as isize - side as isize).div_euclid(2),
            (self.width as isize - side as isize).div_euclid(2),
        ];
        self.square_from(side, start)
    }

    /// The square of `side` pixels around the pixel (row, column), with NaN beyond the edges.
    pub fn square_at(&self, side: usize, [row, column]: [usize; 2]) -> Cutout {
        let half = (side / 2) as isize;
        self.square_from(side, [row as isize - half, column as isize - half])
    }

    fn square_from(&self, side: usize, [top, left]: [isize; 2]) -> Cutout {
        let cut = |from: &[f32], nothing: f32| -> Vec<f32> {
            let n = self.height * self.width;
            let mut out = Vec::with_capacity(from.len() / n.max(1) * side * side);
            for band in from.chunks_exact(n) {
                for i in 0..side * side {
                    let (y, x) = (top + (i / side) as isize, left + (i % side) as isize);
                    let inside = (0..self.height as isize).contains(&y)
                        && (0..self.width as isize).contains(&x);
                    out.push(if inside {
                        band[y as usize * self.width + x as usize]
                    } else {
                        nothing
                    });
                }
            }
            out
        };
        let mask: Vec<f32> = self.mask.iter().map(|m| f32::from(*m)).collect();
        let mask = if mask.is_empty() {
            vec![]
        } else {
            cut(&mask, 1.0)
                .iter()
                .map(|m| u8::from(*m != 0.0))
                .collect()
        };
        let variance = if self.variance.is_empty() {
            vec![]
        } else {
            cut(&self.variance, f32::NAN)
        };
        Cutout {
            pixels: cut(&self.pixels, f32::NAN),
            variance,
            mask,
            height: side,
            width: side,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_pixels_are_mended_and_squares_padded() {
        let mut c = Cutout::new(&["g", "r"], 2, 3, (0..12).map(|i| i as f32).collect()).unwrap();
        c.pixels[1] = f32::NAN;
        c.mask = vec![0; 12];
        c.mask[11] = 4;
        assert_eq!(
            c.mended(),
            [0.0, 3.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 8.0]
        );
        assert!((c.good_share() - 10.0 / 12.0).abs() < 1e-12);
        let s = c.square(4);
        assert_eq!((s.height, s.width, s.pixels.len()), (4, 4, 32));
        assert!(
            s.pixels[0].is_nan() && s.pixels[16 + 4 + 1] == 6.0,
            "{:?}",
            s.pixels
        );
        assert!(Cutout::new(&["g"], 2, 2, vec![0.0; 3]).is_err());
    }
}
