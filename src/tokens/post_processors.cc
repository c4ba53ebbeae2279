// See post_processors.h.
#include "tokens/post_processors.h"

#include <limits>
#include <map>

#include "base/error.h"
#include "tokens/nesting.h"

namespace inlay::tokens {
namespace {

std::int32_t read_id(const JsonValue& json) {
  const std::int64_t id = json.integer();
  if (id < 0 || id > std::numeric_limits<std::int32_t>::max()) {
    fail(ErrorCode::kBadInput, json.where(),
         "expected a number from 0 to 2147483647, got " + std::to_string(id) +
             ". The file is damaged; fetch it again.");
  }
  return static_cast<std::int32_t>(id);
}

// The parts that post-processors hand to each other: each is special tokens around at most one
// text.
using Parts = std::vector<Plan>;

Parts initial_parts(bool pair) {
  Parts parts;
  for (int text = 0; text < (pair ? 2 : 1); ++text) {
    PlanItem item{PlanItem::Kind::kText, 0, text, text, {}, false};
    parts.push_back({item});
  }
  return parts;
}

PlanItem special(std::int32_t id, std::int32_t type_id) {
  return {PlanItem::Kind::kSpecial, id, 0, type_id, {}, true};
}

void trim(Parts* parts, bool add_prefix_space) {
  for (Plan& part : *parts) {
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (part[i].kind == PlanItem::Kind::kText)
        part[i].trims.push_back({add_prefix_space, i == 0});
    }
  }
}

struct TemplatePiece {
  bool is_text;
  int text;                       // 0 or 1
  std::vector<std::int32_t> ids;  // of the special token
  std::int32_t type_id;
};

}  // namespace

// Applies one member (and those inside it) to the parts of one case.
struct PostProcessor::Builder {
  bool pair, add_special_tokens;
  Parts parts;
  int added = 0;
  std::vector<std::pair<std::string, std::int32_t>>* names;
  std::string error;  // why this case cannot be processed

  void apply(const JsonValue& json, int depth) {
    const std::string_view type = json.at("type").string();
    if (type == "TemplateProcessing") {
      apply_template(json);
    } else if (type == "BertProcessing") {
      apply_bert(json);
    } else if (type == "RobertaProcessing") {
      apply_roberta(json);
    } else if (type == "ByteLevel") {
      const bool add_prefix_space = json.at("add_prefix_space").boolean();
      if (json.at("trim_offsets").boolean()) trim(&parts, add_prefix_space);
    } else if (type == "Sequence") {
      if (depth >= kMaxNesting) {
        fail(ErrorCode::kBadInput, json.where(),
             "expected at most 32 nested sequences, got more. Correct the file.");
      }
      for (const JsonValue& item : json.at("processors").items()) apply(item, depth + 1);
    } else {
      fail(ErrorCode::kUnsupported, json.where() + "/type",
           "expected a post-processor that Inlay has, got \"" + printable(type) +
               "\". Use another tokenizer file.");
    }
  }

  std::pair<std::string, std::int32_t> read_named(const JsonValue& json) {  // ["[SEP]", 102]
    const auto items = json.items();
    if (items.size() != 2) {
      fail(ErrorCode::kBadInput, json.where(),
           "expected [token, id], got another array. Correct the file.");
    }
    names->emplace_back(items[0].string(), read_id(items[1]));
    return names->back();
  }

  void apply_bert(const JsonValue& json) {
    const std::int32_t sep = read_named(json.at("sep")).second,
                       cls = read_named(json.at("cls")).second;
    added += pair ? 3 : 2;
    if (!add_special_tokens) return;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      for (PlanItem& item : parts[i]) item.marked = false;
      if (i == 0) parts[i].insert(parts[i].begin(), special(cls, 0));
      parts[i].push_back(special(sep, i == 0 ? 0 : 1));
    }
  }

  void apply_roberta(const JsonValue& json) {
    const std::int32_t sep = read_named(json.at("sep")).second,
                       cls = read_named(json.at("cls")).second;
    const bool add_prefix_space = json.at("add_prefix_space").boolean();
    if (json.at("trim_offsets").boolean()) trim(&parts, add_prefix_space);
    added += pair ? 4 : 2;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      for (PlanItem& item : parts[i]) item.type_id = 0;
      if (!add_special_tokens) continue;
      for (PlanItem& item : parts[i]) item.marked = false;
      parts[i].insert(parts[i].begin(), special(i == 0 ? cls : sep, 0));
      parts[i].push_back(special(sep, 0));
    }
  }

  std::vector<TemplatePiece> read_template(
      const JsonValue& json,
      const std::map<std::string, std::vector<std::int32_t>, std::less<>>& known) {
    std::vector<TemplatePiece> pieces;
    for (const JsonValue& item : json.items()) {
      if (const auto sequence = item.find("Sequence")) {
        const std::string_view name = sequence->at("id").string();
        if (name != "A" && name != "B") {
          fail(ErrorCode::kBadInput, sequence->where() + "/id",
               "expected A or B, got \"" + printable(name) + "\". Correct the file.");
        }
        pieces.push_back({true, name == "B" ? 1 : 0, {}, read_id(sequence->at("type_id"))});
        continue;
      }
      const JsonValue token = item.at("SpecialToken");
      const auto found = known.find(token.at("id").string());
      if (found == known.end()) {
        fail(ErrorCode::kBadInput, token.where() + "/id",
             "expected one of the template's special_tokens, got \"" +
                 printable(token.at("id").string()) + "\". Correct the file.");
      }
      pieces.push_back({false, 0, found->second, read_id(token.at("type_id"))});
    }
    return pieces;
  }

  void apply_template(const JsonValue& json) {
    std::map<std::string, std::vector<std::int32_t>, std::less<>> known;
    for (const auto& [name, value] : json.at("special_tokens").members()) {
      std::vector<std::int32_t>& ids = known[std::string(name)];
      for (const JsonValue& id : value.at("ids").items()) ids.push_back(read_id(id));
      if (value.at("tokens").size() != ids.size()) {
        fail(ErrorCode::kBadInput, value.where(),
             "expected as many tokens as ids, got other numbers. Correct the file.");
      }
      if (ids.size() == 1) names->emplace_back(value.at("tokens").items()[0].string(), ids[0]);
    }
    const auto single = read_template(json.at("single"), known);
    const auto both = read_template(json.at("pair"), known);
    const std::vector<TemplatePiece>& pieces = pair ? both : single;
    for (const TemplatePiece& piece : pieces) added += static_cast<int>(piece.ids.size());
    if (parts.size() != 1 && parts.size() != 2) {
      error = json.where() +
              ": a template follows another post-processor that leaves more than two parts";
      return;
    }
    Parts result;
    const auto& chosen = parts.size() == 2 ? both : single;
    for (const TemplatePiece& piece : chosen) {
      if (!piece.is_text) {
        if (!add_special_tokens) continue;
        Plan part;
        for (const std::int32_t id : piece.ids) part.push_back(special(id, piece.type_id));
        result.push_back(std::move(part));
        continue;
      }
      if (static_cast<std::size_t>(piece.text) >= parts.size()) {
        error = json.where() + ": the template for one text names a second";
        return;
      }
      Plan& part = parts[static_cast<std::size_t>(piece.text)];
      for (PlanItem& item : part) item.type_id = piece.type_id;
      result.push_back(part);
    }
    parts = std::move(result);
  }
};

PostProcessor::PostProcessor() {
  for (const bool pair : {false, true}) {
    for (const bool add : {false, true}) {
      for (const Plan& part : initial_parts(pair)) plans_[pair][add].push_back(part.front());
    }
  }
}

PostProcessor::PostProcessor(const JsonValue& json) {
  if (json.is_null()) {
    *this = PostProcessor();
    return;
  }
  pair_where_ = json.where();
  for (const bool pair : {false, true}) {
    for (const bool add : {false, true}) {
      special_tokens_.clear();
      Builder builder{pair, add, initial_parts(pair), 0, &special_tokens_, {}};
      builder.apply(json, 0);
      added_[pair] = builder.added;
      if (!builder.error.empty()) {
        if (!pair) fail(ErrorCode::kBadInput, json.where(), builder.error + ". Correct the file.");
        pair_error_[add] = builder.error;
      }
      for (Plan& part : builder.parts) {
        plans_[pair][add].insert(plans_[pair][add].end(), part.begin(), part.end());
      }
    }
  }
}

PostProcessor PostProcessor::bert(std::string_view cls, std::int32_t cls_id, std::string_view sep,
                                  std::int32_t sep_id) {
  PostProcessor processor;
  for (const bool pair : {false, true}) {
    Plan& plan = processor.plans_[pair][1];
    plan.insert(plan.begin(), special(cls_id, 0));
    plan.insert(plan.begin() + 2, special(sep_id, 0));
    if (pair) plan.push_back(special(sep_id, 1));
    processor.added_[pair] = pair ? 3 : 2;
  }
  processor.special_tokens_ = {{std::string(cls), cls_id}, {std::string(sep), sep_id}};
  return processor;
}

const Plan& PostProcessor::plan(bool pair, bool add_special_tokens) const {
  if (pair && !pair_error_[add_special_tokens].empty()) {
    fail(ErrorCode::kBadInput, pair_where_,
         "expected a post-processor for two texts, got one for one (" +
             pair_error_[add_special_tokens] + "). Encode one text at a time.");
  }
  return plans_[pair][add_special_tokens];
}

}  // namespace inlay::tokens
