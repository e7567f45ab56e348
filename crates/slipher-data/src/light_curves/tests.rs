use super::*;

fn all(name: &str, text: &str) -> Vec<Result<LightCurve, String>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    let mut found = vec![];
    let done = read(&path, &mut |r| {
        found.push(r.curve);
        true
    });
    if let Err(e) = done {
        found.push(Err(e));
    }
    found
}

#[test]
fn snana_text() {
    let text = "SURVEY: DES\nSNID:   82765\nRA: 34.5 deg\nDECL: -5.5 deg\nMWEBV: 0.0227 MW\n\
        REDSHIFT_FINAL: 0.96554 +- 0.0496 (CMB)\nHOST_GALAXY_PHOTO-Z: 0.9655 +- 0.0496\n\
        SIM_COMMENT: SN Type = Ia , MODEL = mlcs\nNVAR: 9\nVARLIST: MJD FLT FIELD FLUXCAL FLUXCALERR\n\
        OBS: 56178.2 r NULL -4.6 5.3\nOBS: 56177.2 g NULL 10.3 4.8\n";
    let found = all("sn.dat", text);
    let c = found[0].as_ref().unwrap();
    assert_eq!(
        (c.object_id.as_str(), c.label.as_deref()),
        ("82765", Some("Ia"))
    );
    assert_eq!((c.redshift, c.points.len()), ((0.9655, 0.0496), 2));
    assert!(c.points[0].band == "g" && c.notes.iter().any(|n| n.contains("order")));
}

#[test]
fn csv_of_many_objects() {
    let text = "object_id,mjd,passband,flux,flux_err,detected_bool\n\
        615,59750.4,2,-544.8,3.6,1\n615,59750.5,1,-816.4,5.5,1\n713,59800.0,5,10.0,2.0,0\n";
    let found = all("lc.csv", text);
    let c = found[0].as_ref().unwrap();
    assert_eq!((found.len(), c.points.len()), (2, 2));
    assert!(c.points[0].band == "r" && c.notes.iter().any(|n| n.contains("zero point")));
    let found = all("x.csv", "a,b\n1,2\n");
    assert!(found[0].as_ref().unwrap_err().contains("mjd"));
    let found = all("m.csv", "mjd,filter,mag,mag_err\n59000.0,g,20.0,0.1\n");
    let p = &found[0].as_ref().unwrap().points[0];
    assert!((p.flux / 1000.0 - 1.0).abs() < 1e-4 && (p.error / 92.1 - 1.0).abs() < 1e-2);
}

#[test]
fn alerts_with_history() {
    let text = r#"{"objectId": "ZTF20a", "candidate": {"jd": 2459000.5, "fid": 1, "magpsf": 19.0,
        "sigmapsf": 0.1, "isdiffpos": "t", "ra": 10.0, "dec": 20.0},
        "prv_candidates": [{"jd": 2458999.5, "fid": 2, "magpsf": null, "diffmaglim": 20.5},
        {"jd": 2458998.5, "fid": 2, "magpsf": 19.5, "sigmapsf": 0.2, "isdiffpos": "f"}]}"#;
    let found = all("a.json", text);
    let c = found[0].as_ref().unwrap();
    assert_eq!((c.points.len(), c.ra), (3, 10.0));
    assert!(c.points[0].flux < 0.0 && c.points[1].flux == 0.0 && c.points[2].flux > 0.0);
    assert!((c.points[2].mjd - 59000.0).abs() < 1e-9);
    assert!(all("b.json", "{\"a\": 1}")[0].is_err());
}
