use super::*;

fn batch() -> Vec<Column> {
    let c = |name, unit, values| Column {
        name,
        unit,
        ucd: "src.redshift",
        description: "a & b",
        values,
    };
    let s = SolutionCell {
        rank: 1,
        z: 0.5,
        z_err: 1e-4,
        prob: 0.9,
        spectype: "GALAXY",
        line_id: "Halpha".into(),
    };
    vec![
        c(
            "object_id",
            "",
            Values::Text(vec!["a,\"b".into(), "c".into()]),
        ),
        c("z", "", Values::F64(vec![0.5, f64::NAN])),
        c("snr", "", Values::F32(vec![1.5, 2.0])),
        c("zwarn", "", Values::I64(vec![0, 4])),
        c("n", "", Values::I32(vec![1, 2])),
        c(
            "solutions",
            "",
            Values::Solutions(vec![vec![s.clone(), s], vec![]]),
        ),
    ]
}

#[test]
fn all_kinds_are_written_whole() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["c.parquet", "c.csv", "c.fits"] {
        let path = dir.path().join(name);
        let mut w = CatalogueWriter::create(&path, &[("model", "m".into())]).unwrap();
        w.write(batch()).unwrap();
        w.write(batch()).unwrap();
        assert!(!path.exists());
        w.finish().unwrap();
        assert!(path.exists());
        assert_eq!(
            std::fs::read_dir(dir.path())
                .unwrap()
                .filter(|e| e
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .ends_with("tmp"))
                .count(),
            0
        );
    }
    let text = std::fs::read_to_string(dir.path().join("c.csv")).unwrap();
    assert_eq!(text.lines().count(), 5);
    assert!(text.contains("\"a,\"\"b\",0.5,1.5,0,1,GALAXY:0.500000:0.000100:0.9000:Halpha;GALAXY"));
    let f = crate::fits::Fits::open(&dir.path().join("c.fits")).unwrap();
    let t = f.table(1).unwrap();
    assert_eq!((t.rows(), t.integer("ZWARN", 3)), (4, Some(4)));
    assert!(CatalogueWriter::create(&dir.path().join("c.xyz"), &[]).is_err());
}
