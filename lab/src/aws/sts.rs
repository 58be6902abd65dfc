//! STS, answered by the proxy itself: who somebody is, and the temporary keys of a role.

use std::collections::HashMap;

use hyper::{
    StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue},
};
use time::OffsetDateTime;

use super::{
    call::{Answer, Refusal, Request},
    ec2::Form,
    xml,
};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const VERSION: &str = "2011-06-15";

/// How long temporary keys last where a call does not say [STS's default].
const DURATION: i64 = 3600;

/// Who has which keys.
pub(crate) struct Sts {
    account: String,
    /// By access key.
    sessions: HashMap<String, Session>,
}

struct Session {
    token: String,
    account: String,
    arn: String,
    user_id: String,
}

impl Sts {
    pub(crate) fn new(account: &str) -> Sts {
        Sts { account: account.into(), sessions: HashMap::new() }
    }

    /// Refuses temporary keys that were not issued here, or that come without their token. Other keys are whoever they say.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Refusal> {
        let key = &request.scope.access_key;
        let token = request.headers.get("x-amz-security-token").and_then(|token| token.to_str().ok());
        let whole = !key.starts_with("ASIA") || self.sessions.get(key).is_some_and(|session| token == Some(&session.token));
        if whole {
            return Ok(());
        }
        Err(match request.scope.service.as_str() {
            "ec2" => {
                let words = "AWS was not able to validate the provided access credentials";
                Refusal::with(StatusCode::UNAUTHORIZED, "AuthFailure", words)
            }
            "s3" => {
                let words = "The AWS Access Key Id you provided does not exist in our records.";
                Refusal::with(StatusCode::FORBIDDEN, "InvalidAccessKeyId", words)
            }
            _ => {
                let words = "The security token included in the request is invalid.";
                Refusal::with(StatusCode::FORBIDDEN, "InvalidClientTokenId", words)
            }
        })
    }

    pub(crate) fn answer(&mut self, request: &Request) -> Answer {
        self.result(request).unwrap_or_else(|refusal| refuse(&refusal))
    }

    fn result(&mut self, request: &Request) -> Result<Answer, Refusal> {
        let mut form = Form::parse(&request.body)?;
        let action = form.take("Action").unwrap_or_default();
        if form.take("Version").as_deref() != Some(VERSION) {
            return Err(Refusal::new("NoSuchVersion", format!("the requested version is not {VERSION}")));
        }
        let content = match action.as_str() {
            "GetCallerIdentity" => self.caller(&request.scope.access_key),
            "AssumeRole" => self.assume(&mut form)?,
            _ => return Err(Refusal::new("InvalidAction", format!("Could not find operation {action} for version {VERSION}"))),
        };
        form.finish()?;
        Ok(respond(&action, &content))
    }

    fn caller(&self, key: &str) -> String {
        let mut out = String::new();
        let (user_id, account, arn) = match self.sessions.get(key) {
            Some(session) => (session.user_id.clone(), session.account.clone(), session.arn.clone()),
            None => ("AIDALAB".into(), self.account.clone(), format!("arn:aws:iam::{}:user/lab", self.account)),
        };
        xml::text(&mut out, "UserId", &user_id);
        xml::text(&mut out, "Account", &account);
        xml::text(&mut out, "Arn", &arn);
        out
    }

    fn assume(&mut self, form: &mut Form) -> Result<String, Refusal> {
        let role = form.take("RoleArn").unwrap_or_default();
        let name = form.take("RoleSessionName").unwrap_or_default();
        let duration = form.take("DurationSeconds").map_or(Ok(DURATION), |seconds| seconds.parse());
        let duration = duration.map_err(|_| invalid("durationSeconds", "must be a number"))?;
        // Accepted, and without effect: policies are not evaluated here.
        form.take("ExternalId");
        form.take("Policy");
        form.list("PolicyArns.member");
        let (account, role_name) = parse_role(&role).ok_or_else(|| invalid("roleArn", &format!("{role} is invalid")))?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if !(2..=64).contains(&name.len()) || !name.chars().all(fits) {
            let pattern = "Member must satisfy regular expression pattern: [\\w+=,.@-]*";
            return Err(invalid("roleSessionName", pattern));
        }
        if !(900..=43_200).contains(&duration) {
            return Err(invalid("durationSeconds", "must be between 900 and 43200"));
        }
        let (key, token) = (format!("ASIA{:016X}", fastrand::u64(..)), format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..)));
        let arn = format!("arn:aws:sts::{account}:assumed-role/{role_name}/{name}");
        let user_id = format!("AROALAB:{name}");
        let until = OffsetDateTime::now_utc() + time::Duration::seconds(duration);
        let (date, hour, minute, second) = (until.date(), until.hour(), until.minute(), until.second());
        let until = format!("{date}T{hour:02}:{minute:02}:{second:02}Z");
        let mut out = String::new();
        xml::element(&mut out, "AssumedRoleUser", |out| {
            xml::text(out, "AssumedRoleId", &user_id);
            xml::text(out, "Arn", &arn);
        });
        xml::element(&mut out, "Credentials", |out| {
            xml::text(out, "AccessKeyId", &key);
            xml::text(out, "SecretAccessKey", &format!("{:040x}", fastrand::u128(..)));
            xml::text(out, "SessionToken", &token);
            xml::text(out, "Expiration", &until);
        });
        self.sessions.insert(key, Session { token, account: account.into(), arn, user_id });
        Ok(out)
    }
}

/// Account and name of `arn:aws:iam::123456789012:role/path/name`.
fn parse_role(arn: &str) -> Option<(&str, &str)> {
    let (account, role) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
    let name = role.rsplit('/').next().filter(|name| !name.is_empty())?;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some((account, name))
}

fn invalid(field: &str, why: &str) -> Refusal {
    Refusal::new("ValidationError", format!("1 validation error detected: Value at '{field}' failed to satisfy constraint: {why}"))
}

fn respond(action: &str, content: &str) -> Answer {
    let id = xml::request_id();
    let body = format!(
        "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{content}</{action}Result>\
         <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{action}Response>"
    );
    with_type(Answer::new(Bytes::from(body)))
}

/// An error as STS says it.
pub(crate) fn refuse(refusal: &Refusal) -> Answer {
    let mut body = format!("<ErrorResponse xmlns=\"{NAMESPACE}\">");
    xml::element(&mut body, "Error", |out| {
        xml::text(out, "Type", if refusal.status.is_server_error() { "Receiver" } else { "Sender" });
        xml::text(out, "Code", &refusal.code);
        xml::text(out, "Message", &refusal.message);
    });
    xml::text(&mut body, "RequestId", &xml::request_id());
    body.push_str("</ErrorResponse>");
    let mut answer = with_type(Answer::new(Bytes::from(body)));
    *answer.status_mut() = refusal.status;
    answer
}

fn with_type(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    answer
}
