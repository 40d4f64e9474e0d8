//! Where files of records come from, and how they are cut into deliveries.

pub mod slices;
