//! The program `slipher`: [`run`] is its main function, called by the binary and by the command that
//! the Python package installs. A verb parses, calls one function of a crate below, and prints.

/// A line on stderr; a full disk there is no reason to stop.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod commands;
mod progress;
mod report;

use std::ffi::OsString;
use std::sync::OnceLock;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// Calibrated redshifts from spectra of any spectrograph, and classifiers of images.
///
/// `slipher redshift FILES… -o catalogue.parquet` measures spectra; `slipher demo` shows all of it
/// without any data.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    /// Threads; default: all cores
    #[arg(short = 'j', long, global = true)]
    threads: Option<usize>,
    /// No progress bars, no summary
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Most memory that a file may take on a thread, as 800M or 4G; default: 1G
    #[arg(long, global = true, value_name = "SIZE", value_parser = slipher_data::budget::parse)]
    memory: Option<u64>,
    /// Read FITS files whose data differ from their DATASUM (edited without updating it)
    #[arg(long, global = true)]
    ignore_checksums: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Measure redshift and class of spectra in files, folders or patterns
    Redshift(commands::redshift::Args),
    /// Simulate, measure and report, without any data: writes slipher-demo/
    Demo(commands::demo::Args),
    /// Write simulated spectra to Parquet
    Simulate(commands::simulate::Args),
    /// Train a model from a recipe
    Train(commands::train::Args),
    /// Score a model on held-out simulations, beside the classical method
    Evaluate(commands::evaluate::Args),
    /// Run a system on files: star or galaxy, morphology, radio class, real or bogus
    Predict(commands::predict::Args),
    /// Measure files and write one HTML page about them
    Report(commands::predict::ReportArgs),
    /// Run the study of the talk again and write one page about it
    Reproduce(commands::reproduce::Args),
    /// Query Parquet files with the function redshift(flux, ivar, wave); in builds with the feature
    /// sql
    Sql(commands::sql::Args),
    /// Decide which redshifts of a whole sample to accept, from its own probabilities
    Accept(commands::accept::Args),
    /// Rank a catalogue of two classes at the prevalence of the sky, best first, with the purity to
    /// expect
    Rank(commands::rank::Args),
    /// Look at the rows of a catalogue in the browser or the terminal, and decide about them
    Inspect(commands::inspect::Args),
    /// Find the rows of a catalogue that are most like a file, or like rows of it
    FindSimilar(commands::similar::Args),
    /// Find the rows of a catalogue that are least like the others; decisions of people re-rank them
    Unusual(commands::similar::UnusualArgs),
    /// Write a catalogue in the formats of other codes: lens models as COOLEST, for lenstronomy or
    /// PyAutoLens
    Export(commands::export::Args),
    /// Fit Sérsic profiles, point sources and sky to an image, from a parameter file of GALFIT
    Fit(commands::fit::Args),
    /// List the file formats that are recognised
    Formats,
    /// Say what a file is recognised as, and why
    Show(commands::show::Args),
    /// Print completions for a shell: slipher completions bash
    Completions(commands::manual::CompletionArgs),
    /// Print the manual page of the program or of a verb, as troff: slipher man redshift | man -l -
    Man(commands::manual::ManArgs),
}

/// A closed pipe (`| head`) ends the program without a message, a full disk with one.
fn exit_quietly_on_broken_pipe() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |p| {
        if p.to_string()
            .contains("failed printing to stdout: Broken pipe")
        {
            std::process::exit(0);
        }
        if p.to_string().contains("failed printing to stdout") {
            tell!("slipher: cannot write to the output: {p}");
            std::process::exit(1);
        }
        usual(p);
    }));
}

/// How a run ended: all good, some rows failed, nothing done.
pub(crate) enum Outcome {
    /// All rows have an answer.
    Good,
    /// Some rows have none; each says why.
    SomeFailed,
    /// There was nothing to answer, or nothing could be.
    Nothing,
}

/// Exit code of a command line that cannot be understood (EX_USAGE of sysexits).
const USAGE: u8 = 64;

/// More threads than this are a slip of the hand.
const MOST_THREADS: usize = 4096;

/// What the program was called with, which is not what the process was when Python calls it.
static ARGUMENTS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Words of the command line, the program's name first.
pub(crate) fn arguments() -> &'static [OsString] {
    ARGUMENTS.get().map_or(&[], Vec::as_slice)
}

/// The command line; `--version` also says what was built and which models are inside.
fn command() -> clap::Command {
    let command = Cli::command();
    if arguments().get(1).is_some_and(|a| a == "--version") {
        return command.long_version(commands::manual::version());
    }
    command
}

/// What a newcomer needs.
const FIRST: &str = "\
Slipher: catalogues that can be trusted from spectra, images and light curves.

  slipher redshift FILES... -o catalogue.parquet      redshifts and classes of spectra
  slipher predict SYSTEM FILES... -o catalogue.parquet    galaxies, lenses, transients and more: slipher predict --help
  slipher demo                                        all of it on simulated spectra, with a page to look at

More: slipher --help, slipher VERB --help";

/// Runs the program with these words, its name first; the exit code.
pub fn run(words: Vec<OsString>) -> u8 {
    let words = ARGUMENTS.get_or_init(|| words);
    exit_quietly_on_broken_pipe();
    let parsed = command().try_get_matches_from(words);
    let cli = match parsed.and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            // Help and version are no errors; 2 means that rows failed.
            return if e.use_stderr() { USAGE } else { 0 };
        }
    };
    let Some(verb) = cli.verb else {
        println!("{FIRST}");
        return 0;
    };
    if let Some(bytes) = cli.memory {
        slipher_data::budget::set(bytes);
    }
    if cli.ignore_checksums {
        slipher_data::fits::ignore_checksums();
    }
    if let Err(e) = commands::watch_signals() {
        tell!("slipher: cannot watch signals: {e}");
    }
    let threads = cli.threads.unwrap_or(0);
    if threads > MOST_THREADS {
        tell!("slipher: --threads {threads}: expected at most {MOST_THREADS}");
        return USAGE;
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    if let Err(e) = pool.build_global() {
        tell!("slipher: cannot start threads: {e}");
        return 1;
    }
    match answer(verb, cli.quiet) {
        Ok(Outcome::Good) => 0,
        Ok(Outcome::SomeFailed) => 2,
        Ok(Outcome::Nothing) => 1,
        Err(e) => {
            tell!("{e:?}");
            1
        }
    }
}

fn answer(verb: Verb, quiet: bool) -> miette::Result<Outcome> {
    match verb {
        Verb::Redshift(a) => commands::redshift::run(&a, quiet),
        Verb::Demo(a) => commands::demo::run(&a, quiet),
        Verb::Simulate(a) => commands::simulate::run(&a, quiet),
        Verb::Train(a) => commands::train::run(&a, quiet),
        Verb::Evaluate(a) => commands::evaluate::run(&a, quiet),
        Verb::Predict(a) => commands::predict::run(&a, quiet),
        Verb::Report(a) => commands::predict::report(&a, quiet),
        Verb::Reproduce(a) => commands::reproduce::run(&a, quiet),
        Verb::Sql(a) => commands::sql::run(&a, quiet),
        Verb::Accept(a) => commands::accept::run(&a, quiet),
        Verb::Inspect(a) => commands::inspect::run(&a, quiet),
        Verb::FindSimilar(a) => commands::similar::run(&a, quiet),
        Verb::Unusual(a) => commands::similar::unusual(&a, quiet),
        Verb::Export(a) => commands::export::run(&a, quiet),
        Verb::Fit(a) => commands::fit::run(&a, quiet),
        Verb::Rank(a) => commands::rank::run(&a, quiet),
        Verb::Formats => commands::show::formats(),
        Verb::Show(a) => commands::show::run(&a),
        Verb::Completions(a) => commands::manual::completions(&a, &mut command()),
        Verb::Man(a) => commands::manual::man(&a, &command()),
    }
}
