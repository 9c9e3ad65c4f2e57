//! Reads what it can of the engine's pages, without the engine, which believes its pages.
//!
//! Version 3 of redb's file format, as its documentation lays it down. Nothing in here is believed:
//! whoever is shown a row has to look at the row's own checksum.

use std::collections::HashSet;

use redb::StorageBackend;

use super::super::file::OutboxFile;
use super::super::head::Geometry;

const MAGIC: &[u8; 9] = b"redb\x1A\x0A\xA9\x0D\x0A";
const GEOMETRY_AT: usize = 12;
const SLOTS_AT: [usize; 2] = [64, 192];
/// In a slot.
const ROOT_AT: usize = 8;
const TRANSACTION_AT: usize = 104;
const HEAD: usize = 320;

const LEAF: u8 = 1;
const BRANCH: u8 = 2;

/// The pages of a file.
pub(super) struct Pages<'a> {
    file: &'a OutboxFile,
    page: u64,
    region_header: u64,
    region: u64,
}

/// The number of a page.
pub(super) type Number = u64;

impl<'a> Pages<'a> {
    /// `None` if there can't be any. The engine's own word for the geometry counts only if there is no
    /// other.
    pub(super) fn new(file: &'a OutboxFile, geometry: Option<Geometry>) -> Option<Self> {
        let head = file.read(0, HEAD).ok()?;
        let own = || {
            let geometry = head.get(GEOMETRY_AT..)?.first_chunk();
            geometry.filter(|_| head.starts_with(MAGIC)).copied()
        };
        let geometry = geometry.or_else(own)?;
        let page = u64::from(u32_at(&geometry, 0)?);
        let header = u64::from(u32_at(&geometry, 4)?);
        let pages = u64::from(u32_at(&geometry, 8)?);
        let is_sane = page.is_power_of_two() && (512..=1 << 16).contains(&page);
        is_sane.then_some(Self {
            file,
            page,
            region_header: header * page,
            region: (header + pages) * page,
        })
    }

    /// The root of each tree of tables, the newest first.
    pub(super) fn roots(&self) -> Vec<Number> {
        let Ok(head) = self.file.read(0, HEAD) else {
            return Vec::new();
        };
        let slot = |at: usize| {
            let transaction = u64_at(&head, at + TRANSACTION_AT)?;
            let root = u64_at(&head, at + ROOT_AT)?;
            (head.get(at + 1) == Some(&1)).then_some((transaction, root))
        };
        let mut roots: Vec<_> = SLOTS_AT.into_iter().filter_map(slot).collect();
        roots.sort_unstable();
        roots.into_iter().rev().map(|(_, root)| root).collect()
    }

    /// The root of a table.
    pub(super) fn table(&self, tables: Number, name: &str) -> Option<Number> {
        let mut found = None;
        self.rows(tables, None, &mut |key, definition| {
            // Its type, its length, and whether it has a root.
            if key == name.as_bytes() && definition.get(9) == Some(&1) {
                found = u64_at(definition, 10);
            }
        });
        found
    }

    /// Shows the rows below a page, in the order of their keys, which have so many bytes each.
    pub(super) fn rows(
        &self,
        root: Number,
        key: Option<usize>,
        show: &mut dyn FnMut(&[u8], &[u8]),
    ) {
        let mut stack = vec![root];
        // A damaged tree may have cycles.
        let mut seen = HashSet::new();
        while let Some(number) = stack.pop() {
            let page = Some(number).filter(|number| seen.insert(*number));
            let Some(page) = page.and_then(|number| self.read(number)) else {
                continue;
            };
            match page.first() {
                Some(&LEAF) => show_leaf(&page, key, show),
                Some(&BRANCH) => stack.extend(children(&page).into_iter().rev()),
                _ => {}
            }
        }
    }

    fn read(&self, number: Number) -> Option<Vec<u8>> {
        let order = number >> 59;
        let region = (number >> 20) & 0xF_FFFF;
        let index = number & (0xF_FFFF_u64.checked_shr(order.try_into().ok()?)?);
        let len = self.page << order.min(20);
        let in_region = self.region_header.checked_add(index.checked_mul(len)?)?;
        let at = region.checked_mul(self.region)?.checked_add(in_region)?;
        let at = at.checked_add(self.page)?;
        // Refused before memory is taken, if the file is not that long.
        self.file.read(at, usize::try_from(len).ok()?).ok()
    }
}

fn children(page: &[u8]) -> Vec<Number> {
    let count = usize::from(u16_at(page, 2).unwrap_or(0)) + 1;
    let first = 8 + 16 * count;
    (0..count)
        .map_while(|n| u64_at(page, first + 8 * n))
        .collect()
}

/// The values are of any length; the keys, too, if they have none.
fn show_leaf(page: &[u8], key: Option<usize>, show: &mut dyn FnMut(&[u8], &[u8])) {
    let count = usize::from(u16_at(page, 2).unwrap_or(0));
    let value_ends = if key.is_some() { 4 } else { 4 + 4 * count };
    let keys = value_ends + 4 * count;
    let end = |table: usize, n: usize| {
        let end = u32_at(page, table + 4 * n)?;
        usize::try_from(end).ok()
    };
    let key_end = |n: usize| match key {
        Some(len) => Some(keys + len * (n + 1)),
        None => end(4, n),
    };
    let row = |n: usize| {
        let before = n.checked_sub(1);
        let key_start = before.map_or(Some(keys), key_end)?;
        let values = || key_end(count - 1);
        let value_start = before.map_or_else(values, |n| end(value_ends, n))?;
        let key = page.get(key_start..key_end(n)?)?;
        let value = page.get(value_start..end(value_ends, n)?)?;
        Some((key, value))
    };
    for (key, value) in (0..count).filter_map(row) {
        show(key, value);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
