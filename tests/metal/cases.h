// Odd shapes of every kernel, with what the room ref computes for them. Each case makes its data,
// runs the kernel on an engine and says what was wrong.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "metal/calls.h"

namespace inlay::metal {

// Shapes that a test may choose itself. Texts are lengths; an empty text is allowed.
AttentionCall attention_call(Type type, int head_size, int heads, const std::vector<int>& texts,
                             int group = 1, int window = -1, bool causal = false,
                             const std::vector<int>& key_counts = {});
NormCall norm_call(Type type, Type weight_type, long rows, long width);
GeluCall gelu_call(Type type, Type bias_type, long rows, long width);
PoolCall pool_call(Type type, long width, int mode, bool normalize, const std::vector<int>& texts);
VocabularyCall vocabulary_call(Type type, long words, bool twice, const std::vector<int>& texts);

// Nothing when `call.out` is what ref says, within what the type of the result rounds; else the
// first difference.
std::string compare(const AttentionCall& call);
std::string compare(const NormCall& call);
std::string compare(const GeluCall& call);
std::string compare(const PoolCall& call);
std::string compare(const VocabularyCall& call);

struct Case {
  std::string name;
  std::function<std::string(Engine&)> run;
};
const std::vector<Case>& odd_cases();
// Few threads and every path: for a thousand schedules. One a kernel; of attention a short and a
// long text.
const std::vector<Case>& small_cases();

}  // namespace inlay::metal
