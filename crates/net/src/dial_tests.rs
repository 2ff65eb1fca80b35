//! Tests of dialling.
