//! Text-case runner, models, reference-binary fixtures.

pub mod datadriven;
pub mod transcripts;
