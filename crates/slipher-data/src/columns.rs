//! Columns of a catalogue from rows: what each is called, and how a row gives its value.

use crate::catalogue::{Column, Values};

/// Name, unit (VOUnit), UCD and meaning of a column.
pub type Meta = [&'static str; 4];

/// Columns being made of `rows`, in the order in which they are added.
pub struct Columns<'a, R> {
    rows: &'a [R],
    columns: Vec<Column>,
}

impl<'a, R> Columns<'a, R> {
    /// None yet.
    pub fn of(rows: &'a [R]) -> Columns<'a, R> {
        Columns {
            rows,
            columns: vec![],
        }
    }
    /// What the columns are made of.
    pub fn rows(&self) -> &'a [R] {
        self.rows
    }
    /// A column of values made elsewhere, one for each row.
    pub fn put(&mut self, [name, unit, ucd, description]: Meta, values: Values) {
        self.columns.push(Column {
            name,
            unit,
            ucd,
            description,
            values,
        });
    }
    /// Numbers in double precision; NaN where there is none.
    pub fn f64(&mut self, meta: Meta, f: impl Fn(&R) -> f64) {
        self.put(meta, Values::F64(self.rows.iter().map(f).collect()));
    }
    /// Numbers in single precision; NaN where there is none.
    pub fn f32(&mut self, meta: Meta, f: impl Fn(&R) -> f32) {
        self.put(meta, Values::F32(self.rows.iter().map(f).collect()));
    }
    /// Small integers: flags and indices.
    pub fn i32(&mut self, meta: Meta, f: impl Fn(&R) -> i32) {
        self.put(meta, Values::I32(self.rows.iter().map(f).collect()));
    }
    /// Integers.
    pub fn i64(&mut self, meta: Meta, f: impl Fn(&R) -> i64) {
        self.put(meta, Values::I64(self.rows.iter().map(f).collect()));
    }
    /// Text; empty where there is none.
    pub fn text(&mut self, meta: Meta, f: impl Fn(&R) -> String) {
        self.put(meta, Values::Text(self.rows.iter().map(f).collect()));
    }
    /// Columns made elsewhere.
    pub fn extend(&mut self, more: impl IntoIterator<Item = Column>) {
        self.columns.extend(more);
    }
    /// All columns, in order.
    pub fn done(self) -> Vec<Column> {
        self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_keep_their_order_and_rows() {
        let mut c = Columns::of(&[1.5f64, 2.5]);
        c.f64(["z", "", "src.redshift", "redshift"], |r| *r);
        c.text(["name", "", "meta.id", "name"], |r| format!("at {r}"));
        let all = c.done();
        assert_eq!(all[0].values, Values::F64(vec![1.5, 2.5]));
        let names = vec!["at 1.5".to_owned(), "at 2.5".to_owned()];
        assert_eq!(
            (all[1].name, &all[1].values),
            ("name", &Values::Text(names))
        );
    }
}
