//! Buffers that threads borrow and give back, so that nothing is allocated again and again.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// A heap of buffers; it grows to as many as are in use at one time.
#[derive(Debug, Default)]
pub struct ObjectPool<T>(Mutex<Vec<T>>);

/// A borrowed buffer, given back when dropped. After a panic it is thrown away.
pub struct PoolGuard<'a, T: Default> {
    from: &'a ObjectPool<T>,
    buffer: Option<T>,
}

impl<T: Default> ObjectPool<T> {
    /// A buffer that lies ready, or a new one.
    pub fn get(&self) -> PoolGuard<'_, T> {
        let ready = self.0.lock().ok().and_then(|mut all| all.pop());
        PoolGuard {
            from: self,
            buffer: Some(ready.unwrap_or_default()),
        }
    }
}

impl<T: Default> Deref for PoolGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.buffer.as_ref().expect("given back only when dropped")
    }
}

impl<T: Default> DerefMut for PoolGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.buffer.as_mut().expect("given back only when dropped")
    }
}

impl<T: Default> Drop for PoolGuard<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if let (Some(b), Ok(mut all)) = (self.buffer.take(), self.from.0.lock()) {
            all.push(b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back() {
        let pool = ObjectPool::<Vec<u8>>::default();
        pool.get().push(7);
        assert_eq!(*pool.get(), [7]);
        let (a, b) = (pool.get(), pool.get());
        assert_eq!((a.len(), b.len()), (1, 0));
    }
}
