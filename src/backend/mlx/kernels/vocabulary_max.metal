// The SPLADE head's end: for each text and word the maximum over the text's rows of log1p(relu(logit + bias)), or log1p
// of that once more if TWICE. Both grow with the logit, so the maximum is taken of logits and they run once a word rather
// than once a row; it starts at 0, which is relu, and what a text of no rows gets. A thread takes one word: rows of a
// vocabulary are no multiple of four (30,522), and 32 neighbours are read together. A threadgroup has 128 threads: four
// SIMD groups hide the reads of each other.
const int word = int(thread_position_in_grid.x);
const int text = int(thread_position_in_grid.y);
const int words = logits_shape[1];
if (word >= words) return;
const float shift = float(bias[word]);
const int end = offsets[text + 1];
float largest = 0.0f;
for (int row = offsets[text]; row < end; ++row) {
  const float logit = float(logits[long(row) * words + word]);
  largest = max(largest, logit + shift);
}
largest = inlay::log_of_one_plus(largest);
if (TWICE) largest = inlay::log_of_one_plus(largest);
out[long(text) * words + word] = largest;
