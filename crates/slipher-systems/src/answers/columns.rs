//! Answers to columns of the catalogue.

use slipher_data::columns::Columns;

use super::*;

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
        let bits = "bits: 0 bad input, 1 few pixels, 2 unsure, 3 bands assumed, 4 unfamiliar";
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
            Kind::Pixels => {
                let images = Values::F32Lists(rows.iter().map(|r| r.values.clone()).collect());
                let mut t = Columns::of(rows);
                t.put(
                    ["image", "", "phys", "the image, [channel][row][column]"],
                    images,
                );
                t.done()
            }
        }
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
}
