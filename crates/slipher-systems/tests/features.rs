//! Classical features of every system: known values on made-up images, and symmetry.

use slipher_data::cutout::Cutout;
use slipher_systems::{morphology, radio, star_galaxy, transients};

/// A Gaussian blob of σ (long, short) turned by `angle`, peak 1, centred.
fn blob(side: usize, sigma: (f32, f32), angle: f32, shift: (f32, f32)) -> Vec<f32> {
    let mid = 0.5 * (side as f32 - 1.0);
    let (s, c) = angle.sin_cos();
    (0..side * side)
        .map(|i| {
            let (x, y) = (
                (i % side) as f32 - mid - shift.0,
                (i / side) as f32 - mid - shift.1,
            );
            let (u, v) = (x * c + y * s, y * c - x * s);
            (-0.5 * ((u / sigma.0).powi(2) + (v / sigma.1).powi(2))).exp()
        })
        .collect()
}

fn turned(x: &[f32], side: usize, planes: usize) -> Vec<f32> {
    let n = side * side;
    (0..planes)
        .flat_map(|p| x[p * n..(p + 1) * n].iter().rev().copied())
        .collect()
}

struct Named(Vec<String>, Vec<f32>);
impl Named {
    fn get(&self, name: &str) -> f32 {
        assert_eq!(self.0.len(), self.1.len(), "a name for each feature");
        assert!(self.1.iter().all(|v| v.is_finite()), "{:?}", self.1);
        let at = self.0.iter().position(|n| n == name);
        self.1[at.unwrap_or_else(|| panic!("no feature {name}"))]
    }
}

/// A round, smooth, symmetric galaxy: no asymmetry, axis ratio 1; a flat one has its own.
#[test]
fn morphology_of_smooth_galaxies() {
    let side = 99;
    let of = |plane: &[f32]| {
        let x: Vec<f32> = [plane, plane, plane].concat();
        Named(morphology::features::names(), morphology::features::of(&x))
    };
    let round = of(&blob(side, (7.0, 7.0), 0.0, (0.0, 0.0)));
    let flat = of(&blob(side, (12.0, 4.0), 0.5, (0.0, 0.0)));
    assert!(round.get("asymmetry_180") < 0.01 && round.get("asymmetry_90") < 0.01);
    assert!(flat.get("asymmetry_180") < 0.02 && flat.get("asymmetry_90") > 0.2);
    let axis = (round.get("axis_ratio"), flat.get("axis_ratio"));
    // Under the weight of σ = 4 pixels: √((1/4² + 1/12²)⁻¹), not 12, to √(1/4² + 1/4²)⁻¹, not 4.
    let seen = (1.0f32 / 16.0 + 1.0 / 144.0).sqrt() / (2.0f32 / 16.0).sqrt();
    assert!(axis.0 > 0.99 && (axis.1 - seen).abs() < 0.01, "{axis:?}");
    // Of a Gaussian: 5 log₁₀(r₈₀ / r₂₀) = 5 log₁₀ √(ln 5 / ln 1.25) = 2.15 (Conselice 2003).
    let c = round.get("concentration");
    assert!((c - 2.15).abs() < 0.2, "{c}");
}

/// Two lobes at the ends are FR II (ratio near 1), light at the core is FR I (near 0); turning the
/// map by half a turn changes neither.
#[test]
fn radio_sources_by_fanaroff_and_riley() {
    let side = 212;
    let of = |x: &[f32]| Named(radio::features::names(), radio::features::of(x));
    let sum = |parts: &[Vec<f32>]| -> Vec<f32> {
        (0..side * side)
            .map(|i| parts.iter().map(|p| p[i]).sum())
            .collect()
    };
    let round = |x: f32| blob(side, (4.0, 4.0), 0.0, (x, 0.0));
    let lobes = sum(&[round(-35.0), round(35.0)]);
    let two = of(&lobes);
    let jet = of(&blob(side, (18.0, 3.0), 0.0, (0.0, 0.0)));
    let ratio = (two.get("fr_ratio"), jet.get("fr_ratio"));
    assert!(ratio.0 > ratio.1 + 0.2, "{ratio:?}");
    assert!(two.get("peaks") > jet.get("peaks"));
    let back = of(&turned(&lobes, side, 1));
    for name in ["area", "light", "length", "fr_ratio", "peaks"] {
        let (a, b) = (two.get(name), back.get(name));
        assert!((a - b).abs() < 1e-3 * a.abs().max(1.0), "{name} {a} {b}");
    }
}

/// Colours are differences of magnitudes; twice the light is 0.753 mag; an extended source has a
/// larger half-light radius.
#[test]
fn stars_and_galaxies_as_a_catalogue_measures_them() {
    let (side, bands) = (61, ["u", "g", "r", "i", "z"]);
    let of = |sigma: f32, light: f32| {
        let star = blob(side, (sigma, sigma), 0.0, (0.0, 0.0));
        let noise = |i: usize| 0.02 * ((i as f32 * 12.9898).sin() * 43_758.547).fract();
        let plane: Vec<f32> = (0..side * side)
            .map(|i| 100.0 * light * star[i] + noise(i))
            .collect();
        let cutout = Cutout {
            height: side,
            width: side,
            bands: bands.iter().map(|b| (*b).to_owned()).collect(),
            pixels: plane.repeat(5),
            ..Cutout::default()
        };
        Named(
            star_galaxy::features::names(),
            star_galaxy::features::of(&cutout),
        )
    };
    let (star, twice, galaxy) = (of(1.3, 1.0), of(1.3, 2.0), of(4.0, 1.0));
    let fainter = star.get("mag_r") - twice.get("mag_r");
    assert!((fainter - 0.753).abs() < 0.01, "{fainter}");
    for colour in ["u_g", "g_r", "r_i", "i_z"] {
        assert!(star.get(colour).abs() < 1e-3, "{colour}");
    }
    // Half the light of a Gaussian lies within 1.177 σ.
    let radius = (star.get("flux_radius_r"), galaxy.get("flux_radius_r"));
    assert!(
        (radius.0 - 1.53).abs() < 0.3 && radius.1 > 2.0 * radius.0,
        "{radius:?}"
    );
    assert!(galaxy.get("a_r") > star.get("a_r") && star.get("mu_max_r") > galaxy.get("mu_max_r"));
}

/// A new point source has a positive, round difference; a dipole of bad alignment has negative
/// pixels.
#[test]
fn transients_and_dipoles() {
    let side = 25;
    let of = |difference: &[f32]| {
        let sky = vec![0.0f32; side * side];
        let x = [&sky[..], difference, difference, difference].concat();
        Named(transients::features::names(), transients::features::of(&x))
    };
    let point = blob(side, (1.5, 1.5), 0.0, (0.0, 0.0));
    let new = of(&point);
    let a = blob(side, (1.5, 1.5), 0.0, (-1.5, 0.0));
    let b = blob(side, (1.5, 1.5), 0.0, (1.5, 0.0));
    let dipole: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    let bad = of(&dipole);
    assert_eq!(new.get("negative3"), 0.0);
    assert!(bad.get("negative7") > 0.3, "{}", bad.get("negative7"));
    assert!(new.get("difference_asymmetry") < 0.01 && bad.get("difference_asymmetry") > 0.5);
    assert!((new.get("science_difference") - 1.0).abs() < 1e-4);
    assert!(new.get("difference_ellipticity") < 0.01);
}
