//! `slipher redshift`: files to a catalogue.

mod summary;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args as ClapArgs;
use miette::{IntoDiagnostic, Result, WrapErr};
use slipher_data::atomic::atomic_write;
use slipher_data::catalogue::CatalogueWriter;
use slipher_data::formats::printable;
use slipher_data::input::{ENDINGS, expand};
use slipher_nn::checkpoint::read;
use slipher_systems::predict::{Options, Predict};
use slipher_systems::redshift::catalogue::{Row, columns, line_columns};
use slipher_systems::redshift::contract::Measurer;
use slipher_systems::redshift::layouts::Layout;
use slipher_systems::redshift::pipeline;
use slipher_systems::registry;

use summary::Counts;

use super::Overwrite;
use super::parts::ShardJob;
use super::shared::PredictArgs;
use super::target::Target;
use crate::report::{self, Subject};
use crate::{Outcome, progress};

#[derive(ClapArgs)]
#[command(
    group = clap::ArgGroup::new("written").multiple(true).args(["output", "report"]),
    after_help = "Exit code: 0 all good, 2 some rows failed (they are in the catalogue, flagged), 1 nothing done.\n\n\
Examples:\n  slipher redshift spec-*.fits\n  slipher redshift folder/ -o catalogue.parquet --report report.html\n  slipher redshift @list.txt -o part-3.parquet --shard 3/10\n  slipher redshift sky.hats/ -o zcat/ --shard $SLURM_ARRAY_TASK_ID/100 --resume"
)]
pub struct Args {
    /// Files, folders, patterns, or @FILE with one path a line
    #[arg(required = true)]
    files: Vec<String>,
    /// Catalogue to write: .parquet, .fits or .csv, or a folder of parts (of HATS a HATS
    /// catalogue); without it rows are printed
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// HTML report to write
    #[arg(long)]
    report: Option<PathBuf>,
    /// Write the catalogue as another program would: columns and HDUs that its users' scripts
    /// expect
    #[arg(long, value_enum, requires = "output")]
    layout: Option<LayoutName>,
    /// Table of emission and absorption lines to write: .parquet, .fits or .csv
    #[arg(long, value_name = "FILE")]
    lines: Option<PathBuf>,
    /// Add the probability density of z, on 6640 redshifts, to the catalogue (.parquet, .fits, or
    /// layout euclid)
    #[arg(long)]
    pz: bool,
    /// Join arms of one object that lie in separate files or rows, by position within 1 arcsec, else
    /// by identifier (NAME_uvb and NAME_vis are one); all spectra are then held in memory
    #[arg(long)]
    join_arms: bool,
    #[command(flatten)]
    overwrite: Overwrite,
    /// Print the summary as a line of JSON on stdout
    #[arg(long, requires = "written")]
    json: bool,
    /// Name the warnings of each row as it comes
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LayoutName {
    /// DESI's redrock: REDSHIFTS and FIBERMAP
    Redrock,
    /// Columns of SDSS spAll
    Sdss,
    /// SPE_* tables of Euclid
    Euclid,
    /// Candidates of Subaru PFS
    Pfs,
    /// A .mz file for Marz
    Marz,
    /// CSV of DESI's visual inspections
    Prospect,
}

impl From<LayoutName> for Layout {
    fn from(l: LayoutName) -> Self {
        match l {
            LayoutName::Redrock => Self::Redrock,
            LayoutName::Sdss => Self::Sdss,
            LayoutName::Euclid => Self::Euclid,
            LayoutName::Pfs => Self::Pfs,
            LayoutName::Marz => Self::Marz,
            LayoutName::Prospect => Self::Prospect,
        }
    }
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

#[derive(ClapArgs)]
struct Common {
    /// Model file; default: the one that comes with the program
    #[arg(short, long)]
    model: Option<PathBuf>,
    #[command(flatten)]
    medium: super::MediumArgs,
    /// Where the network runs; auto takes a graphics processor if this build knows one (features
    /// wgpu, cuda)
    #[arg(long, value_enum)]
    device: Option<Device>,
    /// Arithmetic of the network on the processor; bf16 where the processor has avx512_bf16
    #[arg(long, default_value = "f32", value_parser = ["f32", "bf16"])]
    precision: String,
    /// What is known beforehand: a range LOW..HIGH, a file of z and n (an N(z)), or of object_id, z
    /// and sigma (photometric redshifts)
    #[arg(long, value_name = "RANGE|FILE")]
    prior: Option<String>,
    /// Share of the accepted redshifts that must be right; the others are "no redshift", with a
    /// best guess [default: 0.98]
    #[arg(long, value_name = "SHARE")]
    purity: Option<f64>,
    /// Only part I of N of the files (1-based), for job arrays
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// Of a folder of parts, make those that are missing
    #[arg(long)]
    resume: bool,
}

#[derive(ClapArgs)]
pub struct ReportArgs {
    /// Files, folders, patterns, or @FILE with one path a line
    #[arg(required = true)]
    files: Vec<String>,
    #[command(flatten)]
    common: Common,
}

impl ReportArgs {
    /// What of it concerns systems of the shared engine; the rest is refused.
    pub fn for_shared(&self, system: Target, bands: Option<&str>) -> Result<PredictArgs> {
        let c = &self.common;
        system.refuse(&[
            ("--device", c.device.is_some()),
            ("--prior", c.prior.is_some()),
            ("--purity", c.purity.is_some()),
        ])?;
        system.refuse(&c.medium.given())?;
        Ok(PredictArgs {
            image: vec![],
            catalogue: None,
            files: self.files.clone(),
            model: c.model.clone(),
            bands: bands.map(str::to_owned),
            precision: Some(c.precision.clone()),
            embedding: false,
            polish: false,
            psf: None,
            psf_kind: None,
            zeropoint: None,
            shard: c.shard.clone(),
            resume: c.resume,
        })
    }
}

/// `slipher report redshift`.
pub fn report(a: &ReportArgs, page: &Path, overwrite: bool, quiet: bool) -> Result<Outcome> {
    measure(
        &a.files,
        &Outputs {
            overwrite,
            page: Some(page),
            ..Outputs::default()
        },
        &a.common,
        quiet,
    )
}

/// `slipher redshift`.
pub fn run(a: &Args, quiet: bool) -> Result<Outcome> {
    let outputs = Outputs {
        overwrite: a.overwrite.overwrite,
        json: a.json,
        verbose: a.verbose,
        catalogue: a.output.as_deref(),
        layout: a.layout.map(Layout::from),
        lines: a.lines.as_deref(),
        page: a.report.as_deref(),
        pz: a.pz,
        join_arms: a.join_arms,
    };
    measure(&a.files, &outputs, &a.common, quiet)
}

/// What is written.
#[derive(Default)]
struct Outputs<'a> {
    overwrite: bool,
    json: bool,
    verbose: bool,
    catalogue: Option<&'a Path>,
    layout: Option<Layout>,
    lines: Option<&'a Path>,
    page: Option<&'a Path>,
    pz: bool,
    join_arms: bool,
}

impl Outputs<'_> {
    fn files(&self) -> impl Iterator<Item = &Path> {
        [self.catalogue, self.lines, self.page]
            .into_iter()
            .flatten()
    }

    /// The folder of parts that is wanted instead of one file.
    fn folder(&self) -> Option<&Path> {
        self.catalogue.filter(|p| super::parts::wants_folder(p))
    }

    /// What cannot be written as asked.
    fn check(&self) -> Result<()> {
        let overwrite = Overwrite {
            overwrite: self.overwrite,
        };
        overwrite.check(&self.files().collect::<Vec<_>>())?;
        if self.folder().is_some() {
            overwrite.refuse_for_parts()?;
        }
        if let Some(folder) = self.folder()
            && (self.layout.is_some()
                || self.lines.is_some()
                || self.page.is_some()
                || self.join_arms)
        {
            return Err(miette::miette!(
                "{}: a folder of parts has no --layout, --lines, --report or --join-arms; a name that ends in .parquet, .fits or .csv has",
                folder.display()
            ));
        }
        if self.join_arms && self.page.is_some() {
            return Err(miette::miette!(
                "--report draws spectra as they lie in their files: leave it out with --join-arms"
            ));
        }
        if let Some(p) = self.catalogue
            && self.folder().is_none()
            && self.layout.is_none()
            && !p.extension().is_some_and(|e| {
                ["parquet", "fits", "fit", "csv"]
                    .iter()
                    .any(|x| e.eq_ignore_ascii_case(x))
            })
        {
            return Err(miette::miette!(
                "{}: expected a name that ends in .parquet, .fits or .csv, or one without ending (or .hats) for a folder of parts",
                p.display()
            ));
        }
        for p in self.files() {
            let parent = p
                .parent()
                .filter(|d| !d.as_os_str().is_empty())
                .unwrap_or(Path::new("."));
            if !parent.is_dir() {
                return Err(miette::miette!(
                    "{}: the folder {} does not exist; make it first",
                    p.display(),
                    parent.display()
                ));
            }
        }
        let ends = |p: &Path, endings: &[&str]| {
            p.extension()
                .is_some_and(|e| endings.iter().any(|x| e.eq_ignore_ascii_case(x)))
        };
        if let (Some(p), Some(l)) = (self.catalogue, self.layout)
            && !ends(p, l.endings())
        {
            return Err(miette::miette!(
                "{}: this layout is written to a name that ends in .{}",
                p.display(),
                l.endings().join(" or .")
            ));
        }
        let densities = self.layout == Some(Layout::Euclid)
            || (self.layout.is_none()
                && self
                    .catalogue
                    .is_some_and(|p| !ends(p, &["csv"]) || self.folder().is_some()));
        if self.pz && !densities {
            return Err(miette::miette!(
                "--pz needs --output NAME.parquet, NAME.fits or --layout euclid: the other catalogues have no place for arrays"
            ));
        }
        Ok(())
    }
}

impl Common {
    /// The model with its options.
    fn open(&self, outputs: &Outputs, quiet: bool) -> Result<Measurer> {
        let said = &self.medium;
        let options = Options::default()
            .with_some("purity", self.purity)
            .with("pz", outputs.pz)
            .with_some("prior", self.prior.as_deref())
            .with_some("medium", said.medium())
            .with_some("wave_unit", said.wave_unit.as_deref())
            .with_some("flux_unit", said.flux_unit.as_deref())
            .with("precision", &self.precision);
        let mut m = match &self.model {
            Some(p) => {
                let bytes = read(p).into_diagnostic()?;
                let opened = Measurer::open(&p.display().to_string(), &bytes, options);
                opened
                    .into_diagnostic()
                    .wrap_err("--model expects a file written by 'slipher train redshift'")?
            }
            None => {
                let bytes = registry::weights("redshift").into_diagnostic()?;
                Measurer::open("the shipped model", bytes, options).into_diagnostic()?
            }
        };
        if m.settings().get("precision") != Some(&self.precision) && !quiet {
            tell!("slipher: this processor has no bf16; using f32");
        }
        let device = self.device.unwrap_or(Device::Auto);
        if let Some((name, backend)) =
            slipher_gpu::open(device.into(), &m.model.net).into_diagnostic()?
        {
            if !quiet {
                tell!("slipher: the network runs on {name}");
            }
            m.on_device(&name, backend);
        }
        // Nobody sees the lines of rows that are only printed; only a page compares with known
        // redshifts.
        m.opts.lines = outputs.files().next().is_some();
        m.opts.evaluate = outputs.page.is_some();
        Ok(m)
    }
}

/// Spectra drawn in the report.
const GALLERY: usize = 12;
/// Rows that a report keeps in memory; the catalogue has all.
const REPORT_ROWS: usize = 200_000;

fn measure(
    arguments: &[String],
    outputs: &Outputs,
    common: &Common,
    quiet: bool,
) -> Result<Outcome> {
    outputs.check()?;
    let measurer = common.open(outputs, quiet)?;
    let shard = super::parse_shard(common.shard.as_deref())?;
    if let Some(folder) = outputs.folder() {
        let job = ShardJob {
            folder,
            model: &measurer,
            shard,
            resume: common.resume,
            json: outputs.json,
            quiet,
        };
        return job.run(arguments);
    }
    if common.resume {
        return Err(miette::miette!(
            "--resume works on a folder of parts: give --output a name without ending"
        ));
    }
    // A catalogue or report of an earlier run in the same folder is no input.
    let own: Vec<&Path> = outputs.files().collect();
    super::distinct(&own)?;
    super::refuse_output_among_inputs(arguments, shard, &own)?;
    let files = super::own_files(expand(arguments).into_diagnostic()?, shard, &own);
    if files.is_empty() {
        tell!(
            "slipher: no files to read (folders are searched for .{}, each also with .gz)",
            ENDINGS.join(", .")
        );
        return Ok(Outcome::Nothing);
    }
    write(&measurer, &files, outputs, quiet)
}

/// Measures files and writes what is asked for.
fn write(
    measurer: &Measurer,
    files: &[PathBuf],
    outputs: &Outputs,
    quiet: bool,
) -> Result<Outcome> {
    let (model, opts, options) = (&measurer.model, &measurer.opts, &measurer.read);
    let create = |p: &Path, pz: bool| {
        let mut keys = super::parts::keys(measurer);
        keys.extend(super::made());
        keys.extend(measurer.keys().into_iter().filter(|_| pz));
        CatalogueWriter::create(p, &keys).into_diagnostic()
    };
    let mut writer = outputs
        .catalogue
        .filter(|_| outputs.layout.is_none())
        .map(|p| create(p, outputs.pz))
        .transpose()?;
    let mut line_writer = outputs.lines.map(|p| create(p, false)).transpose()?;
    let bar = progress::bar(files.len() as u64, "files", quiet);
    let start = Instant::now();
    let mut count = Counts::default();
    let (mut kept, mut known) = (Vec::<Row>::new(), 0);
    let sink = |done: usize, rows: Vec<Row>| -> Result<bool> {
        bar.set_position(done as u64);
        for r in &rows {
            count.add(r);
            known += usize::from(opts.prior.as_ref().is_some_and(|p| p.knows(&r.object_id)));
            if let Some(why) = &r.error {
                bar.suspend(|| tell!("slipher: {}", printable(why)));
            }
            if outputs.verbose && !r.measurement.warnings.is_empty() {
                let names: Vec<&str> = r.measurement.warnings.iter().map(|w| w.name()).collect();
                let (file, names) = (printable(&r.origin.file), names.join(", "));
                bar.suspend(|| tell!("slipher: {file}, row {}: {names}", r.origin.row));
            }
        }
        if let Some(w) = &mut writer {
            w.write(columns(&rows, model, opts.pz)).into_diagnostic()?;
        } else if outputs.files().next().is_none() && !print_rows(&rows)? {
            return Ok(false);
        }
        if let Some(w) = &mut line_writer {
            w.write(line_columns(&rows)).into_diagnostic()?;
        }
        // Other programs' layouts are several tables: written at the end.
        if outputs.layout.is_some() || (outputs.page.is_some() && kept.len() < REPORT_ROWS) {
            kept.extend(rows);
        }
        Ok(true)
    };
    if outputs.join_arms {
        pipeline::run_joined(model, opts, files, options, sink)?;
    } else {
        pipeline::run(model, opts, files, options, sink)?;
    }
    bar.finish_and_clear();
    if known == 0 && opts.prior.is_some() && count.rows > 0 {
        tell!(
            "slipher: the prior names none of these objects and had no effect; its object_id must be that of the catalogue"
        );
    }
    for w in [writer, line_writer].into_iter().flatten() {
        w.finish().into_diagnostic()?;
    }
    if let (Some(path), Some(layout)) = (outputs.catalogue, outputs.layout) {
        atomic_write(path, layout.bytes(&kept, model)).into_diagnostic()?;
    }
    if let Some(path) = outputs.page {
        let gallery = choose(&kept)
            .into_iter()
            .filter_map(|r| pipeline::keep(model, opts, r, options))
            .collect();
        report::write(
            path,
            &Subject {
                title: "Slipher redshifts",
                rows: &kept,
                gallery,
                model,
                simulated: None,
            },
        )
        .into_diagnostic()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    if outputs.json {
        super::print_json(&count.json(measurer, files.len(), seconds, outputs))?;
    } else if !quiet {
        count.tell(files.len(), seconds, outputs);
    }
    Ok(match count {
        Counts { rows, failed, .. } if failed == rows => Outcome::Nothing,
        Counts { failed: 0, .. } => Outcome::Good,
        _ => Outcome::SomeFailed,
    })
}

/// Prints a line a row; false when nobody reads any more (`| head`).
fn print_rows(rows: &[Row]) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    for r in rows {
        let name = if r.object_id.is_empty() {
            &r.origin.file
        } else {
            &r.object_id
        };
        let name = &printable(name);
        let line = match r.measurement.best() {
            Some(b) => {
                let doubt = if r.measurement.accepted() {
                    ""
                } else {
                    "  no redshift; best guess"
                };
                format!(
                    "{name:<40} {:<6} z = {:.5} ± {:.5}  p_correct {:.3}  S/N {:.1}{doubt}",
                    b.class.name(),
                    b.z,
                    b.z_err,
                    b.probability,
                    r.measurement.snr_median
                )
            }
            None => format!("{name:<40} no redshift"),
        };
        if !super::line_written(writeln!(out, "{line}"))? {
            return Ok(false);
        }
    }
    super::line_written(out.flush())
}

/// Rows for the gallery: sure and unsure ones of each class, spread over the list.
fn choose(rows: &[Row]) -> Vec<&Row> {
    let good: Vec<&Row> = rows
        .iter()
        .filter(|r| r.measurement.answer.is_some())
        .collect();
    let step = good.len().div_ceil(GALLERY).max(1);
    good.into_iter().step_by(step).collect()
}
