//! Answers to columns of the catalogue.

use slipher_data::columns::Columns;

use super::*;
use crate::system::Derived;
use slipher_nn::heads::posterior::samples;
use slipher_sim::random::Stream;

impl Answerer {
    /// Columns of the catalogue.
    pub fn columns(&self, rows: &[Answer]) -> Vec<Column> {
        let mut t = Columns::of(rows);
        t.text(
            [
                "object_id",
                "",
                "meta.id;meta.main",
                "name in the file, or of the file",
            ],
            |r| r.object_id.clone(),
        );
        t.f64(
            ["ra", "deg", "pos.eq.ra", "right ascension of the middle"],
            |r| r.ra,
        );
        t.f64(
            ["dec", "deg", "pos.eq.dec", "declination of the middle"],
            |r| r.dec,
        );
        t.extend(self.answer_columns(rows));
        if self.model.familiarity.is_some() {
            let what = "share of the model's own kind that is as strange";
            t.f64(["familiarity", "", "stat.fit.goodness", what], |r| {
                r.familiarity
            });
        }
        if self.polish {
            let what = "χ² over degrees of freedom of the fit";
            t.f64(["fit_chi2nu", "", "stat.fit.chi2", what], |r| r.fit.0);
            let what = "images of the model that the fit took";
            t.i32(["fit_calls", "", "meta.number", what], |r| r.fit.1 as i32);
        }
        if self.embedding {
            let width = self.model.embedding_width();
            let nothing = vec![f32::NAN; width];
            let of = |r: &Answer| {
                let known = r.embedding.len() == width;
                if known {
                    r.embedding.clone()
                } else {
                    nothing.clone()
                }
            };
            let what = "features of the network's last layers, for slipher find-similar";
            let values = rows.iter().flat_map(of).collect();
            t.put(
                ["embedding", "", "", what],
                Values::F32Arrays { width, values },
            );
        }
        let own = self.model.system.own_flags();
        let mut bits =
            "bits: 0 bad input, 1 few pixels, 2 unsure, 3 bands assumed, 4 unfamiliar".to_owned();
        if self.model.system.refines() {
            bits.push_str(", 5 no fit");
        }
        for (k, what) in own.iter().enumerate() {
            bits.push_str(&format!(", {} {what}", k as i32 + flag::OWN));
        }
        let bits = interned(bits);
        t.i32(["flags", "", "meta.code.qual", bits], |r| r.flags);
        let inputs: Vec<Option<&Observation>> = rows.iter().map(|r| r.input.as_ref()).collect();
        t.extend(self.model.system.extra_columns(&inputs));
        t.text(["error", "", "meta.note", "why there is no answer"], |r| {
            r.error.clone()
        });
        t.text(["file", "", "meta.file", "where the image was read"], |r| {
            r.source.clone()
        });
        t.i64(["row", "", "meta.number", "HDU, plane or row in it"], |r| {
            r.row as i64
        });
        t.done()
    }

    fn answer_columns(&self, rows: &[Answer]) -> Vec<Column> {
        let names = self.model.system.outputs();
        let each = |what: &'static str| {
            let mut t = Columns::of(rows);
            for (k, name) in names.iter().copied().enumerate() {
                t.f32([name, "", "stat.probability", what], |r| r.values[k]);
            }
            t.done()
        };
        match self.model.head.kind() {
            Kind::Classes => {
                let class = |r: &Answer| {
                    if r.error.is_empty() {
                        names[largest(&r.values)].to_owned()
                    } else {
                        String::new()
                    }
                };
                let p = |r: &Answer| {
                    if r.error.is_empty() {
                        r.values[largest(&r.values)]
                    } else {
                        f32::NAN
                    }
                };
                let mut t = Columns::of(rows);
                t.text(
                    ["class", "", "meta.code.class", "the likeliest answer"],
                    class,
                );
                let meaning = "probability of the likeliest answer";
                t.f32(["p_class", "", "stat.probability", meaning], p);
                t.extend(each("probability of this answer"));
                t.done()
            }
            Kind::Shares => each("share of the votes"),
            Kind::Posterior => self.posterior_columns(rows),
            Kind::Pixels => self.pixel_columns(rows),
        }
    }

    /// Images of an answer by name, and what is measured on them.
    fn pixel_columns(&self, rows: &[Answer]) -> Vec<Column> {
        let system = self.model.system;
        let (names, measured) = (system.outputs(), system.measured());
        let width = self.model.width() / names.len().max(1);
        let mut t = Columns::of(rows);
        for (k, m) in measured.iter().enumerate() {
            let at = names.len() * width + k;
            let of = |r: &Answer| r.values.get(at).copied().unwrap_or(f32::NAN);
            t.f32([m[0], m[1], "", m[2]], of);
        }
        for (k, name) in names.iter().copied().enumerate() {
            let of = |r: &Answer| r.values[k * width..(k + 1) * width].to_vec();
            let values = rows.iter().flat_map(of).collect();
            let about = [name, "", "phys", "the image, [row][column]"];
            t.put(about, Values::F32Arrays { width, values });
        }
        t.done()
    }

    /// Mean, error and quantiles of each parameter, and the covariance of all.
    fn posterior_columns(&self, rows: &[Answer]) -> Vec<Column> {
        let (names, units) = (self.model.system.outputs(), self.model.system.units());
        let d = names.len();
        let of = |f: &(dyn Fn(&Posterior) -> f64 + Sync)| {
            let one = |r: &Answer| {
                if r.error.is_empty() {
                    f(&Posterior::of(&r.values, d))
                } else {
                    f64::NAN
                }
            };
            Values::F64(rows.par_iter().map(one).collect())
        };
        let mut t = Columns::of(rows);
        for (j, name) in names.iter().copied().enumerate() {
            let unit = units.get(j).copied().unwrap_or_default();
            t.put(
                [name, unit, "stat.mean", "mean of the posterior"],
                of(&|p| p.mean(j)),
            );
            let error = interned(format!("{name}_err"));
            let meaning = "standard deviation of the posterior";
            t.put([error, unit, "stat.error", meaning], of(&|p| p.sigma(j)));
            for (q, what) in QUANTILES {
                let name = interned(format!("{name}_{what}"));
                let meaning = "quantile of the posterior, per cent in the name";
                t.put([name, unit, "stat", meaning], of(&|p| p.quantile(j, q)));
            }
        }
        t.extend(self.derived_columns(rows));
        let covariance = |r: &Answer| -> Vec<f64> {
            if !r.error.is_empty() {
                return vec![];
            }
            let p = Posterior::of(&r.values, d);
            (0..d)
                .flat_map(|i| (0..=i).map(move |j| (i, j)))
                .map(|(i, j)| p.covariance(i, j))
                .collect()
        };
        let all = Values::F64Lists(rows.par_iter().map(covariance).collect());
        let meaning = "of the parameters, the lower triangle row by row";
        t.put(["covariance", "", "stat.covariance", meaning], all);
        t.done()
    }

    /// Quantities that follow from the posterior: the middle of samples, and half the width of the
    /// 68 % around it.
    fn derived_columns(&self, rows: &[Answer]) -> Vec<Column> {
        let all = self.model.system.derived();
        if all.is_empty() {
            return vec![];
        }
        let d = self.model.system.outputs().len();
        let mut rng = Stream::new(0, DERIVED, 0);
        let normals: Vec<f64> = (0..SAMPLES * d).map(|_| rng.normal(0.0, 1.0)).collect();
        let nothing = vec![[f64::NAN; 2]; all.len()];
        let of = |r: &Answer| -> Vec<[f64; 2]> {
            let (Some(x), true) = (&r.input, r.error.is_empty()) else {
                return nothing.clone();
            };
            let s = samples(&r.values, d, &normals);
            let one =
                |q: &Derived| middle(s.chunks_exact(d).map(|t| (q.of)(t, x)).collect(), q.period);
            all.iter().map(one).collect()
        };
        let found: Vec<Vec<[f64; 2]>> = rows.par_iter().map(of).collect();
        let mut t = Columns::of(rows);
        for (k, q) in all.iter().enumerate() {
            let part = |i: usize| Values::F64(found.iter().map(|r| r[k][i]).collect());
            t.put([q.name, q.unit, "stat.median", q.meaning], part(0));
            let meaning = "half the width of the middle 68 % of the posterior";
            let name = interned(format!("{}_err", q.name));
            t.put([name, q.unit, "stat.error", meaning], part(1));
        }
        t.done()
    }
}

/// Samples of a posterior for what follows from it, and what keeps their stream apart.
const SAMPLES: usize = 500;
const DERIVED: u64 = 0xDE_71;

/// Middle of values and half the width of the 68 % around it; of those that wrap, around their
/// circular mean.
fn middle(mut v: Vec<f64>, period: Option<f64>) -> [f64; 2] {
    if v.is_empty() || v.iter().any(|x| x.is_nan()) {
        return [f64::NAN; 2];
    }
    let mut centre = 0.0;
    if let Some(p) = period {
        let turn = std::f64::consts::TAU / p;
        let sum = |f: fn(f64) -> f64| v.iter().map(|x| f(turn * x)).sum::<f64>();
        centre = sum(f64::sin).atan2(sum(f64::cos)) / turn;
        v.iter_mut().for_each(|x| {
            *x -= centre;
            *x -= (*x / p).round() * p;
        });
    }
    v.sort_by(f64::total_cmp);
    let at = |q: f64| v[((v.len() - 1) as f64 * q).round() as usize];
    [centre + at(0.5), 0.5 * (at(0.84) - at(0.16))]
}
