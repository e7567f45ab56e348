use super::*;
use slipher_data::catalogue::{CatalogueWriter, Column as Written, SolutionCell, Values};

/// A catalogue with columns of every kind.
pub(crate) fn catalogue(path: &Path, n: usize) {
    let solution = |i: usize| SolutionCell {
        rank: 1,
        z: i as f64,
        z_err: 0.1,
        prob: 0.5,
        spectype: "QSO",
        line_id: "C IV".into(),
    };
    let numbers = |f: &dyn Fn(usize) -> f64| Values::F64((0..n).map(f).collect());
    let columns = vec![
        Written::bare(
            "file",
            Values::Text((0..n).map(|i| format!("s{i}.fits")).collect()),
        ),
        Written::bare("hdu", Values::I32(vec![1; n])),
        Written::bare("row", Values::I64((0..n as i64).collect())),
        Written::bare(
            "object_id",
            Values::Text((0..n).map(|i| format!("obj-{i}")).collect()),
        ),
        Written::bare(
            "z",
            numbers(&|i| {
                if i % 10 == 9 {
                    f64::NAN
                } else {
                    i as f64 / n as f64
                }
            }),
        ),
        Written::bare("p_correct", numbers(&|i| (i % 101) as f64 / 100.0)),
        Written::bare(
            "snr_med",
            Values::F32((0..n).map(|i| i as f32 * 0.1).collect()),
        ),
        Written::bare("zwarn", Values::I64((0..n as i64).map(|i| i % 4).collect())),
        Written::bare(
            "big",
            Values::I64((0..n as i64).map(|i| 39_627_733_000_000_001 + i).collect()),
        ),
        Written::bare("familiarity", numbers(&|i| 1.0 - i as f64 / n as f64)),
        Written::bare(
            "spectype",
            Values::Text((0..n).map(|i| ["GALAXY", "QSO"][i % 2].into()).collect()),
        ),
        Written::bare(
            "solutions",
            Values::Solutions((0..n).map(|i| vec![solution(i)]).collect()),
        ),
    ];
    let mut out = CatalogueWriter::create(path, &[("settings", "purity = 0.98".into())]).unwrap();
    out.write(columns).unwrap();
    out.finish().unwrap();
}

#[test]
fn columns_and_rows_of_several_parts() {
    let dir = tempfile::tempdir().unwrap();
    let parts: Vec<PathBuf> = (0..2)
        .map(|k| dir.path().join(format!("{k}.parquet")))
        .collect();
    parts.iter().for_each(|p| catalogue(p, 50));
    let t = Table::open(&parts).unwrap();
    assert_eq!((t.len(), t.key("settings")), (100, Some("purity = 0.98")));
    let z = t.column("z").unwrap();
    assert_eq!((z.number(51), z.number(3)), (0.02, 0.06));
    assert!(z.number(59).is_nan() && z.text(59).is_empty());
    assert_eq!(t.column("object_id").unwrap().text(99), "obj-49");
    for name in ["solutions", "nothing"] {
        assert!(t.column(name).unwrap_err().to_string().contains(name));
    }
    let row = t.row(77).unwrap();
    assert_eq!(row["object_id"], "obj-27");
    assert_eq!(row["snr_med"], 2.7);
    assert_eq!(row["solutions"][0]["spectype"], "QSO");
    assert_eq!(row["big"], "39627733000000028");
    assert!(t.row(100).is_err());
    // Identifiers beyond 2^53 stay what they are.
    let names: Vec<String> = ["big", "z"].map(str::to_owned).to_vec();
    let some = t.take(&[99, 0], &names).unwrap();
    assert_eq!(
        some.column(1).as_string::<i32>().value(0),
        "39627733000000050"
    );
    assert_eq!(some.column(2).as_primitive::<Float64Type>().value(1), 0.0);
}

#[test]
fn what_is_no_catalogue_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"));
    std::fs::write(&a, "PAR1 but no more").unwrap();
    let why = |files: &[PathBuf]| Table::open(files).err().unwrap().to_string();
    assert!(why(std::slice::from_ref(&a)).contains("a.parquet"));
    assert!(why(&[dir.path().join("none.parquet")]).contains("none.parquet"));
    catalogue(&a, 3);
    let mut out = CatalogueWriter::create(&b, &[]).unwrap();
    out.write(vec![Written::bare("z", Values::F64(vec![1.0]))])
        .unwrap();
    out.finish().unwrap();
    assert!(why(&[a, b]).contains("other columns"));
}

/// The two components of an embedding are columns as any other; rows without one have none.
#[test]
fn embeddings_are_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e.parquet");
    let mut values: Vec<f32> = (0..300).map(|i| (i as f32 * 0.31).sin()).collect();
    values[3] = f32::NAN;
    let columns = vec![
        Written::bare(
            "object_id",
            Values::Text((0..100).map(|i| i.to_string()).collect()),
        ),
        Written::bare("embedding", Values::F32Arrays { width: 3, values }),
    ];
    let mut out = CatalogueWriter::create(&path, &[]).unwrap();
    out.write(columns).unwrap();
    out.finish().unwrap();
    let t = Table::open(&[path]).unwrap();
    assert!(t.fields().any(|f| f.name() == "embedding_2"));
    let [a, b] = ["embedding_1", "embedding_2"].map(|n| t.column(n).unwrap());
    assert!(a.number(1).is_nan() && a.number(0).is_finite());
    let spread = |c: &Column| (2..100).map(|i| c.number(i).powi(2)).sum::<f64>();
    assert!(spread(&a) > spread(&b) && spread(&b) > 0.0);
    assert!(t.take(&[0, 5], &["embedding_1".to_owned()]).is_ok());
}
