//! Classical restoration, for comparison on the same rows: Richardson and Lucy's iteration, Wiener's
//! filter, total variation, and blind deconvolution. All on images of 64 × 64 pixels over their sky.

use slipher_sim::sky::Plane;
use slipher_sim::sky::psf::Psf;

use super::encode::SIDE;
use super::fourier::{Blur, frequency};

const PIXELS: usize = SIDE * SIDE;

/// Richardson (1972) and Lucy (1974): `rounds` multiplications by the blurred ratio of image and
/// model; both have to be positive. `blur` is what is between the model and the image.
pub fn richardson_lucy(
    image: &[f32],
    rounds: usize,
    blurred: &dyn Fn(&[f32]) -> Vec<f32>,
    mirrored: &dyn Fn(&[f32]) -> Vec<f32>,
) -> Vec<f32> {
    let mut model = vec![0.5f32; image.len()];
    for _ in 0..rounds {
        let seen = blurred(&model);
        let ratio: Vec<f32> = image
            .iter()
            .zip(&seen)
            .map(|(i, s)| i / s.max(1e-12))
            .collect();
        let back = mirrored(&ratio);
        model.iter_mut().zip(&back).for_each(|(m, b)| *m *= b);
    }
    model
}

/// The same to the target's resolution: through R and its mirror image. The sky is lifted by
/// `lift` so that it is positive.
pub fn richardson_lucy_to_target(image: &[f32], b: &Blur, rounds: usize, lift: f32) -> Vec<f32> {
    let lifted: Vec<f32> = image.iter().map(|v| (v + lift).max(1e-6)).collect();
    let mirrored = |v: &[f32]| {
        // The transform of a mirrored function is the conjugate.
        let mut t = b.forward(v);
        t.iter_mut()
            .zip(b.ratio())
            .for_each(|(t, r)| *t *= r.conj());
        b.inverse(t)
    };
    // Light that leaves at the edges is made up for.
    let ones = vec![1.0; PIXELS];
    let (out, back) = (b.observed(&ones), mirrored(&ones));
    let blurred = |v: &[f32]| -> Vec<f32> {
        let o = b.observed(v);
        o.iter()
            .zip(&out)
            .map(|(o, e)| (o / e.max(0.1)).max(1e-6))
            .collect()
    };
    let share = |v: &[f32]| -> Vec<f32> {
        let m = mirrored(v);
        m.iter()
            .zip(&back)
            .map(|(m, e)| (m / e.max(0.1)).max(0.0))
            .collect()
    };
    let mut model = vec![(lifted.iter().sum::<f32>() / PIXELS as f32).max(1e-6); PIXELS];
    for _ in 0..rounds {
        let seen = blurred(&model);
        let ratio: Vec<f32> = lifted.iter().zip(&seen).map(|(i, s)| i / s).collect();
        let by = share(&ratio);
        model.iter_mut().zip(&by).for_each(|(m, b)| *m *= b);
    }
    model.into_iter().map(|v| v - lift).collect()
}

/// Wiener's filter with a Laplacian as the prior's inverse: least |R x − y|² + `balance` |Δ x|².
pub fn wiener(image: &[f32], b: &Blur, balance: f32) -> Vec<f32> {
    let side = (b.ratio().len() as f64).sqrt().round() as usize;
    let mut t = b.forward(image);
    for (i, (v, r)) in t.iter_mut().zip(b.ratio()).enumerate() {
        let (fy, fx) = (frequency(i / side, side), frequency(i % side, side));
        let wave = |f: f64| 2.0 - 2.0 * (std::f64::consts::TAU * f).cos();
        let laplace = (wave(fy) + wave(fx)) as f32;
        *v = *v * r.conj() / (r.norm_sqr() + balance * laplace * laplace).max(1e-9);
    }
    b.inverse(t)
}

/// Total variation of an image: least |R x − y|² + `weight` Σ |∇ x|, by gradient steps on the data
/// and Chambolle's projection (2004) on the penalty (forward and backward splitting).
pub fn total_variation(image: &[f32], b: &Blur, weight: f32, rounds: usize) -> Vec<f32> {
    let t = b.forward(image);
    let mut x = b.tikhonov(&t, 0.3);
    for _ in 0..rounds {
        let off: Vec<f32> = b
            .observed(&x)
            .iter()
            .zip(image)
            .map(|(a, y)| a - y)
            .collect();
        let mut back = b.forward(&off);
        back.iter_mut()
            .zip(b.ratio())
            .for_each(|(t, r)| *t *= r.conj());
        let slope = b.inverse(back);
        // |R| ≤ 1: a step of 1 is safe.
        let moved: Vec<f32> = x.iter().zip(&slope).map(|(x, s)| x - s).collect();
        x = denoised(&moved, SIDE, 0.5 * weight, 30);
    }
    x
}

/// Chambolle's projection: least ½ |u − f|² + `weight` Σ |∇ u|.
pub fn denoised(f: &[f32], side: usize, weight: f32, rounds: usize) -> Vec<f32> {
    let n = f.len();
    let (mut px, mut py) = (vec![0.0f32; n], vec![0.0f32; n]);
    let divergence = |px: &[f32], py: &[f32]| -> Vec<f32> {
        (0..n)
            .map(|i| {
                let (y, x) = (i / side, i % side);
                let mut d = 0.0;
                d += px[i] - if x > 0 { px[i - 1] } else { 0.0 };
                d += py[i] - if y > 0 { py[i - side] } else { 0.0 };
                d
            })
            .collect()
    };
    let step = 0.25;
    for _ in 0..rounds {
        let d = divergence(&px, &py);
        let u: Vec<f32> = d
            .iter()
            .zip(f)
            .map(|(d, f)| d - f / weight.max(1e-9))
            .collect();
        for i in 0..n {
            let (y, x) = (i / side, i % side);
            let gx = if x + 1 < side { u[i + 1] - u[i] } else { 0.0 };
            let gy = if y + 1 < n / side {
                u[i + side] - u[i]
            } else {
                0.0
            };
            let norm = 1.0 + step * gx.hypot(gy);
            px[i] = (px[i] + step * gx) / norm;
            py[i] = (py[i] + step * gy) / norm;
        }
    }
    let d = divergence(&px, &py);
    f.iter().zip(&d).map(|(f, d)| f - weight * d).collect()
}

/// Blind deconvolution: the width of a Gaussian is found that makes Wiener's solution explain the
/// image with the least roughness, then Richardson and Lucy's iteration through it.
pub fn blind(image: &[f32], rounds: usize, lift: f32) -> Vec<f32> {
    let tried = (0..8).filter_map(|k| {
        let fwhm = 2.2 + 0.6 * f64::from(k);
        let mut star = Plane::square(31);
        Psf::gaussian(fwhm).add(&mut star, 15.0, 15.0, 1.0);
        Blur::new((31, 31, &star.data), SIDE)
    });
    let cost = |b: &Blur| -> f64 {
        let x = wiener(image, b, 0.1);
        // Light that turns negative says that the function was too wide.
        let negative: f64 = x.iter().map(|v| f64::from((-v).max(0.0)).powi(2)).sum();
        let off: f64 = b
            .observed(&x)
            .iter()
            .zip(image)
            .map(|(a, y)| f64::from(a - y).powi(2))
            .sum();
        negative + off
    };
    let best = tried.min_by(|a, b| cost(a).total_cmp(&cost(b)));
    best.map_or_else(
        || image.to_vec(),
        |b| richardson_lucy_to_target(image, &b, rounds, lift),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same images as scripts/golden_restoration.py.
    fn picture(side: usize) -> Vec<f32> {
        (0..side * side)
            .map(|i| {
                let (dy, dx) = ((i / side) as f64 - 14.0, (i % side) as f64 - 17.0);
                let blob = (-(dx * dx + 2.0 * dy * dy) / 18.0).exp();
                (0.1 + blob + 0.02 * (7.3 * i as f64).sin()) as f32
            })
            .collect()
    }

    /// Golden values of scikit-image 0.26: denoise_tv_chambolle(weight=0.1) to its end.
    #[test]
    fn total_variation_agrees_with_scikit_image() {
        let u = denoised(&picture(32), 32, 0.1, 4000);
        for (at, want) in TV {
            assert!(
                (f64::from(u[at]) - want).abs() < 2e-4,
                "{at}: {} {want}",
                u[at]
            );
        }
    }
    const TV: [(usize, f64); 4] = [
        (0, 0.10611),
        (465, 0.906701),
        (500, 0.586236),
        (1023, 0.105944),
    ];

    /// Golden values of scikit-image 0.26: richardson_lucy of 12 rounds, away from the edges, with a
    /// function of 3 × 3 pixels.
    #[test]
    fn richardson_and_lucy_agree_with_scikit_image() {
        let psf = [0.05, 0.1, 0.05, 0.1, 0.4, 0.1, 0.05, 0.1, 0.05f32];
        let through = |v: &[f32]| -> Vec<f32> {
            (0..1024usize)
                .map(|i| {
                    let (y, x) = ((i / 32) as isize, (i % 32) as isize);
                    let mut sum = 0.0;
                    for (k, p) in psf.iter().enumerate() {
                        let (j, l) = (y + k as isize / 3 - 1, x + k as isize % 3 - 1);
                        if (0..32).contains(&j) && (0..32).contains(&l) {
                            sum += p * v[(j * 32 + l) as usize];
                        }
                    }
                    sum
                })
                .collect()
        };
        let u = richardson_lucy(&picture(32), 12, &through, &through);
        for (at, want) in RL {
            assert!(
                (f64::from(u[at]) / want - 1.0).abs() < 1e-4,
                "{at}: {} {want}",
                u[at]
            );
        }
    }
    const RL: [(usize, f64); 3] = [(465, 1.203_566_6), (500, 0.646_246_5), (400, 0.689_315)];

    /// Each method makes the image sharper, and keeps most of the flux.
    #[test]
    fn all_make_it_sharper() {
        let psf = Psf::moffat(4.0, 3.0);
        let mut star = Plane::square(41);
        psf.add(&mut star, 20.0, 20.0, 1.0);
        let b = Blur::new((41, 41, &star.data), SIDE).unwrap();
        let mut scene = Plane::square(SIDE);
        psf.add(&mut scene, 30.0, 33.0, 800.0);
        psf.add(&mut scene, 36.0, 33.0, 400.0);
        let peak = |v: &[f32]| v.iter().copied().fold(0.0, f32::max);
        let y = &scene.data;
        for (name, least, x) in [
            ("rl", 1.2, richardson_lucy_to_target(y, &b, 30, 1.0)),
            ("wiener", 1.2, wiener(y, &b, 1e-3)),
            ("tv", 1.2, total_variation(y, &b, 0.05, 30)),
            ("blind", 1.05, blind(y, 30, 1.0)),
        ] {
            let sum: f32 = x.iter().sum();
            assert!(
                peak(&x) > least * peak(y),
                "{name}: {} {}",
                peak(&x),
                peak(y)
            );
            assert!((sum / 1200.0 - 1.0).abs() < 0.1, "{name}: {sum}");
        }
    }
}
