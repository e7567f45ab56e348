use super::*;

/// A study stopped in the middle of a cell continues there, finishes, and is not done again;
/// another study is kept out of its folder.
#[test]
fn a_study_is_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let study = Study {
        scale: Scale::Tiny,
        seed: 3,
        other: None,
        folder: dir.path().to_owned(),
    };
    study.claim().unwrap();
    study.claim().unwrap();
    assert!(
        Study {
            seed: 4,
            ..study.clone()
        }
        .claim()
        .unwrap_err()
        .to_string()
        .contains("another study")
    );
    let mut pools = StudyPools::default();
    let cells = study.cells();
    let names: std::collections::BTreeSet<&str> = cells.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names.len(), cells.len(), "names of cells are folders");
    for name in ["shift-nisp-64", "pca-knn-clean"] {
        let cell = cells.iter().find(|c| c.name == name).unwrap();
        let training = matches!(cell.kind, Kind::Train(_));
        assert!(!study.run(cell, &mut pools, &mut |_| false).unwrap());
        assert!(study.finished(cell).is_none());
        assert!(study.run(cell, &mut pools, &mut |_| true).unwrap());
        let f = study.finished(cell).unwrap();
        assert!(f.tests.iter().all(|t| t.metrics.n == 60) && f.curve.is_empty() != training);
        assert_eq!(study.predictions(cell, "clean").unwrap().len(), 60);
        // Nothing is run again.
        assert!(
            study
                .run(cell, &mut pools, &mut |_| panic!("ran again"))
                .unwrap()
        );
    }
}
