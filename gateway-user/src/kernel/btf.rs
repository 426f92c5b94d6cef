//! Member offsets of the running kernel, read from its BTF.
//!
//! In: the bytes of `/sys/kernel/btf/vmlinux`. Out: the byte offset of a member of a struct, also inside anonymous members.
//! Invariant: nothing is guessed; a member that is not found is `None`. Format: Documentation/bpf/btf.rst.

use std::collections::HashMap;

/// The structs of a BTF blob, found by name.
pub(super) struct Btf<'a> {
    types: Vec<Type<'a>>,
    strings: &'a [u8],
}

/// A type: its kind, the offset of its name, and what follows its header.
struct Type<'a> {
    name: u32,
    info: u32,
    rest: &'a [u8],
}

impl<'a> Btf<'a> {
    /// Reads the type table; `None` when the blob is not BTF or is cut short.
    pub(super) fn parse(blob: &'a [u8]) -> Option<Self> {
        if u16::from_ne_bytes(blob.get(..2)?.try_into().ok()?) != MAGIC {
            return None;
        }
        let header = usize::try_from(word(blob, 4)?).ok()?;
        let section = |at: usize| -> Option<&'a [u8]> {
            let start = header.checked_add(usize::try_from(word(blob, at)?).ok()?)?;
            blob.get(start..start.checked_add(usize::try_from(word(blob, at + 4)?).ok()?)?)
        };
        let mut bytes = section(8)?;
        let strings = section(16)?;
        // Type 0 is void and has no entry.
        let mut types = vec![Type {
            name: 0,
            info: 0,
            rest: &[],
        }];
        while !bytes.is_empty() {
            let info = word(bytes, 4)?;
            let rest = bytes.get(HEADER..HEADER + trailing(info)?)?;
            types.push(Type {
                name: word(bytes, 0)?,
                info,
                rest,
            });
            bytes = &bytes[HEADER + rest.len()..];
        }
        Some(Self { types, strings })
    }

    /// Byte offsets of `(struct, member)` pairs, in order; the first that is missing is the error.
    pub(super) fn offsets<'m>(
        &self,
        members: &[(&'m str, &'m str)],
    ) -> Result<Vec<u32>, (&'m str, &'m str)> {
        let mut structs: HashMap<&[u8], &Type<'a>> = HashMap::new();
        for ty in self.types.iter().filter(|ty| kind(ty.info) == STRUCT) {
            structs.entry(self.name(ty.name)).or_insert(ty);
        }
        members
            .iter()
            .map(|&(name, member)| {
                structs
                    .get(name.as_bytes())
                    .and_then(|ty| self.member(ty, member.as_bytes()))
                    .filter(|bits| bits % 8 == 0)
                    .map(|bits| bits / 8)
                    .ok_or((name, member))
            })
            .collect()
    }

    /// Is there a function with this name?
    pub(super) fn has_function(&self, name: &str) -> bool {
        self.types
            .iter()
            .any(|ty| kind(ty.info) == FUNCTION && self.name(ty.name) == name.as_bytes())
    }

    /// Offset of a member in bits.
    fn member(&self, ty: &Type<'_>, wanted: &[u8]) -> Option<u32> {
        ty.rest.chunks_exact(MEMBER).find_map(|member| {
            let name = self.name(word(member, 0)?);
            let offset = word(member, 8)?
                & if ty.info >> 31 == 1 {
                    0x00ff_ffff
                } else {
                    u32::MAX
                };
            if name == wanted {
                return Some(offset);
            }
            let inner = self.types.get(usize::try_from(word(member, 4)?).ok()?)?;
            let anonymous = name.is_empty() && matches!(kind(inner.info), STRUCT | UNION);
            anonymous
                .then(|| self.member(inner, wanted))?
                .map(|within| offset + within)
        })
    }

    fn name(&self, offset: u32) -> &'a [u8] {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|at| self.strings.get(at..))
            .unwrap_or(&[]);
        bytes.split(|byte| *byte == 0).next().unwrap_or(&[])
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn kind(info: u32) -> u32 {
    (info >> 24) & 0x1f
}

/// Bytes that follow the header of a type.
fn trailing(info: u32) -> Option<usize> {
    let count = usize::try_from(info & 0xffff).ok()?;
    Some(match kind(info) {
        // int, var, decl tag
        1 | 14 | 17 => 4,
        // array
        3 => 12,
        STRUCT | UNION => count * MEMBER,
        // enum, function prototype
        6 | 13 => count * 8,
        // data section, 64-bit enum
        15 | 19 => count * 12,
        // pointer, forward, typedef, qualifiers, function, float, type tag
        2 | 7..=11 | FUNCTION | 16 | 18 => 0,
        _ => return None,
    })
}

const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 12;
const MEMBER: usize = 12;
const FUNCTION: u32 = 12;
const STRUCT: u32 = 4;
const UNION: u32 = 5;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// `struct s { int a; union { int b; struct { int c; int d; }; }; }`
    fn blob() -> Vec<u8> {
        let strings = b"\0s\0a\0b\0c\0d\0int\0";
        let types: Vec<u32> = [
            vec![11, 1 << 24, 4, 32],                      // 1: int
            vec![0, (4 << 24) | 2, 8, 7, 1, 0, 9, 1, 32],  // 2: struct { c; d; }
            vec![0, (5 << 24) | 2, 8, 5, 1, 0, 0, 2, 0],   // 3: union { b; 2 }
            vec![1, (4 << 24) | 2, 12, 3, 1, 0, 0, 3, 32], // 4: s { a; 3 }
        ]
        .concat();
        let size = u32::try_from(types.len() * 4).unwrap();
        let header = [
            0x0001_eb9f,
            24,
            0,
            size,
            size,
            u32::try_from(strings.len()).unwrap(),
        ];
        let mut blob: Vec<u8> = header
            .into_iter()
            .chain(types)
            .flat_map(u32::to_ne_bytes)
            .collect();
        blob.extend(strings);
        blob
    }

    #[test]
    fn members_of_anonymous_members_are_found() {
        let blob = blob();
        let btf = Btf::parse(&blob).unwrap();
        assert_eq!(
            btf.offsets(&[("s", "a"), ("s", "b"), ("s", "c"), ("s", "d")]),
            Ok(vec![0, 4, 4, 8])
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let blob = blob();
        let btf = Btf::parse(&blob).unwrap();
        assert_eq!(btf.offsets(&[("s", "a"), ("s", "e")]), Err(("s", "e")));
        assert_eq!(btf.offsets(&[("t", "a")]), Err(("t", "a")));
    }

    #[test]
    fn no_prefix_is_taken_for_the_whole() {
        let blob = blob();
        for cut in 0..blob.len() {
            assert!(Btf::parse(&blob[..cut]).is_none(), "{cut}");
        }
    }
}
