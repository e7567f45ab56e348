//! The order in which a set is shown: anew in each epoch, a function of the epoch alone.

use std::sync::{Arc, Mutex};

/// Orders of a set, the last one kept.
pub struct Epochs {
    rows: u64,
    order: Box<dyn Fn(u64) -> Vec<u32> + Send + Sync>,
    last: Mutex<Option<(u64, Arc<Vec<u32>>)>>,
}

impl Epochs {
    /// Of `rows` rows; `order` gives that of an epoch.
    pub fn new(rows: usize, order: impl Fn(u64) -> Vec<u32> + Send + Sync + 'static) -> Epochs {
        Epochs {
            rows: rows as u64,
            order: Box::new(order),
            last: Mutex::new(None),
        }
    }

    fn of(&self, epoch: u64) -> Arc<Vec<u32>> {
        let mut last = self
            .last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match &*last {
            Some((e, order)) if *e == epoch => order.clone(),
            _ => {
                let order = Arc::new((self.order)(epoch));
                *last = Some((epoch, order.clone()));
                order
            }
        }
    }

    /// Rows that are shown from the `first`-th on, over all epochs.
    pub fn rows(&self, first: u64, n: usize) -> Vec<usize> {
        let pick = |k: u64| self.of(k / self.rows)[(k % self.rows) as usize] as usize;
        (first..first + n as u64).map(pick).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_do_not_depend_on_what_was_asked_before() {
        let new = || Epochs::new(5, |e| (0..5).map(|i| (i * 2 + e as u32) % 5).collect());
        let e = new();
        let all = e.rows(0, 20);
        for (first, n) in [(12, 8), (3, 9), (0, 1)] {
            assert_eq!(e.rows(first, n), all[first as usize..first as usize + n]);
            assert_eq!(
                new().rows(first, n),
                all[first as usize..first as usize + n]
            );
        }
        assert_eq!(all[..10].iter().filter(|r| **r == 3).count(), 2);
    }
}
