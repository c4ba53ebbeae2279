// Lets tests/oracles/test_heads.py read an architecture's heads without a task around them. Not
// installed, not a frontend.
//
//   heads_driver FOLDER classifier|masked_lm|causal_lm|hidden DEVICE [ADAPTER]
//
// Standard input: a text a line, its ids separated by spaces. Standard output: a line of numbers a
// text: the mean of the last hidden state, the classifier's logits, the SPLADE maximum of the
// masked language model's logits, or the causal language model's logits at the last token.
#include <cstdio>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "backend/select.h"
#include "base/error.h"
#include "files/model_files.h"

namespace {

using namespace inlay;

Head head_from_name(const char* name) {
  if (std::strcmp(name, "classifier") == 0) return Head::kClassifier;
  if (std::strcmp(name, "masked_lm") == 0) return Head::kMaskedLm;
  if (std::strcmp(name, "causal_lm") == 0) return Head::kCausalLm;
  if (std::strcmp(name, "hidden") == 0) return Head::kHidden;
  fail(ErrorCode::kUsage, name, "expected classifier, masked_lm, causal_lm or hidden.");
}

Program program_for(const char* folder, Head head, const char* adapter) {
  const files::ModelFiles model = files::ModelFiles::open(folder);
  arch::BuildOptions options;
  options.head = head;
  options.adapter = adapter;
  if (head == Head::kCausalLm) options.read_row = SelectKind::kLast;
  arch::Body body = arch::find(model).build(model, model.load_weights(), options);
  Program& p = body.program;
  if (head == Head::kHidden) {
    p.pool("mean", {body.hidden, {PoolMode::kMean}});
  } else if (head == Head::kMaskedLm) {
    p.vocabulary_max("vocabulary", {body.hidden, body.decoder, body.decoder_bias});
  } else if (head == Head::kCausalLm) {
    p.linear("logits", {body.hidden, {body.decoder}, {body.decoder_bias}, Activation::kNone});
  }
  return std::move(p);
}

int run(const char* folder, const char* head, const char* device, const char* adapter) {
  const Program program = program_for(folder, head_from_name(head), adapter);
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> offsets{0};
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    for (std::int32_t id = 0; in >> id;) ids.push_back(id);
    offsets.push_back(static_cast<std::int32_t>(ids.size()));
  }
  backend::CompileOptions options;
  options.max_tokens = options.max_text_tokens = static_cast<std::int64_t>(ids.size());
  options.max_texts = static_cast<std::int64_t>(offsets.size()) - 1;
  const backend::Choice choice = backend::select({device, "auto", ""}, program, &options);
  const auto width = static_cast<std::size_t>(program.output_width());
  std::vector<float> out(width * (offsets.size() - 1));
  const PackedBatch batch{ids, {}, offsets, {}};
  choice.backend->compile(program, options)->run(batch, out);
  for (std::size_t i = 0; i < out.size(); ++i)
    std::printf("%.9g%c", static_cast<double>(out[i]), (i + 1) % width == 0 ? '\n' : ' ');
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::cerr << "usage: heads_driver FOLDER HEAD DEVICE [ADAPTER]\n";
    return 64;
  }
  try {
    return run(argv[1], argv[2], argv[3], argc == 5 ? argv[4] : "");
  } catch (const inlay::Error& error) {
    std::cerr << error.what() << "\n";
    return error.exit_code();
  }
}
