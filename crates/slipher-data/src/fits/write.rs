//! Writes binary tables: primary HDU, BINTABLEs, CHECKSUM and DATASUM (standard 4.0, appendix J).

use super::header::Value;

/// Cells of one column, one per row.
#[derive(Clone, Debug)]
pub enum Cells {
    /// `D`.
    F64(Vec<f64>),
    /// `E`.
    F32(Vec<f32>),
    /// `K`.
    I64(Vec<i64>),
    /// `J`.
    I32(Vec<i32>),
    /// `A`, as wide as the longest.
    Text(Vec<String>),
    /// So many values in each row, `[row][value]`.
    F64s(usize, Vec<f64>),
    /// Vectors of so many `E`, one after the other.
    F32s(usize, Vec<f32>),
}

/// A table being written.
#[derive(Clone, Debug, Default)]
pub struct TableWriter {
    name: String,
    /// Name, [unit, UCD, description], values.
    columns: Vec<(String, [String; 3], Cells)>,
    keywords: Vec<(String, String)>,
}

impl TableWriter {
    /// A table without columns yet.
    pub fn new(extname: &str) -> Self {
        TableWriter {
            name: extname.to_owned(),
            ..TableWriter::default()
        }
    }
    /// Adds a column with its unit (may be empty).
    pub fn column(&mut self, name: &str, unit: &str, cells: Cells) {
        self.column_about(name, [unit, "", ""], cells);
    }
    /// Adds a column with its unit, UCD and description.
    pub fn column_about(&mut self, name: &str, about: [&str; 3], cells: Cells) {
        self.columns
            .push((name.to_owned(), about.map(str::to_owned), cells));
    }
    /// Adds a text keyword of at most 8 letters.
    pub fn keyword(&mut self, key: &str, value: &str) {
        self.keywords.push((key.to_owned(), value.to_owned()));
    }

    /// Bytes of a file of this one table.
    pub fn to_bytes(&self) -> Vec<u8> {
        file(&[], std::slice::from_ref(self))
    }

    /// Bytes of the HDU. Columns shorter than the longest are filled with zeros or blanks.
    fn hdu(&self) -> Vec<u8> {
        let rows = self.columns.iter().map(|c| c.2.len()).max().unwrap_or(0);
        let widths: Vec<usize> = self.columns.iter().map(|c| c.2.width()).collect();
        let mut data = Vec::with_capacity(rows * widths.iter().sum::<usize>());
        for row in 0..rows {
            for (c, w) in self.columns.iter().zip(&widths) {
                c.2.write(row, *w, &mut data);
            }
        }
        let mut h = Cards::default();
        h.raw("XTENSION", "'BINTABLE'");
        h.raw("BITPIX", "8");
        h.raw("NAXIS", "2");
        h.raw("NAXIS1", &widths.iter().sum::<usize>().to_string());
        h.raw("NAXIS2", &rows.to_string());
        h.raw("PCOUNT", "0");
        h.raw("GCOUNT", "1");
        h.raw("TFIELDS", &self.columns.len().to_string());
        h.text("EXTNAME", &self.name);
        for (i, ((name, about, cells), w)) in self.columns.iter().zip(&widths).enumerate() {
            h.text(&format!("TTYPE{}", i + 1), name);
            h.text(&format!("TFORM{}", i + 1), &cells.form(*w));
            for (key, words) in ["TUNIT", "TUCD", "TCOMM"].iter().zip(about) {
                if !words.is_empty() {
                    h.text(&format!("{key}{}", i + 1), words);
                }
            }
        }
        for (k, v) in &self.keywords {
            h.text(k, v);
        }
        data.resize(data.len().next_multiple_of(super::BLOCK), 0);
        let mut out = h.finish(&data);
        out.extend(data);
        out
    }
}

/// Bytes of a file of tables, with text keywords in the primary header.
pub fn file(keywords: &[(&str, &str)], tables: &[TableWriter]) -> Vec<u8> {
    let mut primary = Cards::default();
    primary.raw("SIMPLE", "T");
    primary.raw("BITPIX", "8");
    primary.raw("NAXIS", "0");
    primary.raw("EXTEND", "T");
    keywords.iter().for_each(|(k, v)| primary.text(k, v));
    let mut out = primary.finish(&[]);
    tables.iter().for_each(|t| out.extend(t.hdu()));
    out
}

/// An image to write: `[row][column]`, with text keywords.
pub struct Picture<'a> {
    /// EXTNAME; empty for none.
    pub name: &'a str,
    /// Text keywords.
    pub keywords: &'a [(String, String)],
    /// Cards of another header that this image keeps, as where it lies on the sky.
    pub copied: &'a [(String, Value)],
    /// Columns.
    pub width: usize,
    /// Pixels.
    pub data: &'a [f32],
}

/// Bytes of a file of images: the first is the primary, or the primary is empty.
pub fn pictures(empty_primary: bool, all: &[Picture<'_>]) -> Vec<u8> {
    let mut out = if empty_primary {
        file(&[], &[])
    } else {
        vec![]
    };
    for p in all {
        let mut h = Cards::default();
        let first = out.is_empty();
        if first {
            h.raw("SIMPLE", "T");
        } else {
            h.raw("XTENSION", "'IMAGE   '");
        }
        h.raw("BITPIX", "-32");
        h.raw("NAXIS", "2");
        h.raw("NAXIS1", &p.width.to_string());
        h.raw("NAXIS2", &(p.data.len() / p.width.max(1)).to_string());
        if first {
            h.raw("EXTEND", "T");
        } else {
            h.raw("PCOUNT", "0");
            h.raw("GCOUNT", "1");
        }
        if !p.name.is_empty() {
            h.text("EXTNAME", p.name);
        }
        for (key, value) in p.copied {
            match value {
                Value::Text(t) => h.text(key, t),
                Value::Bare(v) => h.raw(key, &ascii(v)),
            }
        }
        p.keywords.iter().for_each(|(k, v)| h.text(k, v));
        let mut data: Vec<u8> = p.data.iter().flat_map(|v| v.to_be_bytes()).collect();
        data.resize(data.len().next_multiple_of(super::BLOCK), 0);
        out.extend(h.finish(&data));
        out.extend(data);
    }
    out
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Cells::F64(v) => v.len(),
            Cells::F32(v) => v.len(),
            Cells::I64(v) => v.len(),
            Cells::I32(v) => v.len(),
            Cells::Text(v) => v.len(),
            Cells::F64s(n, v) => v.len() / n.max(&1),
            Cells::F32s(n, v) => v.len() / n.max(&1),
        }
    }
    fn width(&self) -> usize {
        match self {
            Cells::F64(_) | Cells::I64(_) => 8,
            Cells::F32(_) | Cells::I32(_) => 4,
            Cells::F64s(n, _) => 8 * n,
            Cells::F32s(n, _) => 4 * n,
            Cells::Text(v) => v.iter().map(|s| ascii(s).len()).max().unwrap_or(0).max(1),
        }
    }
    fn form(&self, width: usize) -> String {
        match self {
            Cells::F64(_) => "1D".into(),
            Cells::F32(_) => "1E".into(),
            Cells::I64(_) => "1K".into(),
            Cells::I32(_) => "1J".into(),
            Cells::Text(_) => format!("{width}A"),
            Cells::F64s(n, _) => format!("{n}D"),
            Cells::F32s(n, _) => format!("{n}E"),
        }
    }
    fn write(&self, row: usize, width: usize, out: &mut Vec<u8>) {
        match self {
            Cells::F64(v) => out.extend(v.get(row).copied().unwrap_or(f64::NAN).to_be_bytes()),
            Cells::F32(v) => out.extend(v.get(row).copied().unwrap_or(f32::NAN).to_be_bytes()),
            Cells::I64(v) => out.extend(v.get(row).copied().unwrap_or(0).to_be_bytes()),
            Cells::I32(v) => out.extend(v.get(row).copied().unwrap_or(0).to_be_bytes()),
            Cells::F64s(n, v) => (0..*n).for_each(|i| {
                out.extend(
                    v.get(row * n + i)
                        .copied()
                        .unwrap_or(f64::NAN)
                        .to_be_bytes(),
                )
            }),
            Cells::F32s(n, v) => (0..*n).for_each(|i| {
                out.extend(
                    v.get(row * n + i)
                        .copied()
                        .unwrap_or(f32::NAN)
                        .to_be_bytes(),
                )
            }),
            Cells::Text(v) => {
                let mut text = ascii(v.get(row).map_or("", String::as_str)).into_bytes();
                text.resize(width, b' ');
                out.extend(text);
            }
        }
    }
}

/// FITS text is ASCII: other characters become `?`.
fn ascii(text: &str) -> String {
    text.chars()
        .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
        .collect()
}

#[derive(Default)]
struct Cards(Vec<String>);

impl Cards {
    fn raw(&mut self, key: &str, value: &str) {
        let value = if value.starts_with('\'') {
            format!("{value:<20}")
        } else {
            format!("{value:>20}")
        };
        self.0.push(format!("{key:<8}= {value}"));
    }
    fn text(&mut self, key: &str, value: &str) {
        // Quotes are doubled; long text goes on in CONTINUE cards (standard 4.0, section 4.2.1.2).
        let letters: Vec<char> = ascii(value).chars().collect();
        let mut pieces = vec![String::new()];
        for c in letters {
            let own = if c == '\'' {
                "''".to_owned()
            } else {
                c.to_string()
            };
            let last = pieces.len() - 1;
            if pieces[last].len() + own.len() > 67 {
                pieces[last].push('&');
                pieces.push(own);
            } else {
                pieces[last].push_str(&own);
            }
        }
        for (i, piece) in pieces.iter().enumerate() {
            if i == 0 {
                self.raw(key, &format!("'{piece:<8}'"));
            } else {
                self.0.push(format!("CONTINUE  '{piece}'"));
            }
        }
    }
    /// Header blocks with sums over header and `data`.
    fn finish(mut self, data: &[u8]) -> Vec<u8> {
        let datasum = sum32(data, 0);
        self.text("CHECKSUM", "0000000000000000");
        self.text("DATASUM", &datasum.to_string());
        let mut bytes: Vec<u8> = self
            .0
            .iter()
            .flat_map(|c| format!("{c:<80}").into_bytes())
            .collect();
        bytes.extend(format!("{:<80}", "END").into_bytes());
        bytes.resize(bytes.len().next_multiple_of(super::BLOCK), b' ');
        let code = encode(!sum32(&bytes, datasum));
        if let Some(i) = bytes
            .chunks_exact(80)
            .position(|c| c.starts_with(b"CHECKSUM"))
        {
            bytes[i * 80 + 11..i * 80 + 27].copy_from_slice(&code);
        }
        bytes
    }
}

/// Ones'-complement sum of big-endian 32-bit words, of data below 16 GiB.
pub(super) fn sum32(data: &[u8], start: u32) -> u32 {
    let words = data.chunks_exact(4);
    let one = |w: &[u8]| u64::from(u32::from_be_bytes([w[0], w[1], w[2], w[3]]));
    let mut sum = u64::from(start) + words.map(one).sum::<u64>();
    while sum >> 32 != 0 {
        sum = (sum & 0xffff_ffff) + (sum >> 32);
    }
    sum as u32
}

/// ASCII encoding of a sum (appendix J.2).
fn encode(value: u32) -> [u8; 16] {
    let mut out = [0u8; 16];
    for (i, byte) in value.to_be_bytes().into_iter().enumerate() {
        let quarter = byte / 4 + b'0';
        let mut ch = [quarter + byte % 4, quarter, quarter, quarter];
        let excluded = |c: u8| (0x3a..=0x40).contains(&c) || (0x5b..=0x60).contains(&c);
        while ch.iter().any(|c| excluded(*c)) {
            for pair in [(0, 1), (2, 3)] {
                if excluded(ch[pair.0]) || excluded(ch[pair.1]) {
                    ch[pair.0] += 1;
                    ch[pair.1] -= 1;
                }
            }
        }
        for (j, c) in ch.into_iter().enumerate() {
            // Sixteen characters, rotated right by one.
            out[(4 * j + i + 1) % 16] = c;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Fits;
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_checksum_is_right() {
        let mut t = TableWriter::new("CAT");
        t.column("Z", "", Cells::F64(vec![0.5, f64::NAN, -1e-3]));
        t.column("N", "km/s", Cells::I64(vec![1, -2, i64::MAX]));
        t.column(
            "ID",
            "",
            Cells::Text(vec!["a".into(), "it's".into(), "µ".into()]),
        );
        let bytes = t.to_bytes();
        for hdu in [&bytes[..2880], &bytes[2880..]] {
            assert_eq!(sum32(hdu, 0), u32::MAX, "an HDU sums to −0");
        }
        let f = Fits::parse(bytes).unwrap();
        let table = f.table(1).unwrap();
        assert_eq!(table.rows(), 3);
        assert_eq!(table.scalar("z", 2), Some(-1e-3));
        assert_eq!(table.integer("N", 2), Some(i128::from(i64::MAX)));
        assert_eq!(table.text("ID", 1).as_deref(), Some("it's"));
        assert_eq!(table.text("ID", 2).as_deref(), Some("?"));
        assert_eq!(table.column("N").unwrap().unit, "km/s");
    }
}
