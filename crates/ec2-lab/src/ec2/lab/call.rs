//! The processing of one call: the caller, faults, execution, answer.

use std::sync::Arc;

use crate::ec2::faults::injection::Effect;
use crate::ec2::lab::actions::{self, Action};
use crate::ec2::lab::core::{Core, Inner};
use crate::ec2::lab::policy::KeyState;
use crate::ec2::lab::server;
use crate::ec2::protocol::calls::Call;
use crate::ec2::protocol::envelope::{envelope, error_envelope, is_of_sts};
use crate::ec2::protocol::error::ApiError;
use crate::ec2::protocol::query::Params;
use crate::ec2::protocol::wire;
use crate::ec2::resources::power;
use crate::ec2::resources::state::Cx;

/// The response on the connection.
#[derive(Debug)]
pub(crate) enum Answer {
    Whole {
        status: u16,
        body: String,
    },
    /// None: the connection is closed.
    None,
    /// The beginning of a response, after which the connection is closed.
    Cut(String),
    Huge(u64),
}

/// The caller, from the signature's credential scope; the signature itself is not verified.
struct Caller {
    access_key: String,
    account: String,
    region: String,
}

/// Executes a call. The protocol uses `Action` and the API's `Version`; handlers do not see them.
pub(crate) async fn carry_out(
    core: Arc<Core>,
    mut params: Params,
    authorization: String,
    is_sdk: bool,
) -> Answer {
    let action = params.take("Action").unwrap_or_default();
    params.take("Version");
    let (seq, effects, caller, request_id) = arrive(&core, &action, &params, &authorization);
    core.notify();
    for effect in &effects {
        match effect {
            Effect::Hold(gate) => gate.pass().await,
            Effect::Drop => {
                finish(&core, seq, None, None, false);
                return Answer::None;
            }
            _ => {}
        }
    }
    let injected = effects.iter().find_map(Effect::as_error);
    let result = match (caller, injected) {
        (_, Some(error)) => Err(error),
        (Err(error), None) => Err(error),
        (Ok(caller), None) => {
            if effects.iter().any(|e| matches!(e, Effect::Unfiltered)) {
                params.ignore_filters();
            }
            let console = console(&core, &action, &params).await;
            if effects.iter().any(|effect| matches!(effect, Effect::Twice)) {
                // The sender receives the answer of the second delivery only.
                let _ = act(&core, seq, &action, &params, &caller, &request_id, &console);
            }
            act(&core, seq, &action, &params, &caller, &request_id, &console)
        }
    };
    core.notify();
    let acted = result.is_ok();
    let started = core.clock.now();
    for effect in &effects {
        match effect {
            Effect::HoldAnswer(gate) => gate.pass().await,
            Effect::Delay(time) => core.clock.sleep_until(started + *time).await,
            _ => {}
        }
    }
    let after = effects.iter().find_map(|e| match e {
        Effect::ErrorAfterAct { code } => Some(ApiError::new(code, "Injected by the lab.")),
        _ => None,
    });
    let (status, code, body) = match after.map_or(result, Err) {
        Ok(body) => (200, None, body),
        Err(error) => {
            let body = error_envelope(&action, &request_id, &error);
            (error.status, Some(error.code), body)
        }
    };
    if is_sdk {
        wire::record(&action, &params, (status == 200).then_some(&*body));
    }
    let lost = effects.iter().any(|e| matches!(e, Effect::LoseAnswer));
    finish(&core, seq, (!lost).then_some(status), code, acted);
    if lost {
        return Answer::None;
    }
    let garbled = effects.into_iter().find_map(|effect| match effect {
        Effect::Garble(body) => Some(Answer::Whole { status: 200, body }),
        Effect::Truncate(bytes) => Some(Answer::Cut(body.chars().take(bytes).collect())),
        Effect::Huge(bytes) => Some(Answer::Huge(bytes)),
        _ => None,
    });
    garbled.unwrap_or(Answer::Whole { status, body })
}

type Arrival = (u64, Vec<Effect>, Result<Caller, ApiError>, String);

/// Logs a call and determines the caller and the faults.
fn arrive(core: &Core, action: &str, params: &Params, authorization: &str) -> Arrival {
    let mut inner = core.lock();
    let seq = inner.next_seq;
    inner.next_seq += 1;
    let mut call = Call::new(seq, action, params, core.clock.now());
    let scope = scope(authorization);
    let caller = identify(core, &inner, action, scope.as_ref());
    if let Some((access_key, region)) = scope {
        call.access_key = access_key;
        call.region = region;
    }
    if let Ok(caller) = &caller {
        call.account.clone_from(&caller.account);
    }
    let effects = inner.faults.meet(&call);
    let request_id = inner.world.shared.ids.uuid();
    inner.calls.push(call);
    (seq, effects, caller, request_id)
}

/// Returns the access key and region of `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
fn scope(authorization: &str) -> Option<(String, String)> {
    let (_, credential) = authorization.split_once("Credential=")?;
    let credential = credential.split([',', ' ']).next()?;
    let mut parts = credential.rsplitn(5, '/');
    let (_, _, region) = (parts.next()?, parts.next()?, parts.next()?);
    let (_, access_key) = (parts.next()?, parts.next()?);
    Some((access_key.to_owned(), region.to_owned()))
}

fn identify(
    core: &Core,
    inner: &Inner,
    action: &str,
    scope: Option<&(String, String)>,
) -> Result<Caller, ApiError> {
    let of_sts = is_of_sts(action);
    let Some((access_key, region)) = scope else {
        return Err(ApiError::missing("AWSAccessKeyId"));
    };
    let state = inner.policy.keys.get(access_key).copied();
    let account = core.config.access_keys.get(access_key);
    let account = account.filter(|_| state != Some(KeyState::Inactive));
    let Some(account) = account else {
        return Err(if of_sts {
            ApiError::new(
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
            )
        } else {
            ApiError::new(
                "AuthFailure",
                "AWS was not able to validate the provided access credentials",
            )
        });
    };
    if state == Some(KeyState::Expired) {
        return Err(if of_sts {
            let text = "The security token included in the request is expired";
            ApiError::new("ExpiredToken", text)
        } else {
            ApiError::new("RequestExpired", "Request has expired.")
        });
    }
    if !core.config.regions.contains(region) {
        return Err(ApiError::new(
            "AuthFailure",
            format!("Credential should be scoped to a valid region, not '{region}'."),
        ));
    }
    Ok(Caller {
        access_key: access_key.clone(),
        account: account.clone(),
        region: region.clone(),
    })
}

/// Returns the host's console output, requested without holding the lab's lock.
async fn console(core: &Core, action: &str, params: &Params) -> String {
    match params.get("InstanceId") {
        Some(id) if action == "GetConsoleOutput" => core.hosts.console(id).await,
        _ => String::new(),
    }
}

fn act(
    core: &Core,
    seq: u64,
    action: &str,
    params: &Params,
    caller: &Caller,
    request_id: &str,
    console: &str,
) -> Result<String, ApiError> {
    let Some(Action { class, handler, .. }) = actions::find(action) else {
        return Err(ApiError::new(
            "InvalidAction",
            format!("The action {action} is not valid for this web service."),
        ));
    };
    let mut guard = core.lock();
    let inner = &mut *guard;
    let now = core.clock.now();
    let place = (caller.account.as_str(), caller.region.as_str());
    if let Some(limits) = &inner.throttling
        && !inner
            .buckets
            .take(limits, place, (action, *class), params, now)
    {
        return Err(ApiError::new(
            "RequestLimitExceeded",
            "Request limit exceeded.",
        ));
    }
    let who = (caller.access_key.as_str(), place.0, place.1);
    inner.policy.authorize(who, action, params)?;
    let (region, shared) = inner.world.region(place.0, place.1);
    inner.policy.judge(who.0, action, params, region)?;
    region.fresh.set(inner.blindness.clone());
    let mut cx = Cx {
        region,
        shared,
        now,
        call: seq,
        access_key: &caller.access_key,
    };
    let result = if action == "GetConsoleOutput" {
        power::console(&mut cx, params, console)
    } else {
        handler(&mut cx, params)
    };
    core.send_orders(inner);
    Ok(envelope(action, request_id, &result?))
}

fn finish(core: &Core, seq: u64, status: Option<u16>, error: Option<String>, acted: bool) {
    let mut inner = core.lock();
    if let Some(call) = inner.calls.iter_mut().rfind(|c| c.seq == seq) {
        call.status = status;
        call.error = error;
        call.acted = acted;
        call.finished = true;
        server::log(core, call);
    }
    drop(inner);
    core.notify();
}
