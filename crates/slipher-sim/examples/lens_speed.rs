//! Milliseconds of a lensed Sérsic source on 64 × 64 pixels, one core; beside it
//! `scripts/golden_lens.py --speed`, which takes lenstronomy.
use std::time::Instant;

use slipher_sim::lens::image::{Grid, Source, lensed};
use slipher_sim::lens::sie::{Sie, ellipticity};
use slipher_sim::lens::{Lens, Shear};

fn main() {
    let lens = Lens {
        deflectors: vec![Sie {
            einstein: 1.2,
            ellipticity: ellipticity(0.6, std::f64::consts::FRAC_PI_6),
            centre: [0.0; 2],
        }],
        shear: Shear {
            g1: 0.03,
            g2: -0.02,
        },
    };
    let source = Source {
        brightness: 1.0,
        radius: 0.25,
        n: 1.0,
        ellipticity: [-0.1, 0.05],
        centre: [0.1, -0.05],
    };
    let best = lensed(&lens, &[source], Grid::around(64, 0.1), 1e-8);
    for accuracy in [0.1, 1e-2, 1e-3, 1e-4] {
        let start = Instant::now();
        let mut image = None;
        for _ in 0..50 {
            image = Some(lensed(&lens, &[source], Grid::around(64, 0.1), accuracy));
        }
        let ms = 1000.0 * start.elapsed().as_secs_f64() / 50.0;
        let pairs = image.iter().flat_map(|i| i.data.iter().zip(&best.data));
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let peak = best.data.iter().copied().fold(0.0, f32::max);
        println!(
            "accuracy {accuracy}: {ms:.2} ms, worst pixel off by {:.1e} of the peak",
            worst / peak
        );
    }
}
