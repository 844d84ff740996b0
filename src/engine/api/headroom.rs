//! What a response's headers say of limits and waits.
