//! Function calls.

use crate::tfplugin::erased::Registry;
use crate::tfplugin::kind::Signature;
use crate::tfplugin::proto::tfplugin6::{DynamicValue, FunctionError, call_function};
use crate::tfplugin::schema::Type;
use crate::tfplugin::server::convert;
use crate::tfplugin::value::Value;

pub(super) fn call(registry: &Registry, request: &call_function::Request) -> call_function::Response {
    match try_call(registry, request) {
        Ok(result) => call_function::Response { result: Some(result), error: None },
        Err(error) => call_function::Response { result: None, error: Some(error) },
    }
}

fn try_call(registry: &Registry, request: &call_function::Request) -> Result<DynamicValue, FunctionError> {
    let function = registry
        .functions
        .get(request.name.as_str())
        .ok_or_else(|| refusal(format!("the function `{}` does not exist in this provider", request.name)))?;
    let signature = function.signature();
    let arguments = arguments(&signature, &request.arguments)?;
    let result = function.call(arguments).map_err(convert::function_error)?;
    convert::encode(&result, &signature.returns).map_err(|misfit| convert::uncalled(misfit, None))
}

fn refusal(text: String) -> FunctionError {
    FunctionError { text, function_argument: None }
}

fn arguments(signature: &Signature, given: &[DynamicValue]) -> Result<Vec<Value>, FunctionError> {
    let least = signature.parameters.len();
    if given.len() < least || (given.len() > least && signature.variadic.is_none()) {
        return Err(refusal(format!("{least} arguments are needed, {} were given", given.len())));
    }
    let parameters = signature.parameters.iter().chain(signature.variadic.iter().cycle());
    (0_i64..).zip(parameters.zip(given)).map(|(at, (parameter, value))| argument(&parameter.r#type, value, at)).collect()
}

fn argument(of: &Type, value: &DynamicValue, at: i64) -> Result<Value, FunctionError> {
    convert::decode(Some(value), of).map_err(|misfit| convert::uncalled(misfit, Some(at)))
}
