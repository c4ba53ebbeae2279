// Every function of inlay.hpp through the shared library alone: what is missing there does not
// link. The argument is a model folder.
#include <cstdio>
#include <exception>
#include <inlay/inlay.hpp>

namespace {

int g_failures = 0;

void check(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "failed: %s\n", what);
  ++g_failures;
}

// An error crosses the library's border with its type.
void check_error() {
  try {
    inlay::Model::find("./no/such/folder");
    check(false, "an error");
  } catch (const inlay::Error& error) {
    check(error.code() == inlay::ErrorCode::kNotFound, "code");
    check(error.exit_code() == 66 && error.http_status() == 404, "exit code and HTTP status");
    check(!error.where().empty(), "where");
    check(std::string_view(error.what()).find("no/such") != std::string_view::npos, "what");
  }
  try {
    throw inlay::Error(inlay::ErrorCode::kUsage, "here", "expected X, got Y.");
  } catch (const std::exception& error) {
    check(std::string_view(error.what()) == "[here] expected X, got Y.", "message");
  }
  check(std::string_view(inlay::error_code_name(inlay::ErrorCode::kUsage)) == "usage", "name");
}

void check_model(const std::string& model) {
  check(inlay::Model::find(model) == model, "find");
  check(!inlay::Model::list().empty(), "list");
  check(inlay::Model::show(model, true).find("\"program\"") != std::string::npos, "show");
  check(!inlay::Model::prompt(model, "none", inlay::Role::kNone).has_value(), "prompt");
  check(inlay::status_json(model, "", true).find("\"devices\"") != std::string::npos,
        "status_json");
}

void check_tokenizer(const std::string& model) {
  inlay::Tokenizer first(model);
  inlay::Tokenizer tokenizer = std::move(first);
  const inlay::Tokens tokens = tokenizer.encode("a b");
  check(tokens.ids.size() >= 4, "encode");
  check(tokenizer.encode_pair("a", "b").ids.size() >= 5, "encode_pair");
  check(!tokenizer.token(tokens.ids[0]).empty(), "token");
  check(tokenizer.vocab_size() > tokens.ids[0], "vocab_size");
  check(tokenizer.decode(tokens.ids, false).size() > tokenizer.decode(tokens.ids).size(), "decode");
}

void check_engine(const std::string& model) {
  inlay::EngineOptions options;
  options.model = model;
  inlay::Engine engine(options);
  inlay::Request request;
  request.texts = {"a b", "c"};
  request.cancel = inlay::CancelToken();
  check(!request.cancel->cancelled(), "cancelled");
  const inlay::Result result = engine.submit(request).get();
  check(result.vectors == engine.run(request).vectors, "submit and embed");
  check(result.dim == engine.dim() && engine.stats().texts == 4, "dim and stats");
  inlay::Quantization how;
  how.dtype = inlay::OutputDtype::kFloat16;
  check(inlay::quantize(result.vectors, result.dim, how).size() == result.vectors.size() * 2,
        "quantize");
  request.cancel->cancel();
  try {
    engine.run(request);
    check(false, "a cancelled request");
  } catch (const inlay::Error& error) {
    check(error.code() == inlay::ErrorCode::kCancelled, "cancelled code");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    check(std::string_view(inlay::version()).size() >= 5, "version");
    check_error();
    check_model(argv[1]);
    check_tokenizer(argv[1]);
    check_engine(argv[1]);
  } catch (const std::exception& error) {
    check(false, error.what());
  }
  return g_failures > 0 ? 1 : 0;
}
