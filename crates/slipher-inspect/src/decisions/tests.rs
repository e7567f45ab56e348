use super::*;

fn some(k: usize, scanner: &str) -> Decision {
    Decision {
        file: PathBuf::from(format!("/sky/a/s{k}.fits")),
        hdu: Some(1),
        row: Some(k as i64),
        object_id: format!("obj,\"{k}\" <b>ü</b>"),
        given: Given {
            class: "GALAXY".into(),
            z: Some(0.5),
            p: Some(0.25),
            delta_chi2: Some(12.5),
            model: "redshift".into(),
            version: "0.1.0".into(),
        },
        scanner: scanner.into(),
        quality: Some(3),
        issue: "RC".into(),
        z: Some(1.25),
        class: "QSO".into(),
        comment: "=cmd|' /C calc'!A0, \"two objects\"".into(),
        time: "2026-11-28T10:00:00".into(),
    }
}

#[test]
fn both_formats_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = vec![some(1, "ann"), some(2, "bob")];
    // Left as given, only commented, of no file below the folder.
    all[1] = Decision {
        z: None,
        class: String::new(),
        issue: String::new(),
        quality: None,
        ..all[1].clone()
    };
    all[0].file = dir.path().join("spectra/x.fits");
    for name in ["d.csv", "d.parquet"] {
        let path = dir.path().join(name);
        write(&path, &all, Layout::Own).unwrap();
        assert_eq!(read(&path).unwrap(), all, "{name}");
    }
    let text = std::fs::read_to_string(dir.path().join("d.csv")).unwrap();
    assert!(
        text.starts_with("TARGETID,EXPID,NIGHT,TILEID,Spec_version,Redrock_version,"),
        "{text}"
    );
    assert!(text.contains(",spectra/x.fits,1,1,"), "{text}");
    let desi = dir.path().join("desi.csv");
    write(&desi, &all, Layout::Prospect).unwrap();
    let text = std::fs::read_to_string(&desi).unwrap();
    assert_eq!(text.lines().next().unwrap(), DESI.join(","));
    // Control characters of a file's name or comment do not get out.
    let mut odd = some(3, "eve");
    odd.comment = "a\u{1b}[31mb\nc".into();
    write(&desi, &[odd], Layout::Own).unwrap();
    let text = std::fs::read_to_string(&desi).unwrap();
    assert!(
        !text.contains('\u{1b}') && text.lines().count() == 2,
        "{text}"
    );
}

#[test]
fn a_file_that_is_something_else_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.csv");
    assert_eq!(read(&path).unwrap(), []);
    for text in [
        "name,z\na,1\n",
        "VI_scanner,VI_quality,file\nann,7,x.fits\n",
        "VI_scanner,VI_quality,file\nann,3\n",
    ] {
        std::fs::write(&path, text).unwrap();
        let d = some(1, "ann");
        let why = record(&path, &d.key(), "ann", Some(d.clone()))
            .unwrap_err()
            .to_string();
        assert!(why.contains("d.csv"), "{why}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

/// Writers at once, each of a connection of its own, lose nothing; a second decision of the same
/// inspector replaces the first; one can be taken back.
#[test]
fn several_writers_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.csv");
    std::thread::scope(|s| {
        for who in ["ann", "bob", "eve", "dan"] {
            let path = &path;
            s.spawn(move || {
                for k in 0..25 {
                    let d = some(k, who);
                    record(path, &d.key(), who, Some(d.clone())).unwrap();
                }
            });
        }
    });
    assert_eq!(read(&path).unwrap().len(), 100);
    let d = Decision {
        quality: Some(1),
        ..some(3, "ann")
    };
    let all = record(&path, &d.key(), "ann", Some(d.clone())).unwrap();
    assert_eq!(all.iter().filter(|o| o.key() == d.key()).count(), 4);
    assert_eq!(
        all.iter()
            .find(|o| o.key() == d.key() && o.scanner == "ann")
            .unwrap()
            .quality,
        Some(1)
    );
    assert_eq!(record(&path, &d.key(), "ann", None).unwrap().len(), 99);
}

#[test]
fn agreement_is_of_class_and_redshift() {
    let a = some(1, "ann");
    let with = |z: f64, class: &str, q: u8| Decision {
        z: Some(z),
        class: class.into(),
        quality: Some(q),
        ..some(1, "bob")
    };
    assert!(a.agrees(&with(1.26, "QSO", 4)) && !a.agrees(&with(1.35, "QSO", 4)));
    assert!(!a.agrees(&with(1.25, "GALAXY", 4)) && !a.agrees(&with(1.25, "QSO", 0)));
    assert!(with(0.1, "QSO", 0).agrees(&with(3.0, "STAR", 1)));
}
