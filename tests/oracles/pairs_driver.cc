// Lets tests/oracles see the tokens that reranking makes of pairs, before any model reads them. Not
// installed, not a frontend.
//
//   pairs_driver FOLDER MAX_LENGTH [left]
//
// MAX_LENGTH 0: the limit of the published usage. Standard input: a JSON array a line, [query,
// text] or [query, text, instruction]. Standard output: a line a pair, 1 when it was cut, else 0,
// then its ids.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "files/model_files.h"
#include "task/task.h"

namespace {

using namespace inlay;

int run(const char* folder, int max_length, bool left) {
  const files::ModelFiles model = files::ModelFiles::open(folder);
  const tokens::Tokenizer tokenizer =
      task::open_tokenizer(model.tokenizer(), model.do_lower_case());
  const auto task = task::make_task(model, RerankOptions{});
  tokens::EncodeOptions options;
  options.max_length =
      max_length != 0 ? max_length : static_cast<int>(task->reads().value().most_tokens);
  if (left) options.direction = tokens::TruncationDirection::kLeft;
  const std::string no_prompt;
  for (std::string line; std::getline(std::cin, line);) {
    const JsonDocument document = JsonDocument::parse(line, "pair");
    std::vector<std::string> parts;
    for (const JsonValue& item : document.root().items()) parts.emplace_back(item.string());
    Request request;
    request.queries = {parts.at(0)};
    request.texts = {parts.at(1)};
    if (parts.size() > 2) request.instruction = parts[2];
    task->check(request);
    const task::Source source{request, tokenizer, no_prompt, options};
    tokens::Encoding encoding;
    task->encode(source, task->prepare(source).get(), 0, &encoding);
    std::printf("%d", encoding.truncated ? 1 : 0);
    for (const std::int32_t id : encoding.ids) std::printf(" %d", id);
    std::printf("\n");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::cerr << "usage: pairs_driver FOLDER MAX_LENGTH [left]\n";
    return 64;
  }
  try {
    return run(argv[1], std::atoi(argv[2]), argc == 4);
  } catch (const inlay::Error& error) {
    std::cerr << error.what() << "\n";
    return error.exit_code();
  }
}
