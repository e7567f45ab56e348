//! World coordinates of images: gnomonic projection (TAN) with a linear part and, if there is one,
//! SIP distortion (Calabretta & Greisen 2002, A&A 395, 1077; Shupe et al. 2005, ASPC 347, 491).
//! Pixels count from 1, as FITS counts them; the sky in degrees. Checked against astropy
//! (`scripts/golden_wcs.py`).

use crate::fits::Header;

/// A polynomial Σ c u^p v^q.
#[derive(Clone, Debug, Default, PartialEq)]
struct Polynomial(Vec<(i32, i32, f64)>);

impl Polynomial {
    /// Coefficients `A_p_q` of an order that the header gives.
    fn of(h: &Header, name: &str) -> Result<Polynomial, String> {
        let Some(order) = h.int(&format!("{name}_ORDER")) else {
            return Ok(Polynomial::default());
        };
        if !(0..=9).contains(&order) {
            return Err(format!("{name}_ORDER = {order}, expected 0 to 9"));
        }
        let order = order as i32;
        let pairs = (0..=order).flat_map(|p| (0..=order - p).map(move |q| (p, q)));
        let given = pairs.filter_map(|(p, q)| Some((p, q, h.float(&format!("{name}_{p}_{q}"))?)));
        Ok(Polynomial(given.collect()))
    }

    fn at(&self, u: f64, v: f64) -> f64 {
        let terms = self.0.iter();
        terms.map(|(p, q, c)| c * u.powi(*p) * v.powi(*q)).sum()
    }
}

/// From pixels to the sky and back.
#[derive(Clone, Debug, PartialEq)]
pub struct Wcs {
    /// Reference pixel.
    pixel: [f64; 2],
    /// Reference position, in radians.
    sky: [f64; 2],
    /// Degrees a pixel.
    cd: [[f64; 2]; 2],
    inverse: [[f64; 2]; 2],
    distortion: [Polynomial; 2],
}

impl Wcs {
    /// Of a header with celestial TAN axes, right ascension first.
    ///
    /// # Errors
    /// Axes that are none, other projections, a matrix without inverse: what was found.
    pub fn of(h: &Header) -> Result<Wcs, String> {
        let axis = |i: usize| {
            h.str(&format!("CTYPE{i}"))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let types = [axis(1), axis(2)];
        let known = |t: &str, name: &str| {
            t.strip_prefix(name)
                .map(|rest| rest.trim_start_matches('-').to_owned())
                .filter(|p| p == "TAN" || p == "TAN-SIP")
        };
        let sip = match (known(&types[0], "RA"), known(&types[1], "DEC")) {
            (Some(a), Some(b)) if a == b => a == "TAN-SIP",
            _ => {
                return Err(format!(
                    "CTYPE1 = '{}', CTYPE2 = '{}': expected RA---TAN and DEC--TAN, or TAN-SIP",
                    types[0], types[1]
                ));
            }
        };
        let need = |key: &str| h.float(key).ok_or(format!("no {key}: expected a number"));
        if h.float("LONPOLE").is_some_and(|l| (l - 180.0).abs() > 1e-9) {
            return Err("LONPOLE: expected 180".into());
        }
        let cd = matrix(h);
        let det = cd[0][0] * cd[1][1] - cd[0][1] * cd[1][0];
        if !(det.abs() > 1e-24 && det.is_finite()) {
            return Err("CDi_j or CDELTi: expected a matrix with an inverse".into());
        }
        let distortion = if sip {
            [Polynomial::of(h, "A")?, Polynomial::of(h, "B")?]
        } else {
            Default::default()
        };
        Ok(Wcs {
            pixel: [need("CRPIX1")?, need("CRPIX2")?],
            sky: [need("CRVAL1")?.to_radians(), need("CRVAL2")?.to_radians()],
            cd,
            inverse: [
                [cd[1][1] / det, -cd[0][1] / det],
                [-cd[1][0] / det, cd[0][0] / det],
            ],
            distortion,
        })
    }

    /// Arcseconds a pixel at the reference pixel.
    pub fn scale(&self) -> f64 {
        let cd = &self.cd;
        3600.0 * (cd[0][0] * cd[1][1] - cd[0][1] * cd[1][0]).abs().sqrt()
    }

    /// Right ascension (0 to 360) and declination of a pixel.
    pub fn to_sky(&self, x: f64, y: f64) -> [f64; 2] {
        let (u, v) = (x - self.pixel[0], y - self.pixel[1]);
        let [a, b] = &self.distortion;
        let (u, v) = (u + a.at(u, v), v + b.at(u, v));
        let xi = (self.cd[0][0] * u + self.cd[0][1] * v).to_radians();
        let eta = (self.cd[1][0] * u + self.cd[1][1] * v).to_radians();
        let (sin, cos) = self.sky[1].sin_cos();
        let below = cos - eta * sin;
        let ra = self.sky[0] + xi.atan2(below);
        let dec = (sin + eta * cos).atan2(xi.hypot(below));
        [ra.to_degrees().rem_euclid(360.0), dec.to_degrees()]
    }

    /// The pixel of a position; none beyond 90° from the reference, or where the distortion has no
    /// inverse.
    pub fn to_pixel(&self, ra: f64, dec: f64) -> Option<[f64; 2]> {
        let (away, dec) = (ra.to_radians() - self.sky[0], dec.to_radians());
        let (sin0, cos0) = self.sky[1].sin_cos();
        let (sin, cos) = dec.sin_cos();
        let depth = sin0 * sin + cos0 * cos * away.cos();
        if depth.is_nan() || depth <= 1e-9 {
            return None;
        }
        let xi = (cos * away.sin() / depth).to_degrees();
        let eta = ((cos0 * sin - sin0 * cos * away.cos()) / depth).to_degrees();
        let m = &self.inverse;
        let (uu, vv) = (m[0][0] * xi + m[0][1] * eta, m[1][0] * xi + m[1][1] * eta);
        let [a, b] = &self.distortion;
        let (mut u, mut v) = (uu, vv);
        // The distortion is small against its argument: the fixed point is reached fast.
        for _ in 0..50 {
            let (du, dv) = (uu - a.at(u, v) - u, vv - b.at(u, v) - v);
            (u, v) = (u + du, v + dv);
            if du.abs().max(dv.abs()) < 1e-9 {
                return Some([u + self.pixel[0], v + self.pixel[1]]);
            }
        }
        None
    }
}

/// CDi_j, or CDELTi with PCi_j or CROTA2.
fn matrix(h: &Header) -> [[f64; 2]; 2] {
    let given = |name: &str| {
        let any = (1..3).any(|i| (1..3).any(|j| h.float(&format!("{name}{i}_{j}")).is_some()));
        let at =
            |i: usize, j: usize, absent: f64| h.float(&format!("{name}{i}_{j}")).unwrap_or(absent);
        let diagonal = if name == "PC" { 1.0 } else { 0.0 };
        any.then(|| {
            [
                [at(1, 1, diagonal), at(1, 2, 0.0)],
                [at(2, 1, 0.0), at(2, 2, diagonal)],
            ]
        })
    };
    if let Some(cd) = given("CD") {
        return cd;
    }
    let step = [1, 2].map(|i| h.float(&format!("CDELT{i}")).unwrap_or(1.0));
    let turn = given("PC").unwrap_or_else(|| {
        let (sin, cos) = h.float("CROTA2").unwrap_or(0.0).to_radians().sin_cos();
        [
            [cos, -sin * step[1] / step[0]],
            [sin * step[0] / step[1], cos],
        ]
    });
    [
        [step[0] * turn[0][0], step[0] * turn[0][1]],
        [step[1] * turn[1][0], step[1] * turn[1][1]],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(cards: &str) -> Header {
        let mut text = String::new();
        for card in cards.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (key, value) = card.split_once('=').unwrap();
            text += &format!("{:<80}", format!("{:<8}= {:>20}", key.trim(), value.trim()));
        }
        text += &format!("{:<80}", "END");
        while !text.len().is_multiple_of(2880) {
            text.push(' ');
        }
        Header::parse(text.as_bytes()).unwrap().0
    }

    const PLAIN: &str = "CTYPE1 = 'RA---TAN'
        CTYPE2 = 'DEC--TAN'
        CRPIX1 = 512.5
        CRPIX2 = 300.25
        CRVAL1 = 359.9
        CRVAL2 = -62.5
        CD1_1 = -5.0E-05
        CD1_2 = 1.2E-05
        CD2_1 = 1.1E-05
        CD2_2 = 5.1E-05";

    const SIP: &str = "CTYPE1 = 'RA---TAN-SIP'
        CTYPE2 = 'DEC--TAN-SIP'
        CRPIX1 = 1024.0
        CRPIX2 = 1024.0
        CRVAL1 = 150.1
        CRVAL2 = 2.2
        CDELT1 = -2.0E-04
        CDELT2 = 2.0E-04
        CROTA2 = 30.0
        A_ORDER = 3
        B_ORDER = 2
        A_2_0 = 2.0E-06
        A_1_1 = -1.5E-06
        A_0_3 = 3.0E-10
        B_0_2 = 1.0E-06
        B_2_0 = -2.5E-06";

    /// Against astropy 7 (scripts/golden_wcs.py).
    #[test]
    fn as_astropy() {
        for (cards, golden) in [(PLAIN, &GOLDEN_PLAIN), (SIP, &GOLDEN_SIP)] {
            let w = Wcs::of(&header(cards)).unwrap();
            for [x, y, ra, dec] in golden.iter() {
                let sky = w.to_sky(*x, *y);
                assert!(
                    (sky[0] - ra).abs() < 1e-9 && (sky[1] - dec).abs() < 1e-9,
                    "{sky:?} {ra} {dec}"
                );
                let pixel = w.to_pixel(*ra, *dec).unwrap();
                assert!((pixel[0] - x).abs() < 1e-6 && (pixel[1] - y).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let why = |cards: &str| Wcs::of(&header(cards)).unwrap_err();
        assert!(why(&PLAIN.replace("TAN", "TPV")).contains("TPV"));
        assert!(why(&PLAIN.replace("CRVAL2", "CRVAL3")).contains("CRVAL2"));
        assert!(why(&PLAIN.replace("CD1", "XD1").replace("CD2_2", "XD2_2")).contains("inverse"));
        let w = Wcs::of(&header(PLAIN)).unwrap();
        assert!(w.to_pixel(179.9, 62.5).is_none());
    }

    const GOLDEN_PLAIN: [[f64; 4]; 4] = [
        [1.0, 1.0, 359.9476436769794, -62.520880140012395],
        [1000.5, 33.25, 359.8402020370403, -62.50823622181507],
        [512.5, 300.25, 359.9, -62.5],
        [2000.0, 1800.0, 359.7782823535347, -62.40709725850338],
    ];
    const GOLDEN_SIP: [[f64; 4]; 4] = [
        [1.0, 1.0, 150.37980069487008, 2.1247938277580882],
        [1000.5, 33.25, 150.20316793636272, 2.030946600735627],
        [512.5, 300.25, 150.26111799449876, 2.1257764808836823],
        [2000.0, 1800.0, 149.8531858588902, 2.236387303952994],
    ];
}
