// The templates that published rerankers were trained with, and lists of tokens by them.
#include "task/judge.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"

namespace inlay::task {
namespace {

constexpr std::array<JudgeTemplate, 2> kTemplates{
    {{// The card of Qwen/Qwen3-Reranker-0.6B.
      "qwen3",
      "Judge whether the Document meets the requirements",
      "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query "
      "and "
      "the Instruct provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n"
      "<|im_start|>user\n",
      "Given a web search query, retrieve relevant passages that answer the query",
      "<Instruct>: {instruction}\n<Query>: {query}\n<Document>: ",
      nullptr,
      nullptr,
      "",
      {"<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", nullptr, nullptr},
      "yes",
      "no",
      8192},
     {// mxbai-rerank 0.1.6, mxbai_rerank_v2.py.
      "qwen2",
      "You are a search relevance expert",
      "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
      "<|im_end|>\n<|im_start|>user\n",
      nullptr,
      "instruction: {instruction}\nquery: {query}",
      "query: {query}",
      "\n",
      "document: ",
      {"\n",
       "You are a search relevance expert who evaluates how well documents match search queries. "
       "For "
       "each query-document pair, carefully analyze the semantic relationship between them, then "
       "provide your binary relevance judgment (0 for not relevant, 1 for relevant).\nRelevance:",
       "<|im_end|>\n<|im_start|>assistant\n"},
      "1",
      "0",
      8192}}};

constexpr std::string_view kQueryMark = "{query}", kInstructionMark = "{instruction}";

// Of a template whose query and document are tokenized apart, what the query may take of what is
// left beside prefix and suffix.
constexpr std::size_t kQueryShare = 3, kQueryWhole = 4;

bool calls_itself_reranker(const files::ModelFiles& model) {
  for (const files::Module& module : model.modules()) {
    if (module.type == "LogitScore") return true;
  }
  std::string name = model.name();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name.find("rerank") != std::string::npos;
}

void append(const std::vector<std::int32_t>& ids, std::uint8_t special, tokens::Encoding* out) {
  out->ids.insert(out->ids.end(), ids.begin(), ids.end());
  out->special.insert(out->special.end(), ids.size(), special);
}

std::vector<std::int32_t> first_of(const std::vector<std::int32_t>& ids, std::size_t count) {
  return {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count)};
}
std::vector<std::int32_t> last_of(const std::vector<std::int32_t>& ids, std::size_t count) {
  return {ids.end() - static_cast<std::ptrdiff_t>(count), ids.end()};
}

// The tokens of `front`, which begins the text, and the others. A space that ends it goes with the
// word behind it, as in these models' tokens.
void split(const tokens::Encoding& encoding, std::string_view front,
           std::vector<std::int32_t>* before, std::vector<std::int32_t>* after) {
  const std::size_t end = front.ends_with(' ') ? front.size() - 1 : front.size();
  for (std::size_t i = 0; i < encoding.ids.size(); ++i)
    (encoding.offsets[i].first < end ? before : after)->push_back(encoding.ids[i]);
}

}  // namespace

const JudgeTemplate& judge_template(const files::ModelFiles& model) {
  const std::string chat = model.chat_template();
  bool unmarked = false;
  for (const JudgeTemplate& text : kTemplates) {
    if (model.model_type() != text.model_type) continue;
    // A chat model of the same family would answer too, with numbers that mean nothing.
    if (!calls_itself_reranker(model)) {
      unmarked = true;
      break;
    }
    // Roles "query" and "document" are how a chat template takes a pair.
    if (chat.find("document") != std::string::npos && chat.find(text.marker) == std::string::npos) {
      fail(ErrorCode::kUnsupported, model.name() + ": chat_template",
           "expected the reranking template of " + std::string(text.model_type) +
               ", got one of its own. Such templates are not built in.");
    }
    return text;
  }
  fail(ErrorCode::kUnsupported, model.config().where() + "architectures",
       "expected a sequence classifier, or a causal language model whose reranking template Inlay "
       "has, got a causal language model of type \"" +
           printable(model.model_type()) + "\"" +
           (unmarked ? " with neither LogitScore nor \"rerank\" in its name" : "") +
           ". Reranking needs a model such as BAAI/bge-reranker-base, Qwen/Qwen3-Reranker-0.6B or "
           "mixedbread-ai/mxbai-rerank-base-v2.");
}

Judge::Judge(const JudgeTemplate& text, const tokens::Tokenizer& tokenizer,
             const std::string& where)
    : text_(text) {
  tokens::EncodeOptions options;
  options.add_special_tokens = false;
  prefix_ = tokenizer.encode(text.prefix, options).ids;
  if (text.between != nullptr) between_ = tokenizer.encode(text.between, options).ids;
  for (const char* part : text.suffix) {
    if (part == nullptr) continue;
    const std::vector<std::int32_t> ids = tokenizer.encode(part, options).ids;
    suffix_.insert(suffix_.end(), ids.begin(), ids.end());
  }
  for (const char* token : {"<|im_start|>", "<|im_end|>"}) {
    if (tokenizer.token_to_id(token)) continue;
    fail(
        ErrorCode::kBadInput, where,
        std::string("expected the token ") + token +
            " of the reranking template, got a vocabulary without it. Reranking needs a model such "
            "as Qwen/Qwen3-Reranker-0.6B or mixedbread-ai/mxbai-rerank-base-v2.");
  }
}

std::int64_t Judge::most_tokens() const {
  if (text_.between == nullptr) return text_.most_tokens;
  return text_.most_tokens + static_cast<std::int64_t>(prefix_.size() + suffix_.size());
}

std::string Judge::ask(std::string_view instruction, std::string_view query) const {
  if (instruction.empty() && text_.instruction != nullptr) instruction = text_.instruction;
  std::string asked(instruction.empty() ? text_.plain : text_.asked);
  // The query's place first: neither text is searched for the other's mark.
  asked.replace(asked.find(kQueryMark), kQueryMark.size(), query);
  if (const std::size_t at = std::string_view(text_.asked).find(kInstructionMark);
      !instruction.empty())
    asked.replace(at, kInstructionMark.size(), instruction);
  return asked;
}

void Judge::encode(const tokens::Tokenizer& tokenizer, const std::string& asked,
                   std::string_view document, const tokens::EncodeOptions& options,
                   tokens::Encoding* out) const {
  const std::size_t around = prefix_.size() + between_.size() + suffix_.size();
  const auto limit = static_cast<std::size_t>(options.max_length);
  if (limit != 0 && limit <= around) {
    fail(ErrorCode::kUsage, "--max-length",
         "expected more than the " + std::to_string(around) +
             " tokens of the reranking template, got " + std::to_string(limit) + ".");
  }
  const bool left = options.direction == tokens::TruncationDirection::kLeft;
  const bool joined = text_.between == nullptr;
  const std::size_t room = limit == 0 ? 0 : limit - around;
  tokens::EncodeOptions part;
  part.add_special_tokens = false;
  std::vector<std::int32_t> question, label, answer;
  bool truncated = false;
  if (joined && !left) {
    part.max_length = static_cast<int>(room);
    tokens::Encoding body = tokenizer.encode(asked + std::string(document), part);
    truncated = body.truncated;
    question = std::move(body.ids);
  } else {
    part.offsets = true;
    if (joined) {
      split(tokenizer.encode(asked + std::string(document), part), asked, &question, &answer);
    } else {
      question = tokenizer.encode(asked, part).ids;
      split(tokenizer.encode(text_.document + std::string(document), part), text_.document, &label,
            &answer);
    }
    const std::size_t most =
        joined ? room : std::min(room, (room + between_.size()) * kQueryShare / kQueryWhole);
    if (room != 0 && question.size() > most) {
      truncated = true;
      question = first_of(question, most);
    }
    const std::size_t rest = room - std::min(room, question.size());
    if (room != 0 && label.size() > rest) label = first_of(label, rest);
    if (room != 0 && label.size() + answer.size() > rest) {
      truncated = true;
      answer = left ? last_of(answer, rest - label.size()) : first_of(answer, rest - label.size());
    }
  }
  out->clear();
  append(prefix_, 1, out);
  append(question, 0, out);
  append(between_, 1, out);
  append(label, 0, out);
  append(answer, 0, out);
  append(suffix_, 1, out);
  out->type_ids.assign(out->ids.size(), 0);
  out->truncated = truncated;
}

}  // namespace inlay::task
