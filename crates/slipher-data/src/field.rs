//! Large images with world coordinates, from which stamps are cut around sources: rows are read from
//! the file as they are needed, so that memory does not grow with the image.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::budget;
use crate::cutout::Cutout;
use crate::cutouts::fits::{Role, band_names, filter, role};
use crate::fits::{Fits, Header, Image, Kind, describe};
use crate::sources::Source;
use crate::wcs::Wcs;

/// Bytes of a block of a FITS file.
const BLOCK: usize = 2880;
/// Blocks that a header may have.
const HEADER: usize = 4096;
/// Pixels between grids that are taken for one.
const SAME: f64 = 0.05;

/// Where the pixels of a plane are.
enum Pixels {
    /// In a file, from this byte on.
    File(Mutex<File>, u64),
    /// In memory: images that were compressed.
    Memory(Vec<f32>),
}

/// One band of a field.
struct Plane {
    path: PathBuf,
    band: String,
    header: Header,
    width: usize,
    height: usize,
    wcs: Wcs,
    pixels: Pixels,
}

impl Plane {
    /// Pixels `from` to `from + n` of a row.
    fn run(&self, row: usize, from: usize, n: usize, out: &mut Vec<f32>) -> Result<(), String> {
        let at = row * self.width + from;
        match &self.pixels {
            Pixels::Memory(all) => out.extend_from_slice(&all[at..at + n]),
            Pixels::File(file, start) => {
                let size = self.header.int("BITPIX").unwrap_or(8).unsigned_abs() as usize / 8;
                let mut raw = vec![0; n * size];
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(start + (at * size) as u64))
                    .and_then(|_| file.read_exact(&mut raw))
                    .map_err(|e| format!("{}: cannot read: {e}", self.path.display()))?;
                let values = Image::run(&self.header, &raw).row(0);
                out.extend(values.into_iter().map(|v| v as f32));
            }
        }
        Ok(())
    }

    /// Rows `y0` on and columns `x0` on, counted from 0; NaN outside.
    fn window(&self, x0: i64, y0: i64, w: usize, h: usize) -> Result<Vec<f32>, String> {
        let mut out = Vec::with_capacity(w * h);
        let first = x0.clamp(0, self.width as i64);
        let last = (x0 + w as i64).clamp(first, self.width as i64);
        for y in y0..y0 + h as i64 {
            let line = out.len();
            if (0..self.height as i64).contains(&y) && first < last {
                out.resize(line + (first - x0) as usize, f32::NAN);
                self.run(
                    y as usize,
                    first as usize,
                    (last - first) as usize,
                    &mut out,
                )?;
            }
            out.resize(line + w, f32::NAN);
        }
        Ok(out)
    }
}

/// Bands of one part of the sky.
pub struct Field {
    planes: Vec<Plane>,
}

impl Field {
    /// Opens the images of files, each a band (or a cube, or an HDU, of bands); `names` where the
    /// files do not name them. HDUs of weights, errors and masks are passed over.
    ///
    /// # Errors
    /// No image with celestial TAN coordinates; names that do not fit: the file and what was found.
    pub fn open(files: &[PathBuf], names: &[String]) -> Result<Field, String> {
        let mut planes = vec![];
        for path in files {
            let before = planes.len();
            let named = |why: String| format!("{}: {why}", path.display());
            open(path, &mut planes).map_err(named)?;
            if planes.len() == before {
                return Err(named("no image of two axes".into()));
            }
        }
        if !names.is_empty() {
            if names.len() != planes.len() {
                return Err(format!(
                    "--bands gives {} names to {} images",
                    names.len(),
                    planes.len()
                ));
            }
            planes
                .iter_mut()
                .zip(names)
                .for_each(|(p, n)| p.band.clone_from(n));
        }
        Ok(Field { planes })
    }

    /// Names of the bands.
    pub fn bands(&self) -> Vec<&str> {
        self.planes.iter().map(|p| p.band.as_str()).collect()
    }

    /// Arcseconds a pixel of the first band.
    pub fn scale(&self) -> f64 {
        self.planes[0].wcs.scale()
    }

    /// The file of the first band.
    pub fn path(&self) -> &Path {
        &self.planes[0].path
    }

    /// A stamp of `side` pixels of the first band around a source. Other bands are cut where their
    /// pixels are the same, and else brought to the first one's by bilinear interpolation.
    ///
    /// # Errors
    /// A source without a position or outside the image.
    pub fn cut(&self, s: &Source, side: usize) -> Result<Cutout, String> {
        let first = &self.planes[0];
        let at = match (s.sky, s.pixel) {
            (Some([ra, dec]), _) => first
                .wcs
                .to_pixel(ra, dec)
                .ok_or_else(|| format!("({ra}, {dec}) lies on the other side of the sky"))?,
            (None, Some(pixel)) => pixel,
            (None, None) => return Err("no position: expected ra and dec, or x and y".into()),
        };
        let inside = |v: f64, n: usize| v > 0.5 && v < n as f64 + 0.5;
        if !(inside(at[0], first.width) && inside(at[1], first.height)) {
            return Err(format!(
                "pixel ({:.1}, {:.1}) lies outside the image of {} × {}",
                at[0], at[1], first.width, first.height
            ));
        }
        // From 0; the object lies in the middle of the stamp to half a pixel.
        let corner = |v: f64| (v - 1.0 - 0.5 * (side as f64 - 1.0)).round() as i64;
        let (x0, y0) = (corner(at[0]), corner(at[1]));
        let mut pixels = first.window(x0, y0, side, side)?;
        let mut notes = vec![];
        for p in &self.planes[1..] {
            match same_grid(first, p, [x0, y0], side) {
                Some([dx, dy]) => pixels.extend(p.window(x0 + dx, y0 + dy, side, side)?),
                None => {
                    pixels.extend(resampled(first, p, [x0, y0], side)?);
                    notes.push(format!("band '{}' resampled to '{}'", p.band, first.band));
                }
            }
        }
        let mut c = Cutout::new(&self.bands(), side, side, pixels)?;
        let [ra, dec] = s.sky.unwrap_or_else(|| first.wcs.to_sky(at[0], at[1]));
        (c.ra, c.dec, c.pixel_scale) = (ra, dec, first.wcs.scale());
        c.object_id.clone_from(&s.id);
        c.notes = notes;
        Ok(c)
    }
}

/// Shift from one plane's pixels to another's, if that is all that is between them over a stamp.
fn same_grid(a: &Plane, b: &Plane, [x0, y0]: [i64; 2], side: usize) -> Option<[i64; 2]> {
    let far = side as i64 - 1;
    let corners = [[0, 0], [far, 0], [0, far], [far, far]];
    let mut shift = None;
    for [i, j] in corners {
        let (x, y) = ((x0 + i + 1) as f64, (y0 + j + 1) as f64);
        let [ra, dec] = a.wcs.to_sky(x, y);
        let [u, v] = b.wcs.to_pixel(ra, dec)?;
        let found = [(u - x).round(), (v - y).round()];
        let whole = (u - x - found[0]).abs() < SAME && (v - y - found[1]).abs() < SAME;
        if !whole || shift.is_some_and(|s| s != found) {
            return None;
        }
        shift = Some(found);
    }
    shift.map(|s| [s[0] as i64, s[1] as i64])
}

fn resampled(a: &Plane, b: &Plane, [x0, y0]: [i64; 2], side: usize) -> Result<Vec<f32>, String> {
    let place = |k: usize| {
        let (x, y) = (x0 + (k % side) as i64 + 1, y0 + (k / side) as i64 + 1);
        let [ra, dec] = a.wcs.to_sky(x as f64, y as f64);
        // From 0.
        b.wcs.to_pixel(ra, dec).map(|p| [p[0] - 1.0, p[1] - 1.0])
    };
    let places: Vec<Option<[f64; 2]>> = (0..side * side).map(place).collect();
    let range = |axis: usize| {
        let all = places.iter().flatten().map(|p| p[axis]);
        let (low, high) = all.fold((f64::MAX, f64::MIN), |r, v| (r.0.min(v), r.1.max(v)));
        (low.floor() as i64, high.floor() as i64 + 2)
    };
    if places.iter().all(Option::is_none) {
        return Ok(vec![f32::NAN; side * side]);
    }
    let ((u0, u1), (v0, v1)) = (range(0), range(1));
    let (w, h) = ((u1 - u0) as usize, (v1 - v0) as usize);
    if w > 64 * side || h > 64 * side {
        return Err(format!(
            "{}: its pixels are more than 64 times finer than those of the first band",
            b.path.display()
        ));
    }
    let from = b.window(u0, v0, w, h)?;
    let value = |p: &Option<[f64; 2]>| {
        let Some([u, v]) = p else {
            return f32::NAN;
        };
        let (i, j) = (u.floor(), v.floor());
        let (s, t) = ((u - i) as f32, (v - j) as f32);
        let at = (j as i64 - v0) as usize * w + (i as i64 - u0) as usize;
        let one = |k: usize, weight: f32| if weight > 0.0 { weight * from[k] } else { 0.0 };
        one(at, (1.0 - s) * (1.0 - t))
            + one(at + 1, s * (1.0 - t))
            + one(at + w, (1.0 - s) * t)
            + one(at + w + 1, s * t)
    };
    Ok(places.iter().map(value).collect())
}

/// The header at the place where a file stands; none at its end.
fn next_header(file: &mut File) -> Result<Option<(Header, usize)>, String> {
    let mut bytes = Vec::new();
    let mut block = vec![0; BLOCK];
    for _ in 0..HEADER {
        let mut read = 0;
        while read < BLOCK {
            match file.read(&mut block[read..]).map_err(|e| e.to_string())? {
                0 => break,
                n => read += n,
            }
        }
        if read < BLOCK {
            return if bytes.is_empty() {
                Ok(None)
            } else {
                Err("the file ends within a header".into())
            };
        }
        bytes.extend_from_slice(&block);
        let end = |card: &[u8]| card.starts_with(b"END") && card[3..].iter().all(|b| *b == b' ');
        if block.chunks_exact(80).any(end) {
            return Header::parse(&bytes).map(Some);
        }
    }
    Err("a header without END".into())
}

fn open(path: &Path, planes: &mut Vec<Plane>) -> Result<(), String> {
    let mut file = File::open(path).map_err(|e| format!("cannot read: {e}"))?;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    let mut start = [0; 6];
    let plain = file.read_exact(&mut start).is_ok() && &start == b"SIMPLE";
    if !plain {
        return packed(path, planes);
    }
    let mut at = 0u64;
    for hdu in 0.. {
        file.seek(SeekFrom::Start(at)).map_err(|e| e.to_string())?;
        let Some((header, used)) = next_header(&mut file).map_err(|e| format!("HDU {hdu}: {e}"))?
        else {
            break;
        };
        let (kind, size) = describe(&header);
        let data = at + used as u64;
        let size = size.ok_or_else(|| format!("HDU {hdu}: its size is no number"))?;
        match kind {
            Kind::Compressed => return packed(path, planes),
            Kind::Image
                if header.int("NAXIS").unwrap_or(0) > 1 && role(&header) == Role::Pixels =>
            {
                if data.checked_add(size).is_none_or(|end| end > length) {
                    return Err(format!(
                        "HDU {hdu}: data end early: is the download complete?"
                    ));
                }
                let each = |k: u64, bytes: u64| -> Result<Pixels, String> {
                    let file = File::open(path).map_err(|e| format!("cannot read: {e}"))?;
                    Ok(Pixels::File(Mutex::new(file), data + k * bytes))
                };
                let naxis = usize::try_from(header.int("NAXIS").unwrap_or(2)).unwrap_or(2);
                let axis = |i: usize| {
                    let n = header.int(&format!("NAXIS{i}")).unwrap_or(1);
                    usize::try_from(n).unwrap_or_default()
                };
                let axes: Vec<usize> = (1..=naxis.min(9)).map(axis).collect();
                add(path, hdu, &header, &axes, &each, planes)?;
            }
            _ => {}
        }
        at = data + size.div_ceil(BLOCK as u64) * BLOCK as u64;
        if at >= length {
            break;
        }
    }
    Ok(())
}

/// Compressed images are unpacked once.
fn packed(path: &Path, planes: &mut Vec<Plane>) -> Result<(), String> {
    let f = Fits::open(path).map_err(|e| e.to_string())?;
    for (hdu, about) in f.hdus.iter().enumerate() {
        let image = matches!(about.kind, Kind::Image | Kind::Compressed);
        if !image || role(&about.header) != Role::Pixels {
            continue;
        }
        let Ok(image) = f.image(hdu) else { continue };
        if image.axes.len() < 2 {
            continue;
        }
        let whole = 4 * image.axes.iter().product::<usize>() as u64;
        budget::check(whole, budget::limit(), "the unpacked image")?;
        let rows = image.axes[1];
        let each = |k: u64, _| {
            let from = k as usize * rows;
            let pixels = (from..from + rows).flat_map(|r| image.row(r));
            Ok(Pixels::Memory(pixels.map(|v| v as f32).collect()))
        };
        add(path, hdu, &about.header, &image.axes, &each, planes)?;
    }
    Ok(())
}

/// The planes of an image.
fn add(
    path: &Path,
    hdu: usize,
    header: &Header,
    axes: &[usize],
    each: &dyn Fn(u64, u64) -> Result<Pixels, String>,
    planes: &mut Vec<Plane>,
) -> Result<(), String> {
    let (width, height) = (axes[0], axes[1]);
    let bands: usize = axes[2..].iter().product();
    let pixel = header.int("BITPIX").unwrap_or(8).unsigned_abs() / 8;
    if width == 0 || height == 0 || bands > 64 || ![1, 2, 4, 8].contains(&pixel) {
        return Err(format!(
            "HDU {hdu}: {width} × {height} pixels in {bands} planes: expected an image"
        ));
    }
    let wcs = Wcs::of(header).map_err(|e| format!("HDU {hdu}: {e}"))?;
    let names = if bands == 1 {
        vec![filter(header).unwrap_or_default()]
    } else {
        band_names(header, bands)
    };
    for k in 0..bands {
        planes.push(Plane {
            path: path.to_owned(),
            band: names.get(k).cloned().unwrap_or_default(),
            header: header.clone(),
            width,
            height,
            wcs: wcs.clone(),
            pixels: each(k as u64, pixel * (width * height) as u64)?,
        });
    }
    Ok(())
}
