//! Source maps: from places in what esbuild wrote to places in what the author wrote.
//!
//! The format is ECMA-426: `mappings` holds lines separated by `;`, each with segments separated by `,`, each with numbers in
//! base 64 VLQ that count on from the segment before: column, source, line, column.

use rquickjs::{Array, Ctx, Object, Result};

/// A source map.
pub struct Map {
    sources: Vec<String>,
    mappings: String,
}

impl Map {
    /// Reads the JSON of a source map.
    ///
    /// # Errors
    /// A JavaScript exception if it is none.
    pub fn read(ctx: &Ctx<'_>, json: &str) -> Result<Self> {
        let root: Object<'_> = ctx.json_parse(json)?.into_object().ok_or(rquickjs::Error::Unknown)?;
        let sources: Array<'_> = root.get("sources")?;
        let sources = sources
            .iter::<String>()
            .map(|source| Ok(project_path(&source?).to_owned()))
            .collect::<Result<_>>()?;
        Ok(Self { sources, mappings: root.get("mappings")? })
    }

    /// The author's file, line and column of a place, all from 1.
    pub fn find(&self, line: u32, column: u32) -> Option<(&str, u32, u32)> {
        // Of a segment: the column here, then source, line and column there, all from 0.
        let mut now = [0_i64; 4];
        let mut best = None;
        for (index, told) in self.mappings.split(';').enumerate().take(line as usize) {
            now[0] = 0;
            for segment in told.split(',') {
                let count = add(segment.as_bytes(), &mut now)?;
                if index + 1 == line as usize && count >= 4 && now[0] < i64::from(column) {
                    best = Some(now);
                }
            }
        }
        let [_, source, line, column] = best?;
        let place = |number: i64| u32::try_from(number + 1).ok();
        Some((self.sources.get(usize::try_from(source).ok()?)?, place(line)?, place(column)?))
    }
}

/// Adds a segment's numbers; how many there were, or none if it is garbled.
fn add(segment: &[u8], now: &mut [i64; 4]) -> Option<usize> {
    let (mut index, mut value, mut shift) = (0, 0_i64, 0);
    for sign in segment {
        let digit = i64::from(match sign {
            b'A'..=b'Z' => sign - b'A',
            b'a'..=b'z' => sign - b'a' + 26,
            b'0'..=b'9' => sign - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        });
        value |= (digit & 31).checked_shl(shift)?;
        shift += 5;
        if digit & 32 == 0 {
            let signed = if value & 1 == 1 { -(value >> 1) } else { value >> 1 };
            // A fifth number is the index of a name.
            if let Some(number) = now.get_mut(index) {
                *number += signed;
            }
            (index, value, shift) = (index + 1, 0, 0);
        }
    }
    Some(index)
}

/// Maps name sources as seen from the folder of what was written; authors know them from the folder of the project.
fn project_path(mut source: &str) -> &str {
    while let Some(rest) = source.strip_prefix("../") {
        source = rest;
    }
    source
}
