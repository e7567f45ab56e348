use super::*;

fn all(path: &Path, options: &CutoutOptions) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    read(path, options, &mut |r| {
        rows.push(r);
        true
    })?;
    Ok(rows)
}

fn sample(bands: &[&str], side: usize) -> Cutout {
    let mut c = Cutout::new(
        bands,
        side,
        side + 1,
        (0..bands.len() * side * (side + 1))
            .map(|i| i as f32 * 0.5)
            .collect(),
    )
    .unwrap();
    (c.ra, c.dec, c.pixel_scale) = (150.25, -2.5, 0.187);
    c
}

/// A header of Avro that promises a thousand million entries asked for gigabytes (found by
/// fuzzing).
#[test]
fn headers_of_avro_promise_what_they_hold() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("many.avro");
    // A block of 2³⁰ entries (zigzag, seven bits a byte), of which none follows.
    let bytes = [&b"Obj\x01"[..], &[0x80, 0x80, 0x80, 0x80, 0x08], &[0; 40]].concat();
    std::fs::write(&path, bytes).unwrap();
    let mut why = String::new();
    let read = read(&path, &CutoutOptions::default(), &mut |row| {
        why = row.cutout.unwrap_err();
        true
    });
    let why = read.err().unwrap_or(why);
    assert!(why.contains("damaged Avro"), "{why}");
}

#[test]
fn fits_round_trip_one_and_many() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.fits");
    let mut two = sample(&["u", "g", "r"], 6);
    two.object_id = "it's 2".into();
    let mut one = sample(&["r"], 5);
    one.object_id = "one".into();
    std::fs::write(&path, write::fits(&[two.clone(), one])).unwrap();
    let rows = all(&path, &CutoutOptions::default()).unwrap();
    assert_eq!(rows.len(), 2);
    let c = rows[0].cutout.as_ref().unwrap();
    assert_eq!(
        (c.pixels.clone(), c.bands.clone(), c.object_id.as_str()),
        (two.pixels, two.bands, "it's 2")
    );
    assert!((c.ra - 150.25).abs() < 1e-6 && (c.pixel_scale - 0.187).abs() < 1e-9);
    assert_eq!(rows[1].cutout.as_ref().unwrap().bands.len(), 1);
    let bytes = std::fs::read(&path).unwrap();
    for cut in [10, 2000, 2880, 3000] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let why = all(&path, &CutoutOptions::default()).unwrap_err();
        assert!(cut < 2880 || why.contains("end early"), "{cut}: {why}");
    }
    // The first image is whole, the second is not: a row each.
    std::fs::write(&path, &bytes[..2 * 2880 + 2880 + 10]).unwrap();
    let rows = all(&path, &CutoutOptions::default()).unwrap();
    let (good, bad): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|r| r.cutout.is_ok());
    assert_eq!((good.len(), bad.len(), bad[0].row), (1, 1, 1));
    assert!(bad[0].cutout.as_ref().unwrap_err().contains("HDU 1"));
}

#[test]
fn arrays_of_all_shapes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let put = |shape: &str, n: usize, descr: &str, bytes: &dyn Fn(usize) -> Vec<u8>| {
        let mut header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
        header.push_str(&" ".repeat(64 - (11 + header.len()) % 64));
        header.push('\n');
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend((header.len() as u16).to_le_bytes());
        out.extend(header.bytes());
        (0..n).for_each(|i| out.extend(bytes(i)));
        std::fs::write(&path, out).unwrap();
    };
    let single = |i: usize| (i as f32).to_le_bytes().to_vec();
    put("4, 6", 24, "<f4", &single);
    assert_eq!(
        all(&path, &CutoutOptions::default()).unwrap()[0]
            .cutout
            .as_ref()
            .unwrap()
            .pixels[23],
        23.0
    );
    put("5, 8, 8", 320, "<f4", &single);
    let rows = all(
        &path,
        &CutoutOptions {
            bands: ["u", "g", "r", "i", "z"].map(str::to_owned).to_vec(),
            ..CutoutOptions::default()
        },
    )
    .unwrap();
    assert_eq!(
        (
            rows.len(),
            rows[0].cutout.as_ref().unwrap().bands[4].as_str()
        ),
        (1, "z")
    );
    put("9, 8, 8", 576, ">f8", &|i| {
        (i as f64).to_be_bytes().to_vec()
    });
    let rows = all(&path, &CutoutOptions::default()).unwrap();
    assert_eq!(
        (rows.len(), rows[8].cutout.as_ref().unwrap().pixels[0]),
        (9, 512.0)
    );
    put("2, 8, 8, 3", 384, "|u1", &|i| vec![(i % 251) as u8]);
    let rows = all(&path, &CutoutOptions::default()).unwrap();
    let c = rows[0].cutout.as_ref().unwrap();
    assert_eq!(
        (rows.len(), c.bands.len(), c.pixels[64]),
        (2, 3, 1.0),
        "bands last become bands first"
    );
    put("1000, 1000, 1000", 4, "<f4", &single);
    assert!(
        all(&path, &CutoutOptions::default())
            .unwrap_err()
            .contains("complete")
    );
    put("4, 6", 24, "<U4", &single);
    assert!(
        all(&path, &CutoutOptions::default())
            .unwrap_err()
            .contains("expected numbers")
    );
}

#[test]
fn pictures_and_archives() {
    let dir = tempfile::tempdir().unwrap();
    let rgb: Vec<u8> = (0..6 * 5 * 3).map(|i| i as u8).collect();
    let png = picture::encode(&rgb, 6, 5).unwrap();
    let zip_path = dir.path().join("a.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&zip_path).unwrap());
    use std::io::Write;
    for name in [
        "x/FRI/a.png",
        "x/FRII/b.png",
        "x/readme.txt",
        "x/FRI/broken.png",
    ] {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(if name.contains("broken") {
            &png[..40]
        } else {
            &png
        })
        .unwrap();
    }
    zip.finish().unwrap();
    let rows = all(&zip_path, &CutoutOptions::default()).unwrap();
    assert_eq!(rows.len(), 3);
    let c = rows[0].cutout.as_ref().unwrap();
    assert_eq!(
        (
            c.bands.as_slice(),
            c.height,
            c.width,
            c.pixels[0],
            c.pixels[31]
        ),
        (
            ["R", "G", "B"].map(str::to_owned).as_slice(),
            6,
            5,
            0.0,
            4.0
        )
    );
    assert!(rows[1].cutout.is_err() && rows[1].source.ends_with("broken.png"));
    std::fs::write(&zip_path, b"hello, world").unwrap();
    assert!(
        all(&zip_path, &CutoutOptions::default())
            .unwrap_err()
            .contains("hello,")
    );
}

#[test]
fn data_sets_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let mut c = sample(&["u", "g"], 4);
    (c.object_id, c.label) = ("first".into(), Some("star".into()));
    write::parquet(
        &path,
        &[
            (c.clone(), vec![1.0, 0.0], 20.5),
            (c.clone(), vec![0.0, 1.0], 21.5),
        ],
        &["star", "galaxy"],
        "mag_r",
    )
    .unwrap();
    let rows = all(
        &path,
        &CutoutOptions {
            bands: vec!["u".into(), "g".into()],
            ..CutoutOptions::default()
        },
    )
    .unwrap();
    let back = rows[1].cutout.as_ref().unwrap();
    assert_eq!(
        (
            rows.len(),
            &back.pixels,
            back.height,
            &back.label,
            back.object_id.as_str()
        ),
        (2, &c.pixels, 4, &c.label, "first")
    );
    // A truth that is an image stands beside the image, not under its name.
    let one = [(c.clone(), vec![1.0, 2.0, 3.0], 20.5)];
    write::parquet(&path, &one, &["image", "image_error"], "S/N").unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let schema = crate::thrift::open_parquet(file).unwrap().schema().clone();
    let named = |n: &str| schema.fields().iter().filter(|f| f.name() == n).count();
    assert_eq!(
        (named("image"), named("truth"), named("image_error")),
        (1, 1, 0)
    );
    let rows = all(&path, &CutoutOptions::default()).unwrap();
    assert_eq!(rows[0].cutout.as_ref().unwrap().pixels, c.pixels);
}
