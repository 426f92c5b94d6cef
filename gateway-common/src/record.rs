//! Fixed-size records: one macro that declares the struct, asserts its size, and gives user space safe byte conversions.
//!
//! In: a list of fields. Out: a `repr(C)` struct and its bytes in memory order. Invariant: the sizes of the fields add up to
//! the size of the struct, so that no byte of a record is padding (BPF map keys compare padding).

/// A value with a fixed number of bytes in memory order.
pub trait Field: Sized {
    /// Number of bytes.
    const SIZE: usize;
    /// Writes the value at the start of `out`.
    fn put(&self, out: &mut [u8]);
    /// Reads a value from the start of `bytes`.
    fn take(bytes: &[u8]) -> Self;
}

macro_rules! integer_fields {
    ($($t:ty),*) => {$(
        impl Field for $t {
            const SIZE: usize = size_of::<$t>();
            fn put(&self, out: &mut [u8]) {
                out[..Self::SIZE].copy_from_slice(&self.to_ne_bytes());
            }
            fn take(bytes: &[u8]) -> Self {
                let mut word = [0; size_of::<$t>()];
                word.copy_from_slice(&bytes[..Self::SIZE]);
                <$t>::from_ne_bytes(word)
            }
        }
    )*};
}

integer_fields!(u8, u16, u32, u64);

impl<T: Field + Copy + Default, const N: usize> Field for [T; N] {
    const SIZE: usize = T::SIZE * N;
    fn put(&self, out: &mut [u8]) {
        for (item, slot) in self.iter().zip(out.chunks_mut(T::SIZE)) {
            item.put(slot);
        }
    }
    fn take(bytes: &[u8]) -> Self {
        let mut items = [T::default(); N];
        for (item, slot) in items.iter_mut().zip(bytes.chunks(T::SIZE)) {
            *item = T::take(slot);
        }
        items
    }
}

macro_rules! record {
    ($(#[$meta:meta])* $name:ident: $size:literal { $($(#[$field_meta:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $ty,)*
        }

        const _: () = assert!(size_of::<$name>() == $size);
        const _: () = assert!(0 $(+ size_of::<$ty>())* == $size);

        impl $name {
            /// The record as it lies in a map.
            pub fn to_bytes(&self) -> [u8; $size] {
                let mut bytes = [0; $size];
                $crate::Field::put(self, &mut bytes);
                bytes
            }

            /// The record from a map's bytes.
            pub fn from_bytes(bytes: &[u8; $size]) -> Self {
                $crate::Field::take(bytes)
            }
        }

        impl $crate::Field for $name {
            const SIZE: usize = $size;
            fn put(&self, out: &mut [u8]) {
                $($crate::Field::put(&self.$field, &mut out[core::mem::offset_of!($name, $field)..]);)*
            }
            fn take(bytes: &[u8]) -> Self {
                Self { $($field: $crate::Field::take(&bytes[core::mem::offset_of!($name, $field)..]),)* }
            }
        }
    };
}
