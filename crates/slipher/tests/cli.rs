//! The command line as people type it, in the manner of ripgrep's integration harness: a folder of
//! its own for each test, the program as it is built.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use slipher_data::fits::write::{Cells, TableWriter, file};

/// A folder in which the program runs.
struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Dir {
        Dir(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `slipher` with words; the exit code must be this.
    fn run(&self, code: i32, words: &str) -> Ran {
        let out = Command::new(env!("CARGO_BIN_EXE_slipher"))
            .args(words.split_whitespace())
            .current_dir(self.0.path())
            .env_remove("RUST_BACKTRACE")
            .output()
            .unwrap();
        let ran = Ran(out);
        assert_eq!(
            ran.0.status.code(),
            Some(code),
            "slipher {words}\n{}{}",
            ran.out(),
            ran.err()
        );
        ran
    }

    fn files(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .0
            .path()
            .read_dir()
            .unwrap()
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        all.sort();
        all
    }
}

struct Ran(Output);

impl Ran {
    fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }
    /// Messages, in one line each, however they were wrapped.
    fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }
    fn says(&self, words: &[&str]) {
        let all = format!("{} {}", self.out(), self.err());
        words
            .iter()
            .for_each(|w| assert!(all.contains(w), "expected {w:?} in: {all}"));
    }
}

fn rows(path: &Path) -> Vec<arrow_array::RecordBatch> {
    slipher_data::hats::batches(path, 100_000)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn every_system_is_offered_and_explained() {
    let d = Dir::new();
    let help = d.run(0, "predict --help");
    for s in slipher_systems::registry::all_shared() {
        help.says(&[s.name()]);
    }
    d.run(64, "predict meteors x").says(&["meteors", "radio"]);
    d.run(0, "--help").says(&[
        "redshift",
        "predict",
        "train",
        "evaluate",
        "report",
        "reproduce",
        "simulate",
    ]);
    d.run(0, "--version").says(&[env!("CARGO_PKG_VERSION")]);
}

/// An option that a system does not have is refused with its name, never ignored.
#[test]
fn options_without_effect_are_refused() {
    let d = Dir::new();
    for (words, option) in [
        ("train redshift-classes --id x", "--id"),
        ("train redshift-classes --labelled x", "--labelled"),
        ("evaluate radio --snr 3", "--snr"),
        ("evaluate radio --instrument boss", "--instrument"),
        ("evaluate radio --calibration", "--calibration"),
        (
            "evaluate radio --out-of-distribution",
            "--out-of-distribution",
        ),
        ("evaluate radio --euclid", "--euclid"),
        ("evaluate redshift --labelled x", "--labelled"),
        ("report radio x.fits --prior 0..1", "--prior"),
        ("report radio x.fits --purity 0.9", "--purity"),
        ("report radio x.fits --air", "--air"),
        ("report radio x.fits --device cpu", "--device"),
        ("report redshift x.fits --bands u", "--bands"),
        ("train radio --from shipped", "--from"),
        ("simulate radio --instrument boss", "--instrument"),
        ("simulate radio --recipe x", "--recipe"),
        ("simulate redshift --recipe x", "--recipe"),
        ("reproduce radio --other-library x", "--other-library"),
        ("reproduce redshift-talk --labelled x", "--labelled"),
    ] {
        d.run(1, words).says(&["no option", option]);
        assert!(d.files().is_empty(), "{words} wrote {:?}", d.files());
    }
}

/// What would lose rows or mean nothing is refused, before anything is written.
#[test]
fn outputs_and_numbers_that_cannot_be() {
    let d = Dir::new();
    std::fs::create_dir(d.path("in")).unwrap();
    d.run(0, "-q simulate redshift -n 4 -i boss -o in/sky.parquet");
    d.run(1, "redshift in/sky.parquet -o a.csv --lines a.csv")
        .says(&["two outputs"]);
    d.run(1, "redshift in/sky.parquet -o a.csv --report a.csv")
        .says(&["two outputs"]);
    d.run(1, "redshift in -o in/part-1.csv --shard 1/2")
        .says(&["another folder"]);
    assert!(!d.path("a.csv").exists() && !d.path("in/part-1.csv").exists());
    for words in [
        "evaluate redshift --snr nan",
        "evaluate redshift --snr=0",
        "evaluate redshift --z-max=-1",
        "train radio --steps 0",
    ] {
        d.run(64, words).says(&["invalid value"]);
    }
}

/// A full disk is no reader that went away.
#[cfg(target_os = "linux")]
#[test]
fn rows_that_cannot_be_printed_are_an_error() {
    let d = Dir::new();
    d.run(0, "-q simulate redshift -n 4 -i boss -o sky.parquet");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let out = Command::new(env!("CARGO_BIN_EXE_slipher"))
        .args(["redshift", "sky.parquet"])
        .current_dir(d.0.path())
        .stdout(full.unwrap())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("cannot write"));
    // Nor is a device a file to be replaced.
    d.run(1, "redshift sky.parquet --report /dev/full");
    use std::os::unix::fs::FileTypeExt;
    assert!(
        std::fs::metadata("/dev/full")
            .unwrap()
            .file_type()
            .is_char_device()
    );
}

#[test]
fn spectra_from_simulation_to_catalogue() {
    let d = Dir::new();
    d.run(
        0,
        "-q simulate redshift -n 40 -i boss --seed 5 -o sky.parquet",
    );
    d.run(0, "redshift sky.parquet")
        .says(&["GALAXY", "p_correct", "spectra measured"]);
    d.run(0, "-q redshift sky.parquet -o a.parquet");
    d.run(0, "-q redshift sky.parquet -o a.fits");
    d.run(
        0,
        "-q redshift sky.parquet -o a.csv --report page.html --lines lines.csv",
    );
    assert_eq!(
        rows(&d.path("a.parquet"))
            .iter()
            .map(|b| b.num_rows())
            .sum::<usize>(),
        40
    );
    assert!(
        std::fs::read_to_string(d.path("page.html"))
            .unwrap()
            .contains("</html>")
    );
    std::fs::write(d.path("bad.fits"), "not FITS at all").unwrap();
    d.run(2, "redshift sky.parquet bad.fits -o b.parquet")
        .says(&["bad.fits", "1 row has no redshift"]);
    assert_eq!(
        rows(&d.path("b.parquet"))
            .iter()
            .map(|b| b.num_rows())
            .sum::<usize>(),
        41
    );
    d.run(1, "redshift bad.fits -o c.parquet");
    d.run(1, "redshift nothing-here-*.fits")
        .says(&["nothing-here"]);
    d.run(1, "redshift sky.parquet -o a.txt")
        .says(&[".parquet"]);
    d.run(1, "redshift sky.parquet -o no/such/a.parquet")
        .says(&["no/such"]);
    d.run(1, "redshift sky.parquet --purity 2")
        .says(&["purity"]);
    d.run(1, "redshift sky.parquet --model bad.fits")
        .says(&["bad.fits", "slipher train redshift"]);
    d.run(1, "redshift sky.parquet --shard 4/3").says(&["4/3"]);
    assert!(
        d.files().iter().all(|f| !f.contains("tmp")),
        "{:?}",
        d.files()
    );
}

/// Parts, shards and resume are the same for spectra and for images; their rows are those of one
/// file.
#[test]
fn folders_of_parts_for_every_kind_of_system() {
    let d = Dir::new();
    let spectra = ("redshift", "simulate redshift -n 30 -i vimos");
    let images = slipher_systems::registry::all_shared()
        .map(|s| (s.name(), ""))
        .collect::<Vec<_>>();
    for (name, _) in std::iter::once(spectra).chain(images) {
        let verb = if name == "redshift" {
            "redshift".to_owned()
        } else {
            format!("predict {name}")
        };
        let what = if name == "redshift" {
            "redshift -i vimos".to_owned()
        } else {
            name.to_owned()
        };
        for k in 1..=3 {
            d.run(
                0,
                &format!("-q simulate {what} -n 12 --seed {k} -o {name}-in-{k}.parquet"),
            );
        }
        let inputs = format!("{name}-in-1.parquet {name}-in-2.parquet {name}-in-3.parquet");
        d.run(0, &format!("{verb} {inputs} -o {name}-parts --shard 2/2"))
            .says(&["not complete"]);
        d.run(1, &format!("{verb} {inputs} -o {name}-parts --shard 2/2"))
            .says(&["--resume"]);
        d.run(0, &format!("{verb} {inputs} -o {name}-parts --shard 1/2"))
            .says(&["is complete", "36 rows"]);
        let first = d.path(&format!("{name}-parts/part-000000.parquet"));
        let bytes = std::fs::read(&first).unwrap();
        std::fs::remove_file(&first).unwrap();
        d.run(0, &format!("{verb} {inputs} -o {name}-parts --resume"))
            .says(&["is complete"]);
        assert!(
            std::fs::read(&first).unwrap() == bytes,
            "{name}: the part that was made again differs"
        );
        // The same settings only.
        d.run(
            1,
            &format!("{verb} {inputs} -o {name}-parts --resume --precision bf16")
                .replace("bf16", other_precision()),
        )
        .says(&["differs"]);
        d.run(0, &format!("-q {verb} {inputs} -o {name}-one.parquet"));
        let all = rows(&d.path(&format!("{name}-one.parquet")));
        let one = arrow_select::concat::concat_batches(all[0].schema_ref(), &all).unwrap();
        for k in 0..3 {
            let part = rows(&d.path(&format!("{name}-parts/part-00000{k}.parquet")));
            assert_eq!(part.len(), 1);
            for (field, column) in part[0].schema().fields().iter().zip(part[0].columns()) {
                // The catalogue's own columns; those of the file come under their own names.
                if let Some(own) = one
                    .column_by_name(field.name())
                    .filter(|c| c.data_type() == column.data_type())
                {
                    let skip = ["label", "object_id", "ra", "dec", "row", "file"]
                        .contains(&field.name().as_str());
                    assert!(
                        skip || own.slice(12 * k, 12).to_data() == column.to_data(),
                        "{name}: {}",
                        field.name()
                    );
                }
            }
        }
    }
}

/// bf16 where this processor has it; elsewhere a model named otherwise makes the difference.
fn other_precision() -> &'static str {
    if slipher_nn::predictor::Precision::Bf16.available() == slipher_nn::predictor::Precision::Bf16
    {
        "bf16"
    } else {
        "f32 --shard 1/1 --model none"
    }
}

#[test]
fn training_stops_resumes_and_refuses() {
    let d = Dir::new();
    let recipe = "system = \"transients\"\nnetwork = { network = \"square\", width = 16 }\nsimulated = 40\nexamples_seen = 320\nbatch = 16\n\
                  optimiser = { name = \"adam\", beta1 = 0.9, beta2 = 0.99, eps = 1e-8 }\nlearning_rate = 0.001\nvalidation = 20\nseed = 1\n";
    std::fs::write(d.path("r.toml"), recipe).unwrap();
    d.run(0, "train transients --recipe r.toml -o run").says(&[
        "Wrote",
        "model.safetensors",
        "validation",
    ]);
    d.run(1, "train transients --recipe r.toml -o run")
        .says(&["--resume"]);
    d.run(0, "-q train transients --recipe r.toml -o run --resume");
    d.run(
        1,
        "train transients --recipe r.toml -o run --resume --seed 9",
    )
    .says(&["another recipe"]);
    d.run(1, "train radio --recipe r.toml -o other")
        .says(&["transients"]);
    std::fs::write(
        d.path("old.toml"),
        recipe
            .replace("learning_rate", "rate")
            .replace("examples_seen", "shown"),
    )
    .unwrap();
    d.run(0, "-q train transients --recipe old.toml -o old");
    let read = |p: &str| std::fs::read(d.path(p)).unwrap();
    assert!(
        read("run/model.safetensors") == read("old/model.safetensors"),
        "words of 0.1 mean the same"
    );
    std::fs::write(
        d.path("bad.toml"),
        recipe.replace("batch = 16", "bach = 16"),
    )
    .unwrap();
    d.run(1, "train transients --recipe bad.toml -o bad")
        .says(&["bach"]);
    // A damaged checkpoint does not begin anew in silence.
    let path = d.path("run/checkpoint.safetensors");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    d.run(1, "train transients --recipe r.toml -o run --resume")
        .says(&["checkpoint.safetensors"]);
    d.run(0, "-q simulate transients -n 5 -o t.parquet");
    d.run(
        0,
        "predict transients t.parquet --model run/model.safetensors",
    )
    .says(&["real", "bogus"]);
    d.run(1, "predict radio t.parquet --model run/model.safetensors")
        .says(&["transients", "radio"]);
    d.run(1, "predict transients t.parquet --precision f8")
        .says(&["f8", "bf16"]);
}

#[test]
fn images_to_catalogue_and_page() {
    let d = Dir::new();
    d.run(0, "-q simulate star-galaxy -n 6 -o c.fits");
    d.run(
        0,
        "predict star-galaxy c.fits --bands u,g,r,i,z -o s.csv --report p.html",
    )
    .says(&[" rows in 1 file,", "Wrote"]);
    let csv = std::fs::read_to_string(d.path("s.csv")).unwrap();
    assert!(
        csv.starts_with("object_id,ra,dec,class,p_class,star,galaxy,familiarity,flags,error"),
        "{csv}"
    );
    std::fs::write(d.path("broken.png"), [0x89, b'P', b'N', b'G', 1, 2, 3]).unwrap();
    d.run(
        2,
        "predict star-galaxy c.fits broken.png --bands u,g,r,i,z -o t.csv",
    )
    .says(&["broken.png"]);
    d.run(1, "predict star-galaxy broken.png");
    assert!(
        std::fs::read_to_string(d.path("p.html"))
            .unwrap()
            .contains("data:image/png")
    );
}

/// Lines of a galaxy at z = 0.1 on a grid that `axis` turns from Å into the file's numbers.
fn galaxy(axis: impl Fn(f64) -> f64) -> String {
    let lines = [
        (3728.5, 3.0),
        (4862.7, 1.0),
        (4960.3, 1.0),
        (5008.2, 3.0),
        (6564.6, 3.0),
    ];
    (0..3800)
        .map(|i| {
            let w = 3800.0 * 10f64.powf(1e-4 * f64::from(i));
            let line = |(at, height): (f64, f64)| {
                height * (-0.5 * ((w / (1.1 * at) - 1.0) / 3e-4).powi(2)).exp()
            };
            // Noise without a random number: a sine that no line follows.
            let noise = 0.05 * (f64::from(i) * 2.399_963).sin();
            let flux = 1.0 + noise + lines.into_iter().map(line).sum::<f64>();
            format!("{:.12} {flux:.6} 0.05\n", axis(w))
        })
        .collect()
}

/// A column of the catalogue that CSV holds.
fn cells(path: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|l| l.split(',').collect::<Vec<_>>());
    let at = lines
        .next()
        .unwrap()
        .iter()
        .position(|c| *c == name)
        .unwrap();
    lines.map(|l| l[at].to_owned()).collect()
}

/// What is assumed is said by name, on the screen and in the catalogue, and not accepted where it
/// could be wrong; the option settles it.
#[test]
fn assumptions_are_flagged_and_settled() {
    let d = Dir::new();
    // 1.5 to 3.7 of something: microns, surely; 1520 to 3650: Å or nm.
    let sky = galaxy(|w| w * 0.4);
    std::fs::write(d.path("sky.txt"), &sky).unwrap();
    let ran = d.run(0, "redshift sky.txt --vacuum -o a.csv");
    ran.says(&["1 row with the warning wave-unit-assumed", "not accepted"]);
    assert_eq!(cells(&d.path("a.csv"), "accepted"), ["0"]);
    assert_eq!(cells(&d.path("a.csv"), "warnings"), ["wave-unit-assumed"]);
    let nm = galaxy(|w| w / 10.0);
    std::fs::write(d.path("nm.txt"), nm).unwrap();
    d.run(0, "redshift nm.txt --vacuum --wave-unit nm -o b.csv");
    assert_eq!(cells(&d.path("b.csv"), "accepted"), ["1"]);
    assert_eq!(cells(&d.path("b.csv"), "warnings"), [""]);
    let z: f64 = cells(&d.path("b.csv"), "z")[0].parse().unwrap();
    assert!((z - 0.1).abs() < 1e-3, "{z}");
    d.run(1, "redshift nm.txt --wave-unit furlong")
        .says(&["furlong", "expected Angstrom"]);
    d.run(64, "predict radio nm.txt --wave-unit nm")
        .says(&["--wave-unit"]);
}

/// A file that is cut, one that is not there, and a good one: three files, no lost row.
#[test]
fn damage_costs_a_row_and_not_a_run() {
    let d = Dir::new();
    std::fs::write(d.path("good.txt"), galaxy(|w| w)).unwrap();
    let card = |c: &str| format!("{c:<80}");
    let cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                  -64",
        "NAXIS   =                    1",
        "NAXIS1  =                 3000",
        "CRVAL1  =               4000.0",
        "CDELT1  =                  1.5",
        "CUNIT1  = 'Angstrom'",
        "END",
    ];
    let mut bytes: Vec<u8> = cards.iter().flat_map(|c| card(c).into_bytes()).collect();
    bytes.resize(2880, b' ');
    bytes.extend((0..2000).flat_map(|i| (1.0 + f64::from(i % 7)).to_be_bytes()));
    std::fs::write(d.path("cut.fits"), bytes).unwrap();
    d.run(2, "redshift cut.fits good.txt nowhere.fits -o a.csv")
        .says(&["cut.fits", "nowhere.fits", "No such file"]);
    let files = cells(&d.path("a.csv"), "file");
    assert!(files.iter().any(|f| f == "good.txt") && files.iter().any(|f| f == "nowhere.fits"));
    let (z, accepted) = (
        cells(&d.path("a.csv"), "z"),
        cells(&d.path("a.csv"), "accepted"),
    );
    let good = files.iter().position(|f| f == "good.txt").unwrap();
    assert!((z[good].parse::<f64>().unwrap() - 0.1).abs() < 1e-3 && accepted[good] == "1");
    // A prior of other objects is said to be one.
    std::fs::write(d.path("prior.csv"), "object_id,z,sigma\nelse,0.1,0.05\n").unwrap();
    d.run(0, "redshift good.txt --prior prior.csv -o b.csv")
        .says(&["names none of these objects"]);
}

/// Parts that were replaced or damaged are made again; the same bytes come out.
#[test]
fn resume_trusts_no_name() {
    let d = Dir::new();
    for i in 0..3 {
        std::fs::create_dir_all(d.path("in")).unwrap();
        d.run(
            0,
            &format!("simulate redshift -n 4 --seed {} -o in/{i}.parquet", 5 + i),
        );
    }
    d.run(0, "redshift in -o parts/");
    let part = |i: usize| d.path(&format!("parts/part-{i:06}.parquet"));
    let whole: Vec<Vec<u8>> = (0..3).map(|i| std::fs::read(part(i)).unwrap()).collect();
    std::fs::copy(part(0), part(1)).unwrap();
    let mut zeroed = whole[2].clone();
    zeroed[40..400].fill(0);
    std::fs::write(part(2), zeroed).unwrap();
    d.run(0, "redshift in -o parts/ --resume").says(&[
        "part-000001.parquet",
        "part-000002.parquet",
        "made again",
    ]);
    for (i, bytes) in whole.iter().enumerate() {
        assert!(std::fs::read(part(i)).unwrap() == *bytes, "part {i}");
    }
}

/// What holds anything is replaced only when that is asked for; the demo knows its own.
#[test]
fn outputs_are_replaced_only_when_asked() {
    let d = Dir::new();
    d.run(0, "-q simulate redshift -n 4 -i boss -o sky.parquet");
    d.run(1, "simulate redshift -n 4 -i boss -o sky.parquet")
        .says(&["sky.parquet", "--overwrite"]);
    d.run(
        0,
        "-q simulate redshift -n 5 -i boss -o sky.parquet --overwrite",
    );
    for out in ["z.csv", "z.fits", "z.parquet"] {
        d.run(0, &format!("redshift sky.parquet -o {out}"))
            .says(&["5 spectra measured in 1 file,", "Wrote"]);
        let before = std::fs::read(d.path(out)).unwrap();
        d.run(1, &format!("redshift sky.parquet -o {out}"))
            .says(&[out, "--overwrite"]);
        assert_eq!(std::fs::read(d.path(out)).unwrap(), before);
        d.run(0, &format!("-q redshift sky.parquet -o {out} --overwrite"));
    }
    d.run(1, "redshift sky.parquet --lines z.csv")
        .says(&["--overwrite"]);
    d.run(1, "report redshift sky.parquet -o z.csv")
        .says(&["--overwrite"]);
    d.run(1, "redshift sky.parquet -o parts --overwrite")
        .says(&["--resume"]);
    // An empty file holds nothing.
    std::fs::write(d.path("empty.csv"), "").unwrap();
    d.run(0, "-q redshift sky.parquet -o empty.csv");
    let about = std::fs::read_to_string(d.path("z.csv-metadata.json")).unwrap();
    for word in [
        "slipher:command",
        "slipher:date",
        "slipher:sha256",
        "p_correct",
    ] {
        assert!(about.contains(word), "{about}");
    }
    d.run(0, "-q demo -n 9");
    d.run(0, "-q demo -n 9");
    std::fs::write(d.path("slipher-demo/report.html"), "my notes").unwrap();
    d.run(1, "-q demo -n 9")
        .says(&["slipher-demo", "--overwrite"]);
    assert!(
        d.files().iter().all(|f| !f.starts_with('.')),
        "{:?}",
        d.files()
    );
}

/// What other programs want: pipes, JSON, completions, manual pages, the version.
#[test]
fn manners_of_the_shell() {
    let d = Dir::new();
    d.run(0, "-q simulate redshift -n 3 -i boss -o sky.parquet");
    let piped = |words: &str, input: &Path| {
        let out = Command::new(env!("CARGO_BIN_EXE_slipher"))
            .args(words.split_whitespace())
            .current_dir(d.0.path())
            .stdin(std::fs::File::open(input).unwrap())
            .output()
            .unwrap();
        assert!(out.status.success(), "{words}: {}", Ran(out).err());
        Ran(out)
    };
    let plain = d.run(0, "-q redshift sky.parquet").out();
    let from_pipe = piped("-q redshift -", &d.path("sky.parquet")).out();
    assert_eq!(plain, from_pipe);
    std::fs::write(d.path("list"), "sky.parquet\n").unwrap();
    assert_eq!(plain, piped("-q redshift @-", &d.path("list")).out());
    let json = d.run(0, "redshift sky.parquet -o a.csv --json").out();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["rows"], &json["failed"]), (&3.into(), &0.into()));
    assert_eq!(json["about"]["sha256"].as_str().unwrap().len(), 64);
    d.run(64, "redshift sky.parquet --json").says(&["--output"]);
    let json = d.run(0, "redshift sky.parquet -o parts --json").out();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["made"], &json["complete"]),
        (&1.into(), &true.into())
    );
    d.run(0, "-q simulate radio -n 2 -o maps.fits");
    let json = d.run(0, "predict radio maps.fits -o maps.csv --json").out();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"], 2);
    d.run(0, "completions bash").says(&["_slipher", "redshift"]);
    d.run(0, "man").says(&[".TH slipher", "redshift"]);
    d.run(0, "man redshift").says(&[".TH", "overwrite"]);
    d.run(1, "man meteors").says(&["no such verb"]);
    let version = d.run(0, "--version").out();
    assert!(version.contains("features: ") && version.contains("model redshift"));
    assert_eq!(d.run(0, "-V").out().lines().count(), 1);
    // Densities of z and their redshifts in FITS.
    d.run(0, "-q redshift sky.parquet -o pz.fits --pz");
    let f = slipher_data::fits::Fits::open(&d.path("pz.fits")).unwrap();
    assert_eq!(f.table(1).unwrap().column("pz").unwrap().repeat, 6640);
    let grid = f.table(f.named("PZ_GRID").unwrap()).unwrap();
    assert_eq!(grid.rows(), 6640);
    let header = &f.hdus[1].header;
    assert!(header.str("COMMAND").unwrap().contains("--pz"));
    assert_eq!(header.str("DATE").unwrap().len(), 19);
}

/// A program that is told to end leaves neither half a file nor a hidden one.
#[test]
#[cfg(unix)]
fn told_to_end_it_leaves_nothing() {
    let d = Dir::new();
    d.run(0, "-q simulate redshift -n 40 -i boss -o sky.parquet");
    for i in 0..400 {
        std::fs::hard_link(d.path("sky.parquet"), d.path(&format!("s{i}.parquet"))).unwrap();
    }
    for (k, signal) in ["TERM", "INT", "HUP", "KILL"].into_iter().enumerate() {
        let mut child = Command::new(env!("CARGO_BIN_EXE_slipher"))
            .args(["-q", "redshift", ".", "-o", "z.parquet"])
            .current_dir(d.0.path())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300 + 150 * k as u64));
        let kill = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let status = child.wait().unwrap();
        assert!(
            signal == "KILL" || status.code() == Some(130),
            "{signal}: {status}"
        );
        let hidden = |f: &String| f.starts_with('.') || f.starts_with('z');
        assert!(!d.files().iter().any(hidden), "{signal}: {:?}", d.files());
    }
}

/// The second pass over a sample: one file or a folder of parts, the same rows, a column more.
#[test]
fn samples_are_accepted_by_their_own_probabilities() {
    let d = Dir::new();
    d.run(
        0,
        "-q simulate redshift -n 120 -i boss --seed 5 -o sky.parquet",
    );
    d.run(0, "redshift sky.parquet -o z.parquet");
    let said = d.run(0, "accept z.parquet --purity 0.9 -o sample.parquet --json");
    let line: serde_json::Value = serde_json::from_str(&said.out()).unwrap();
    let (before, after) = (rows(&d.path("z.parquet")), rows(&d.path("sample.parquet")));
    let (one, two) = (&before[0], &after[0]);
    assert_eq!(two.num_columns(), one.num_columns() + 1);
    assert_eq!(
        two.column_by_name("z").unwrap(),
        one.column_by_name("z").unwrap()
    );
    let taken = two.column_by_name("accepted_sample").unwrap();
    let taken = taken
        .as_any()
        .downcast_ref::<arrow_array::Int32Array>()
        .unwrap();
    let p = two.column_by_name("p_correct").unwrap();
    let p = p
        .as_any()
        .downcast_ref::<arrow_array::Float64Array>()
        .unwrap();
    let own: Vec<f64> = (0..two.num_rows())
        .filter(|i| taken.value(*i) == 1)
        .map(|i| p.value(i))
        .collect();
    assert_eq!(line["accepted"], own.len());
    let mean = own.iter().sum::<f64>() / own.len() as f64;
    assert!(own.len() > 40 && mean >= 0.9, "{} {mean}", own.len());
    assert!((line["purity_expected"].as_f64().unwrap() - mean).abs() < 1e-6);
    d.run(0, "redshift sky.parquet -o parts");
    let parts = d.run(0, "accept parts --purity 0.9 --json");
    let parts: serde_json::Value = serde_json::from_str(&parts.out()).unwrap();
    assert_eq!(parts, line);
    d.run(1, "accept z.parquet -o sample.parquet")
        .says(&["sample.parquet", "--overwrite"]);
    d.run(1, "accept z.parquet -o z.parquet --overwrite")
        .says(&["is a catalogue that is read"]);
    d.run(1, "accept sky.parquet")
        .says(&["p_correct", "slipher redshift"]);
    d.run(1, "accept sample.parquet --purity 0.9 -o again.parquet")
        .says(&["accepted_sample", "already"]);
    d.run(1, "accept z.csv").says(&["expected Parquet"]);
    d.run(1, "accept z.parquet --purity 1.5")
        .says(&["--purity 1.5"]);
}

/// Arms in separate files are one row when that is asked for.
#[test]
fn arms_in_separate_files_are_joined() {
    let d = Dir::new();
    for (name, lo) in [("t1_blue", 3600.0), ("t1_red", 6400.0)] {
        let line = |w: f64, at: f64| 8.0 * (-0.5 * ((w - at * 1.2) / 5.0).powi(2)).exp();
        let rows: String = (0..1500)
            .map(|i| {
                let w = lo + 2.0 * f64::from(i);
                let lines = [3728.5, 4862.7, 4960.3, 5008.2, 6564.6].map(|at| line(w, at));
                let noise = 0.1 * f64::from(i * 7919 % 101) / 50.0;
                format!("{w},{},0.1\n", 1.0 + lines.iter().sum::<f64>() + noise)
            })
            .collect();
        let head = "wave (Angstrom),flux (erg/s/cm2/Angstrom),err\n";
        std::fs::write(d.path(&format!("{name}.csv")), head.to_owned() + &rows).unwrap();
    }
    d.run(
        0,
        "-q redshift t1_blue.csv t1_red.csv --vacuum -o apart.parquet",
    );
    assert_eq!(rows(&d.path("apart.parquet"))[0].num_rows(), 2);
    let run = "-q redshift t1_blue.csv t1_red.csv --vacuum --join-arms";
    d.run(0, &format!("{run} -o one.parquet"));
    let one = rows(&d.path("one.parquet"));
    assert_eq!(one[0].num_rows(), 1);
    let z = one[0].column_by_name("z").unwrap();
    let z = z
        .as_any()
        .downcast_ref::<arrow_array::Float64Array>()
        .unwrap();
    assert!((z.value(0) - 0.2).abs() < 1e-3, "{}", z.value(0));
    d.run(1, &format!("{run} -o parts"))
        .says(&["a folder of parts has no"]);
    d.run(1, &format!("{run} -o z.csv --report z.html"))
        .says(&["--join-arms"]);
}

/// Stamps out of a large image need both the image and the sources.
#[test]
fn images_and_catalogues() {
    let d = Dir::new();
    d.run(64, "predict radio --image map.fits -o z.csv");
    d.run(
        64,
        "predict radio a.fits --image map.fits --catalogue s.csv -o z.csv",
    );
    std::fs::write(d.path("s.csv"), "id,ra,dec\n1,10,20\n").unwrap();
    let words = "predict radio --image map.fits --catalogue s.csv";
    let err = d.run(1, &format!("{words} -o z.csv")).err();
    assert!(err.contains("--image map.fits"), "{err}");
    let err = d.run(1, &format!("{words} -o parts")).err();
    assert!(err.contains("one catalogue"), "{err}");
    assert_eq!(d.files(), ["s.csv"]);
}

/// A simulated sky is continued with its own settings only; a stale checksum is read when asked.
#[test]
fn other_settings_and_stale_sums() {
    let d = Dir::new();
    d.run(0, "simulate redshift -n 24 --hats 0 -o sky");
    d.run(0, "simulate redshift -n 24 --hats 0 -o sky");
    let err = d
        .run(1, "simulate redshift -n 24 -s 2 --hats 0 -o sky")
        .err();
    assert!(err.contains("other settings"), "{err}");
    // A spectrum with sums; one byte of its data is changed.
    let mut t = TableWriter::new("SPECTRUM");
    let rows = || (0..2000).map(f64::from);
    let wave = rows().map(|i| 3600.0 + 2.0 * i).collect();
    let flux = rows().map(|i| 1.0 + 0.3 * (0.05 * i).sin()).collect();
    t.column("wave", "Angstrom", Cells::F64s(1, wave));
    t.column("flux", "", Cells::F64s(1, flux));
    let mut bytes = file(&[], &[t]);
    let at = bytes.len() - 3000;
    bytes[at] ^= 1;
    std::fs::write(d.path("s.fits"), bytes).unwrap();
    let err = d.run(2, "redshift s.fits -o y.csv").err();
    assert!(err.contains("DATASUM"), "{err}");
    let words = "--ignore-checksums redshift s.fits -o y.csv --overwrite";
    let err = d.run(0, words).err();
    assert!(!err.contains("DATASUM"), "{err}");
}
