//! Commands that look at a dataflow file: validate, expand, graph, schema.

use dora_tests::Workbench;
use expect_test::expect;
use serde_json::Value;

const ROBOT: &str = "\
nodes:
  - id: camera
    path: camera
    args: --width 640
    env: { TOKEN: secret, MODE: '1.10' }
    inputs: { tick: dora/timer/millis/50 }
    outputs: [image, info]
  - id: detector
    path: detector
    inputs:
      image: { source: camera/image, queue_size: 1 }
    outputs: [boxes]
  - id: plot
    path: plot
    inputs:
      image: camera/image
      boxes: { source: detector/boxes, queue_policy: backpressure }
";

const WRONG: &str = "\
nodes:
  - id: camera
    path: camera
    ouputs: [image]
  - id: plot
    path: plot
    inputs:
      image: camra/image
";

#[test]
fn a_right_file_is_told_so() {
    let bench = Workbench::new();
    bench.write("robot.yml", ROBOT);
    let run = bench.dora(["validate", "robot.yml"]).finish().expect_code(0);
    assert_eq!(
        run.stdout,
        "Validating robot.yml...\nInput/output wiring OK.\nDescriptor config OK.\nAll type annotations OK.\n"
    );
    assert_eq!(run.stderr, "");
}

#[test]
fn all_mistakes_come_together_with_their_places() {
    let bench = Workbench::new();
    bench.write("wrong.yml", WRONG);
    let run = bench.dora(["validate", "wrong.yml"]).finish().expect_code(1);
    for expected in ["wrong.yml:4:5", "`outputs`", "wrong.yml:8:14", "`wrong.yml` has 2 mistakes"] {
        assert!(run.stderr.contains(expected), "no {expected} in {}", run.stderr);
    }
    assert!(!run.stdout.contains("OK"));
}

#[test]
fn mistakes_as_json() {
    let bench = Workbench::new();
    bench.write("wrong.yml", WRONG);
    let run = bench.dora(["validate", "--format", "json", "wrong.yml"]).finish().expect_code(1);
    let verdict: Value = serde_json::from_str(&run.stdout).expect("one JSON object");
    assert_eq!((run.stderr.as_str(), verdict["valid"].as_bool()), ("", Some(false)));
    let diagnostics = verdict["diagnostics"].as_array().expect("a list");
    let places: Vec<_> = diagnostics.iter().map(|item| (item["line"].as_u64(), item["code"].as_str())).collect();
    assert_eq!(places, [(Some(4), Some("unknown-key")), (Some(8), Some("unknown-source"))]);
}

#[test]
fn type_warnings_become_mistakes_on_request() {
    let bench = Workbench::new();
    let text = ROBOT
        .replace("    outputs: [boxes]\n", "    outputs: [boxes]\n    output_types: { boxes: std/core/v1/String }\n")
        .replace("  - id: plot\n", "  - id: plot\n    input_types: { boxes: std/media/v1/Image }\n");
    bench.write("typed.yml", text);
    let lenient = bench.dora(["validate", "typed.yml"]).finish().expect_code(0);
    assert!(lenient.stderr.contains("std/media/v1/Image"), "{}", lenient.stderr);
    assert!(!lenient.stdout.contains("All type annotations OK."));
    let strict = bench.dora(["validate", "--strict-types", "typed.yml"]).finish().expect_code(1);
    assert!(strict.stderr.contains("std/media/v1/Image"), "{}", strict.stderr);
}

#[test]
fn what_run_does_not_serve_is_noted() {
    let bench = Workbench::new();
    bench.write("later.yml", ROBOT.replace("path: detector", "path: detector\n    shared_memory_pool_size: 1MB"));
    let run = bench.dora(["validate", "later.yml"]).finish().expect_code(0);
    assert!(
        run.stderr.contains("note: later.yml:10:") && run.stderr.contains("shared_memory_pool_size"),
        "{}",
        run.stderr
    );
}

#[test]
fn an_expanded_file_expands_to_itself() {
    let bench = Workbench::new();
    bench.write("robot.yml", ROBOT);
    let first = bench.dora(["expand", "robot.yml"]).finish().expect_code(0);
    assert!(first.stdout.contains("'1.10'") || first.stdout.contains("\"1.10\""), "{}", first.stdout);
    bench.write("flat.yml", &first.stdout);
    let second = bench.dora(["expand", "flat.yml"]).finish().expect_code(0);
    assert_eq!(first.stdout, second.stdout);
}

#[test]
fn the_schema_is_a_schema() {
    let run = Workbench::new().dora(["schema"]).finish().expect_code(0);
    let schema: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert!(schema["$schema"].is_string() && schema["$defs"]["Dataflow"]["properties"]["nodes"].is_object());
}

#[test]
fn the_picture_needs_nothing_else_and_tells_no_secrets() {
    let bench = Workbench::new();
    bench.write("robot.yml", ROBOT);
    let run = bench.dora(["graph", "robot.yml"]).finish().expect_code(0);
    assert_eq!(run.stdout, "robot-graph.html\n");
    let page = std::fs::read_to_string(bench.path().join("robot-graph.html")).expect("the picture");
    for expected in ["<svg", "camera", "detector", "plot", "50 ms", "backpressure", "queue 1", "TOKEN", "--width 640"] {
        assert!(page.contains(expected), "no {expected}");
    }
    for unwanted in ["secret", "http://", "https://", "src=", "@import", "{{"] {
        assert!(!page.contains(unwanted), "{unwanted}");
    }
}

#[test]
fn the_picture_goes_where_one_wants() {
    let bench = Workbench::new();
    bench.write("robot.yml", ROBOT);
    bench.dora(["graph", "robot.yml", "-o", "here.html"]).finish().expect_code(0);
    assert!(bench.path().join("here.html").exists() && !bench.path().join("robot-graph.html").exists());
    let run = bench.dora(["graph", "robot.yml", "-o", "no/such/here.html"]).finish().expect_code(1);
    assert!(run.stderr.contains("cannot write `no/such/here.html`"), "{}", run.stderr);
}

#[test]
fn text_of_the_file_cannot_break_the_picture() {
    let bench = Workbench::new();
    let text =
        "nodes:\n  - id: a\n    path: '</script><script>alert(1)</script>'\n    description: '{{picture}} & <b>'\n";
    bench.write("odd.yml", text);
    bench.dora(["graph", "odd.yml"]).finish().expect_code(0);
    let page = std::fs::read_to_string(bench.path().join("odd-graph.html")).expect("the picture");
    assert!(!page.contains("<script>alert") && !page.contains("<b>"));
    assert_eq!(page.matches("<svg id=\"picture\"").count(), 1);
}

#[test]
fn a_chart_for_documents() {
    let bench = Workbench::new();
    bench.write("robot.yml", ROBOT);
    let run = bench.dora(["graph", "--mermaid", "robot.yml"]).finish().expect_code(0);
    expect![[r#"
        flowchart TB
          camera
          detector
          plot[/plot\]
        subgraph ___dora___ [dora]
          subgraph ___timer_timer___ [timer]
            dora/timer/millis/50[\millis/50\]
          end
        end
          dora/timer/millis/50 -- tick --> camera
          camera -- image --> detector
          camera -- image --> plot
          detector -- boxes --> plot
    "#]]
    .assert_eq(&run.stdout);
}
