//! Which plane is which band, and its sky.

use slipher_data::cutout::Cutout;
use slipher_data::spectrum::median;

/// Place of a band whose name ends in this letter: `r`, `sdss_r`, `CFHT MegaCam r`; where no plane
/// has a name, its place in `order`.
pub fn place(c: &Cutout, band: &str, order: &[&str]) -> Option<usize> {
    let last = |name: &str| {
        name.trim()
            .trim_end_matches(['\'', '*'])
            .rsplit(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or("")
            .to_lowercase()
    };
    c.bands.iter().position(|b| last(b) == band).or_else(|| {
        let unnamed = c.bands.iter().all(String::is_empty);
        let place = unnamed.then(|| order.iter().position(|n| *n == band));
        place.flatten()
    })
}

/// Sky (median) and noise (1.4826 × median absolute deviation) of a band.
pub fn sky(v: &[f32]) -> (f32, f32) {
    let mut good: Vec<f32> = v.iter().copied().filter(|x| x.is_finite()).collect();
    let sky = median(&mut good);
    // Sources only make pixels brighter: the fainter half tells the noise.
    let mut below: Vec<f32> = good
        .iter()
        .filter(|x| **x <= sky)
        .map(|x| sky - x)
        .collect();
    (sky, 1.4826 * median(&mut below))
}
