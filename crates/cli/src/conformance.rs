//! `larder conformance`: judges a backend by the promises of the contract.

use std::fs;
use std::path::PathBuf;

use larder_conformance::{CASES, Case, Component, Verdict};
use serde_json::json;

use crate::output::{self, Failure, Output};

/// Test a backend: which promises of the contract does it keep, break, or not offer?
///
/// Each case gives the component an empty temporary folder at /, clocks that only the case moves,
/// and no network. The options --dir, --backend and --durability have no effect here. If a promise
/// is broken, the exit code is 1.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder conformance my_backend.wasm
  larder conformance my_backend.wasm --volatile ttl
  larder conformance my_backend.wasm --env MY_SETTING=on --json")]
pub struct Args {
    /// The component
    #[arg(value_name = "BACKEND.wasm")]
    component: PathBuf,

    /// Run only the cases whose name or promise contains this text
    #[arg(value_name = "CASE", value_parser = of_a_case)]
    part: Option<String>,

    /// The component keeps its caches in the instance: each case starts it once, and the promises
    /// about restarts are not offered
    #[arg(long)]
    volatile: bool,

    /// The component is for one instance at a time: the promises about several instances are not
    /// offered
    #[arg(long)]
    alone: bool,

    /// An environment variable for the component; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String)>,
}

pub fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let file = args.component.display();
    let failed = |why: String| Failure::Said(format!("conformance of {file}: {why}"));
    let component = {
        let _working = output::working("compiling the component");
        let bytes = fs::read(&args.component).map_err(|error| failed(error.to_string()))?;
        Component::new(&bytes).map_err(|error| failed(error.to_string()))?
    };
    let mut backend = component;
    if args.volatile {
        backend = backend.volatile();
    }
    if args.alone {
        backend = backend.alone();
    }
    for (name, value) in &args.environment {
        backend = backend.env(name, value);
    }

    let part = args.part.as_deref().unwrap_or_default();
    let cases: Vec<_> = CASES.iter().filter(|case| is_in(part, case)).collect();
    let cases = output::counting("judging cases", cases.len() as u64).wrap_iter(cases.iter());
    let judged: Vec<_> = cases
        .map(|case| (*case, case.judge(|| backend.subject())))
        .collect();
    match output.json {
        true => for_programs(&judged, output)?,
        false => for_people(&judged, output)?,
    }
    match count(&judged, is_broken) {
        0 => Ok(()),
        broken => Err(failed(format!(
            "{} broken",
            output::count(broken, "promise is", "promises are")
        ))),
    }
}

fn for_programs(judged: &[(&Case, Verdict)], output: &mut Output) -> Result<(), Failure> {
    for (case, verdict) in judged {
        let (why, missing) = match verdict {
            Verdict::Kept => (None, None),
            Verdict::Broken(why) => (Some(why), None),
            Verdict::NotOffered(feature) => (None, Some(feature.to_string())),
        };
        output.object(&json!({
            "case": case.name, "promise": case.promise, "verdict": word(verdict),
            "why": why, "missing": missing,
        }))?;
    }
    Ok(())
}

fn for_people(judged: &[(&Case, Verdict)], output: &mut Output) -> Result<(), Failure> {
    output.table(
        ["promise", "verdict"],
        judged.iter().map(|(case, verdict)| {
            let verdict = match verdict {
                Verdict::NotOffered(missing) => format!("{}: no {missing}", word(verdict)),
                Verdict::Kept | Verdict::Broken(_) => word(verdict).to_owned(),
            };
            [case.promise.to_owned(), verdict]
        }),
    )?;
    let broken = judged.iter().filter_map(|(case, verdict)| match verdict {
        Verdict::Broken(why) => Some([case.name.to_owned(), in_a_line(why)]),
        Verdict::Kept | Verdict::NotOffered(_) => None,
    });
    let broken: Vec<_> = broken.collect();
    if !broken.is_empty() {
        output.line("")?;
        output.table(["broken case", "reason"], broken)?;
    }
    output.line("")?;
    output.line(format!(
        "{} kept, {} broken, {} not offered",
        count(judged, |verdict| *verdict == Verdict::Kept),
        count(judged, is_broken),
        count(judged, |verdict| matches!(verdict, Verdict::NotOffered(_))),
    ))
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Kept => "kept",
        Verdict::Broken(_) => "broken",
        Verdict::NotOffered(_) => "not offered",
    }
}

fn count(judged: &[(&Case, Verdict)], of: impl Fn(&Verdict) -> bool) -> u64 {
    judged.iter().filter(|(_, verdict)| of(verdict)).count() as u64
}

fn is_broken(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Broken(_))
}

/// A reason of several lines, in one line.
fn in_a_line(why: &str) -> String {
    let lines = why.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(", ")
}

fn is_in(part: &str, case: &Case) -> bool {
    case.name.contains(part) || case.promise.contains(part)
}

fn of_a_case(part: &str) -> Result<String, String> {
    match CASES.iter().any(|case| is_in(part, case)) {
        true => Ok(part.to_owned()),
        false => Err("no case has this text in its name or promise".into()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a variable has to be NAME=VALUE".into()),
    }
}
