//! A catalogue that is being inspected: what is asked of it, whichever face asks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::InspectError;
use crate::decisions::{self, Decision, Given, Key};
use crate::look::{Item, Look};
use crate::places::Places;
use crate::table::{Column, Table};
use crate::view::{self, Decided, Query};

/// How the name of a view begins that depends on decisions.
const OF_DECISIONS: &str = "decided by ";
/// Views whose rows are kept.
const VIEWS: usize = 8;

/// What a session is opened with.
pub struct Options {
    /// Parts of the catalogue.
    pub catalogue: Vec<PathBuf>,
    /// Files that the catalogue names, where they have moved.
    pub sources: Vec<PathBuf>,
    /// The decisions file: .csv or .parquet.
    pub decisions: PathBuf,
    /// Who decides, unless somebody says otherwise.
    pub inspector: String,
    /// Model file; none: the one that comes with the program.
    pub model: Option<PathBuf>,
}

struct Decisions {
    all: Vec<Decision>,
    /// Places in `all` of the decisions about each row.
    of_row: HashMap<u32, Vec<usize>>,
    /// When the file was last changed, as far as known.
    stamp: Option<(SystemTime, u64)>,
}

/// Columns by which a row is known.
struct Identifying {
    file: Option<Arc<Column>>,
    hdu: Option<Arc<Column>>,
    row: Option<Arc<Column>>,
    name: Option<Arc<Column>>,
}

impl Identifying {
    fn name(&self, row: usize) -> String {
        self.name.as_ref().map_or(String::new(), |c| c.text(row))
    }
}

type Views = Vec<(String, Arc<Vec<u32>>)>;

/// A catalogue that is being inspected.
pub struct Session {
    /// Its columns.
    pub table: Table,
    /// Who decides, unless somebody says otherwise.
    pub inspector: String,
    /// The decisions file.
    pub path: PathBuf,
    places: Places,
    look: Result<Box<dyn Look>, String>,
    decisions: Mutex<Decisions>,
    views: Mutex<Views>,
}

/// A decision as the page sends it.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Row of the catalogue.
    pub row: u32,
    /// 0 to 4; none where it is only commented.
    #[serde(default)]
    pub quality: Option<u8>,
    /// Redshift; none where it is that of the catalogue.
    #[serde(default)]
    pub z: Option<f64>,
    /// Class; empty where it is that of the catalogue.
    #[serde(default)]
    pub class: String,
    /// S where the data are bad.
    #[serde(default)]
    pub bad_data: bool,
    /// In words.
    #[serde(default)]
    pub comment: String,
}

/// What a page shows of a decision.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Inspector.
    pub scanner: String,
    /// 0 to 4.
    pub quality: Option<u8>,
    /// R, C, S.
    pub issue: String,
    /// Redshift that stands after it.
    pub z: Option<f64>,
    /// Class that stands after it.
    pub class: String,
    /// In words.
    pub comment: String,
    /// When.
    pub time: String,
}

impl From<&Decision> for Shown {
    fn from(d: &Decision) -> Shown {
        Shown {
            scanner: d.scanner.clone(),
            quality: d.quality,
            issue: d.issue.clone(),
            z: d.final_z(),
            class: d.final_class().to_owned(),
            comment: d.comment.clone(),
            time: d.time.clone(),
        }
    }
}

/// How many rows are decided, and how far inspectors agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Rows of the catalogue.
    pub rows: usize,
    /// With a decision of this inspector.
    pub mine: usize,
    /// With one of anybody.
    pub decided: usize,
    /// With decisions of several.
    pub shared: usize,
    /// Of these, where all say the same.
    pub agreed: usize,
    /// Who has decided.
    pub inspectors: Vec<String>,
}

/// All of a row: its columns, what it was measured on, what was decided.
#[derive(Clone, Debug, Serialize)]
pub struct RowShown {
    /// Row of the catalogue.
    pub row: u32,
    /// Columns.
    pub columns: Map<String, Value>,
    /// The observation, or why there is none.
    pub item: Result<Item, String>,
    /// What does not fit together.
    pub warnings: Vec<String>,
    /// By everybody.
    pub decisions: Vec<Shown>,
}

impl Session {
    /// Opens a catalogue with its decisions, which may be none yet.
    ///
    /// # Errors
    /// No catalogue, or a decisions file that is something else.
    pub fn open(o: Options) -> Result<Session, InspectError> {
        let table = Table::open(&o.catalogue)?;
        if !table.has("file") && !table.has("object_id") {
            let why = "has neither a column 'file' nor 'object_id', by which rows are known";
            return Err(InspectError::file(table.path(), why));
        }
        let example = table.row(0).ok();
        let example = example.as_ref().and_then(|r| r.get("file")?.as_str());
        let places = Places::new(table.path(), example, o.sources);
        // Catalogues of redshifts do not name their system: it needs no verb to be learned.
        let system = table
            .key("system")
            .unwrap_or(slipher_systems::registry::names()[0]);
        let settings = table.key("settings").unwrap_or_default();
        let look = crate::look::open(system, o.model.as_deref(), settings);
        if let (Err(e), Some(_)) = (&look, &o.model) {
            return Err(InspectError::Asked(e.to_string()));
        }
        let session = Session {
            table,
            inspector: o.inspector,
            path: o.decisions,
            places,
            look: look.map_err(|e| e.to_string()),
            decisions: Mutex::new(Decisions {
                all: vec![],
                of_row: HashMap::new(),
                stamp: None,
            }),
            views: Mutex::default(),
        };
        session.refresh()?;
        Ok(session)
    }

    fn lock(&self) -> MutexGuard<'_, Decisions> {
        self.decisions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn stamp(&self) -> Option<(SystemTime, u64)> {
        let m = std::fs::metadata(&self.path).ok()?;
        Some((m.modified().ok()?, m.len()))
    }

    /// Reads the decisions again if somebody else has written some.
    ///
    /// # Errors
    /// As [`decisions::read`].
    pub fn refresh(&self) -> Result<(), InspectError> {
        let stamp = self.stamp();
        if stamp == self.lock().stamp {
            return Ok(());
        }
        let all = decisions::read(&self.path)?;
        self.replace(all, stamp, HashMap::new())
    }

    fn replace(
        &self,
        all: Vec<Decision>,
        stamp: Option<(SystemTime, u64)>,
        mut known: HashMap<Key, u32>,
    ) -> Result<(), InspectError> {
        let mut now = self.lock();
        for (row, at) in &now.of_row {
            for k in at {
                known.insert(now.all[*k].key(), *row);
            }
        }
        if all.iter().any(|d| !known.contains_key(&d.key())) {
            known.extend(self.find(&all)?);
        }
        let mut of_row: HashMap<u32, Vec<usize>> = HashMap::new();
        for (k, d) in all.iter().enumerate() {
            if let Some(row) = known.get(&d.key()) {
                of_row.entry(*row).or_default().push(k);
            }
        }
        *now = Decisions { all, of_row, stamp };
        drop(now);
        self.views
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|v| !v.0.starts_with(OF_DECISIONS));
        Ok(())
    }

    /// Rows of the catalogue that decisions are about.
    fn find(&self, all: &[Decision]) -> Result<HashMap<Key, u32>, InspectError> {
        let wanted: std::collections::HashSet<Key> = all.iter().map(Decision::key).collect();
        let names: std::collections::HashSet<&str> =
            all.iter().map(|d| d.object_id.as_str()).collect();
        let columns = self.identifying()?;
        let found = (0..self.table.len()).into_par_iter().filter_map(|row| {
            if !names.contains(columns.name(row).as_str()) {
                return None;
            }
            let key = self.key_of(&columns, row);
            wanted.contains(&key).then_some((key, row as u32))
        });
        Ok(found.collect())
    }

    fn identifying(&self) -> Result<Identifying, InspectError> {
        let one = |name: &str| {
            self.table
                .has(name)
                .then(|| self.table.column(name))
                .transpose()
        };
        Ok(Identifying {
            file: one("file")?,
            hdu: one("hdu")?,
            row: one("row")?,
            name: one("object_id")?,
        })
    }

    fn key_of(&self, c: &Identifying, row: usize) -> Key {
        let whole = |c: &Option<Arc<Column>>| {
            let v = c.as_ref()?.number(row);
            v.is_finite().then_some(v as i64)
        };
        let file = c.file.as_ref().map_or(String::new(), |c| c.text(row));
        (
            self.places.absolute(&file),
            whole(&c.hdu),
            whole(&c.row),
            c.name(row),
        )
    }

    /// Rows that a query asks for, in order.
    ///
    /// # Errors
    /// As [`view::rows`].
    pub fn rows(&self, q: &Query, inspector: &str) -> Result<Arc<Vec<u32>>, InspectError> {
        let free = q.decided == Decided::Any;
        // What depends on decisions is named so, and forgotten when one is made.
        let tag = if free {
            String::new()
        } else {
            format!("{OF_DECISIONS}{inspector}")
        };
        let key = format!("{tag} {}", serde_json::to_string(q).unwrap_or_default());
        let views = || self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(v) = views().iter().find(|v| v.0 == key) {
            return Ok(v.1.clone());
        }
        let now = self.lock();
        let all: HashMap<u32, (bool, bool)> = now
            .of_row
            .iter()
            .map(|(row, at)| {
                let mine = at.iter().any(|k| now.all[*k].scanner == inspector);
                (*row, (mine, !agreed(&now.all, at)))
            })
            .collect();
        drop(now);
        let decided = |row: u32| {
            let (mine, disagreed) = all.get(&row).copied().unwrap_or_default();
            match q.decided {
                Decided::Any => true,
                Decided::Open => !mine,
                Decided::Mine => mine,
                Decided::Disagreed => disagreed,
            }
        };
        let rows = Arc::new(view::rows(&self.table, q, &decided)?);
        let mut views = views();
        views.push((key, rows.clone()));
        if views.len() > VIEWS {
            views.remove(0);
        }
        Ok(rows)
    }

    /// The source of a row: path, HDU and row in it.
    ///
    /// # Errors
    /// It cannot be told, or is not there any more.
    pub fn source(&self, row: u32) -> Result<(PathBuf, usize, usize), String> {
        let columns = self.table.row(row as usize).map_err(|e| e.to_string())?;
        self.source_of(&columns)
    }

    fn source_of(&self, columns: &Map<String, Value>) -> Result<(PathBuf, usize, usize), String> {
        let text = |name: &str| {
            columns
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let count = |name: &str| {
            let v = columns.get(name);
            let text = v.and_then(Value::as_str).and_then(|t| t.parse().ok());
            v.and_then(Value::as_u64).or(text).unwrap_or(0) as usize
        };
        if text("file").is_empty() {
            return Err("the catalogue does not say in which file the row lies".into());
        }
        let path = self.places.find(text("file"))?;
        Ok((path, count("hdu"), count("row")))
    }

    /// The model, or why there is none.
    ///
    /// # Errors
    /// It could not be opened.
    pub fn look(&self) -> Result<&dyn Look, String> {
        self.look.as_ref().map(AsRef::as_ref).map_err(Clone::clone)
    }

    /// What does not fit together between the catalogue and the model in use.
    pub fn warnings(&self) -> Vec<String> {
        let own = self.table.key("sha256").unwrap_or_default();
        match &self.look {
            Err(why) => vec![format!("no model: {why}")],
            Ok(l) if !own.is_empty() && l.sha256() != own => vec![format!(
                "the catalogue was made by another model (SHA-256 {}…, in use is {}…): redshifts and \
                 probabilities drawn here may differ from its columns; --model gives the same one",
                own.get(..8).unwrap_or(own),
                l.sha256().get(..8).unwrap_or_default()
            )],
            Ok(_) => vec![],
        }
    }

    /// All of a row.
    ///
    /// # Errors
    /// There is no such row; a source that is gone is no error, the row says so.
    pub fn show(&self, row: u32) -> Result<RowShown, InspectError> {
        let columns = self.table.row(row as usize)?;
        let item = self.source_of(&columns).and_then(|(path, hdu, place)| {
            let look = self.look()?;
            let found = slipher_systems::predict::caught(|| look.look(&path, hdu, place));
            found.unwrap_or_else(|| Err(slipher_systems::predict::FAILED.into()))
        });
        let mut warnings = self.warnings();
        if let (Ok(Item::Spectrum { solutions, .. }), Some(z)) =
            (&item, columns.get("z").and_then(Value::as_f64))
            && let Some(best) = solutions.first()
            && (best.z - z).abs() > 0.0033 * (1.0 + z)
        {
            warnings.push(format!(
                "measured again it is at z = {:.5}, in the catalogue at {z:.5}",
                best.z
            ));
        }
        let decisions = self.show_decisions(row);
        Ok(RowShown {
            row,
            columns,
            item,
            warnings,
            decisions,
        })
    }

    /// What everybody decided about a row.
    pub fn show_decisions(&self, row: u32) -> Vec<Shown> {
        let now = self.lock();
        let at = now.of_row.get(&row).into_iter().flatten();
        at.map(|k| Shown::from(&now.all[*k])).collect()
    }

    /// Writes a decision, or takes back the one there is.
    ///
    /// # Errors
    /// A value that cannot be; the file cannot be written.
    pub fn decide(&self, said: &Said, inspector: &str, withdraw: bool) -> Result<(), InspectError> {
        let who = inspector.trim();
        if who.is_empty() || who.chars().count() > 80 {
            return Err(InspectError::Asked(
                "a decision needs a name of its inspector".into(),
            ));
        }
        if said.quality.is_some_and(|q| q > 4) {
            return Err(InspectError::Asked("quality: expected 0 to 4".into()));
        }
        if said.z.is_some_and(|z| !(-0.02..20.1).contains(&z)) {
            return Err(InspectError::Asked("redshift: expected -0.02 to 20".into()));
        }
        let columns = self.table.row(said.row as usize)?;
        let key = self.key_of(&self.identifying()?, said.row as usize);
        let decision = (!withdraw).then(|| decision(said, who, &columns, &key));
        let all = decisions::record(&self.path, &key, who, decision)?;
        // The row of a new decision is known: no scan of the catalogue for it.
        self.replace(all, self.stamp(), HashMap::from([(key, said.row)]))
    }

    /// How far the work has come.
    pub fn progress(&self, inspector: &str) -> Progress {
        let now = self.lock();
        let mut inspectors: Vec<String> = now.all.iter().map(|d| d.scanner.clone()).collect();
        inspectors.sort();
        inspectors.dedup();
        let by = |at: &Vec<usize>| at.iter().any(|k| now.all[*k].scanner == inspector);
        let shared = || now.of_row.values().filter(|at| at.len() > 1);
        Progress {
            rows: self.table.len(),
            mine: now.of_row.values().filter(|at| by(at)).count(),
            decided: now.of_row.len(),
            shared: shared().count(),
            agreed: shared().filter(|at| agreed(&now.all, at)).count(),
            inspectors,
        }
    }

    /// Quality of this inspector's decisions, by row; 255 where it was only commented.
    pub fn mine(&self, inspector: &str) -> HashMap<u32, u8> {
        let now = self.lock();
        let mut out = HashMap::new();
        for (row, at) in &now.of_row {
            for k in at {
                let d = &now.all[*k];
                if d.scanner == inspector {
                    out.insert(*row, d.quality.unwrap_or(u8::MAX));
                }
            }
        }
        out
    }

    /// All decisions, in the order in which they were made.
    pub fn decisions(&self) -> Vec<Decision> {
        self.lock().all.clone()
    }
}

fn agreed(all: &[Decision], at: &[usize]) -> bool {
    let first = at.first().map(|k| &all[*k]);
    first.is_none_or(|f| at.iter().all(|k| f.agrees(&all[*k])))
}

/// What is written of what was said.
fn decision(said: &Said, who: &str, columns: &Map<String, Value>, key: &Key) -> Decision {
    let text = |name: &str| {
        columns
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let number = |name: &str| columns.get(name).and_then(Value::as_f64);
    let class = ["spectype", "class", "prediction"]
        .iter()
        .map(|n| text(n))
        .find(|t| !t.is_empty());
    let given = Given {
        class: class.unwrap_or_default().to_owned(),
        z: number("z"),
        p: number("p_correct").or_else(|| number("probability")),
        delta_chi2: odds(columns),
        model: text("model_id").to_owned(),
        version: text("slipher_version").to_owned(),
    };
    // What is the same as given is left empty, as DESI's inspectors do.
    let same_z = |z: f64| given.z.is_some_and(|g| (g - z).abs() < 1e-6);
    let z = said.z.filter(|z| !same_z(*z));
    let class = if said.class == given.class {
        String::new()
    } else {
        said.class.trim().to_owned()
    };
    let mut issue = String::new();
    for (letter, set) in [
        ('R', z.is_some()),
        ('C', !class.is_empty()),
        ('S', said.bad_data),
    ] {
        if set {
            issue.push(letter);
        }
    }
    Decision {
        file: key.0.clone(),
        hdu: key.1,
        row: key.2,
        object_id: key.3.clone(),
        given,
        scanner: who.to_owned(),
        quality: said.quality,
        issue,
        z,
        class,
        comment: said.comment.chars().take(1000).collect(),
        time: slipher_data::date::iso_8601(slipher_data::date::now()),
    }
}

/// 2 ln of the odds of the best solution against the next, at most 9999.
fn odds(columns: &Map<String, Value>) -> Option<f64> {
    let all = columns.get("solutions")?.as_array()?;
    let p = |i: usize| {
        all.get(i)
            .and_then(|s| s.get("prob")?.as_f64())
            .unwrap_or(0.0)
            .max(1e-300)
    };
    (!all.is_empty()).then(|| (2.0 * (p(0) / p(1)).ln()).clamp(0.0, 9999.0))
}

/// The name of the decisions file of a catalogue, unless somebody gives another.
pub fn default_decisions(catalogue: &Path) -> PathBuf {
    let stem = catalogue.file_stem().unwrap_or_default().to_string_lossy();
    catalogue.with_file_name(format!("{stem}.decisions.csv"))
}

#[cfg(test)]
pub(crate) mod tests;
