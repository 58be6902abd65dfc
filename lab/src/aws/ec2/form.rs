//! The parameters of a query call, taken out one by one: whatever is left over is one that Amazon does not know.

use std::collections::BTreeMap;

use crate::aws::call::Refusal;

/// Parameters by name; `IpPermissions.1.FromPort` is one.
#[derive(Default, Debug)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a body of `application/x-www-form-urlencoded`.
    pub(crate) fn parse(body: &[u8]) -> Result<Form, Refusal> {
        let mut form = Form::default();
        for (name, value) in form_urlencoded::parse(body) {
            if form.0.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(Refusal::new("InvalidParameterValue", format!("The parameter {name} is there twice")));
            }
        }
        Ok(form)
    }

    /// Takes one out.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes one out that has to be there.
    pub(crate) fn need(&mut self, name: &str) -> Result<String, Refusal> {
        self.take(name).filter(|value| !value.is_empty()).ok_or_else(|| missing(name))
    }

    /// Takes a number out.
    pub(crate) fn number<T: std::str::FromStr>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let number = text.parse();
        number.map(Some).map_err(|_| Refusal::new("InvalidParameterValue", format!("Invalid value '{text}' for {name}. Must be a number")))
    }

    /// Takes `name.1`, `name.2`, … out, in the order of their numbers.
    pub(crate) fn list(&mut self, name: &str) -> Vec<String> {
        self.items(name).into_iter().filter_map(|mut item| item.take("")).collect()
    }

    /// Takes `name.1.…`, `name.2.…` out, each a form of its own; one without any more to its name has the name "".
    pub(crate) fn items(&mut self, name: &str) -> Vec<Form> {
        let mut items = BTreeMap::<u32, Form>::new();
        self.0.retain(|whole, value| {
            let rest = whole.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            let Some(rest) = rest else { return true };
            let (number, rest) = rest.split_once('.').unwrap_or((rest, ""));
            let Ok(number) = number.parse() else { return true };
            items.entry(number).or_default().0.insert(rest.into(), std::mem::take(value));
            false
        });
        items.into_values().collect()
    }

    /// Takes `name.…` out as a form of its own.
    pub(crate) fn part(&mut self, name: &str) -> Form {
        let mut part = Form::default();
        self.0.retain(|whole, value| {
            let Some(rest) = whole.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) else { return true };
            part.0.insert(rest.into(), std::mem::take(value));
            false
        });
        part
    }

    /// What is left, to be passed on.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Refuses what is left.
    pub(crate) fn finish(&self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Refusal::new("UnknownParameter", format!("The parameter {name} is not recognized"))),
        }
    }
}

/// A parameter that has to be there, and is not.
pub(crate) fn missing(name: &str) -> Refusal {
    let mut letters = name.chars();
    let small: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
    Refusal::new("MissingParameter", format!("The request must contain the parameter {small}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_out_in_the_order_of_their_numbers() {
        let mut form = Form::parse(b"Action=A&Id.10=j&Id.2=b&Id.1=a&P.1.Port=22&P.1.R.2.Ip=y&P.1.R.1.Ip=x&N=7").unwrap();
        assert_eq!(form.take("Action").as_deref(), Some("A"));
        assert_eq!(form.list("Id"), ["a", "b", "j"]);
        let mut permission = form.items("P").remove(0);
        assert_eq!(permission.number::<i32>("Port").unwrap(), Some(22));
        let ranges: Vec<_> = permission.items("R").into_iter().filter_map(|mut range| range.take("Ip")).collect();
        assert_eq!(ranges, ["x", "y"]);
        permission.finish().unwrap();
        assert_eq!(form.finish().unwrap_err().code, "UnknownParameter");
        assert_eq!(form.number::<i32>("N").unwrap(), Some(7));
        form.finish().unwrap();
    }

    #[test]
    fn what_has_to_be_there_is_named() {
        let message = Form::default().need("GroupId").unwrap_err().message;
        assert_eq!(message, "The request must contain the parameter groupId");
    }
}
