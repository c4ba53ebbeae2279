// BM25 vectors for tests/oracles/test_bm25.py: `bm25_driver LANGUAGE FOLDER stem|plain`. Each
// request is 'd' or 'q', a 32-bit count of bytes and that text; each answer a 32-bit count, that
// many 32-bit indices and that many floats. Little-endian.
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "files/model_files.h"
#include "task/bm25.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: bm25_driver LANGUAGE FOLDER stem|plain\n", stderr);
    return 2;
  }
  inlay::task::Bm25Options options;
  options.language = argv[1];
  options.disable_stemmer = std::string_view(argv[3]) == "plain";
  const auto files = inlay::files::ModelFiles::open(argv[2], "Qdrant/bm25");
  const inlay::task::Bm25 bm25(options, files.stop_words(options.language + ".txt").value());
  char kind = 0;
  std::uint32_t size = 0;
  while (std::fread(&kind, 1, 1, stdin) == 1 && std::fread(&size, sizeof size, 1, stdin) == 1) {
    std::string text(size, '\0');
    if (std::fread(text.data(), 1, size, stdin) != size) return 1;
    const auto terms = bm25.terms(text);
    const inlay::SparseVector vector =
        kind == 'd' ? bm25.document(terms, false) : bm25.query(terms, false);
    const auto count = static_cast<std::uint32_t>(vector.indices.size());
    std::fwrite(&count, sizeof count, 1, stdout);
    std::fwrite(vector.indices.data(), sizeof(std::int32_t), count, stdout);
    std::fwrite(vector.values.data(), sizeof(float), count, stdout);
  }
  return 0;
}
