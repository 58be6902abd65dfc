//! Sixty things that can be wrong on a path, each made for real: reported at its stage, in time, in words that say what to change.
#![cfg(test)]

mod catalogue;
mod database;
mod each;
mod ends;
mod fault;
mod heals;
mod hostile;
mod more;
mod reach;
mod ssh;
mod table;
mod verdict;
mod way;
mod whole;
mod world;
