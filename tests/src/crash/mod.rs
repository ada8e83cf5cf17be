//! What a test of crashes needs: a process that is killed at a moment of its work, servers that are, and whole tables to compare.

pub mod outside;
pub mod recovery;
pub mod running;
pub mod seeded;
pub mod servers;
pub mod storm;
pub mod tables;
