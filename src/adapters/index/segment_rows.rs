//! Which of our rows each of tantivy's documents is, and back.

use std::sync::Arc;

use tantivy::DocId;

/// The rows of one segment.
#[derive(Clone)]
pub struct SegmentRows {
    /// By document.
    rows: Arc<[u32]>,
    /// Documents by row; absent where rows rise with documents, as they do until segments are merged.
    by_row: Option<Arc<[DocId]>>,
}

impl SegmentRows {
    pub fn new(rows: Vec<u32>) -> Self {
        let by_row = (!rows.is_sorted()).then(|| {
            let mut documents: Vec<(u32, DocId)> = rows.iter().copied().zip(0..).collect();
            documents.sort_unstable();
            documents.into_iter().map(|(_, document)| document).collect()
        });
        Self { rows: Arc::from(rows), by_row }
    }

    pub fn row_of(&self, document: DocId) -> Option<u32> {
        self.rows.get(document as usize).copied()
    }

    pub fn document_of(&self, row: u32) -> Option<DocId> {
        let Some(documents) = &self.by_row else {
            return self.rows.binary_search(&row).ok().and_then(|at| DocId::try_from(at).ok());
        };
        let at = documents.binary_search_by_key(&Some(row), |document| self.row_of(*document)).ok()?;
        documents.get(at).copied()
    }

    pub fn rows(&self) -> impl Iterator<Item = (DocId, u32)> + '_ {
        (0..).zip(self.rows.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::SegmentRows;

    #[test]
    fn a_row_is_found_again_whatever_the_order() {
        for rows in [vec![], vec![3, 4, 9], vec![7, 8, 1, 2, 30]] {
            let segment = SegmentRows::new(rows.clone());
            for row in 0..40 {
                let document = rows.iter().position(|held| *held == row).map(|at| at as u32);
                assert_eq!(segment.document_of(row), document);
            }
        }
    }
}
