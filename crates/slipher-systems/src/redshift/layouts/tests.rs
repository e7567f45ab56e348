use super::super::measure::{Measurement, zwarn};
use super::*;
use slipher_data::fits::Fits;
use slipher_data::spectrum::Origin;

fn rows() -> Vec<Row> {
    let galaxy = Solution {
        class: SpecType::Galaxy,
        z: 0.49,
        z_err: 1e-4,
        probability: 0.95,
    };
    let other = Solution {
        z: 1.6234,
        probability: 0.03,
        ..galaxy
    };
    let answer = super::super::decode::Answer {
        solutions: vec![galaxy, other],
        classes: [0.98, 0.01, 0.01],
        quantiles: [0.49; 4],
        peaks: vec![],
    };
    let line = LineFit {
        label: "Halpha".into(),
        rest: 6564.61,
        observed: 9781.27,
        flux: 40.0,
        flux_err: 2.0,
        ew: 10.0,
        ew_err: 1.0,
        sigma_kms: 140.0,
        sigma_err_kms: Some(5.0),
    };
    let m = Measurement {
        warnings: vec![],
        answer: Some(answer),
        lines: vec![line],
        pz: Some(vec![0.5; LAGS]),
        pit_crps: None,
        error: None,
        p_values: Default::default(),
        subtype: "",
        zwarn: 0,
        snr_median: 3.0,
        good_pixels: 900,
    };
    let origin = Origin {
        file: "a.fits".into(),
        hdu: 1,
        row: 0,
    };
    let good = Row {
        origin: origin.clone(),
        object_id: "39628412345678901".into(),
        ra: 150.0,
        dec: -2.0,
        flux_unit: String::new(),
        measurement: m,
        error: None,
        truth: None,
    };
    let named = Row {
        object_id: "3586-55181-0001".into(),
        ..good.clone()
    };
    vec![
        good,
        named,
        Row::unreadable(origin, "is empty, \"really\"".into()),
    ]
}

#[test]
fn every_layout_keeps_every_row() {
    let model = Model::new(
        super::super::model::NetworkRecipe {
            depth: 1,
            width: 16,
            taps: 3,
            patterns: [1, 1, 1],
        },
        1,
    );
    let fits = |layout: Layout| Fits::parse(layout.bytes(&rows(), &model)).unwrap();
    let f = fits(Layout::Redrock);
    let t = f.table(f.named("REDSHIFTS").unwrap()).unwrap();
    assert_eq!(
        (t.rows(), t.integer("TARGETID", 0), t.text("SPECTYPE", 0)),
        (3, Some(39_628_412_345_678_901), Some("GALAXY".into()))
    );
    assert_eq!(
        (t.integer("ZWARN", 2), t.f64("COEFF", 1).map(|c| c.len())),
        (
            Some(i128::from(zwarn::UNREADABLE | zwarn::NODATA)),
            Some(10)
        )
    );
    assert!((t.scalar("DELTACHI2", 0).unwrap() - 2.0 * (0.95f64 / 0.03).ln()).abs() < 1e-9);
    let f = fits(Layout::Sdss);
    let t = f.table(1).unwrap();
    assert_eq!(
        [
            t.integer("PLATE", 1),
            t.integer("MJD", 1),
            t.integer("FIBERID", 1),
            t.integer("PLATE", 0)
        ],
        [Some(3586), Some(55181), Some(1), Some(0)]
    );
    let f = fits(Layout::Euclid);
    let t = f.table(f.named("SPE_REDSHIFT_CAT").unwrap()).unwrap();
    assert_eq!((t.rows(), t.integer("SPE_RANK", 1)), (4, Some(1)));
    assert_eq!(
        f.table(f.named("SPE_PDF_CAT").unwrap())
            .unwrap()
            .f64("SPE_PDF", 0)
            .unwrap()
            .len(),
        LAGS
    );
    let f = fits(Layout::Pfs);
    for (name, n) in [
        ("TARGET", 3),
        ("ERRORS", 1),
        ("CLASSIFICATION", 3),
        ("GALAXY_CANDIDATES", 4),
        ("QSO_CANDIDATES", 0),
        ("GALAXY_LINES", 2),
    ] {
        assert_eq!(f.table(f.named(name).unwrap()).unwrap().rows(), n, "{name}");
    }
    for (layout, columns) in [(Layout::Marz, 15), (Layout::Prospect, 16)] {
        let text = String::from_utf8(layout.bytes(&rows(), &model)).unwrap();
        let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with("# ")).collect();
        assert!(
            lines.len() == 4 && lines.iter().all(|l| l.split(',').count() == columns),
            "{text}"
        );
        assert!(
            text.contains("Halpha at 0.4900 or [O II] at 1.6234"),
            "{text}"
        );
    }
}
