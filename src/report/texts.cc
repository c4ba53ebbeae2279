// Texts put together from the bank by counting alone: nothing here is random.
#include "report/texts.h"

#include <array>

namespace inlay::report {
namespace {

struct Topic {
  std::vector<std::string_view> questions, statements, foreign;
};

std::vector<Topic> topics() {
  std::vector<Topic> all(1);
  std::string_view rest = text_bank();
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    Topic& subject = all.back();
    if (line.empty()) {
      all.emplace_back();
    } else if (subject.questions.size() < 2) {
      subject.questions.push_back(line);
    } else {
      subject.statements.push_back(line);
    }
  }
  for (Topic& subject : all) {
    subject.foreign.assign(subject.statements.end() - 2, subject.statements.end());
    subject.statements.resize(subject.statements.size() - 2);
  }
  return all;
}

void append(std::string* text, std::string_view sentence) {
  if (!text->empty()) *text += ' ';
  *text += sentence;
}

// `count` statements of a subject from `first` on, `stride` apart, which shares no divisor with
// their number, 8.
std::string passage(const Topic& subject, std::size_t first, std::size_t stride,
                    std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i)
    append(&text, subject.statements[(first + i * stride) % subject.statements.size()]);
  return text;
}

}  // namespace

TextSet verify_texts() {
  TextSet set;
  const std::vector<Topic> all = topics();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Topic& subject = all[i];
    set.queries.insert(set.queries.end(), subject.questions.begin(), subject.questions.end());
    set.documents.emplace_back(subject.foreign[i % 2]);
    set.documents.emplace_back(subject.statements[0]);
    set.documents.push_back(passage(subject, 1, 1, 2));
  }
  set.documents.push_back(passage(all[2], 0, 1, 8));
  set.documents.push_back(passage(all[7], 3, 1, 8));
  return set;
}

TextSet verify_pairs() {
  TextSet set;
  const std::vector<Topic> all = topics();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i % 4 == 0) set.queries.emplace_back(all[i].questions[i / 4 % 2]);
    set.documents.emplace_back(all[i].statements[i % 3]);
  }
  set.documents.emplace_back(all[0].foreign[0]);
  set.documents.push_back(passage(all[4], 0, 1, 3));
  return set;
}

std::vector<std::string> bench_texts(std::size_t count) {
  // Sentences a text: 400 characters on average, as long as the paragraphs that people embed, and
  // as unequal.
  static constexpr std::array<std::size_t, 10> kLengths{4, 2, 5, 3, 8, 1, 4, 6, 3, 7};
  static constexpr std::array<std::size_t, 4> kStrides{1, 3, 5, 7};
  const std::vector<Topic> all = topics();
  std::vector<std::string> texts;
  texts.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Topic& subject = all[i % all.size()];
    const std::size_t round = i / all.size();
    std::string text = passage(subject, round, kStrides[round / 8 % kStrides.size()],
                               kLengths[i % kLengths.size()]);
    // After 32 rounds the passages come again; a number of its own tells them apart.
    if (round >= 32) append(&text, "No. " + std::to_string(round / 32) + ".");
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace inlay::report
