//! Manners: options, outputs, messages, exit codes.

use super::harness::*;
use slipher_data::fits::write::{Cells, TableWriter, file};
use std::path::Path;
use std::process::Command;

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
