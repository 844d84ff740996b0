//! A response's bytes to its pieces: server-sent events, JSON lines, Amazon's event stream.
