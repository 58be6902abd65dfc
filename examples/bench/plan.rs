//! `terraform plan` over objects that are all up to date: of this provider, and of terraform itself.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::{Found, Terraform};
use serde_json::Value;

use super::table::{Amount, Figure, Target, median};

/// How many objects, and how many plans of each kind. A plan of 500 takes two seconds.
const SIZES: [(usize, usize); 2] = [(1, 9), (500, 3)];

/// Generated keys: nothing on the network, and each object has more to read than most.
const OURS: &str = r#"
resource "bastion_ssh_tunnel_connection" "measured" {
  count     = COUNT
  name      = "measured"
  host      = "bastion.example.com"
  user      = "tf"
  host_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"]
  key_pairs = { allow_plaintext_in_state = true }
}
"#;

/// The same number of objects that terraform keeps without any provider's process.
const WITHOUT: &str = r#"
resource "terraform_data" "measured" {
  count = COUNT
  input = { name = "measured", host = "bastion.example.com", user = "tf" }
}
"#;

/// Both sizes, taking turns.
pub fn measure(provider: &Path) -> Result<Vec<Figure>> {
    let head = format!("terraform {{\n  required_providers {{\n    bastion = {{ source = {:?} }}\n  }}\n}}\n", lab::SOURCE);
    let ours = Terraform::new(provider, Found::Mirror)?;
    let without = Terraform::new(provider, Found::Mirror)?;
    let mut figures = Vec::new();
    for (count, rounds) in SIZES {
        prepare(&ours, &(head.clone() + OURS), count)?;
        prepare(&without, WITHOUT, count)?;
        let (mut with, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            with.push(plan(&ours)?);
            bare.push(plan(&without)?);
        }
        figures.push(Figure {
            name: format!("terraform plan, {count} of ours : {count} terraform_data"),
            ours: Amount::Time(median(with).context("no plan")?),
            peer: Some(Amount::Time(median(bare).context("no plan")?)),
            target: Target::None,
        });
    }
    Ok(figures)
}

/// Applies one object, and copies it in the state: an apply of 500 takes a quarter of a minute, in which terraform writes the state 500 times.
pub fn prepare(terraform: &Terraform, configuration: &str, count: usize) -> Result<()> {
    terraform.write("main.tf", &configuration.replace("COUNT", "1"))?;
    terraform.run(&["init", "-input=false", "-no-color"])?.ok()?;
    terraform.apply()?.ok()?;
    let mut state: Value = serde_json::from_str(&terraform.state()?)?;
    let instances = state.pointer_mut("/resources/0/instances").and_then(Value::as_array_mut).context("nothing in the state")?;
    let one = instances.first().context("no object in the state")?.clone();
    *instances = (0..count).map(|index| at(index, one.clone())).collect();
    terraform.write("terraform.tfstate", &state.to_string())?;
    terraform.write("main.tf", &configuration.replace("COUNT", &count.to_string()))
}

fn at(index: usize, mut instance: Value) -> Value {
    if let Some(instance) = instance.as_object_mut() {
        instance.insert("index_key".to_owned(), index.into());
    }
    instance
}

fn plan(terraform: &Terraform) -> Result<Duration> {
    let began = Instant::now();
    let settled = terraform.settled()?;
    let took = began.elapsed();
    ensure!(settled, "the plan is not empty");
    Ok(took)
}
