//! A folder in which terraform runs, with this project's provider and nothing from any network.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// The address under which the provider is installed.
pub const SOURCE: &str = "terraform.local/bastion/bastion";

/// How terraform finds the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// In a mirror on disk: `terraform init` installs it, as for a user.
    Mirror,
    /// By an override: no `init`, one warning at each command.
    Override,
}

/// What a command left.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said, on both channels.
    pub output: String,
}

impl Ran {
    /// The output, if the command succeeded.
    pub fn ok(self) -> Result<String> {
        ensure!(self.status.success(), "terraform failed:\n{}", self.output);
        Ok(self.output)
    }

    /// The output, if the command failed.
    pub fn failed(self) -> Result<String> {
        ensure!(!self.status.success(), "terraform should have failed:\n{}", self.output);
        Ok(self.output)
    }
}

/// A working folder. Gone when dropped.
pub struct Terraform {
    folder: TempDir,
    variables: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

impl Terraform {
    /// Makes a folder that knows a provider binary.
    pub fn new(provider: &Path, found: Found) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("bastion-terraform-").tempdir()?;
        let this = Self { folder, variables: Vec::new(), environment: Vec::new() };
        fs::create_dir(this.path().join("work"))?;
        let installation = match found {
            Found::Mirror => {
                let platform = format!("{}_{}", std::env::consts::OS, architecture());
                let place = this.path().join("mirror").join(SOURCE).join(version()).join(platform);
                fs::create_dir_all(&place)?;
                fs::copy(provider, place.join(format!("terraform-provider-bastion_v{}", version())))?;
                format!("filesystem_mirror {{ path = {:?} }}", this.path().join("mirror"))
            }
            Found::Override => {
                let folder = provider.parent().context("the provider stands in no folder")?;
                format!("dev_overrides {{ {SOURCE:?} = {folder:?} }}")
            }
        };
        fs::write(this.path().join("cli.tfrc"), format!("disable_checkpoint = true\nprovider_installation {{ {installation} }}\n"))?;
        Ok(this)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the configuration stands and terraform runs.
    pub fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// Copies the `.tf` files of a folder.
    pub fn copy_from(&self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
            let path = entry?.path();
            if path.extension() == Some(OsStr::new("tf")) {
                fs::copy(&path, self.work().join(path.file_name().context("a file without a name")?))?;
            }
        }
        Ok(())
    }

    /// Writes one file of the configuration.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.work().join(name), text).with_context(|| name.to_owned())
    }

    /// Sets an input variable, or gives it another value. Objects are given as JSON.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.into()));
    }

    /// Sets a variable of the environment that the provider sees, or gives it another value.
    pub fn env(&mut self, name: &str, value: impl Into<String>) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.into()));
    }

    /// A command in the folder, not run yet. Nothing of Amazon's own environment reaches it but what was set here.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("terraform");
        command.args(arguments).current_dir(self.work()).env("TF_CLI_CONFIG_FILE", self.path().join("cli.tfrc")).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| is_foreign(name)) {
            command.env_remove(name);
        }
        command.env("CHECKPOINT_DISABLE", "1");
        for (name, value) in &self.variables {
            command.env(format!("TF_VAR_{name}"), value);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command and takes what it says.
    pub fn run(&self, arguments: &[&str]) -> Result<Ran> {
        let output = self.command(arguments).output().context("terraform could not be started: is it installed?")?;
        let text = [output.stdout, output.stderr].concat();
        Ok(Ran { status: output.status, output: String::from_utf8_lossy(&text).into_owned() })
    }

    /// Runs a command that talks to the user itself.
    pub fn show(&self, arguments: &[&str]) -> Result<()> {
        let status = self.command(arguments).status().context("terraform could not be started: is it installed?")?;
        if !status.success() {
            bail!("terraform {} failed", arguments.join(" "));
        }
        Ok(())
    }

    /// Applies, without a question.
    pub fn apply(&self) -> Result<Ran> {
        self.run(&["apply", "-auto-approve", "-no-color", "-input=false"])
    }

    /// Whether a plan is empty.
    pub fn settled(&self) -> Result<bool> {
        let ran = self.run(&["plan", "-detailed-exitcode", "-no-color", "-input=false"])?;
        match ran.status.code() {
            Some(0) => Ok(true),
            Some(2) => Ok(false),
            _ => bail!("terraform plan failed:\n{}", ran.output),
        }
    }

    /// The state file's text.
    pub fn state(&self) -> Result<String> {
        fs::read_to_string(self.work().join("terraform.tfstate")).context("there is no state")
    }
}

fn is_foreign(variable: &str) -> bool {
    (variable.starts_with("TF_") && variable != "TF_CLI_CONFIG_FILE") || variable.starts_with("AWS_")
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
