//! Images in NumPy's .npy: `[y][x]`, `[band][y][x]`, `[y][x][band]`, or an object
//! axis before.

use super::{CutoutOptions, Row, named};
use crate::cutout::Cutout;
use crate::npy::parse;

/// Most values of the smallest axis that is taken for bands.
const MOST_BANDS: usize = 6;

pub(super) fn read(
    source: &str,
    bytes: &[u8],
    options: &CutoutOptions,
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<bool, String> {
    let a = parse(bytes)?;
    let known = options.bands.len();
    let are_bands = |n: usize| {
        if known > 0 {
            n == known
        } else {
            n <= MOST_BANDS
        }
    };
    // (objects, bands, height, width, bands last)
    let (objects, bands, h, w, last) = match *a.shape.as_slice() {
        [h, w] => (1, 1, h, w, false),
        [b, h, w] if are_bands(b) => (1, b, h, w, false),
        [h, w, b] if are_bands(b) => (1, b, h, w, true),
        [n, h, w] => (n, 1, h, w, false),
        [n, b, h, w] if are_bands(b) => (n, b, h, w, false),
        [n, h, w, b] if are_bands(b) => (n, b, h, w, true),
        _ => {
            return Err(format!(
                "shape {:?}: expected [y, x], [band, y, x], [object, y, x] or [object, band, y, x]; name the bands with --bands",
                a.shape
            ));
        }
    };
    let n = bands * h * w;
    let names = vec![""; bands];
    for i in 0..objects {
        let values = a.values(i * n..(i + 1) * n);
        let mut pixels: Vec<f32> = values.into_iter().map(|v| v as f32).collect();
        if last {
            pixels = (0..n)
                .map(|k| pixels[k % (h * w) * bands + k / (h * w)])
                .collect();
        }
        let cutout = Cutout::new(&names, h, w, pixels).and_then(|c| {
            let mut c = named(c, source, i, options)?;
            if known == 0 && bands > 1 {
                c.notes.push(
                    "an array has no names of bands: taken in the order of the planes".into(),
                );
            }
            Ok(c)
        });
        if !each(Row {
            source: source.to_owned(),
            row: i,
            cutout,
        }) {
            return Ok(false);
        }
    }
    Ok(true)
}
