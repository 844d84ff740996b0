//! Mistral's models behind Vertex AI's rawPredict.
