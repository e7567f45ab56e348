//! Spectra to catalogues, good files and bad.

use super::harness::*;

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
