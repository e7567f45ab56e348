//! Running the cells of the study: each is kept in its folder, and resumed.

use super::*;

impl Study {
    /// Writes down what this folder holds.
    ///
    /// # Errors
    /// The folder cannot be written, or holds another study.
    pub fn claim(&self) -> Result<(), StudyError> {
        let path = self.folder.join("study.json");
        let own = serde_json::json!({ "scale": self.scale, "seed": self.seed, "other library": self.other }).to_string();
        let fail = |why: String| StudyError::File {
            path: path.clone(),
            why,
        };
        match std::fs::read_to_string(&path) {
            Ok(text) if text == own => Ok(()),
            Ok(text) => Err(fail(format!(
                "this folder holds another study, {text}; give another --output, or its own settings"
            ))),
            Err(_) => {
                std::fs::create_dir_all(&self.folder).map_err(|e| fail(e.to_string()))?;
                atomic_write(&path, &own)
            }
        }
    }

    fn home(&self, cell: &Cell) -> PathBuf {
        self.folder.join("cells").join(&cell.name)
    }

    /// The result of a cell, if it is finished.
    pub fn finished(&self, cell: &Cell) -> Option<Finished> {
        let text = std::fs::read_to_string(self.home(cell).join("result.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// True redshift, class answered and probability of being close, of each row of a test of a
    /// finished cell.
    pub fn predictions(&self, cell: &Cell, key: &str) -> Option<Vec<[f32; 3]>> {
        let c = Checkpoint::read(&self.home(cell).join("predictions.safetensors")).ok()?;
        let part = |what: &str| {
            c.tensors
                .get(&format!("{key}.{what}"))
                .map(|a| a.values.clone())
        };
        let (z, class, p) = (part("z")?, part("class")?, part("p")?);
        Some(
            z.into_iter()
                .zip(class)
                .zip(p)
                .map(|((z, c), p)| [z, c, p])
                .collect(),
        )
    }

    /// Runs a cell unless it is finished. `tell` hears of progress and says whether to go on; false
    /// if it was stopped.
    ///
    /// # Errors
    /// What cannot be built, trained or written.
    pub fn run(
        &self,
        cell: &Cell,
        pools: &mut StudyPools,
        tell: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<bool, StudyError> {
        if self.finished(cell).is_some() {
            return Ok(true);
        }
        let home = self.home(cell);
        std::fs::create_dir_all(&home).map_err(|e| StudyError::File {
            path: home.clone(),
            why: e.to_string(),
        })?;
        match &cell.kind {
            Kind::Train(plan) => self.train(cell, plan, &home, &mut pools.0, tell),
            Kind::Classical {
                method,
                noisy,
                setting,
            } => self.classical(cell, (*method, *noisy, *setting), &home, &mut pools.0, tell),
        }
    }

    fn train(
        &self,
        cell: &Cell,
        plan: &Plan,
        home: &Path,
        pools: &mut Pools,
        tell: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<bool, StudyError> {
        let noisy = plan.sample.noise != Noise::Clean;
        let variant = cell.name.starts_with("variant");
        let tests = self.tests(
            noisy,
            plan.setting,
            plan.examples == self.scale.sizes().few && !variant,
            variant,
        );
        let n = self.scale.sizes().test;
        let mut finished;
        let mut results = Vec::new();
        {
            let pool = pools.get(&plan.seds, plan.setting)?;
            let mut run = Run::new(plan.clone(), &pool)?;
            let of = plan.steps();
            let whole = run.go(home, |r| {
                let text = format!(
                    "loss {:.3}, {:.1} % right, {:.0} spectra/s",
                    r.report.loss,
                    100.0 * r.report.correct,
                    (r.step * plan.batch) as f64 / r.seconds.max(1e-9)
                );
                tell(Progress {
                    cell: &cell.title,
                    done: r.step,
                    of,
                    text,
                })
            })?;
            if !whole {
                return Ok(false);
            }
            let calibration = run.calibrate(self.scale.sizes().calibration);
            finished = Finished {
                name: cell.name.clone(),
                title: cell.title.clone(),
                settings: serde_json::to_value(plan).unwrap_or_default(),
                search: vec![],
                curve: run.curve.clone(),
                examples: plan.examples,
                seconds: run.seconds,
                weights: run.net.weights(),
                calibration: calibration.clone(),
                tests: vec![],
            };
            let other = self
                .other_seds()
                .map(|r| pools.get(&r, plan.setting))
                .transpose()?;
            for t in &tests {
                if !tell(Progress {
                    cell: &cell.title,
                    done: of,
                    of,
                    text: format!("test {}", t.key),
                }) {
                    return Ok(false);
                }
                let pool = if t.other {
                    other.as_ref().unwrap_or(&pool)
                } else {
                    &pool
                };
                results.push((
                    t.key.clone(),
                    answers(&*run.net, pool, &t.sample, n, &calibration),
                ));
            }
        }
        self.keep(home, &mut finished, results)?;
        Ok(true)
    }

    fn classical(
        &self,
        cell: &Cell,
        (method, noisy, setting): (Method, bool, Setting),
        home: &Path,
        pools: &mut Pools,
        tell: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<bool, StudyError> {
        let s = self.scale.sizes();
        let pool = pools.get(&self.seds(), setting)?;
        let other = self
            .other_seds()
            .map(|r| pools.get(&r, setting))
            .transpose()?;
        let mut tests = self.tests(
            noisy,
            setting,
            matches!(method, Method::NeighboursPca | Method::Forest),
            !method.reduces() && !method.needs_noise(),
        );
        if method == Method::OwnTemplate {
            // The ceiling of the ladder; it learns nothing that another library could upset.
            tests.retain(|t| !t.other && t.key != "mixed");
        }
        let task = classical::Task {
            pool: &pool,
            sample: self.sample(noisy),
            examples: s.classical,
            validation: s.validation,
            filter: s.filter,
            seed: self.seed,
        };
        let mut say = |text: String| {
            tell(Progress {
                cell: &cell.title,
                done: 0,
                of: 1,
                text,
            })
        };
        let mut fitted = method.fit(&task, &mut |text| {
            say(text);
        });
        let mut results = Vec::new();
        for t in &tests {
            if !say(format!("test {}", t.key)) {
                return Ok(false);
            }
            let pool = if t.other {
                other.as_ref().unwrap_or(&pool)
            } else {
                &pool
            };
            results.push((t.key.clone(), fitted.model.answers(pool, &t.sample, s.test)));
        }
        let mut finished = Finished {
            name: cell.name.clone(),
            title: cell.title.clone(),
            settings: serde_json::json!({ "method": method.title(), "chosen": fitted.chosen, "seconds to predict a spectrum": fitted.model.seconds() }),
            search: fitted.search,
            curve: vec![],
            examples: fitted.examples,
            seconds: fitted.seconds,
            weights: 0,
            calibration: Calibration { knots: vec![] },
            tests: vec![],
        };
        self.keep(home, &mut finished, results)?;
        Ok(true)
    }

    fn keep(
        &self,
        home: &Path,
        finished: &mut Finished,
        results: Vec<(String, (Answers, Truth))>,
    ) -> Result<(), StudyError> {
        let mut c = Checkpoint::default();
        for (key, (a, truth)) in &results {
            let close =
                |i: usize| (centre(a.class[i]) - truth.z[i]).abs() / (1.0 + truth.z[i]) < CLOSE;
            finished.tests.push(Tested {
                key: key.clone(),
                metrics: metrics(truth, a),
                reliability: reliability(&a.p_close, &close),
                purity: purity(&a.p_close, &close),
                confusions: CONFUSIONS
                    .iter()
                    .map(|(label, line, taken)| {
                        ((*label).to_owned(), confusion(truth, a, (*line, *taken)))
                    })
                    .collect(),
            });
            c.tensors.insert(
                format!("{key}.z"),
                Array::flat(truth.z.iter().map(|z| *z as f32).collect()),
            );
            c.tensors.insert(
                format!("{key}.class"),
                Array::flat(a.class.iter().map(|k| *k as f32).collect()),
            );
            c.tensors
                .insert(format!("{key}.p"), Array::flat(a.p_close.clone()));
        }
        c.write(&home.join("predictions.safetensors"))?;
        let path = home.join("result.json");
        let text = serde_json::to_string_pretty(finished).map_err(|e| StudyError::File {
            path: path.clone(),
            why: e.to_string(),
        })?;
        atomic_write(&path, &text)
    }
}
