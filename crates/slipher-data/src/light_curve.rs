//! Fluxes of one object over time, in several bands.

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Modified Julian date, days.
    pub mjd: f64,
    /// As the file names it.
    pub band: String,
    /// Of zero point [`LightCurve::zero_point`]; negative ones are kept.
    pub flux: f32,
    /// Its standard deviation.
    pub error: f32,
}

/// A light curve and what is known about its object. Numbers that are unknown are NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct LightCurve {
    /// Name in the survey, or of the file.
    pub object_id: String,
    /// Degrees.
    pub ra: f64,
    /// Declination in degrees (ICRS).
    pub dec: f64,
    /// Measurements in the order of time.
    pub points: Vec<Point>,
    /// AB magnitude of flux 1.
    pub zero_point: f64,
    /// Redshift of the host galaxy (photometric or better), heliocentric, and its error.
    pub redshift: (f64, f64),
    /// Galactic E(B−V), magnitudes.
    pub ebv: f64,
    /// Somebody else's class.
    pub label: Option<String>,
    /// What was assumed when it was read.
    pub notes: Vec<String>,
}

impl Default for LightCurve {
    fn default() -> LightCurve {
        LightCurve {
            object_id: String::new(),
            ra: f64::NAN,
            dec: f64::NAN,
            points: vec![],
            zero_point: ZERO_POINT,
            redshift: (f64::NAN, f64::NAN),
            ebv: f64::NAN,
            label: None,
            notes: vec![],
        }
    }
}

/// SNANA's FLUXCAL, which the challenges use: magnitude 27.5 is flux 1.
pub const ZERO_POINT: f64 = 27.5;

/// Bands whose last word, or last letter, is this: effective wavelength in Å.
const BANDS: [(&str, f64); 20] = [
    ("u", 3670.0),
    ("g", 4800.0),
    ("r", 6230.0),
    ("i", 7600.0),
    ("z", 8900.0),
    ("y", 9700.0),
    ("U", 3600.0),
    ("B", 4380.0),
    ("V", 5450.0),
    ("R", 6410.0),
    ("I", 7980.0),
    ("c", 5330.0),
    ("o", 6790.0),
    ("G", 6220.0),
    ("w", 6080.0),
    ("Y", 10_200.0),
    ("J", 12_350.0),
    ("H", 16_620.0),
    ("uvw1", 2600.0),
    ("uvm2", 2250.0),
];

/// Effective wavelength of a band by its name, Å: `g`, `LSST_g`, `ztfr`, `ps1::i`, `DES-z`, ATLAS `o`.
pub fn wavelength(band: &str) -> Option<f64> {
    let word = band
        .trim()
        .rsplit(|c: char| !c.is_ascii_alphanumeric())
        .next()
        .unwrap_or_default();
    let known = |name: &str| BANDS.iter().find(|b| b.0 == name).map(|b| b.1);
    let survey = |w: &str| {
        [
            "lsst",
            "ztf",
            "des",
            "ps1",
            "sdss",
            "panstarrs",
            "atlas",
            "hsc",
            "bessell",
            "sm",
        ]
        .iter()
        .any(|s| w.eq_ignore_ascii_case(s))
    };
    known(word).or_else(|| {
        let (at, _) = word.char_indices().next_back()?;
        let (front, last) = word.split_at(at);
        survey(front).then(|| known(last))?
    })
}

impl LightCurve {
    /// Sorts by time, and leaves out what is no measurement; says what it did.
    pub fn settled(mut self) -> LightCurve {
        let before = self.points.len();
        let sound = |p: &Point| {
            p.mjd.is_finite() && p.flux.is_finite() && p.error.is_finite() && p.error > 0.0
        };
        self.points.retain(sound);
        let lost = before - self.points.len();
        if lost > 0 {
            self.notes.push(format!(
                "{lost} of {before} points left out: time, flux or error is missing or not positive"
            ));
        }
        let mut unknown: Vec<String> = vec![];
        self.points.retain(|p| {
            let known = wavelength(&p.band).is_some();
            if !known && !unknown.contains(&p.band) {
                unknown.push(p.band.clone());
            }
            known
        });
        if !unknown.is_empty() {
            let names = unknown.join(", ");
            self.notes
                .push(format!("bands of unknown wavelength left out: {names}"));
        }
        if !self.points.is_sorted_by(|a, b| a.mjd <= b.mjd) {
            self.points.sort_by(|a, b| a.mjd.total_cmp(&b.mjd));
            self.notes.push("times were not in order".into());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_by_name() {
        for (name, want) in [
            ("g", Some(4800.0)),
            ("LSST_r", Some(6230.0)),
            ("ztfi", Some(7600.0)),
            ("ps1::y", Some(9700.0)),
            ("o", Some(6790.0)),
            ("V", Some(5450.0)),
            ("-", None),
            ("clear", None),
        ] {
            assert_eq!(wavelength(name), want, "{name}");
        }
    }

    /// Order and gaps do not matter; what is left out is said.
    #[test]
    fn points_are_settled() {
        let p = |mjd, band: &str, flux| Point {
            mjd,
            band: band.into(),
            flux,
            error: 1.0,
        };
        let curve = LightCurve {
            points: vec![
                p(3.0, "g", 1.0),
                p(1.0, "r", -2.0),
                p(2.0, "-", 1.0),
                p(0.0, "g", f32::NAN),
            ],
            ..LightCurve::default()
        };
        let s = curve.settled();
        let times: Vec<f64> = s.points.iter().map(|p| p.mjd).collect();
        assert_eq!((times, s.notes.len()), (vec![1.0, 3.0], 3));
    }
}
