//! Text-case runner, models, reference-binary fixtures.
