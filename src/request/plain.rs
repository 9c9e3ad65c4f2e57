//! Messages without an address: all go to the one peer, all are idempotent.

use std::error::Error;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Replayable, Unsent};

macro_rules! plain {
    ($($ty:ty: $heap:expr;)*) => {$(
        impl Replayable for $ty {
            fn try_clone(&self) -> Option<Self> {
                Some(self.clone())
            }

            fn size_hint(&self) -> usize {
                let heap: fn(&Self) -> usize = $heap;
                size_of::<Self>() + heap(self)
            }

            fn take_back(error: &(dyn Error + 'static)) -> Option<Self> {
                Unsent::find(error)
            }
        }
    )*};
}

plain! {
    Bytes: |bytes| bytes.len();
    BytesMut: |bytes| bytes.capacity();
    Vec<u8>: |bytes| bytes.capacity();
    Box<[u8]>: |bytes| bytes.len();
    String: |text| text.capacity();
    Box<str>: |text| text.len();
    Arc<str>: |text| text.len();
    Arc<[u8]>: |bytes| bytes.len();
}

macro_rules! number {
    ($($ty:ty)*) => {$(
        impl Replayable for $ty {
            fn try_clone(&self) -> Option<Self> {
                Some(*self)
            }
        }
    )*};
}

number!(() bool char u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);

impl<T: ?Sized> Replayable for &T {
    fn try_clone(&self) -> Option<Self> {
        Some(*self)
    }
}

impl<T> Replayable for Arc<T> {
    fn try_clone(&self) -> Option<Self> {
        Some(Self::clone(self))
    }

    fn size_hint(&self) -> usize {
        size_of::<Self>() + size_of::<T>()
    }
}
