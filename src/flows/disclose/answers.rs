//! Answers: each citation quotes the masked document at the moved span, and each sentence says what its citation says.

use std::collections::HashMap;

use super::DiscloseError;
use super::lens::{Lens, moved, shifted};
use crate::adapters::store::Store;
use crate::domain::{Answer, Citation, Conflict, DocumentKey, PatientId, Point, Sentence, Series, StoredDocument};

type Documents = HashMap<DocumentKey, StoredDocument>;

pub(super) async fn answer(store: &Store, mut lens: Lens<'_>, mut answer: Answer) -> Result<Answer, DiscloseError> {
    let keys = answer.citations().map(|citation| citation.key.clone()).collect();
    let documents = lens.documents(store, keys).await?;
    let whose = documents.values().find_map(|stored| stored.document.patient.clone());
    let mut sentences = Vec::with_capacity(answer.sentences.len());
    for said in answer.sentences {
        sentences.extend(sentence(&mut lens, &documents, said, whose.as_ref()).await?);
    }
    answer.sentences = sentences;
    if let Some(finding) = &mut answer.finding {
        for one in &mut finding.series {
            series(&mut lens, &documents, one, whose.as_ref()).await?;
        }
    }
    let mut conflicts = Vec::with_capacity(answer.conflicts.len());
    for conflict in answer.conflicts {
        let about = lens.text(&conflict.about, whose.as_ref()).await?;
        conflicts.push(Conflict { about, citations: citations(&mut lens, &documents, conflict.citations).await? });
    }
    answer.conflicts = conflicts;
    Ok(answer)
}

/// `None` for a sentence whose citations are gone.
async fn sentence(
    lens: &mut Lens<'_>,
    documents: &Documents,
    said: Sentence,
    whose: Option<&PatientId>,
) -> Result<Option<Sentence>, DiscloseError> {
    let cites = !said.citations.is_empty();
    let is_quote = said.citations.first().is_some_and(|citation| folded(&citation.quote) == folded(&said.text));
    let shown = citations(lens, documents, said.citations).await?;
    if cites && shown.is_empty() {
        return Ok(None);
    }
    let text = match shown.first().filter(|_| is_quote) {
        Some(citation) => folded(&citation.quote),
        None => lens.text(&said.text, whose).await?,
    };
    Ok(Some(Sentence { text, citations: shown, ..said }))
}

async fn series(
    lens: &mut Lens<'_>,
    documents: &Documents,
    series: &mut Series,
    whose: Option<&PatientId>,
) -> Result<(), DiscloseError> {
    series.name = lens.text(&series.name, whose).await?;
    let mut points = Vec::with_capacity(series.points.len());
    for point in series.points.drain(..) {
        let Some(stored) = documents.get(&point.citation.key) else { continue };
        let patient = stored.document.patient.as_ref();
        let subject = lens.subject(patient).await?;
        let text = match &point.text {
            Some(text) => Some(lens.text(text, patient).await?),
            None => None,
        };
        let Some(citation) = citation(lens, documents, point.citation).await? else { continue };
        points.push(Point { time: moved(point.time, &subject), text, citation, ..point });
    }
    series.points = points;
    Ok(())
}

async fn citations(
    lens: &mut Lens<'_>,
    documents: &Documents,
    cited: Vec<Citation>,
) -> Result<Vec<Citation>, DiscloseError> {
    let mut shown = Vec::with_capacity(cited.len());
    for one in cited {
        shown.extend(citation(lens, documents, one).await?);
    }
    Ok(shown)
}

async fn citation(
    lens: &mut Lens<'_>,
    documents: &Documents,
    cited: Citation,
) -> Result<Option<Citation>, DiscloseError> {
    let Some(stored) = documents.get(&cited.key) else { return Ok(None) };
    let patient = stored.document.patient.as_ref();
    let masked = lens.masked(stored).await?;
    let subject = lens.subject(patient).await?;
    let span = masked.span(cited.span);
    let Some(quote) = span.of(&masked.text).map(str::to_owned) else { return Ok(None) };
    let section = match &cited.section {
        Some(section) => Some(lens.text(section, patient).await?),
        None => None,
    };
    Ok(Some(Citation {
        key: lens.key(&cited.key),
        span,
        quote,
        title: lens.text(&cited.title, patient).await?,
        section,
        effective: moved(cited.effective, &subject),
        source_time: moved(cited.source_time, &subject),
        received_at: shifted(cited.received_at, &subject),
        ..cited
    }))
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
