// The reference goes first and alone: two copies of the weights are never resident together.
#include "report/verify.h"

#include <chrono>
#include <cstdio>

#include "base/error.h"
#include "base/json_object.h"
#include "engine/model_tasks.h"
#include "report/status_table.h"
#include "report/texts.h"
#include "report/workload.h"

namespace inlay::report {
namespace {

// ref computes some 100 tokens of a small model a second: small steps keep the progress alive.
constexpr std::size_t kReferenceBatch = 4;

Workload load_for(const std::string& task, const std::vector<std::string>& texts) {
  Workload load{task, {}, texts};
  if (texts.empty()) {
    TextSet set = task == "rerank" ? verify_pairs() : verify_texts();
    load.queries = std::move(set.queries);
    load.texts = std::move(set.documents);
  } else if (texts.size() < 2) {
    fail(ErrorCode::kUsage, "--data", "expected two texts or more, got one.");
  } else if (task == "rerank") {
    load.queries = {texts.front()};
    load.texts.erase(load.texts.begin());
  }
  return load;
}

struct Run {
  Answers answers;
  Stats stats;
  double seconds = 0;
};

Run run(const EngineOptions& options, const Workload& load, std::size_t batch,
        const std::function<bool(std::size_t)>& progress = {}) {
  Engine engine(options, task_options(load.task));
  Run out;
  const auto begin = std::chrono::steady_clock::now();
  out.answers = ask(engine, load, batch, progress);
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  out.stats = engine.stats();
  return out;
}

std::string tolerance_json(const Tolerance& tolerance, double scale) {
  return JsonObject()
      .number("min_cosine", tolerance.min_cosine)
      .number("max_abs", tolerance.max_abs * scale)
      .number("same_nearest", tolerance.same_nearest)
      .number("tie", tolerance.tie)
      .done();
}

std::string result_json(const Verified& result) {
  const Agreement& agreement = result.agreement;
  JsonObject out;
  out.text("task", result.task)
      .text("model", result.stats.model)
      .text("revision", result.stats.revision)
      .text("device", result.stats.device)
      .text("backend", result.stats.backend)
      .text("isa", result.stats.isa)
      .text("dtype", result.stats.dtype)
      .text("reference", result.reference)
      .integer("queries", static_cast<std::int64_t>(result.queries))
      .integer("documents", static_cast<std::int64_t>(result.documents))
      .integer("tokens", result.stats.tokens)
      .integer("truncated", result.stats.truncated)
      .number("min_cosine", agreement.min_cosine)
      .number("mean_cosine", agreement.mean_cosine)
      .number("max_abs", agreement.max_abs)
      .integer("nearest", agreement.nearest)
      .number("same_nearest", agreement.same_nearest)
      .integer("worst", agreement.worst)
      .raw("thresholds", tolerance_json(result.tolerance, agreement.scale))
      .boolean("agrees", result.reasons.empty())
      .texts("reasons", result.reasons)
      .number("reference_seconds", result.reference_seconds)
      .number("device_seconds", result.device_seconds);
  return out.done();
}

std::string fixed(double value, const char* format) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string exact_percent(double share) { return fixed(share * 100, "%.1f %%"); }

}  // namespace

std::vector<Verified> verify(const EngineOptions& options, const std::vector<std::string>& texts,
                             const std::function<void(const VerifyProgress&)>& progress) {
  std::vector<Verified> results;
  for (const std::string& task : engine::model_tasks(options.model).tasks) {
    const Workload load = load_for(task, texts);
    EngineOptions reference = options;
    reference.device = engine::model_tasks(options.model).program ? "ref" : "cpu";
    reference.dtype = "fp32";
    reference.disable.clear();
    reference.onnx_file.clear();
    const Run expected = run(reference, load, kReferenceBatch, [&](std::size_t done) {
      if (progress) progress({done, load.items()});
      return true;
    });
    EngineOptions alone = options;
    alone.meanwhile = "nothing";  // it is the device's results that are to agree
    const Run got = run(alone, load, 0);
    Verified result;
    result.task = task;
    result.stats = got.stats;
    result.reference = expected.stats.device;
    result.queries = load.queries.size();
    result.documents = load.texts.size();
    result.reference_seconds = expected.seconds;
    result.device_seconds = got.seconds;
    result.tolerance = tolerance_of(got.stats.dtype);
    result.agreement = compare(expected.answers, got.answers, result.tolerance);
    result.reasons = disagreements(result.agreement, result.tolerance);
    results.push_back(std::move(result));
  }
  return results;
}

std::string verify_json(const std::vector<Verified>& results) {
  JsonArray tasks;
  bool agrees = true;
  for (const Verified& result : results) {
    tasks.add(result_json(result));
    agrees = agrees && result.reasons.empty();
  }
  return JsonObject()
      .text("inlay", version())
      .boolean("agrees", agrees)
      .raw("tasks", tasks.done())
      .done();
}

std::string verify_table(const std::vector<Verified>& results) {
  std::string out;
  for (const Verified& result : results) {
    const Agreement& agreement = result.agreement;
    const Tolerance& tolerance = result.tolerance;
    std::string where = result.stats.device;
    for (const std::string& part : {result.stats.isa, result.stats.dtype})
      if (!part.empty()) where += ", " + part;
    out += result.task + ": " + result.stats.model + " on " + where + " against " +
           result.reference + ", fp32; " + std::to_string(result.queries) + " queries, " +
           std::to_string(result.documents) + " documents, " + std::to_string(result.stats.tokens) +
           " tokens\n";
    TextTable table;
    table.add_row({"", "measured", "threshold"});
    table.add_row({"  least cosine", fixed(agreement.min_cosine, "%.8f"),
                   fixed(tolerance.min_cosine, "at least %g")});
    table.add_row({"  mean cosine", fixed(agreement.mean_cosine, "%.8f"), ""});
    table.add_row({"  largest difference", fixed(agreement.max_abs, "%.3g"),
                   fixed(tolerance.max_abs * agreement.scale, "at most %.3g")});
    table.add_row({"  same " + std::to_string(agreement.nearest) + " nearest",
                   exact_percent(agreement.same_nearest),
                   "at least " + exact_percent(tolerance.same_nearest)});
    table.add_row(
        {"  seconds, " + result.reference + " and " + result.stats.device,
         fixed(result.reference_seconds, "%.2f") + " and " + fixed(result.device_seconds, "%.2f"),
         ""});
    out += table.text();
    out += result.reasons.empty() ? "  agrees\n" : "  DISAGREES\n";
    for (const std::string& reason : result.reasons) out += "    " + reason + "\n";
  }
  out += "thresholds by dtype (differences in units of the reference's largest value):\n";
  TextTable table;
  table.add_row({"  dtype", "least cosine", "difference", "same nearest", "tie"});
  for (const Tolerance& tolerance : tolerances()) {
    table.add_row({"  " + std::string(tolerance.dtype), fixed(tolerance.min_cosine, "%g"),
                   fixed(tolerance.max_abs, "%g"), exact_percent(tolerance.same_nearest),
                   fixed(tolerance.tie, "%g")});
  }
  return out + table.text();
}

}  // namespace inlay::report
