//! What a run did, in words and as JSON.

use std::collections::BTreeMap;

use slipher_data::warning::Warning;
use slipher_systems::redshift::catalogue::Row;
use slipher_systems::redshift::contract::Measurer;
use slipher_systems::redshift::measure::zwarn;

use super::Outputs;
use crate::commands::counted;

#[derive(Default)]
pub(super) struct Counts {
    pub rows: usize,
    pub failed: usize,
    sure: usize,
    /// Σ p_correct of the accepted rows, and of all.
    expected: [f64; 2],
    class: [usize; 3],
    unread: usize,
    /// Rows with each warning.
    warnings: BTreeMap<Warning, usize>,
}

impl Counts {
    pub fn add(&mut self, r: &Row) {
        self.rows += 1;
        self.unread += usize::from(r.measurement.zwarn & zwarn::UNREADABLE != 0);
        for w in &r.measurement.warnings {
            *self.warnings.entry(*w).or_default() += 1;
        }
        match r.measurement.best() {
            Some(b) => {
                self.class[b.class as usize] += 1;
                let accepted = r.measurement.accepted();
                self.sure += usize::from(accepted);
                self.expected[0] += if accepted { b.probability } else { 0.0 };
                self.expected[1] += b.probability;
            }
            None => self.failed += 1,
        }
    }

    /// Expected purity of the accepted rows, and expected share of all right answers among them.
    fn purity_completeness(&self) -> Option<(f64, f64)> {
        let [accepted, all] = self.expected;
        (self.sure > 0).then(|| (accepted / self.sure as f64, accepted / all.max(1e-9)))
    }

    pub fn json(
        &self,
        measurer: &Measurer,
        files: usize,
        seconds: f64,
        outputs: &Outputs,
    ) -> serde_json::Value {
        let [galaxy, qso, star] = self.class;
        let warnings: BTreeMap<&str, usize> =
            self.warnings.iter().map(|(w, n)| (w.name(), *n)).collect();
        serde_json::json!({
            "files": files,
            "rows": self.rows,
            "measured": self.rows - self.failed,
            "failed": self.failed,
            "unreadable": self.unread,
            "accepted": self.sure,
            "expected_purity": self.purity_completeness().map(|p| p.0),
            "expected_completeness": self.purity_completeness().map(|p| p.1),
            "spectype": {"GALAXY": galaxy, "QSO": qso, "STAR": star},
            "warnings": warnings,
            "seconds": seconds,
            "outputs": outputs.files().map(|p| p.display().to_string()).collect::<Vec<_>>(),
            "about": crate::commands::parts::keys(measurer).into_iter().collect::<BTreeMap<_, _>>(),
        })
    }

    pub fn tell(&self, files: usize, seconds: f64, outputs: &Outputs) {
        let measured = self.rows - self.failed;
        let [g, q, s] = self.class;
        tell!(
            "{} measured in {}, {seconds:.1} s ({:.0} a second): {}, {}, {}.",
            counted(measured, "spectrum"),
            counted(files, "file"),
            measured as f64 / seconds.max(1e-9),
            counted(g, "galaxy"),
            counted(q, "quasar"),
            counted(s, "star")
        );
        tell!(
            "{} accepted; {} only a best guess (column accepted, --purity).",
            counted(self.sure, "redshift"),
            match measured - self.sure {
                1 => "1 spectrum has".to_owned(),
                n => format!("{n} spectra have"),
            }
        );
        if let Some((purity, completeness)) = self.purity_completeness() {
            tell!(
                "By their own probabilities {:.1} % of the accepted are right, and {:.1} % of all \
                 right redshifts are among them (slipher accept moves the threshold for a sample).",
                100.0 * purity,
                100.0 * completeness
            );
        }
        if self.failed > 0 {
            tell!(
                "{} no redshift ({} unreadable): see the columns zwarn and error.",
                match self.failed {
                    1 => "1 row has".to_owned(),
                    n => format!("{n} rows have"),
                },
                self.unread
            );
        }
        for (w, n) in &self.warnings {
            let barred = if w.blocks() { "; not accepted" } else { "" };
            tell!(
                "{} with the warning {}: {}{barred}.",
                counted(*n, "row"),
                w.name(),
                w.about()
            );
        }
        for p in outputs.files() {
            tell!("Wrote {}", p.display());
        }
    }
}
