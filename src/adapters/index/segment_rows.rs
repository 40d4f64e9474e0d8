//! Which of our rows each of tantivy's documents is, and back.

use std::sync::Arc;

use kernels::bits::Places;
use tantivy::DocId;

/// The rows of one segment.
#[derive(Clone)]
pub struct SegmentRows {
    /// By document.
    rows: Arc<[u32]>,
    /// Where a row stands among the segment's rows.
    places: Arc<Places>,
    /// Documents by the place of their rows; absent where rows rise with documents, as they do until segments are merged.
    by_place: Option<Arc<[DocId]>>,
}

impl SegmentRows {
    pub fn new(rows: Vec<u32>) -> Self {
        if rows.is_sorted() {
            let places = Arc::new(Places::of(rows.iter().copied()));
            return Self { rows: Arc::from(rows), places, by_place: None };
        }
        let mut documents: Vec<(u32, DocId)> = rows.iter().copied().zip(0..).collect();
        documents.sort_unstable();
        let places = Arc::new(Places::of(documents.iter().map(|(row, _)| *row)));
        let by_place = documents.into_iter().map(|(_, document)| document).collect();
        Self { rows: Arc::from(rows), places, by_place: Some(by_place) }
    }

    pub fn row_of(&self, document: DocId) -> Option<u32> {
        self.rows.get(document as usize).copied()
    }

    pub fn document_of(&self, row: u32) -> Option<DocId> {
        let place = self.places.place(row)?;
        self.by_place.as_ref().map_or(Some(place), |documents| documents.get(place as usize).copied())
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
