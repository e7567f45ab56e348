//! The study: what is restored against the truth, beside the classical methods on the same rows, each
//! with the regularisation that validation rows of the same S/N prefer, and with a point-spread
//! function that is wrong.

use std::f64::consts::PI;

use rayon::prelude::*;
use slipher_data::cutout::Cutout;
use slipher_stats::classification::Line;

use super::classical::{blind, richardson_lucy_to_target, total_variation, wiener};
use super::encode::{Prepared, SIDE, encode, prepare, stretched};
use super::{PIXELS, Restoration, measure};
use crate::example::Example;
use crate::set::Split;
use crate::system::{StudyRows, System};

/// Rows whose figures are given, and rows that choose the regularisation.
const TEST: usize = 600;
const VALIDATION: usize = 150;
/// Richardson and Lucy's iteration wants a positive image: the sky is lifted by so many of its σ.
const LIFT: f32 = 5.0;
/// Iterations of total variation.
const ROUNDS: usize = 60;
/// Pixels that Lanczos' kernel reaches.
const REACH: f64 = 4.0;
const BALANCES: [f32; 5] = [0.003, 0.03, 0.3, 3.0, 30.0];
const WEIGHTS: [f32; 5] = [0.3, 1.0, 3.0, 10.0, 30.0];

/// A row ready to be restored, and its truth over the noise.
struct Ready {
    p: Prepared,
    truth: Vec<f32>,
    depth: f32,
}

fn ready(e: &Example) -> Option<Ready> {
    let p = prepare(e.input.cutout().ok()?).ok()?;
    let truth = e.truth.iter().map(|v| stretched(*v)).collect();
    Some(Ready {
        p,
        truth,
        depth: e.depth,
    })
}

/// How good one restored image is.
#[derive(Clone, Copy)]
struct Scores([f64; 5]);

const FIGURES: [(&str, bool); 5] = [
    ("PSNR / dB, median", true),
    ("SSIM, median", true),
    ("flux off by / %, median", false),
    ("invented flux / %, median", false),
    ("reduced shear off by, median", false),
];

fn shear(image: &[f32]) -> Option<[f64; 2]> {
    let [a, b] = measure::shape(image, SIDE)?;
    let half = 1.0 + (1.0 - (a * a + b * b).min(1.0)).sqrt();
    Some([a / half, b / half])
}

fn score(image: &[f32], truth: &[f32]) -> Scores {
    let range = truth.iter().copied().fold(0.0, f32::max);
    let sum = |v: &[f32]| v.iter().map(|v| f64::from(*v)).sum::<f64>();
    let (a, b) = (sum(image), sum(truth));
    let off = match (shear(image), shear(truth)) {
        (Some(g), Some(t)) => (g[0] - t[0]).hypot(g[1] - t[1]).min(1.0),
        (None, Some(_)) => 1.0,
        (_, None) => f64::NAN,
    };
    Scores([
        measure::psnr(image, truth),
        measure::ssim(image, truth, SIDE, f64::from(range)),
        100.0 * ((a - b) / b).abs(),
        100.0 * measure::invented(image, truth),
        off,
    ])
}

/// A median with its 95 % interval from the order of the values.
fn median(mut v: Vec<f64>) -> (f64, f64, f64, usize) {
    v.retain(|v| v.is_finite());
    v.sort_by(f64::total_cmp);
    let n = v.len();
    if n == 0 {
        return (f64::NAN, f64::NAN, f64::NAN, 0);
    }
    let reach = 0.98 * (n as f64).sqrt();
    let at = |k: f64| v[(k.clamp(0.0, (n - 1) as f64)) as usize];
    let middle = 0.5 * (n - 1) as f64;
    (at(middle), at(middle - reach), at(middle + reach), n)
}

fn lines(method: &str, scores: &[Scores]) -> Vec<Line> {
    let one = |(k, (figure, more)): (usize, &(&str, bool))| {
        let (value, low, high, n) = median(scores.iter().map(|s| s.0[k]).collect());
        Line {
            method: method.to_owned(),
            figure: (*figure).to_owned(),
            value,
            low,
            high,
            n,
            higher_is_better: *more,
            published: (None, None),
        }
    };
    FIGURES.iter().enumerate().map(one).collect()
}

type Method<'a> = Box<dyn Fn(&Ready) -> Vec<f32> + Sync + 'a>;

fn scored(rows: &[&Ready], f: &(dyn Fn(&Ready) -> Vec<f32> + Sync)) -> Vec<Scores> {
    rows.par_iter().map(|r| score(&f(r), &r.truth)).collect()
}

/// The value that makes the squares of what is off least on validation rows.
fn chosen(rows: &[&Ready], values: &[f32], f: impl Fn(&Ready, f32) -> Vec<f32> + Sync) -> f32 {
    let cost = |v: f32| {
        let all = scored(rows, &|r: &Ready| f(r, v));
        -median(all.iter().map(|s| s.0[0]).collect()).0
    };
    let best = values
        .iter()
        .map(|v| (cost(*v), *v))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(values[0], |b| b.1)
}

fn classical<'a>(validation: &[&Ready]) -> Vec<(String, Method<'a>)> {
    let mut all: Vec<(String, Method<'a>)> =
        vec![("the image as it is".into(), Box::new(|r| r.p.image.clone()))];
    for rounds in [10, 30, 100] {
        let f = move |r: &Ready| richardson_lucy_to_target(&r.p.image, &r.p.blur, rounds, LIFT);
        all.push((format!("Richardson–Lucy, {rounds}"), Box::new(f)));
    }
    let by = |r: &Ready, v: f32| wiener(&r.p.image, &r.p.blur, v);
    let v = chosen(validation, &BALANCES, by);
    all.push((format!("Wiener, {v}"), Box::new(move |r| by(r, v))));
    let by = |r: &Ready, v: f32| r.p.blur.tikhonov(&r.p.transform, v);
    let v = chosen(validation, &BALANCES, by);
    all.push((format!("Tikhonov, {v}"), Box::new(move |r| by(r, v))));
    let by = |r: &Ready, v: f32| total_variation(&r.p.image, &r.p.blur, v, ROUNDS);
    let v = chosen(validation, &WEIGHTS, by);
    all.push((format!("total variation, {v}"), Box::new(move |r| by(r, v))));
    all.push((
        "blind deconvolution, 30".into(),
        Box::new(|r| blind(&r.p.image, 30, LIFT)),
    ));
    all
}

/// The same galaxy with a point-spread function that is wider by a factor than it is.
fn wider(c: &Cutout, factor: f64) -> Cutout {
    let (h, w, values) = &c.psf;
    let mid = [0.5 * (*h as f64 - 1.0), 0.5 * (*w as f64 - 1.0)];
    // Lanczos' kernel, which hardly widens what it resamples.
    let kernel = |d: f64| {
        let sinc = |v: f64| {
            if v.abs() < 1e-9 {
                1.0
            } else {
                (PI * v).sin() / (PI * v)
            }
        };
        if d.abs() < REACH {
            sinc(d) * sinc(d / REACH)
        } else {
            0.0
        }
    };
    let near = |v: f64, n: usize| {
        let low = (v - REACH).ceil().max(0.0) as usize;
        low..((v + REACH).floor() as usize + 1).min(n)
    };
    let at = |y: f64, x: f64| -> f64 {
        let row = |i: usize| -> f64 {
            near(x, *w)
                .map(|j| f64::from(values[i * w + j]) * kernel(x - j as f64))
                .sum()
        };
        near(y, *h).map(|i| row(i) * kernel(y - i as f64)).sum()
    };
    let out: Vec<f32> = (0..h * w)
        .map(|k| {
            let y = mid[0] + ((k / w) as f64 - mid[0]) / factor;
            let x = mid[1] + ((k % w) as f64 - mid[1]) / factor;
            at(y, x) as f32
        })
        .collect();
    Cutout {
        psf: (*h, *w, out),
        ..c.clone()
    }
}

/// What the network says of rows, held to the data or as it is, with its errors over the noise.
struct Answered {
    free: Vec<f32>,
    held: Vec<f32>,
    error: Vec<f32>,
    chi2: f64,
}

fn answered(rows: &StudyRows<'_>, examples: &[&Cutout]) -> Option<Vec<Answered>> {
    let images: Option<Vec<Vec<f32>>> = examples.par_iter().map(|c| encode(c).ok()).collect();
    let answers = (rows.part)(Restoration.name(), &images?)?;
    let width = answers.len() / examples.len().max(1);
    let one = |(c, a): (&&Cutout, &[f32])| {
        let p = prepare(c).ok()?;
        let ([held, error], chi2) = Restoration::finished(&p, &a[..2 * PIXELS]);
        let noise = p.sky.1;
        let over = |v: Vec<f32>| v.into_iter().map(|v| v / noise).collect();
        let free = a[..PIXELS].iter().map(|v| stretched(*v)).collect();
        Some(Answered {
            free,
            held: over(held),
            error: over(error),
            chi2,
        })
    };
    examples
        .par_iter()
        .zip(answers.par_chunks_exact(width))
        .map(one)
        .collect()
}

/// Tables by S/N, of honesty, and of wrong point-spread functions.
pub fn tables(rows: &StudyRows<'_>) -> Vec<(String, Vec<Line>)> {
    let of = |split, n| (rows.examples)(split, n);
    let n = TEST.min(rows.images.len());
    let (test, validation) = (of(Split::Test, n), of(Split::Validation, VALIDATION));
    let kept = |all: &[Example]| -> Vec<Ready> { all.par_iter().filter_map(ready).collect() };
    let (ready_test, ready_validation) = (kept(&test), kept(&validation));
    let cutouts: Vec<&Cutout> = test.iter().filter_map(|e| e.input.cutout().ok()).collect();
    let own = answered(rows, &cutouts).filter(|o| o.len() == ready_test.len());
    let mut out = vec![];
    let bounds = Restoration.depth().1;
    for pair in bounds.windows(2) {
        let inside = |r: &Ready| r.depth >= pair[0] && r.depth < pair[1];
        let at: Vec<usize> = (0..ready_test.len())
            .filter(|i| inside(&ready_test[*i]))
            .collect();
        let some: Vec<&Ready> = at.iter().map(|i| &ready_test[*i]).collect();
        let choose: Vec<&Ready> = ready_validation.iter().filter(|r| inside(r)).collect();
        if some.len() < 20 || choose.len() < 5 {
            continue;
        }
        let mut table = vec![];
        for (name, f) in classical(&choose) {
            table.extend(lines(&name, &scored(&some, &f)));
        }
        if let Some(own) = &own {
            let of = |f: &dyn Fn(&Answered) -> &Vec<f32>| -> Vec<Scores> {
                at.iter()
                    .map(|i| score(f(&own[*i]), &ready_test[*i].truth))
                    .collect()
            };
            table.extend(lines("U-Net alone", &of(&|a| &a.free)));
            table.extend(lines("ours: held to the data", &of(&|a| &a.held)));
        }
        let high = if pair[1] > 1e8 {
            "more".to_owned()
        } else {
            pair[1].to_string()
        };
        out.push((
            format!("S/N {} to {high}, n = {}", pair[0], some.len()),
            table,
        ));
    }
    if let Some(own) = &own {
        out.push(("errors and data".into(), honesty(own, &ready_test)));
    }
    let mut table = vec![];
    for (name, factor) in [
        ("as it is", 1.0),
        ("2 % too wide", 1.02),
        ("5 % too wide", 1.05),
        ("5 % too narrow", 0.95),
    ] {
        let wrong: Vec<Cutout> = cutouts.iter().take(300).map(|c| wider(c, factor)).collect();
        let wrong: Vec<&Cutout> = wrong.iter().collect();
        if let Some(found) = answered(rows, &wrong) {
            let pairs = found.iter().zip(&ready_test);
            let scores: Vec<Scores> = pairs.map(|(a, r)| score(&a.held, &r.truth)).collect();
            table.extend(lines(&format!("function {name}"), &scores));
        }
    }
    out.push(("point-spread function that is wrong".into(), table));
    out
}

/// Coverage of the errors, and χ² of what is restored, blurred again.
fn honesty(own: &[Answered], rows: &[Ready]) -> Vec<Line> {
    let share = |reach: f32| -> Vec<f64> {
        let of = |(a, r): (&Answered, &Ready)| {
            let within = |i: &usize| (a.held[*i] - r.truth[*i]).abs() <= reach * a.error[*i];
            (0..PIXELS).filter(within).count() as f64 / PIXELS as f64
        };
        own.iter().zip(rows).map(of).collect()
    };
    let line = |figure: &str, values: Vec<f64>| {
        // A mean, for shares of pixels are asked for over all.
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let spread = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n as f64 - 1.0);
        let reach = 1.96 * (spread / n as f64).sqrt();
        Line {
            method: "ours: held to the data".into(),
            figure: figure.into(),
            value: mean,
            low: mean - reach,
            high: mean + reach,
            n,
            higher_is_better: true,
            published: (None, None),
        }
    };
    vec![
        line("pixels within 1 σ (0.683)", share(1.0)),
        line("pixels within 1.96 σ (0.95)", share(1.96)),
        line(
            "χ² over pixels, blurred again",
            own.iter().map(|a| a.chi2).collect(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_wider_stars() {
        let (m, low, high, n) = median((0..101).map(f64::from).chain([f64::NAN]).collect());
        assert_eq!((m, n), (50.0, 101));
        assert!(low < 42.0 && high > 58.0);
        let mut star = Cutout {
            psf: (31, 31, vec![0.0; 961]),
            ..Cutout::default()
        };
        for k in 0..961 {
            let (y, x) = ((k / 31) as f32 - 15.0, (k % 31) as f32 - 15.0);
            star.psf.2[k] = (-(x * x + y * y) / 18.0).exp();
        }
        let second = |c: &Cutout| -> f64 {
            let of = |f: &dyn Fn(f64) -> f64| -> f64 {
                c.psf
                    .2
                    .iter()
                    .enumerate()
                    .map(|(k, v)| f64::from(*v) * f((k % 31) as f64 - 15.0))
                    .sum()
            };
            (of(&|x| x * x) / of(&|_| 1.0)).sqrt()
        };
        let ratio = second(&wider(&star, 1.05)) / second(&star);
        assert!((ratio - 1.05).abs() < 0.01, "{ratio}");
    }
}
