use super::*;
use slipher_systems::redshift::catalogue::columns;
use slipher_systems::redshift::measure::PredictOptions;
use slipher_systems::redshift::model::Model;
use slipher_systems::redshift::pipeline;

/// Emission lines on a rising continuum, at a redshift.
fn spectrum(path: &Path, z: f64, tilt: f64) {
    let mut text = "wave (Angstrom),flux (erg/s/cm2/Angstrom),err\n".to_owned();
    for i in 0..2000 {
        let wave = 3800.0 + 2.5 * f64::from(i);
        let line = |rest: f64, size: f64| {
            size * (-0.5 * ((wave / (rest * (1.0 + z)) - 1.0) / 6e-4).powi(2)).exp()
        };
        let lines = line(3728.5, 6.0)
            + line(4862.7, 4.0)
            + line(4960.3, 5.0)
            + line(5008.2, 15.0)
            + line(6564.6, 12.0);
        let noise = f64::from((i * 7919) % 101 - 50) / 200.0;
        text += &format!(
            "{wave:.2},{:.4},0.25\n",
            2.0 + tilt * f64::from(i) / 2000.0 + lines + noise
        );
    }
    std::fs::write(path, text).unwrap();
}

/// Three spectra and their catalogue, as the program writes it.
pub(crate) fn sky(dir: &Path) -> PathBuf {
    let model = Model::shipped().unwrap();
    let files: Vec<PathBuf> = (0..3).map(|k| dir.join(format!("s{k}.csv"))).collect();
    for (k, f) in files.iter().enumerate() {
        spectrum(f, 0.1 + 0.1 * k as f64, k as f64);
    }
    let mut out = vec![];
    let read = slipher_data::formats::ReadOptions::default();
    pipeline::run(
        &model,
        &PredictOptions::default(),
        &files,
        &read,
        |_, rows| {
            out.extend(rows);
            Ok::<_, ()>(true)
        },
    )
    .unwrap();
    let path = dir.join("c.parquet");
    let keys = [("sha256", model.sha256.clone())];
    let mut writer = slipher_data::catalogue::CatalogueWriter::create(&path, &keys).unwrap();
    writer.write(columns(&out, &model, false)).unwrap();
    writer.finish().unwrap();
    path
}

pub(crate) fn session(dir: &Path, who: &str) -> Session {
    let catalogue = dir.join("c.parquet");
    let decisions = default_decisions(&catalogue);
    let options = Options {
        catalogue: vec![catalogue],
        sources: vec![],
        decisions,
        inspector: who.into(),
        model: None,
    };
    Session::open(options).unwrap()
}

/// A row is shown as it was measured, decided, seen by another inspector, and read by training.
#[test]
fn rows_are_shown_and_decided() {
    let dir = tempfile::tempdir().unwrap();
    sky(dir.path());
    let s = session(dir.path(), "ann");
    let shown = s.show(1).unwrap();
    let z = shown.columns["z"].as_f64().unwrap();
    assert!(
        (z - 0.2).abs() < 1e-3 && shown.warnings.is_empty(),
        "{z} {:?}",
        shown.warnings
    );
    let Ok(Item::Spectrum {
        wave,
        flux,
        template,
        solutions,
        grid,
        posterior,
        lines,
        ..
    }) = shown.item
    else {
        panic!("no spectrum")
    };
    assert_eq!((wave.len(), flux.len(), template.len()), (2000, 2000, 2000));
    assert!((solutions[0].z - z).abs() < 1e-6 && lines.iter().any(|l| l.secure));
    // The template has the strongest line where the spectrum has it.
    let top = |v: &[Option<f32>]| {
        let best = v.iter().enumerate().filter_map(|(i, f)| Some((i, (*f)?)));
        wave[best.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0]
    };
    assert!(
        (top(&flux) - top(&template)).abs() < 15.0,
        "{} {}",
        top(&flux),
        top(&template)
    );
    // The highest point of the posterior is where the redshift is.
    let curve = &posterior[solutions[0].class];
    let peak = (0..grid.len())
        .max_by(|a, b| curve[*a].total_cmp(&curve[*b]))
        .unwrap();
    assert!((f64::from(grid[peak]).exp() - 1.0 - z).abs() < 2e-3);
    let other = s
        .look()
        .unwrap()
        .template(&dir.path().join("s1.csv"), (0, 0), "QSO", 1.0)
        .unwrap();
    assert!(other.len() == 2000 && other != template);
    assert!(
        s.look()
            .unwrap()
            .template(&dir.path().join("s1.csv"), (0, 0), "DOG", 1.0)
            .is_err()
    );

    let said = |row, z, class: &str| Said {
        row,
        quality: Some(4),
        z,
        class: class.into(),
        ..Said::default()
    };
    s.decide(&said(1, None, "GALAXY"), "ann", false).unwrap();
    s.decide(&said(0, Some(1.5), "QSO"), "ann", false).unwrap();
    let again = session(dir.path(), "bob");
    let shown = again.show_decisions(0);
    assert_eq!(
        (shown[0].z, shown[0].issue.as_str(), shown[0].class.as_str()),
        (Some(1.5), "RC", "QSO")
    );
    assert_eq!(again.show_decisions(1)[0].issue, "");
    again
        .decide(&said(0, None, "GALAXY"), "bob", false)
        .unwrap();
    s.refresh().unwrap();
    let p = s.progress("ann");
    assert_eq!(
        (p.rows, p.mine, p.decided, p.shared, p.agreed),
        (3, 2, 2, 1, 0)
    );
    assert_eq!(p.inspectors, ["ann", "bob"]);
    let rows = |d| {
        s.rows(
            &Query {
                decided: d,
                ..Query::default()
            },
            "ann",
        )
        .unwrap()
        .to_vec()
    };
    assert_eq!(
        (
            rows(Decided::Open),
            rows(Decided::Mine),
            rows(Decided::Disagreed)
        ),
        (vec![2], vec![0, 1], vec![0])
    );
    s.decide(&said(0, None, ""), "ann", true).unwrap();
    assert_eq!(rows(Decided::Open), [0, 2]);
    for (bad, who) in [
        (
            Said {
                quality: Some(5),
                ..said(0, None, "")
            },
            "ann",
        ),
        (said(0, Some(30.0), ""), "ann"),
        (said(0, None, ""), " "),
        (said(9, None, ""), "ann"),
    ] {
        assert!(s.decide(&bad, who, false).is_err());
    }
}

/// Files that are gone are said, and found again where the user says they are; another model is said.
#[test]
fn what_moved_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = sky(dir.path());
    session(dir.path(), "ann")
        .decide(
            &Said {
                row: 2,
                quality: Some(3),
                ..Said::default()
            },
            "ann",
            false,
        )
        .unwrap();
    let to = dir.path().join("elsewhere");
    std::fs::create_dir(&to).unwrap();
    std::fs::rename(dir.path().join("s2.csv"), to.join("s2.csv")).unwrap();
    let why = session(dir.path(), "ann")
        .show(2)
        .unwrap()
        .item
        .err()
        .unwrap();
    assert!(why.contains("s2.csv") && why.contains("not there"), "{why}");
    let options = || Options {
        catalogue: vec![path.clone()],
        sources: vec![to.join("s2.csv")],
        decisions: default_decisions(&path),
        inspector: "ann".into(),
        model: None,
    };
    let s = Session::open(options()).unwrap();
    assert!(s.show(2).unwrap().item.is_ok());
    // The decision is still about its row.
    assert_eq!(s.show_decisions(2).len(), 1);
    assert!(
        Session::open(Options {
            model: Some(path.clone()),
            ..options()
        })
        .is_err()
    );
}
