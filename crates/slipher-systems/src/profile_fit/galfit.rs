//! GALFIT's files (Peng et al. 2010; its user's manual): parameter files in, parameter files out,
//! constraints, masks as pictures or lists.
//!
//! Components: sersic, expdisk, devauc, gaussian, psf, sky. Others, and Fourier modes, bending,
//! boxiness and coordinate rotation, are refused by name: a fit without them would be another one.
//! Pixels count from 1, position angles from +y counter-clockwise, as in GALFIT.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use slipher_sim::sky::sersic::Sersic;

use super::fit::{Fitted, Part};
use super::model::{Component, Size};

/// A parameter file.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedme {
    /// A: image; none for models without data.
    pub data: Option<PathBuf>,
    /// B: where the image block goes.
    pub output: PathBuf,
    /// C: image of σ.
    pub sigma: Option<PathBuf>,
    /// D: point-spread function, and E: its pixels along one of the image.
    pub psf: Option<PathBuf>,
    /// E.
    pub fine: usize,
    /// F: bad pixels.
    pub mask: Option<PathBuf>,
    /// G: constraints.
    pub constraints: Option<PathBuf>,
    /// H: first and last column, first and last row, from 1.
    pub region: [usize; 4],
    /// J: magnitude of one unit of flux.
    pub zero: f64,
    /// K: arcseconds a pixel.
    pub scale: [f64; 2],
    /// P is 1: only the model is wanted.
    pub model_only: bool,
    /// Components.
    pub objects: Vec<Object>,
}

/// A component as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// sersic, expdisk, …
    pub kind: String,
    /// Numbers of its lines by the line's number: values, then toggles.
    pub lines: BTreeMap<u32, Vec<f64>>,
}

/// A parameter by GALFIT's name, its value and error, and whether it was free.
pub type Named = (&'static str, f64, f64, bool);

/// Half-light radius of an exponential over its scale length.
const SCALE_LENGTHS: f64 = 1.678_346_990_016_661_2;
const KINDS: [&str; 6] = ["sersic", "expdisk", "devauc", "gaussian", "psf", "sky"];

impl Feedme {
    /// Reads a parameter file.
    ///
    /// # Errors
    /// Names the line, what was expected, and what is not supported.
    pub fn parse(text: &str) -> Result<Feedme, String> {
        let mut head: BTreeMap<char, String> = BTreeMap::new();
        let mut objects: Vec<Object> = vec![];
        for (i, line) in text.lines().enumerate() {
            let bare = line.split('#').next().unwrap_or("").trim();
            let Some((key, rest)) = bare.split_once(')') else {
                continue;
            };
            let (key, rest) = (key.trim(), rest.trim());
            let bad = |why: &str| format!("line {}: '{}': {why}", i + 1, line.trim());
            if let Ok(number) = key.parse::<u32>() {
                if number == 0 {
                    let kind = rest.split_whitespace().next().unwrap_or("").to_lowercase();
                    if !KINDS.contains(&kind.as_str()) {
                        let known = KINDS.join(", ");
                        return Err(bad(&format!("a component '{kind}': expected {known}")));
                    }
                    objects.push(Object {
                        kind,
                        lines: BTreeMap::new(),
                    });
                    continue;
                }
                let object = objects.last_mut().ok_or_else(|| bad("before any '0)'"))?;
                let numbers: Result<Vec<f64>, _> =
                    rest.split_whitespace().map(str::parse).collect();
                let numbers = numbers.map_err(|_| {
                    bad("expected numbers, values then toggles; lists of several bands (GALFITM) are not read")
                })?;
                object.lines.insert(number, numbers);
                continue;
            }
            let mut letters = key.chars();
            match (letters.next(), letters.next()) {
                (Some(c), None) if c.is_ascii_uppercase() && c != 'Z' => {
                    head.insert(c, rest.to_owned());
                }
                (Some('C' | 'F' | 'B' | 'R' | 'T'), Some(_)) => {
                    return Err(bad(
                        "boxiness, Fourier modes, bending, rotation and truncation are not fitted here",
                    ));
                }
                _ => {}
            }
        }
        Feedme::checked(&head, objects)
    }

    fn checked(head: &BTreeMap<char, String>, objects: Vec<Object>) -> Result<Feedme, String> {
        let path = |c: char| {
            let word = head.get(&c)?.split_whitespace().next()?;
            (!word.eq_ignore_ascii_case("none")).then(|| PathBuf::from(word))
        };
        let numbers = |c: char, n: usize| -> Result<Vec<f64>, String> {
            let text = head.get(&c).map(String::as_str).unwrap_or_default();
            let all: Vec<f64> = text
                .split_whitespace()
                .map_while(|w| w.parse().ok())
                .collect();
            if all.len() < n {
                return Err(format!("{c}) '{text}': expected {n} numbers"));
            }
            Ok(all)
        };
        if objects.is_empty() {
            return Err("no component: expected lines as ' 0) sersic'".into());
        }
        let h = numbers('H', 4)?;
        let region = [0, 1, 2, 3].map(|k| h[k] as usize);
        if region[0] < 1 || region[2] < 1 || region[1] < region[0] || region[3] < region[2] {
            return Err(format!(
                "H) {h:?}: expected xmin xmax ymin ymax, from 1, in growing order"
            ));
        }
        let scale = numbers('K', 2).unwrap_or(vec![1.0; 2]);
        Ok(Feedme {
            data: path('A'),
            output: path('B').unwrap_or_else(|| "imgblock.fits".into()),
            sigma: path('C'),
            psf: path('D'),
            fine: numbers('E', 1).map_or(1, |v| v[0].max(1.0) as usize),
            mask: path('F'),
            constraints: path('G'),
            region,
            zero: numbers('J', 1)?[0],
            scale: [scale[0], scale[1]],
            model_only: head.get(&'P').is_some_and(|p| p.starts_with('1')),
            objects,
        })
    }

    /// Height and width of the region.
    pub fn size(&self) -> Size {
        (
            self.region[3] + 1 - self.region[2],
            self.region[1] + 1 - self.region[0],
        )
    }

    /// The components as a fit takes them, with pixels from the region's corner.
    ///
    /// # Errors
    /// A parameter that is missing or impossible.
    pub fn parts(&self) -> Result<Vec<Part>, String> {
        let each = self.objects.iter().enumerate();
        each.map(|(i, o)| {
            self.part(o)
                .map_err(|e| format!("component {}: {e}", i + 1))
        })
        .collect()
    }

    fn part(&self, o: &Object) -> Result<Part, String> {
        let at = |line: u32, k: usize| o.lines.get(&line).and_then(|v| v.get(k)).copied();
        let need = |line: u32, k: usize| {
            at(line, k).ok_or_else(|| format!("line {line}) of '{}' is missing", o.kind))
        };
        let size = self.size();
        if o.kind == "sky" {
            let values = [
                need(1, 0)?,
                at(2, 0).unwrap_or(0.0),
                at(3, 0).unwrap_or(0.0),
            ];
            let mut part = Part::new(Component::Sky(values), size);
            part.free = [1, 2, 3].map(|l| at(l, 1).unwrap_or(0.0) != 0.0).to_vec();
            return Ok(part);
        }
        let (x, y) = (
            need(1, 0)? - self.region[0] as f64,
            need(1, 1)? - self.region[2] as f64,
        );
        let flux = 10f64.powf(-0.4 * (need(3, 0)? - self.zero));
        let free = |line: u32, k: usize| at(line, k).unwrap_or(0.0) != 0.0;
        if o.kind == "psf" {
            let mut part = Part::new(Component::Point { x, y, flux }, size);
            part.free = vec![free(1, 2), free(1, 3), free(3, 1)];
            return Ok(part);
        }
        let (n, re) = match o.kind.as_str() {
            "expdisk" => (1.0, SCALE_LENGTHS * need(4, 0)?),
            "gaussian" => (0.5, 0.5 * need(4, 0)?),
            "devauc" => (4.0, need(4, 0)?),
            _ => (need(5, 0)?, need(4, 0)?),
        };
        let q = need(9, 0)?;
        if !(re > 0.0 && n > 0.05 && n < 20.0 && q > 0.0 && q <= 1.0) {
            return Err(format!(
                "radius {re}, index {n}, axis ratio {q}: expected a positive radius, an index of \
                 0.05 to 20 and an axis ratio up to 1"
            ));
        }
        let profile = Sersic {
            flux,
            re,
            n,
            q,
            angle: (need(10, 0)? + 90.0).to_radians(),
            x,
            y,
        };
        let mut part = Part::new(Component::Sersic(profile), size);
        let index = o.kind == "sersic" && free(5, 1);
        part.free = vec![
            free(1, 2),
            free(1, 3),
            free(3, 1),
            free(4, 1),
            index,
            free(9, 1),
            free(10, 1),
        ];
        Ok(part)
    }

    /// Puts the bounds of a constraints file on parts: `1 n 0.7 to 5` (absolute) and `1 x -2 2`
    /// (about where it begins).
    ///
    /// # Errors
    /// Ties of components, ratios and offsets are refused by line.
    pub fn constrain(&self, text: &str, parts: &mut [Part]) -> Result<(), String> {
        for (i, line) in text.lines().enumerate() {
            let bare = line.split('#').next().unwrap_or("").trim();
            let words: Vec<&str> = bare.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            let bad = |why: &str| format!("constraints, line {}: '{}': {why}", i + 1, bare);
            let part = words[0]
                .parse::<usize>()
                .ok()
                .and_then(|c| parts.get_mut(c.checked_sub(1)?))
                .ok_or_else(|| bad("expected the number of one component; ties are not read"))?;
            let sky = matches!(part.component, Component::Sky(_));
            let k = match words.get(1).map(|w| w.to_lowercase()).as_deref() {
                Some("sky") if sky => 0,
                Some("dsdx") if sky => 1,
                Some("dsdy") if sky => 2,
                _ if sky => return Err(bad("expected sky, dsdx or dsdy")),
                Some("x") => 0,
                Some("y") => 1,
                Some("mag" | "m") => 2,
                Some("re" | "r" | "rs") => 3,
                Some("n") => 4,
                Some("q" | "ba" | "b/a") => 5,
                Some("pa") => 6,
                _ => return Err(bad("expected x, y, mag, re, n, q or pa")),
            };
            let number = |w: Option<&&str>| w.and_then(|w| w.parse::<f64>().ok());
            let (low, high) = match words[2..] {
                [low, "to", high] => (number(Some(&low)), number(Some(&high))),
                [low, high] => (number(Some(&low)), number(Some(&high))),
                _ => (None, None),
            };
            let (Some(low), Some(high)) = (low, high) else {
                return Err(bad(
                    "expected 'low to high', or 'low high' about the beginning",
                ));
            };
            if k >= part.bounds.len() {
                return Err(bad("this component has no such parameter"));
            }
            let absolute = words.contains(&"to");
            if sky {
                let about = if absolute {
                    0.0
                } else {
                    part.component.values()[k]
                };
                part.bounds[k] = (about + low, about + high);
                continue;
            }
            part.bounds[k] = self.bound(part, k, (low, high), absolute);
        }
        Ok(())
    }

    /// Bounds as a fit moves the parameter.
    fn bound(&self, p: &Part, k: usize, (low, high): (f64, f64), absolute: bool) -> (f64, f64) {
        let now = p.component.values()[k];
        let log = |v: f64| v.max(1e-9).ln();
        let magnitude = |m: f64| -0.4 * std::f64::consts::LN_10 * (m - self.zero);
        match (k, absolute) {
            (0, true) => (low - self.region[0] as f64, high - self.region[0] as f64),
            (1, true) => (low - self.region[2] as f64, high - self.region[2] as f64),
            (2, true) => (magnitude(high), magnitude(low)),
            // An axis ratio up to 1 may pass through it and out, turned by 90°.
            (5, true) if high >= 1.0 => (log(low), -log(low)),
            (3..=5, true) => (log(low), log(high)),
            (6, true) => ((low + 90.0).to_radians(), (high + 90.0).to_radians()),
            (0 | 1, false) => (now + low, now + high),
            (2, false) => {
                let m = self.zero - 2.5 / std::f64::consts::LN_10 * now;
                (magnitude(m + high), magnitude(m + low))
            }
            (3..=5, false) => (log(now.exp() + low), log(now.exp() + high)),
            _ => (now + low.to_radians(), now + high.to_radians()),
        }
    }

    /// Parameters of a component by GALFIT's names, with their errors.
    pub fn named(&self, part: &Part, c: &Component, e: &[f64]) -> Vec<Named> {
        let free = |k: usize| part.free[k];
        let magnitude = |flux: f64| self.zero - 2.5 * flux.log10();
        let x = |v: f64| v + self.region[0] as f64;
        let y = |v: f64| v + self.region[2] as f64;
        let dex = 2.5 / std::f64::consts::LN_10;
        match c {
            Component::Sky(v) => vec![
                ("SKY", v[0], e[0], free(0)),
                ("DSDX", v[1], e[1], free(1)),
                ("DSDY", v[2], e[2], free(2)),
            ],
            Component::Point { x: px, y: py, flux } => vec![
                ("XC", x(*px), e[0], free(0)),
                ("YC", y(*py), e[1], free(1)),
                ("MAG", magnitude(*flux), dex * e[2], free(2)),
            ],
            Component::Sersic(s) => {
                // −90 to 90.
                let turn = s.angle.to_degrees() - 90.0;
                let pa = (turn + 90.0).rem_euclid(180.0) - 90.0;
                vec![
                    ("XC", x(s.x), e[0], free(0)),
                    ("YC", y(s.y), e[1], free(1)),
                    ("MAG", magnitude(s.flux), dex * e[2], free(2)),
                    ("RE", s.re, s.re * e[3], free(3)),
                    ("N", s.n, s.n * e[4], free(4)),
                    ("AR", s.q, s.q * e[5], free(5)),
                    ("PA", pa, e[6].to_degrees(), free(6)),
                ]
            }
        }
    }

    /// The parameter file with the values of a fit.
    pub fn written(&self, parts: &[Part], f: &Fitted) -> String {
        let path = |p: &Option<PathBuf>| {
            p.as_ref()
                .map_or("none".to_owned(), |p| p.display().to_string())
        };
        let [x0, x1, y0, y1] = self.region;
        let mut out = format!(
            "#  Chi^2/nu = {:.4},  Chi^2 = {:.4},  Ndof = {}\n\n\
             # IMAGE and GALFIT CONTROL PARAMETERS\n\
             A) {}\nB) {}\nC) {}\nD) {}\nE) {}\nF) {}\nG) {}\nH) {x0} {x1} {y0} {y1}\n\
             I) {} {}\nJ) {}\nK) {} {}\nO) regular\nP) 0\n",
            f.chi2 / f.degrees.max(1) as f64,
            f.chi2,
            f.degrees,
            path(&self.data),
            self.output.display(),
            path(&self.sigma),
            path(&self.psf),
            self.fine,
            path(&self.mask),
            path(&self.constraints),
            x1 + 1 - x0,
            y1 + 1 - y0,
            self.zero,
            self.scale[0],
            self.scale[1]
        );
        for (i, (part, c)) in parts.iter().zip(&f.components).enumerate() {
            let rows = self.named(part, c, &f.errors[i]);
            let t = |k: usize| u8::from(part.free[k]);
            let _ = write!(out, "\n# Component number: {}\n", i + 1);
            let v = |k: usize| rows[k].1;
            let _ = match c {
                Component::Sky(_) => writeln!(
                    out,
                    " 0) sky\n 1) {:.6e} {}\n 2) {:.6e} {}\n 3) {:.6e} {}\n Z) 0",
                    v(0),
                    t(0),
                    v(1),
                    t(1),
                    v(2),
                    t(2)
                ),
                Component::Point { .. } => writeln!(
                    out,
                    " 0) psf\n 1) {:.4} {:.4} {} {}\n 3) {:.4} {}\n Z) 0",
                    v(0),
                    v(1),
                    t(0),
                    t(1),
                    v(2),
                    t(2)
                ),
                Component::Sersic(_) => writeln!(
                    out,
                    " 0) sersic\n 1) {:.4} {:.4} {} {}\n 3) {:.4} {}\n 4) {:.4} {}\n 5) {:.4} {}\n \
                     9) {:.4} {}\n10) {:.4} {}\n Z) 0",
                    v(0),
                    v(1),
                    t(0),
                    t(1),
                    v(2),
                    t(2),
                    v(3),
                    t(3),
                    v(4),
                    t(4),
                    v(5),
                    t(5),
                    v(6),
                    t(6)
                ),
            };
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
A) gal.fits  # data
B) block.fits
C) none
D) psf.fits
E) 1
F) none
G) none
H) 11 93 1 90
I) 100 100
J) 26.563
K) 0.038 0.038
P) 0
# Object number: 1
 0) sersic
 1) 48.5 51.25 1 1
 3) 20.0 1
 4) 5.1 1
 5) 4.2 0
 9) 0.75 1
10) -60.0 1
 Z) 0
 0) expdisk
 1) 48.5 51.25 0 0
 3) 21.0 1
 4) 3.0 1
 9) 0.5 1
10) 10.0 1
 0) sky
 1) 1.39 1
 2) 0 0
 3) 0 0
";

    #[test]
    fn files_are_read_and_written() {
        let f = Feedme::parse(TEXT).unwrap();
        assert_eq!((f.size(), f.objects.len(), f.fine), ((90, 83), 3, 1));
        let parts = f.parts().unwrap();
        let Component::Sersic(s) = &parts[0].component else {
            panic!()
        };
        assert!((s.x - 37.5).abs() < 1e-12 && (s.y - 50.25).abs() < 1e-12);
        assert!((s.flux - 10f64.powf(-0.4 * (20.0 - 26.563))).abs() < 1e-9);
        assert!((s.angle.to_degrees() - 30.0).abs() < 1e-9);
        assert_eq!(parts[0].free, [true, true, true, true, false, true, true]);
        let Component::Sersic(disc) = &parts[1].component else {
            panic!()
        };
        assert!(disc.n == 1.0 && (disc.re - 5.035).abs() < 1e-3 && !parts[1].free[4]);
        assert_eq!(parts[2].free, [true, false, false]);
        let mut bounded = parts.clone();
        f.constrain(
            "1 n 0.7 to 5 # index\n 1 x -2 2\n2 mag 18 to 25",
            &mut bounded,
        )
        .unwrap();
        assert_eq!(bounded[0].bounds[0], (35.5, 39.5));
        assert!((bounded[0].bounds[4].1 - 5f64.ln()).abs() < 1e-12);
        assert!(bounded[1].bounds[2].0 < bounded[1].bounds[2].1);
        let why = f.constrain("1_2 x offset", &mut bounded).unwrap_err();
        assert!(why.contains("line 1") && why.contains("ties"), "{why}");
        // Written and read, it is the same.
        let fitted = Fitted {
            components: parts.iter().map(|p| p.component.clone()).collect(),
            errors: parts.iter().map(|p| vec![0.0; p.free.len()]).collect(),
            at_bound: vec![],
            covariance: None,
            chi2: 1.0,
            degrees: 1,
            calls: 1,
            settled: true,
            model: vec![],
        };
        let again = Feedme::parse(&f.written(&parts, &fitted)).unwrap();
        for (a, b) in again.parts().unwrap().iter().zip(&parts) {
            let pairs = a.component.values().into_iter().zip(b.component.values());
            pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-3, "{a} {b}"));
            assert_eq!(a.free, b.free);
        }
    }

    #[test]
    fn what_is_not_fitted_is_refused() {
        let why = |text: String| Feedme::parse(&text).unwrap_err();
        assert!(why(TEXT.replace("expdisk", "nuker")).contains("nuker"));
        assert!(why(TEXT.replace(" Z) 0", " F1) 0.1 10 1 1")).contains("Fourier"));
        assert!(why(TEXT.replace("H) 11 93", "H) 93 11")).contains("H)"));
        assert!(why(TEXT.replace("3) 20.0 1", "3) 20.0,20.1,20.2 1")).contains("GALFITM"));
        assert!(why("J) 25".into()).contains("no component"));
        let bad = Feedme::parse(&TEXT.replace("9) 0.75 1", "9) 1.75 1")).unwrap();
        assert!(bad.parts().unwrap_err().contains("component 1"));
    }
}
