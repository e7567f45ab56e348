//! Tar archives of images, as WebDataset writes them: the entries of a key follow each other
//! (`key.jpg`, `key.json`, `key.cls`); what JSON says of name and position and `.cls` or `.txt` of
//! the class goes to the image. Other archives of images are read alike.

use std::io::Read;
use std::path::Path;

use super::{CutoutOptions, ENDINGS, MAX_ENTRY, Row, content};

/// "ustar" at this place of the first header.
const MAGIC_AT: u64 = 257;

pub(super) fn is(file: &mut std::fs::File) -> bool {
    use std::io::{Seek, SeekFrom};
    let mut magic = [0u8; 5];
    let found = file
        .seek(SeekFrom::Start(MAGIC_AT))
        .and_then(|_| file.read_exact(&mut magic))
        .is_ok();
    let _ = file.seek(SeekFrom::Start(0));
    found && &magic == b"ustar"
}

/// What an archive says of one key.
#[derive(Default)]
struct Sample {
    key: String,
    images: Vec<(String, Result<Vec<u8>, String>)>,
    about: serde_json::Map<String, serde_json::Value>,
    class: Option<String>,
}

impl Sample {
    /// Gives its images; whether to go on.
    fn give(self, path: &Path, options: &CutoutOptions, each: &mut dyn FnMut(Row) -> bool) -> bool {
        for (name, bytes) in &self.images {
            let source = format!("{}/{name}", path.display());
            let mut told = |mut r: Row| {
                if let Ok(c) = &mut r.cutout {
                    self.tell(c);
                }
                each(r)
            };
            let found = bytes
                .clone()
                .and_then(|b| content(&source, b, options, &mut told));
            match found {
                Ok(true) => {}
                Ok(false) => return false,
                Err(why) => {
                    let row = Row {
                        source,
                        row: 0,
                        cutout: Err(why),
                    };
                    if !each(row) {
                        return false;
                    }
                }
            }
        }
        true
    }

    fn tell(&self, c: &mut crate::cutout::Cutout) {
        let find = |names: &[&str]| {
            let own = names
                .iter()
                .find_map(|n| self.about.iter().find(|(k, _)| k.eq_ignore_ascii_case(n)));
            own.map(|(_, v)| v)
        };
        let number = |names: &[&str]| find(names).and_then(serde_json::Value::as_f64);
        if let Some(id) = find(&["object_id", "id", "objid", "__key__"]) {
            c.object_id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        }
        c.ra = number(&["ra"]).unwrap_or(c.ra);
        c.dec = number(&["dec"]).unwrap_or(c.dec);
        c.pixel_scale = number(&["pixel_scale", "pxscale"]).unwrap_or(c.pixel_scale);
        if let Some(class) = &self.class {
            c.label = Some(class.clone());
        }
    }
}

/// Key and ending of an entry: both as WebDataset cuts them, at the first point of the file's name.
fn parts(name: &str) -> (String, String) {
    let from = name.rfind('/').map_or(0, |i| i + 1);
    match name[from..].find('.') {
        Some(i) => (
            name[..from + i].to_owned(),
            name[from + i + 1..].to_lowercase(),
        ),
        None => (name.to_owned(), String::new()),
    }
}

pub(super) fn read(
    path: &Path,
    options: &CutoutOptions,
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<(), String> {
    let file = std::fs::File::open(path).map_err(|e| format!("cannot read: {e}"))?;
    let mut archive = tar::Archive::new(std::io::BufReader::new(file));
    let damaged = |e: std::io::Error| format!("damaged tar archive: {e}");
    let (mut sample, mut images) = (Sample::default(), 0usize);
    for entry in archive.entries().map_err(damaged)? {
        // What was read before the damage stands.
        let mut entry = match entry {
            Ok(e) => e,
            Err(e) => {
                if sample.give(path, options, each) {
                    return Err(damaged(e));
                }
                return Ok(());
            }
        };
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (key, ending) = parts(&name);
        if key != sample.key {
            if !std::mem::take(&mut sample).give(path, options, each) {
                return Ok(());
            }
            sample.key = key;
        }
        let last = ending
            .trim_end_matches(".gz")
            .rsplit('.')
            .next()
            .unwrap_or("");
        let image = ENDINGS.contains(&last) && !["zip", "parquet", "tar"].contains(&last);
        if !image && !["json", "cls", "txt"].contains(&last) {
            continue;
        }
        let mut bytes = Vec::new();
        let size = entry.size();
        let got = if size > MAX_ENTRY {
            Err(format!("larger than {} MiB", MAX_ENTRY >> 20))
        } else {
            entry
                .read_to_end(&mut bytes)
                .map_err(damaged)
                .map(|_| bytes)
        };
        if image {
            images += 1;
            sample.images.push((name, got.and_then(super::inflate)));
        } else if let Ok(bytes) = got {
            let text = String::from_utf8_lossy(&bytes);
            if last == "json" {
                sample.about = serde_json::from_str(&text).unwrap_or_default();
            } else {
                sample.class = Some(text.trim().to_owned()).filter(|t| t.len() < 100);
            }
        }
    }
    if sample.give(path, options, each) && images == 0 {
        return Err(
            "the archive holds no images: expected .png, .jpg, .fits, .npy or .avro in it".into(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut b = tar::Builder::new(Vec::new());
        for (name, bytes) in entries {
            let mut h = tar::Header::new_ustar();
            h.set_size(bytes.len() as u64);
            h.set_mode(0o644);
            b.append_data(&mut h, name, *bytes).unwrap();
        }
        b.into_inner().unwrap()
    }

    fn rows(bytes: &[u8]) -> (Vec<Row>, Result<(), String>) {
        let d = tempfile::tempdir().unwrap();
        let path = d.path().join("shard-0.tar");
        std::fs::write(&path, bytes).unwrap();
        let mut rows = vec![];
        let end = super::super::read(&path, &CutoutOptions::default(), &mut |r| {
            rows.push(r);
            true
        });
        (rows, end)
    }

    /// Images with what their neighbours in the archive say; a broken one costs its row, damage
    /// what follows it.
    #[test]
    fn samples_of_webdataset() {
        let grey: Vec<u8> = (0..400u32).map(|i| (i % 251) as u8).collect();
        let png = crate::cutouts::picture::encode(&grey, 20, 20).unwrap();
        let all = archive(&[
            (
                "train/0001.json",
                br#"{"ra": 12.5, "dec": -3.0, "object_id": 77}"#,
            ),
            ("train/0001.png", &png),
            ("train/0001.cls", b"spiral\n"),
            ("train/0002.png", &png[..png.len() / 2]),
            ("train/0003.png", &png),
            ("train/readme.md", b"nothing"),
        ]);
        let (found, end) = rows(&all);
        assert!(end.is_ok() && found.len() == 3);
        let c = found[0].cutout.as_ref().unwrap();
        assert_eq!((c.object_id.as_str(), c.ra, c.dec), ("77", 12.5, -3.0));
        assert_eq!(c.label.as_deref(), Some("spiral"));
        assert!(found[1].cutout.is_err() && found[1].source.ends_with("train/0002.png"));
        let c = found[2].cutout.as_ref().unwrap();
        assert_eq!((c.object_id.as_str(), c.label.as_deref()), ("0003", None));
        let (some, end) = rows(&all[..1800]);
        assert!(end.is_err() && some.len() <= 1, "{end:?} {}", some.len());
        let (none, end) = rows(&archive(&[("a.txt", b"x")]));
        assert!(none.is_empty() && end.unwrap_err().contains("no images"));
    }
}
