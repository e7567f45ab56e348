//! Milliseconds of a lensed Sérsic source on 64 × 64 pixels, one core; beside it
//! `scripts/golden_lens.py --speed`, which takes lenstronomy.
use std::time::Instant;

use slipher_sim::lens::image::{Grid, Source, lensed};
use slipher_sim::lens::rays::Rays;
use slipher_sim::lens::sie::{Sie, ellipticity};
use slipher_sim::lens::{Lens, Shear};
use slipher_sim::sky::Plane;

/// Milliseconds, and the largest difference over the peak of the exact image.
fn time(name: &str, best: &Plane, image: &dyn Fn() -> Plane) {
    let start = Instant::now();
    (0..49).for_each(|_| drop(image()));
    let last = image();
    let ms = 1000.0 * start.elapsed().as_secs_f64() / 50.0;
    let pairs = last.data.iter().zip(&best.data);
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let peak = best.data.iter().copied().fold(0.0, f32::max);
    let off = worst / peak;
    println!("{name}: {ms:.2} ms, worst pixel off by {off:.1e} of the peak");
}

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
        ..Lens::default()
    };
    let source = [Source {
        brightness: 1.0,
        radius: 0.25,
        n: 1.0,
        ellipticity: [-0.1, 0.05],
        centre: [0.1, -0.05],
    }];
    let grid = Grid::around(64, 0.1);
    let best = lensed(&lens, &source, grid, 1e-8);
    for accuracy in [0.1, 1e-2, 1e-3, 1e-4] {
        let name = format!("integrated to {accuracy}");
        time(&name, &best, &|| lensed(&lens, &source, grid, accuracy));
    }
    time("rays", &best, &|| {
        Rays::trace(&lens, grid, 1).image(&source)
    });
}
