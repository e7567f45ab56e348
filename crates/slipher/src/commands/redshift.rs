//! `slipher redshift`: files to a catalogue.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result};
use slipher_data::catalogue::CatalogueWriter;
use slipher_data::formats::{Medium, ReadOptions};
use slipher_data::input::expand;
use slipher_systems::redshift::catalogue::{Row, columns};
use slipher_systems::redshift::measure::zwarn;
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::pipeline;

use crate::report::{self, Subject};
use crate::{Outcome, progress};

#[derive(ClapArgs)]
#[command(after_help = "Exit code: 0 all good, 2 some rows failed (they are in the catalogue, flagged), 1 nothing done.\n\n\
Examples:\n  slipher redshift spec-*.fits\n  slipher redshift folder/ -o catalogue.parquet --report report.html\n  slipher redshift @list.txt -o part-3.parquet --shard 3/10")]
pub struct Args {
    /// Files, folders, patterns, or @FILE with one path a line
    #[arg(required = true)]
    files: Vec<String>,
    /// Catalogue to write: .parquet, .fits or .csv; without it rows are printed
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// HTML report to write
    #[arg(long)]
    report: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Device {
    Auto,
    Cpu,
    Wgpu,
    Cuda,
}

impl From<Device> for slipher_gpu::Choice {
    fn from(d: Device) -> Self {
        match d {
            Device::Auto => Self::Auto,
            Device::Cpu => Self::Cpu,
            Device::Wgpu => Self::Wgpu,
            Device::Cuda => Self::Cuda,
        }
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Precision {
    F32,
    Bf16,
}

impl From<Precision> for slipher_nn::predictor::Precision {
    fn from(p: Precision) -> Self {
        match p {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

#[derive(ClapArgs)]
struct Common {
    /// Model file; default: the one that comes with the program
    #[arg(short, long)]
    model: Option<PathBuf>,
    /// Wavelengths are in air, whatever the files say
    #[arg(long, conflicts_with = "vacuum")]
    air: bool,
    /// Wavelengths are in vacuum, whatever the files say
    #[arg(long)]
    vacuum: bool,
    /// Where the network runs; auto takes a graphics processor if this build knows one (features wgpu, cuda)
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    device: Device,
    /// Arithmetic of the network on the processor; bf16 where the processor has avx512_bf16
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    precision: Precision,
    /// Only part I of N of the files (1-based), for job arrays
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
}

#[derive(ClapArgs)]
pub struct ReportArgs {
    system: crate::System,
    /// Files, folders, patterns, or @FILE with one path a line
    #[arg(required = true)]
    files: Vec<String>,
    /// HTML page to write
    #[arg(short, long, default_value = "report.html")]
    output: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// `slipher report redshift`.
pub fn report(a: &ReportArgs, quiet: bool) -> Result<Outcome> {
    if let crate::System::RedshiftClasses = a.system {
        return Err(miette::miette!("redshift-classes works on simulations: its page is made by 'slipher reproduce redshift-talk'"));
    }
    measure(&a.files, None, Some(&a.output), &a.common, quiet)
}

pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    measure(&a.files, a.output.as_deref(), a.report.as_deref(), &a.common, quiet)
}

/// Spectra drawn in the report.
const GALLERY: usize = 12;
/// Rows that a report keeps in memory; the catalogue has all.
const REPORT_ROWS: usize = 200_000;

fn measure(arguments: &[String], output: Option<&Path>, page: Option<&Path>, common: &Common, quiet: bool) -> Result<Outcome> {
    let mut model = super::model(common.model.as_deref())?;
    if model.net.set_precision(common.precision.into()) != common.precision.into() && !quiet {
        eprintln!("slipher: this processor has no bf16; using f32");
    }
    if let Some((name, engine)) = slipher_gpu::open(common.device.into(), &model.net).into_diagnostic()? {
        if !quiet {
            eprintln!("slipher: the network runs on {name}");
        }
        model.engine = Some(engine);
    }
    let medium = if common.air { Some(Medium::Air) } else { common.vacuum.then_some(Medium::Vacuum) };
    let options = ReadOptions { medium };
    let mut files = expand(arguments).into_diagnostic()?;
    if let Some(shard) = &common.shard {
        let (i, n) = parse_shard(shard)?;
        files = files.into_iter().enumerate().filter(|(k, _)| k % n == i - 1).map(|(_, f)| f).collect();
    }
    // A catalogue or report of an earlier run in the same folder is no input.
    let own: Vec<PathBuf> = [output, page].into_iter().flatten().filter_map(|p| p.canonicalize().ok()).collect();
    files.retain(|f| {
        let named_alike = own.iter().any(|o| o.file_name() == f.file_name());
        !named_alike || f.canonicalize().map_or(true, |f| !own.contains(&f))
    });
    for p in [output, page].into_iter().flatten() {
        let parent = p.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !parent.is_dir() {
            return Err(miette::miette!("{}: the folder {} does not exist; make it first", p.display(), parent.display()));
        }
    }
    if files.is_empty() {
        eprintln!("slipher: no files to read (folders are searched for .fits, .fit, .fits.gz, .dat, .txt, .csv, .ascii)");
        return Ok(Outcome::Nothing);
    }
    let mut writer = output.map(|p| CatalogueWriter::create(p, &keys(&model))).transpose().into_diagnostic()?;
    let bar = progress::bar(files.len() as u64, "files", quiet);
    let start = Instant::now();
    let mut count = Counts::default();
    let mut kept: Vec<Row> = Vec::new();
    pipeline::run(&model, &files, &options, |done, rows| -> Result<bool> {
        bar.set_position(done as u64);
        for r in &rows {
            count.add(r);
            if let Some(why) = &r.error {
                bar.suspend(|| eprintln!("slipher: {why}"));
            }
        }
        if let Some(w) = &mut writer {
            w.write(columns(&rows, &model)).into_diagnostic()?;
        } else if page.is_none() && !print_rows(&rows) {
            return Ok(false);
        }
        if page.is_some() && kept.len() < REPORT_ROWS {
            kept.extend(rows);
        }
        Ok(true)
    })?;
    bar.finish_and_clear();
    if let Some(w) = writer {
        w.finish().into_diagnostic()?;
    }
    if let Some(path) = page {
        let gallery = choose(&kept).into_iter().filter_map(|r| pipeline::keep(&model, r, &options)).collect();
        report::write(path, &Subject { title: "Slipher redshifts", rows: &kept, gallery, model: &model, simulated: None }).into_diagnostic()?;
    }
    if !quiet {
        count.tell(files.len(), start.elapsed().as_secs_f64(), output, page);
    }
    Ok(match count {
        Counts { rows, failed, .. } if failed == rows => Outcome::Nothing,
        Counts { failed: 0, .. } => Outcome::Good,
        _ => Outcome::SomeFailed,
    })
}

/// Metadata of the catalogue file.
pub fn keys(model: &Model) -> [(&'static str, String); 3] {
    [("model", model.id.clone()), ("sha256", model.sha256.clone()), ("version", env!("CARGO_PKG_VERSION").into())]
}

fn parse_shard(text: &str) -> Result<(usize, usize)> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse::<usize>().ok()?, n.parse::<usize>().ok()?)));
    match parts {
        Some((i, n)) if i >= 1 && i <= n => Ok((i, n)),
        _ => Err(miette::miette!("--shard {text}: expected I/N with 1 ≤ I ≤ N, for example 3/10")),
    }
}

/// Prints a line a row; false when nobody reads any more (`| head`).
fn print_rows(rows: &[Row]) -> bool {
    let mut out = std::io::stdout().lock();
    rows.iter().all(|r| {
        let name = if r.object_id.is_empty() { &r.origin.file } else { &r.object_id };
        let line = match r.measurement.best() {
            Some(b) => {
                format!("{name:<40} {:<6} z = {:.5} ± {:.5}  p_correct {:.3}  S/N {:.1}", b.class.name(), b.z, b.z_err, b.probability, r.measurement.snr_median)
            }
            None => format!("{name:<40} no redshift"),
        };
        writeln!(out, "{line}").is_ok()
    })
}

/// Rows for the gallery: sure and unsure ones of each class, spread over the list.
fn choose(rows: &[Row]) -> Vec<&Row> {
    let good: Vec<&Row> = rows.iter().filter(|r| r.measurement.answer.is_some()).collect();
    let step = good.len().div_ceil(GALLERY).max(1);
    good.into_iter().step_by(step).collect()
}

#[derive(Default)]
struct Counts {
    rows: usize,
    failed: usize,
    sure: usize,
    class: [usize; 3],
    unread: usize,
}

impl Counts {
    fn add(&mut self, r: &Row) {
        self.rows += 1;
        self.unread += usize::from(r.measurement.zwarn & zwarn::UNREADABLE != 0);
        match r.measurement.best() {
            Some(b) => {
                self.class[b.class as usize] += 1;
                self.sure += usize::from(b.probability > 0.9);
            }
            None => self.failed += 1,
        }
    }

    fn tell(&self, files: usize, seconds: f64, output: Option<&Path>, page: Option<&Path>) {
        let measured = self.rows - self.failed;
        let [g, q, s] = self.class;
        eprintln!(
            "{measured} spectra measured in {files} files, {:.1} s ({:.0} a second): {g} galaxies, {q} quasars, {s} stars.",
            seconds,
            measured as f64 / seconds.max(1e-9)
        );
        eprintln!("{} have p_correct above 0.9; {} should be looked at.", self.sure, measured - self.sure);
        if self.failed > 0 {
            eprintln!("{} rows have no redshift ({} unreadable): see the columns zwarn and error.", self.failed, self.unread);
        }
        for p in [output, page].into_iter().flatten() {
            eprintln!("Wrote {}", p.display());
        }
    }
}
