//! Pure functions: same input, same output, no I/O.
