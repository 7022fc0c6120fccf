//! Client of the v3 API.
