//! From a typed data source, ephemeral resource or provider configuration to an erased one.

use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::adapter::{Adapter, answer, configured, guard, judge, known};
use super::{ErasedConfiguration, ErasedDataSource, ErasedEphemeral, ErasedOpened};
use crate::tfplugin::diagnostic::Diagnostics;
use crate::tfplugin::fault;
use crate::tfplugin::kind::{Boxed, Call, Configuration, DataSource, Ephemeral, Private};
use crate::tfplugin::model::IntoValue;
use crate::tfplugin::schema::Schema;
use crate::tfplugin::value::Value;

/// What a fault diagnostic calls the provider's own block.
const CONFIGURATION: &str = "provider configuration";

impl<D: DataSource> ErasedDataSource for Adapter<D> {
    fn type_name(&self) -> &'static str {
        self.inner.type_name()
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: Value) -> Diagnostics {
        judge(self.inner.type_name(), config, |model| self.inner.validate(model))
    }

    fn read(&self, cancelled: CancellationToken, config: Value) -> Boxed<'_, Result<(Value, Diagnostics), Diagnostics>> {
        Box::pin(guard("read", self.inner.type_name(), async move {
            let call = Call::new(cancelled);
            let (model, warnings) = self.inner.read(&call, configured(config)?).await?;
            answer((), &warnings)?;
            Ok((known("read", self.inner.type_name(), &self.schema, model.into_value())?, warnings))
        }))
    }
}

impl<E: Ephemeral> ErasedEphemeral for Adapter<E> {
    fn type_name(&self) -> &'static str {
        self.inner.type_name()
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: Value) -> Diagnostics {
        judge(self.inner.type_name(), config, |model| self.inner.validate(model))
    }

    fn open(&self, cancelled: CancellationToken, config: Value) -> Boxed<'_, Result<ErasedOpened, Diagnostics>> {
        Box::pin(guard("open", self.inner.type_name(), async move {
            let call = Call::new(cancelled);
            let opened = self.inner.open(&call, configured(config)?).await?;
            match known("open", self.inner.type_name(), &self.schema, opened.model.into_value()) {
                Ok(result) => Ok(ErasedOpened { result, private: opened.private, renew_at: opened.renew_at }),
                Err(mut diagnostics) => {
                    // Terraform never closes what it was told did not open.
                    diagnostics.append(self.inner.close(&opened.private).await.err().unwrap_or_default());
                    Err(diagnostics)
                }
            }
        }))
    }

    fn renew(&self, private: Private) -> Boxed<'_, Result<Option<SystemTime>, Diagnostics>> {
        Box::pin(guard("renew", self.inner.type_name(), async move { self.inner.renew(&private).await }))
    }

    fn close(&self, private: Private) -> Boxed<'_, Result<(), Diagnostics>> {
        Box::pin(guard("close", self.inner.type_name(), async move { self.inner.close(&private).await }))
    }
}

impl<C: Configuration> ErasedConfiguration for Adapter<C> {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: Value) -> Diagnostics {
        judge(CONFIGURATION, config, |model| self.inner.validate(model))
    }

    fn configure(&self, config: Value, terraform_version: &str) -> Diagnostics {
        let taken = fault::catch("configure", CONFIGURATION, || match configured(config) {
            Ok(model) => self.inner.configure(model, terraform_version),
            Err(diagnostics) => diagnostics,
        });
        taken.unwrap_or_else(Diagnostics::from)
    }

    fn finish(&self, cancelled: CancellationToken) -> Boxed<'_, ()> {
        Box::pin(async move {
            // A panic here has nobody to be told to: the process ends.
            drop(fault::catch_async("finish", CONFIGURATION, self.inner.finish(&cancelled)).await);
        })
    }
}

#[cfg(test)]
mod tests;
