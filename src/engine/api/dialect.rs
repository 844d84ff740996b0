//! Which dialect's functions serve a subject.
