//! Whole catalogues: what to accept, what comes first.

use super::harness::*;

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

/// Values of a column of numbers.
fn numbers(batches: &[arrow_array::RecordBatch], name: &str) -> Vec<f64> {
    use arrow_array::Array;
    let mut out = vec![];
    for b in batches {
        let c = b.column_by_name(name).unwrap();
        let f64s = c.as_any().downcast_ref::<arrow_array::Float64Array>();
        let f32s = c.as_any().downcast_ref::<arrow_array::Float32Array>();
        let i64s = c.as_any().downcast_ref::<arrow_array::Int64Array>();
        for i in 0..b.num_rows() {
            out.push(match (f64s, f32s, i64s) {
                _ if c.is_null(i) => f64::NAN,
                (Some(v), ..) => v.value(i),
                (_, Some(v), _) => f64::from(v.value(i)),
                (.., Some(v)) => v.value(i) as f64,
                _ => panic!("{name}: {:?}", c.data_type()),
            });
        }
    }
    out
}

/// Best first at the stated prevalence; what has no answer is at the end with the reason, and
/// nothing is lost.
#[test]
fn rare_objects_come_first() {
    let d = Dir::new();
    d.run(0, "-q simulate star-galaxy -n 60 --seed 3 -o sky.fits");
    std::fs::write(d.path("notes.png"), "no picture").unwrap();
    d.run(
        2,
        "predict star-galaxy sky.fits notes.png -o all.parquet --precision f32",
    );
    let said = d.run(
        0,
        "rank all.parquet -o ranked.parquet --prevalence 0.01 --page grade.html --stamps 5 --json",
    );
    let line: serde_json::Value = serde_json::from_str(&said.out()).unwrap();
    let ranked = rows(&d.path("ranked.parquet"));
    let (rank, p) = (
        numbers(&ranked, "rank"),
        numbers(&ranked, "p_at_prevalence"),
    );
    let (purity, galaxy) = (
        numbers(&ranked, "expected_purity"),
        numbers(&ranked, "galaxy"),
    );
    assert_eq!(rank.len(), 61);
    let n = line["ranked"].as_u64().unwrap() as usize;
    assert_eq!(line["excluded"].as_u64().unwrap() as usize, 61 - n);
    for k in 0..n {
        assert_eq!(rank[k], (k + 1) as f64);
        assert!(k == 0 || p[k] <= p[k - 1]);
        // Bayes, from the share of galaxies in the training.
        let odds = galaxy[k] / (1.0 - galaxy[k]) * (0.01 / 0.99) / (0.87 / 0.13);
        let want = odds / (1.0 + odds);
        assert!(
            (p[k] - want).abs() < 1e-4 || galaxy[k] > 0.9999,
            "{} {want}",
            p[k]
        );
        let mean = p[..=k].iter().sum::<f64>() / (k + 1) as f64;
        assert!((purity[k] - mean).abs() < 1e-9);
    }
    let last = ranked.last().unwrap();
    let why = last.column_by_name("excluded").unwrap();
    let why = why.as_any().downcast_ref::<arrow_array::StringArray>();
    let why = why.unwrap().value(last.num_rows() - 1);
    assert!(rank[60].is_nan() && why == "no answer", "{why}");
    let page = std::fs::read_to_string(d.path("grade.html")).unwrap();
    assert_eq!(page.matches("<figure").count(), 5);
    // The same in one go, and of some rows only.
    d.run(
        2,
        "predict star-galaxy sky.fits notes.png -o one.parquet --precision f32 --prevalence 0.01",
    );
    assert_eq!(
        numbers(&rows(&d.path("one.parquet")), "p_at_prevalence")[..n],
        p[..n]
    );
    d.run(
        0,
        "rank all.parquet -o top.parquet --prevalence 0.01 --top 7",
    );
    assert_eq!(numbers(&rows(&d.path("top.parquet")), "rank").len(), 7);
    // What cannot be ranked is said.
    d.run(1, "rank all.parquet -o x.parquet --prevalence 2")
        .says(&["--prevalence 2"]);
    d.run(
        1,
        "rank all.parquet -o all.parquet --prevalence 0.1 --overwrite",
    )
    .says(&["is a catalogue that is read"]);
    d.run(1, "predict star-galaxy sky.fits -o x.csv --prevalence 0.1")
        .says(&["NAME.parquet"]);
    d.run(1, "predict radio sky.fits -o x.parquet --prevalence 0.1")
        .says(&["radio", "how common"]);
    d.run(0, "-q simulate radio -n 3 --seed 3 -o radio.fits");
    d.run(0, "predict radio radio.fits -o radio.parquet");
    d.run(1, "rank radio.parquet -o x.parquet --prevalence 0.1")
        .says(&["two classes"]);
}
