//! What a fault is: how it is made, and what is to be said of it.

use bastion::path::stage::Stage;

use crate::world::World;

/// Faults that share their answer on the wire: the words for all name the candidates in one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `Permission denied (publickey)`.
    Key,
    /// `administratively prohibited`.
    Forward,
    /// SQLSTATE 28P01.
    Password,
    /// "no pg_hba.conf entry", in plain text.
    Hba,
    /// Closed or reset before any SSH version.
    HungUp,
}

/// Where a fault can be made.
#[derive(Clone, Copy)]
pub enum Place {
    /// On loopback.
    Here,
    /// In a network of its own.
    Apart(fn(&mut lab::Namespace) -> anyhow::Result<()>),
}

/// What the check is to come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    Fails,
    /// It fails, is waited for, and then the path is proven.
    Heals,
}

pub struct Fault {
    pub number: usize,
    pub name: &'static str,
    /// `stage/cause`.
    pub code: &'static str,
    pub class: Option<Class>,
    /// Words of what is heard; none after silence, or where nothing is asked.
    pub heard: &'static str,
    /// What mends this very fault: its place in the order of the remedies, from 1, and words of it.
    pub remedy: (usize, &'static str),
    pub place: Place,
    pub end: End,
    pub inject: fn(&mut World),
}

impl Fault {
    pub const fn new(
        number: usize,
        name: &'static str,
        code: &'static str,
        heard: &'static str,
        remedy: (usize, &'static str),
        inject: fn(&mut World),
    ) -> Self {
        Self { number, name, code, class: None, heard, remedy, place: Place::Here, end: End::Fails, inject }
    }

    pub const fn of(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    pub const fn apart(mut self, network: fn(&mut lab::Namespace) -> anyhow::Result<()>) -> Self {
        self.place = Place::Apart(network);
        self
    }

    pub const fn heals(mut self) -> Self {
        self.end = End::Heals;
        self
    }

    pub fn stage(&self) -> Stage {
        self.code.split('/').next().unwrap().parse().unwrap()
    }
}
