//! Answers to columns of the catalogue.

use super::*;

impl Answerer {
    /// Columns of the catalogue.
    pub fn columns(&self, rows: &[Answer]) -> Vec<Column> {
        let text = |f: &dyn Fn(&Answer) -> String| Values::Text(rows.iter().map(f).collect());
        let number = |f: &dyn Fn(&Answer) -> f64| Values::F64(rows.iter().map(f).collect());
        let mut out = vec![
            column(
                "object_id",
                "",
                "meta.id;meta.main",
                "name in the file, or of the file",
                text(&|r| r.object_id.clone()),
            ),
            column(
                "ra",
                "deg",
                "pos.eq.ra",
                "right ascension of the middle",
                number(&|r| r.ra),
            ),
            column(
                "dec",
                "deg",
                "pos.eq.dec",
                "declination of the middle",
                number(&|r| r.dec),
            ),
        ];
        out.extend(self.answer_columns(rows));
        let flags = Values::I32(rows.iter().map(|r| r.flags).collect());
        out.push(column(
            "flags",
            "",
            "meta.code.qual",
            "bits: 0 bad input, 1 few pixels, 2 unsure, 3 bands assumed",
            flags,
        ));
        let inputs: Vec<Option<&Observation>> = rows.iter().map(|r| r.input.as_ref()).collect();
        out.extend(self.model.system.extra_columns(&inputs));
        out.push(column(
            "error",
            "",
            "meta.note",
            "why there is no answer",
            text(&|r| r.error.clone()),
        ));
        out.push(column(
            "file",
            "",
            "meta.file",
            "where the image was read",
            text(&|r| r.source.clone()),
        ));
        let place = Values::I64(rows.iter().map(|r| r.row as i64).collect());
        out.push(column(
            "row",
            "",
            "meta.number",
            "HDU, plane or row in it",
            place,
        ));
        out
    }

    fn answer_columns(&self, rows: &[Answer]) -> Vec<Column> {
        let names = self.model.system.outputs();
        let value = |k: usize| Values::F32(rows.iter().map(|r| r.values[k]).collect());
        let each = |what: &'static str| {
            let one = |(k, name): (usize, &&'static str)| {
                column(name, "", "stat.probability", what, value(k))
            };
            names.iter().enumerate().map(one).collect::<Vec<_>>()
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
                let classes = Values::Text(rows.iter().map(class).collect());
                let most = Values::F32(rows.iter().map(p).collect());
                let mut out = vec![
                    column(
                        "class",
                        "",
                        "meta.code.class",
                        "the likeliest answer",
                        classes,
                    ),
                    column(
                        "p_class",
                        "",
                        "stat.probability",
                        "probability of the likeliest answer",
                        most,
                    ),
                ];
                out.extend(each("probability of this answer"));
                out
            }
            Kind::Shares => each("share of the votes"),
            Kind::Posterior => self.posterior_columns(rows),
            Kind::Pixels => {
                let images = Values::F32Lists(rows.iter().map(|r| r.values.clone()).collect());
                vec![column(
                    "image",
                    "",
                    "phys",
                    "the image, [channel][row][column]",
                    images,
                )]
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
        let mut out = Vec::new();
        for (j, name) in names.iter().copied().enumerate() {
            let unit = units.get(j).copied().unwrap_or_default();
            let error = interned(format!("{name}_err"));
            out.push(column(
                name,
                unit,
                "stat.mean",
                "mean of the posterior",
                of(&|p| p.mean(j)),
            ));
            out.push(column(
                error,
                unit,
                "stat.error",
                "standard deviation of the posterior",
                of(&|p| p.sigma(j)),
            ));
            for (q, what) in QUANTILES {
                let name = interned(format!("{name}_{what}"));
                out.push(column(
                    name,
                    unit,
                    "stat",
                    "quantile of the posterior, per cent in the name",
                    of(&|p| p.quantile(j, q)),
                ));
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
        out.push(column(
            "covariance",
            "",
            "stat.covariance",
            "of the parameters, the lower triangle row by row",
            all,
        ));
        out
    }
}
