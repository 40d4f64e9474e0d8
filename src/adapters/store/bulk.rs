//! Many rows in one statement, of a few fixed sizes, so that each statement's text is prepared once.

use std::sync::OnceLock;

use sqlx::AssertSqlSafe;
use sqlx::query::Query;

use super::sqlite::{Connection, Engine, positional};

pub(super) type Statement<'q> = Query<'q, Engine, <Engine as sqlx::Database>::Arguments>;

/// Rows in one statement, from the most: what is left over goes in smaller ones.
const SIZES: [usize; 3] = [64, 8, 1];

/// `INSERT` of any number of rows: `head (?, ...), (?, ...) tail`.
pub(super) struct BulkInsert {
    head: &'static str,
    columns: usize,
    tail: &'static str,
    texts: [OnceLock<String>; SIZES.len()],
}

impl BulkInsert {
    /// `head` ends before `VALUES`.
    pub const fn new(head: &'static str, columns: usize, tail: &'static str) -> Self {
        Self { head, columns, tail, texts: [const { OnceLock::new() }; SIZES.len()] }
    }

    /// `bind` binds exactly the columns of one row.
    pub async fn run<'q, T>(
        &'static self,
        connection: &mut Connection,
        rows: &'q [T],
        bind: impl Fn(Statement<'q>, &'q T) -> Statement<'q>,
    ) -> Result<(), sqlx::Error> {
        let mut rest = rows;
        for (size, text) in SIZES.into_iter().zip(&self.texts) {
            while let Some((now, later)) = rest.split_at_checked(size) {
                let text = text.get_or_init(|| self.text(size));
                let statement = now.iter().fold(sqlx::query(AssertSqlSafe(text.as_str())), &bind);
                statement.execute(&mut *connection).await?;
                rest = later;
            }
        }
        Ok(())
    }

    fn text(&self, rows: usize) -> String {
        positional(format!("{} VALUES {} {}", self.head, tuples(rows, self.columns), self.tail))
    }
}

/// A statement about a list of items of `wide` values each: `head (?, ...), (?, ...) tail`.
pub(super) struct ListStatement {
    head: &'static str,
    wide: usize,
    tail: &'static str,
    texts: [OnceLock<String>; LIST_SIZES.len()],
}

/// Lists are filled up to one of these by repeating their last item.
const LIST_SIZES: [usize; 2] = [16, 256];

impl ListStatement {
    /// Other values are bound with `?` too, in the order in which they stand in the text.
    pub const fn new(head: &'static str, wide: usize, tail: &'static str) -> Self {
        Self { head, wide, tail, texts: [const { OnceLock::new() }; LIST_SIZES.len()] }
    }

    /// The items in lists of the fixed sizes, each with the text of its statement.
    pub fn batches<'i, T>(&'static self, items: &'i [T]) -> impl Iterator<Item = (&'static str, Vec<&'i T>)> {
        let largest = LIST_SIZES[LIST_SIZES.len() - 1];
        items.chunks(largest).map(move |chunk| {
            let which = LIST_SIZES.iter().position(|size| *size >= chunk.len()).unwrap_or(LIST_SIZES.len() - 1);
            let size = LIST_SIZES[which];
            let text = || positional(format!("{} {} {}", self.head, tuples(size, self.wide), self.tail));
            let text = self.texts[which].get_or_init(text);
            let filled = chunk.iter().chain(std::iter::repeat(&chunk[chunk.len() - 1])).take(size);
            (text.as_str(), filled.collect())
        })
    }
}

fn tuples(count: usize, wide: usize) -> String {
    let tuple = format!("({})", vec!["?"; wide].join(", "));
    vec![tuple.as_str(); count].join(", ")
}

#[cfg(test)]
mod tests {
    use super::{LIST_SIZES, ListStatement, tuples};

    #[test]
    fn a_tuple_stands_for_each_row() {
        assert_eq!(tuples(2, 3), "(?, ?, ?), (?, ?, ?)");
    }

    #[test]
    fn lists_hold_every_item_and_are_filled_up_with_the_last() {
        static LIST: ListStatement = ListStatement::new("SELECT", 1, "");
        let items: Vec<usize> = (0..LIST_SIZES[1] + 3).collect();
        let batches: Vec<_> = LIST.batches(&items).map(|(_, batch)| batch).collect();
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [256, 16]);
        let mut seen: Vec<usize> = batches.into_iter().flatten().copied().collect();
        seen.dedup();
        assert_eq!(seen, items);
        assert_eq!(LIST.batches::<u8>(&[]).count(), 0);
    }
}
