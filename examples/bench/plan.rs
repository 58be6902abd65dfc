//! `terraform plan` over objects that are all up to date: of this provider, and of terraform itself.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::{Found, Terraform};

use super::table::{Amount, Figure, Target, median};

/// How many objects, and how many plans of each kind. A plan of 500 takes a second.
const SIZES: [(usize, usize); 2] = [(1, 9), (500, 5)];

/// Generated keys: nothing on the network, and each object has more to read than most.
const OURS: &str = r#"
resource "bastion_ssh_tunnel_connection" "measured" {
  count                    = COUNT
  name                     = "measured-${count.index}"
  host                     = "bastion.example.com"
  user                     = "tf"
  insecure_ignore_host_key = true
  key_pairs                = { allow_plaintext_in_state = true }
}
"#;

/// The same number of objects that terraform keeps without any provider's process.
const WITHOUT: &str = r#"
resource "terraform_data" "measured" {
  count = COUNT
  input = { name = "measured-${count.index}", host = "bastion.example.com", user = "tf", insecure_ignore_host_key = true }
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

fn prepare(terraform: &Terraform, configuration: &str, count: usize) -> Result<()> {
    terraform.write("main.tf", &configuration.replace("COUNT", &count.to_string()))?;
    terraform.run(&["init", "-input=false", "-no-color"])?.ok()?;
    terraform.apply()?.ok().map(drop)
}

fn plan(terraform: &Terraform) -> Result<Duration> {
    let began = Instant::now();
    let settled = terraform.settled()?;
    let took = began.elapsed();
    ensure!(settled, "the plan is not empty");
    Ok(took)
}
