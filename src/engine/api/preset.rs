//! What a plan need not say of a known service: its address, its key, its dialect, and what it can do.
