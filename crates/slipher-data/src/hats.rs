//! HATS catalogues: a sky in Parquet files by HEALPix pixel
//! (<https://www.ivoa.net/documents/Notes/HATS/>), as LSDB reads and writes them.
//!
//! ```text
//! catalogue/hats.properties                            key=value lines
//! catalogue/partition_info.csv                         Norder,Npix
//! catalogue/dataset/_common_metadata                   the schema, without rows
//! catalogue/dataset/Norder=3/Dir=0/Npix=157.parquet    rows of a pixel; or a folder Npix=157/ of files
//! ```

mod part;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::atomic::atomic_write;
pub use part::{PartWriter, is_intact};

/// Column of the position: HEALPix pixel of order 29, nested.
pub const HEALPIX_29: &str = "_healpix_29";

/// What is wrong with a catalogue, or with writing one.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum HatsError {
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {why}", path.display())]
    Content { path: PathBuf, why: String },
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> HatsError + '_ {
    move |source| HatsError::Io {
        path: path.to_owned(),
        source,
    }
}

fn content(path: &Path, why: impl ToString) -> HatsError {
    HatsError::Content {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// A pixel of HEALPix, nested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pixel {
    /// HEALPix order.
    pub order: u8,
    /// Number in the nested scheme.
    pub number: u64,
}

impl Pixel {
    /// Where its rows lie, below the catalogue.
    pub fn path(self) -> PathBuf {
        let Pixel { order, number } = self;
        PathBuf::from(format!(
            "dataset/Norder={order}/Dir={}/Npix={number}.parquet",
            number / 10_000 * 10_000
        ))
    }

    /// The pixel of such a path.
    pub fn of_path(path: &Path) -> Option<Pixel> {
        let part = |key: &str| {
            let found = path
                .components()
                .find_map(|c| c.as_os_str().to_str()?.strip_prefix(key).map(str::to_owned))?;
            found.split('.').next()?.parse::<u64>().ok()
        };
        let (order, number) = (u8::try_from(part("Norder=")?).ok()?, part("Npix=")?);
        (order <= 29 && number < 12 << (2 * order)).then_some(Pixel { order, number })
    }

    /// First pixel of order 29 inside it; orders pixels along the curve.
    pub fn first(self) -> u64 {
        self.number << (2 * (29 - self.order))
    }
}

/// Right ascension and declination in degrees of the centre of a pixel of order 29.
pub fn position(healpix_29: u64) -> (f64, f64) {
    let (lon, lat) = cdshealpix::nested::center(29, healpix_29);
    (lon.to_degrees(), lat.to_degrees())
}

/// One pixel's files.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    /// Area on the sky.
    pub pixel: Pixel,
    /// Its Parquet files.
    pub files: Vec<PathBuf>,
}

/// A catalogue on disk.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// Of the file `properties` or `hats.properties`.
    pub properties: BTreeMap<String, String>,
    /// Along the curve.
    pub partitions: Vec<Partition>,
}

/// Names under which the properties lie.
const PROPERTIES: [&str; 2] = ["hats.properties", "properties"];

/// Whether a folder is a HATS catalogue, or a collection of one and its margins.
pub fn is_catalogue(folder: &Path) -> bool {
    [&PROPERTIES[..1], &["collection.properties"]]
        .concat()
        .iter()
        .any(|n| folder.join(n).is_file())
        || folder.join("dataset").is_dir() && folder.join("properties").is_file()
}

impl Catalogue {
    /// Reads properties and finds the files; of a collection, those of its primary table.
    ///
    /// # Errors
    /// No properties, or no partitions.
    pub fn open(folder: &Path) -> Result<Catalogue, HatsError> {
        let collection = folder.join("collection.properties");
        if collection.is_file() {
            let p = properties(&collection)?;
            let primary = p
                .get("hats_primary_table_url")
                .ok_or_else(|| content(&collection, "hats_primary_table_url is missing"))?;
            return Catalogue::open(&folder.join(primary));
        }
        let file = PROPERTIES
            .iter()
            .map(|n| folder.join(n))
            .find(|p| p.is_file());
        let file = file
            .ok_or_else(|| content(folder, "no file hats.properties: expected a HATS catalogue"))?;
        let properties = properties(&file)?;
        let mut found = Vec::new();
        files_below(&folder.join("dataset"), &mut found)?;
        let mut of: BTreeMap<(u64, u8), Partition> = BTreeMap::new();
        for f in found {
            if let Some(pixel) = Pixel::of_path(f.strip_prefix(folder).unwrap_or(&f)) {
                of.entry((pixel.first(), pixel.order))
                    .or_insert_with(|| Partition {
                        pixel,
                        files: vec![],
                    })
                    .files
                    .push(f);
            }
        }
        let partitions: Vec<Partition> = of.into_values().collect();
        if partitions.is_empty() {
            return Err(content(
                folder,
                "no files dataset/Norder=…/Dir=…/Npix=….parquet",
            ));
        }
        Ok(Catalogue {
            properties,
            partitions,
        })
    }
}

fn properties(file: &Path) -> Result<BTreeMap<String, String>, HatsError> {
    let text = std::fs::read_to_string(file).map_err(io(file))?;
    let lines = text.lines().filter(|l| !l.trim_start().starts_with('#'));
    Ok(lines
        .filter_map(|l| l.split_once('='))
        .map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned()))
        .collect())
}

/// Parquet files in sorted order; what begins with a dot or an underscore is metadata.
fn files_below(folder: &Path, out: &mut Vec<PathBuf>) -> Result<(), HatsError> {
    let mut entries = std::fs::read_dir(folder)
        .map_err(io(folder))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(io(folder))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for e in entries {
        let (path, name) = (e.path(), e.file_name().to_string_lossy().into_owned());
        // Of links alone the file system is asked. A link back to a folder above would never end.
        let kind = e.file_type().map_err(io(&path))?;
        if kind.is_dir() || kind.is_symlink() && path.is_dir() {
            let inside = |p: &Path| p.canonicalize().ok();
            let real = inside(&path);
            if kind.is_symlink() && folder.ancestors().any(|a| inside(a) == real) {
                continue;
            }
            files_below(&path, out)?;
        } else if name.ends_with(".parquet") && !name.starts_with(['.', '_']) {
            out.push(path);
        }
    }
    Ok(())
}

fn open(file: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, HatsError> {
    let mut opened = File::open(file).map_err(io(file))?;
    crate::thrift::check_parquet(&mut opened).map_err(|e| content(file, e))?;
    crate::thrift::open_parquet(opened).map_err(|e| content(file, e))
}

/// Batches of a Parquet file, from disk, `rows` at a time; of a file without rows, one without
/// rows.
///
/// # Errors
/// No Parquet; later items fail where the file is damaged.
pub fn batches(
    file: &Path,
    rows: usize,
) -> Result<impl Iterator<Item = Result<RecordBatch, HatsError>> + use<>, HatsError> {
    let path = file.to_owned();
    let builder = open(file)?;
    let schema = builder.schema().clone();
    let none = (builder.metadata().file_metadata().num_rows() == 0)
        .then(|| Ok(RecordBatch::new_empty(schema.clone())));
    let reader = builder
        .with_batch_size(rows)
        .build()
        .map_err(|e| content(file, e))?;
    Ok(none.into_iter().chain(reader.map(move |b| {
        // The reader's own batches lack the metadata of the file.
        let whole = b.and_then(|b| b.with_schema(schema.clone()));
        whole.map_err(|e| content(&path, e))
    })))
}

/// Rows of a Parquet file, by its footer.
///
/// # Errors
/// No Parquet file.
pub fn rows_of(file: &Path) -> Result<u64, HatsError> {
    Ok(open(file)?.metadata().file_metadata().num_rows().max(0) as u64)
}

/// Columns of a Parquet file.
///
/// # Errors
/// No Parquet file.
pub fn schema_of(file: &Path) -> Result<SchemaRef, HatsError> {
    Ok(open(file)?.schema().clone())
}

/// What makes a folder of finished partitions a catalogue: properties, list of partitions, schema.
/// `properties` are taken over from the catalogue that it was made from; none of it depends on when
/// or in which order the parts were made.
///
/// # Errors
/// The folder cannot be written.
pub fn finish(
    folder: &Path,
    name: &str,
    properties: &BTreeMap<String, String>,
    pixels: &[Pixel],
    rows: u64,
    schema: &SchemaRef,
) -> Result<(), HatsError> {
    let mut p: BTreeMap<String, String> = properties.clone();
    // What the new columns make untrue.
    p.retain(|k, _| {
        ![
            "hats_cols_default",
            "hats_estsize",
            "hats_cols_sort",
            "hats_skymap_order",
            "hats_skymap_alt_orders",
            "hats_creation_date",
        ]
        .contains(&k.as_str())
    });
    let order = pixels.iter().map(|p| p.order).max().unwrap_or(0);
    for (k, v) in [
        ("obs_collection", name.to_owned()),
        ("hats_nrows", rows.to_string()),
        ("hats_order", order.to_string()),
        ("hats_npix_suffix", ".parquet".into()),
        (
            "hats_builder",
            format!("slipher {}", env!("CARGO_PKG_VERSION")),
        ),
    ] {
        p.insert(k.into(), v);
    }
    for (k, v) in [
        ("dataproduct_type", "object"),
        ("hats_col_ra", "ra"),
        ("hats_col_dec", "dec"),
        ("hats_col_healpix", HEALPIX_29),
        ("hats_col_healpix_order", "29"),
        ("hats_version", "v1.0"),
    ] {
        p.entry(k.into()).or_insert_with(|| v.into());
    }
    let text: String = p.iter().map(|(k, v)| format!("{k}={v}\n")).collect();
    let mut parts = String::from("Norder,Npix\n");
    pixels
        .iter()
        .for_each(|p| parts.push_str(&format!("{},{}\n", p.order, p.number)));
    PartWriter::create(&folder.join("dataset/_common_metadata"), schema, &[])?.finish()?;
    let put = |name: &str, content: &str| {
        atomic_write(&folder.join(name), content).map_err(io(&folder.join(name)))
    };
    put("partition_info.csv", &parts)?;
    // Both names: older readers look for the second. The properties come last: they are what says
    // that the catalogue is whole.
    put("properties", &text)?;
    put("hats.properties", &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Column, Values, record};

    fn batch(from: i64) -> RecordBatch {
        let c = Column::bare;
        record(&[
            c(HEALPIX_29, Values::I64(vec![from, from + 1])),
            c("z", Values::F64(vec![0.5, f64::NAN])),
        ])
        .unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let pixels = [
            Pixel {
                order: 1,
                number: 44,
            },
            Pixel {
                order: 3,
                number: 700,
            },
            Pixel {
                order: 2,
                number: 5,
            },
        ];
        for p in pixels {
            let mut w = PartWriter::create(
                &dir.path().join(p.path()),
                batch(0).schema_ref(),
                &[("model", "m".into())],
            )
            .unwrap();
            w.write(&batch(p.first() as i64)).unwrap();
            assert_eq!(w.finish().unwrap(), 2);
        }
        assert!(
            !is_catalogue(dir.path())
                && Catalogue::open(dir.path())
                    .unwrap_err()
                    .to_string()
                    .contains("hats.properties")
        );
        let old = BTreeMap::from([
            ("hats_cols_default".to_owned(), "flux".to_owned()),
            ("hats_col_ra".into(), "RA".into()),
        ]);
        finish(dir.path(), "zcat", &old, &pixels, 6, batch(0).schema_ref()).unwrap();
        assert!(is_catalogue(dir.path()));
        let c = Catalogue::open(dir.path()).unwrap();
        assert_eq!(
            (
                c.properties["hats_nrows"].as_str(),
                c.properties["hats_col_ra"].as_str()
            ),
            ("6", "RA")
        );
        assert!(!c.properties.contains_key("hats_cols_default"));
        assert_eq!(
            c.partitions.iter().map(|p| p.pixel).collect::<Vec<_>>(),
            [pixels[2], pixels[1], pixels[0]]
        );
        let back: Vec<RecordBatch> = batches(&c.partitions[0].files[0], 1)
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(
            (back.len(), rows_of(&c.partitions[0].files[0]).unwrap()),
            (2, 2)
        );
        assert_eq!(
            back[1].column(0),
            &batch(pixels[2].first() as i64).column(0).slice(1, 1)
        );
        // A file that is none, and one that was cut.
        let odd = dir.path().join("odd.parquet");
        for text in [
            &b""[..],
            b"PAR1 and no more",
            &std::fs::read(&c.partitions[0].files[0]).unwrap()[..200],
        ] {
            std::fs::write(&odd, text).unwrap();
            assert!(
                batches(&odd, 10)
                    .err()
                    .is_some_and(|e| e.to_string().contains("odd.parquet"))
            );
        }
    }

    /// Golden values of astropy-healpix (`HEALPix(2**29, order="nested").healpix_to_lonlat`).
    #[test]
    fn pixels_have_positions() {
        let golden = [
            (0, 45.0, 7.114780385429948e-8),
            (432_345_564_227_567_616, 112.5, 19.471_220_709_954_33),
            (
                123_456_789_012_345_678,
                58.920_157_042_019_46,
                48.220_529_237_149_34,
            ),
            (3_458_764_513_820_540_927, 315.0, -7.114780385429948e-8),
            (
                2_017_612_633_061_982_307,
                270.000_000_335_276_1,
                -41.810_313_463_956_68,
            ),
        ];
        for (pixel, ra, dec) in golden {
            let (a, d) = position(pixel);
            assert!(
                (a - ra).abs() < 1e-9 && (d - dec).abs() < 1e-9,
                "{pixel} {a} {d}"
            );
        }
    }

    #[test]
    fn pixels_have_paths() {
        let p = Pixel {
            order: 6,
            number: 23_456,
        };
        assert_eq!(
            p.path().to_str(),
            Some("dataset/Norder=6/Dir=20000/Npix=23456.parquet")
        );
        assert_eq!(Pixel::of_path(&p.path()), Some(p));
        assert_eq!(
            Pixel::of_path(Path::new(
                "dataset/Norder=6/Dir=20000/Npix=23456/part0.parquet"
            )),
            Some(p)
        );
        assert_eq!(
            Pixel::of_path(Path::new("dataset/Norder=0/Dir=0/Npix=12.parquet")),
            None
        );
        assert_eq!(Pixel::of_path(Path::new("dataset/_metadata")), None);
    }
}
